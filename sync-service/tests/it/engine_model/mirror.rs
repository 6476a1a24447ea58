//! A worker without a network: reads the model's feed, does the actions in a real folder, dies where it is told to.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use graph_client::DrivePath;
use service_kit::{
    clock::{ManualClock, Timestamp},
    database::{self, DatabaseUrl, PoolOptions},
};
use sync_service::{
    destination::{Destination as _, LocalFolder, Marker},
    domain::{
        action::{Action, Step},
        cursor::Cursor,
        names::{ConnectionName, SourceName},
        run::{Effort, FinishState},
        source::{Destination, NewSource},
    },
    ops::{
        self, Ctx, LEASE_TTL,
        commit_page::{Reading, commit_page},
        finish_run::{Finish, finish_run},
        lease_run::{Leased, lease_run},
        list_actions::list_actions,
        report_outcomes::{Outcome, OutcomeResult, report_outcomes},
    },
    store::Store,
};
use tempfile::TempDir;

use super::drive::{Drive, Tree};

/// Where a worker dies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// After this many pages.
    AfterPages(u8),
    /// After this many actions, all of them reported.
    AfterActions(u8),
    /// After this many actions, the last ones not reported.
    BeforeReport(u8),
}

pub(super) struct Mirror {
    home: TempDir,
    ctx: Ctx,
    clock: Arc<ManualClock>,
    source: SourceName,
}

/// The worker died.
struct Died;

impl Mirror {
    pub(super) async fn new() -> Self {
        let home = TempDir::new().unwrap();
        let url = DatabaseUrl::sqlite(home.path().join("sync.db"));
        let connection = database::connect(&url, &PoolOptions::default()).await.unwrap();
        migrations::ensure(&connection, migrations::Schema::Sync, migrations::Policy::MigrateEmbedded)
            .await
            .unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let ctx = Ctx::new(Store::new(connection), Arc::<ManualClock>::clone(&clock));
        let source = SourceName::parse("tenants/t/sources/s").unwrap();
        let spec = NewSource {
            name: source.clone(),
            display_name: String::new(),
            connection: ConnectionName::parse("tenants/t/connections/c").unwrap(),
            drive: DrivePath::parse("me/drive").unwrap(),
            destination: Destination::LocalFolder(home.path().join("mirror")),
            interval: Duration::from_secs(60),
            suspended: false,
        };
        ops::sources::create(&ctx, &spec).await.unwrap();
        Self { home, ctx, clock, source }
    }

    /// Runs until a run completes, through every crash. The feed shows each change once: what was read stays read.
    pub(super) async fn sync(&self, drive: &mut Drive, seed: u64, resync: bool, crashes: &[Crash]) {
        let mut feed = None;
        let mut crashes = crashes.iter().copied();
        let mut resync = resync;
        loop {
            let leased =
                lease_run(&self.ctx, "w", Some(&self.source), Duration::ZERO).await.unwrap().unwrap();
            let result =
                self.run(&leased, drive, &mut feed, seed, std::mem::take(&mut resync), crashes.next()).await;
            if result.is_ok() {
                return;
            }
            self.clock.advance(LEASE_TTL + Duration::from_secs(1));
        }
    }

    async fn run(
        &self,
        leased: &Leased,
        drive: &mut Drive,
        feed: &mut Option<Feed>,
        seed: u64,
        resync: bool,
        crash: Option<Crash>,
    ) -> Result<(), Died> {
        self.list(leased, drive, feed, seed, resync, crash).await?;
        let done = self.apply(leased, crash).await;
        done?;
        let finish = Finish {
            state: FinishState::Completed,
            reason: String::new(),
            detail: String::new(),
            effort: Effort::default(),
            retry_after: None,
        };
        let left = finish_run(&self.ctx, &leased.run, leased.source.lease.epoch, &finish).await.unwrap();
        assert_eq!((left.items_left, left.deletions_held), (0, 0), "nothing is left undone");
        Ok(())
    }

    async fn list(
        &self,
        leased: &Leased,
        drive: &mut Drive,
        feed: &mut Option<Feed>,
        seed: u64,
        resync: bool,
        crash: Option<Crash>,
    ) -> Result<(), Died> {
        let (run, epoch) = (&leased.run, leased.source.lease.epoch);
        let mut cursor = leased.cursor.link().to_owned();
        if resync {
            cursor =
                commit_page(&self.ctx, run, epoch, &cursor, Reading::ResyncRequired).await.unwrap().cursor;
        }
        let mut pages_read = 0;
        loop {
            if let Some(Crash::AfterPages(pages)) = crash
                && pages_read == pages
            {
                return Err(Died);
            }
            let (items, leads_to) = Feed::read(feed, drive, &cursor, seed);
            let reading = Reading::Page { items, leads_to };
            let position = commit_page(&self.ctx, run, epoch, &cursor, reading.clone()).await.unwrap();
            // The answer got lost: the same page comes again.
            let again = commit_page(&self.ctx, run, epoch, &cursor, reading).await.unwrap();
            assert_eq!(again, position);
            if position.listing_complete {
                return Ok(());
            }
            cursor = position.cursor;
            pages_read += 1;
        }
    }

    async fn apply(&self, leased: &Leased, crash: Option<Crash>) -> Result<(), Died> {
        let marker = Marker { source: self.source.to_string(), source_create_time: String::new() };
        let filled = leased.source.destination_filled;
        let folder = LocalFolder::open(&self.home.path().join("mirror"), &marker, filled).await.unwrap();
        let (run, epoch) = (&leased.run, leased.source.lease.epoch);
        let mut count = 0;
        loop {
            let pages: Vec<_> = list_actions(self.ctx.clone(), run.clone(), epoch).collect().await;
            let actions: Vec<Action> = pages.into_iter().flat_map(|page| page.unwrap()).collect();
            if actions.is_empty() {
                return Ok(());
            }
            for action in actions {
                perform(&folder, &action).await;
                count += 1;
                if matches!(crash, Some(Crash::BeforeReport(after)) if after < count) {
                    return Err(Died);
                }
                let outcome = Outcome {
                    item_id: action.item_id,
                    token: action.token.encode().unwrap(),
                    result: OutcomeResult::Done { bytes: 1 },
                };
                report_outcomes(&self.ctx, run, epoch, &[outcome]).await.unwrap();
                if matches!(crash, Some(Crash::AfterActions(after)) if after < count) {
                    return Err(Died);
                }
            }
        }
    }

    /// Every path at the destination with its content; Sluice's own folder must be empty but for marker and lock.
    pub(super) fn tree(&self) -> Tree {
        let root = self.home.path().join("mirror");
        let mut tree = Tree::new();
        collect(&root, &root, &mut tree);
        tree.retain(|path, content| {
            !(path.starts_with(".sluice") && (content.is_none() || !path.contains("staging")))
        });
        tree
    }
}

async fn perform(folder: &LocalFolder, action: &Action) {
    let path = &action.path;
    let result = match &action.step {
        Step::MakeFolder => folder.make_folder(path).await,
        Step::Move { from } => folder.relocate(from, path).await,
        Step::PutContent { hash, .. } => {
            let mut file = folder.begin_file().await.unwrap();
            file.write(Bytes::from(hash.clone().unwrap())).await.unwrap();
            file.finish(path, None).await
        }
        Step::SetTimes { modified } => folder.set_modified(path, *modified).await,
        Step::DeleteFile => folder.delete_file(path).await,
        Step::DeleteFolder => folder.delete_folder(path).await,
    };
    result.unwrap_or_else(|error| panic!("{action:?}: {error}"));
}

fn collect(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            tree.insert(name, None);
            collect(root, &path, tree);
        } else {
            tree.insert(name, Some(std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// A listing under way: the pages, and the name of its links.
struct Feed {
    name: String,
    pages: Vec<Vec<sync_service::domain::change::ListedItem>>,
}

impl Feed {
    /// The page behind a link. An empty link starts a complete listing, a delta link one of what changed; a next link goes on in the
    /// listing that gave it.
    fn read(
        feed: &mut Option<Self>,
        drive: &mut Drive,
        link: &str,
        seed: u64,
    ) -> (Vec<sync_service::domain::change::ListedItem>, Cursor) {
        let (name, number) = match link.split_once('/') {
            Some((name, number)) => (name.to_owned(), number.parse().unwrap()),
            None => (format!("{link}+"), 0),
        };
        if number == 0 && feed.as_ref().is_none_or(|feed| feed.name != name) {
            let pages = if link.is_empty() { drive.enumerate(seed) } else { drive.changes(seed) };
            *feed = Some(Self { name: name.clone(), pages });
        }
        let feed = feed.as_ref().unwrap();
        assert_eq!(feed.name, name);
        let items = feed.pages[number].clone();
        let last = number + 1 == feed.pages.len();
        (items, if last { Cursor::CaughtUp(name) } else { Cursor::Page(format!("{name}/{}", number + 1)) })
    }
}
