//! A worker without a network: reads the model's feed, does the actions in a real folder, dies where it is told to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use graph_client::DrivePath;
use service_kit::{
    clock::{ManualClock, Timestamp},
    database::{self, DatabaseUrl, PoolOptions},
};
use sync_service::{
    destination::{
        Change, Destination as _, DestinationError, Intent, LocalFolder, LocalFolderOptions, Made, Marker,
        Placement,
    },
    domain::{
        action::{Action, Step},
        activity::Activity,
        baseline::Baseline,
        change::ListedItem,
        cursor::Cursor,
        filter::Filter,
        folded::folded,
        local_name,
        names::{ConnectionName, SourceName},
        run::{Effort, FinishState, Remainder},
        source::{Destination, NewSource},
    },
    ops::{
        self, Ctx, LEASE_TTL,
        approve_deletions::approve_deletions,
        commit_page::{Reading, commit_page},
        finish_run::{Finish, finish_run},
        lease_run::{Leased, lease_run},
        list_actions::{Extent, list_actions},
        report_outcomes::{Outcome, OutcomeResult, report_outcomes},
    },
    store::Store,
};
use tempfile::TempDir;

use super::{
    drive::{Drive, Op, Tree},
    meddler::Meddler,
};

/// Where a worker dies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// After this many pages.
    AfterPages(u8),
    /// After this many actions, all of them reported.
    AfterActions(u8),
    /// After this many actions, those of the last call not reported.
    BeforeReport(u8),
}

pub(super) struct Mirror {
    home: TempDir,
    pub(super) ctx: Ctx,
    clock: Arc<ManualClock>,
    pub(super) source: SourceName,
    /// Who changes the destination itself, also while a worker is at it.
    meddler: Option<Mutex<Meddler>>,
    /// Whether the destination is to be taken for one that folds names.
    folds_names: bool,
    /// Whether it never had two names that such a destination takes for one.
    names_never_meet: bool,
}

/// The worker died.
#[derive(Debug)]
pub(super) struct Died;

impl Mirror {
    /// On a database of its own.
    pub(super) async fn new() -> Self {
        let home = TempDir::new().unwrap();
        let url = DatabaseUrl::sqlite(home.path().join("sync.db"));
        Self::on(&url, "s", home).await
    }

    /// A source of this name on a database that may hold others.
    pub(super) async fn on(url: &DatabaseUrl, source: &str, home: TempDir) -> Self {
        let connection = database::connect(url, &PoolOptions::default()).await.unwrap();
        migrations::ensure(&connection, migrations::Schema::Sync, migrations::Policy::MigrateEmbedded)
            .await
            .unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
        let ctx = Ctx::new(Store::new(connection), Arc::<ManualClock>::clone(&clock));
        let source = format!("tenants/t/sources/{source}").parse::<SourceName>().unwrap();
        let spec = NewSource {
            name: source.clone(),
            display_name: String::new(),
            connection: ConnectionName::parse("tenants/t/connections/c").unwrap(),
            drive: DrivePath::parse("me/drive").unwrap(),
            destination: Destination::LocalFolder(home.path().join("mirror")),
            interval: Duration::from_mins(1),
            full_interval: None,
            filter: Filter::default(),
            suspended: false,
        };
        ops::sources::create(&ctx, &spec).await.unwrap();
        Self { home, ctx, clock, source, meddler: None, folds_names: false, names_never_meet: false }
    }

    /// From now on somebody changes the destination itself.
    pub(super) fn let_meddle(&mut self) {
        let outside = self.home.path().join("outside");
        self.meddler = Some(Mutex::new(Meddler::new(self.root(), outside)));
    }

    /// Who does.
    pub(super) fn meddler(&self) -> MutexGuard<'_, Meddler> {
        self.meddler.as_ref().unwrap().lock().unwrap()
    }

    /// From now on the destination is taken for one that folds names; where it always was one, no two names may ever meet there.
    pub(super) fn fold_names(&mut self, always: bool) {
        self.folds_names = true;
        self.names_never_meet = always;
    }

    /// Changes what of the drive is mirrored.
    pub(super) async fn set_filter(&self, filter: &Filter) {
        let change = ops::sources::SourceChange { filter: Some(filter.clone()), ..Default::default() };
        ops::sources::change(&self.ctx, &self.source, change).await.unwrap();
    }

    /// Runs until a run completes, through every crash. The feed shows each change once: what was read stays read; and what
    /// happens to the drive after a crash comes with a later listing.
    pub(super) async fn sync(
        &self,
        drive: &mut Drive,
        seed: u64,
        resync: bool,
        crashes: &[(Crash, Vec<Op>)],
    ) {
        let mut reader = Reader { drive, feed: None, seed, resync };
        let mut crashes = crashes.iter();
        loop {
            let leased =
                lease_run(&self.ctx, "w", Some(&self.source), &[], Duration::ZERO).await.unwrap().unwrap();
            let crash = crashes.next();
            if let Ok(left) = self.run(&leased, &mut reader, crash.map(|(crash, _)| *crash)).await {
                let held = left.deletions_held;
                if held > 0 {
                    approve_deletions(&self.ctx, &leased.run, held).await.unwrap();
                }
                if held > 0 || reader.drive.has_news() {
                    continue;
                }
                return;
            }
            for op in crash.iter().flat_map(|(_, ops)| ops) {
                reader.drive.apply(op);
            }
            self.clock.advance(LEASE_TTL + Duration::from_secs(1));
        }
    }

    pub(super) async fn run(
        &self,
        leased: &Leased,
        reader: &mut Reader<'_>,
        crash: Option<Crash>,
    ) -> Result<Remainder, Died> {
        let folder = self.open(leased).await;
        self.list(leased, &folder, reader, crash).await?;
        self.apply(leased, &folder, Extent::Everything, crash).await?;
        let finish = Finish {
            state: FinishState::Completed,
            reason: String::new(),
            detail: String::new(),
            effort: Effort::default(),
            retry_after: None,
            activity: Activity::default(),
        };
        let left = finish_run(&self.ctx, &leased.run, leased.source.lease.epoch, &finish).await.unwrap();
        assert!(
            left.items_left == 0 || left.deletions_held > 0 || self.meddler.is_some(),
            "nothing is left undone but what waits for a person"
        );
        Ok(left)
    }

    async fn list(
        &self,
        leased: &Leased,
        folder: &LocalFolder,
        reader: &mut Reader<'_>,
        crash: Option<Crash>,
    ) -> Result<(), Died> {
        let (run, epoch) = (&leased.run, leased.source.lease.epoch);
        let mut cursor = leased.cursor.link().to_owned();
        if std::mem::take(&mut reader.resync) {
            cursor = commit_page(&self.ctx, run, epoch, &cursor, Reading::ResyncRequired, self.folds_names)
                .await
                .unwrap()
                .cursor;
        }
        let mut pages_read = 0;
        loop {
            if matches!(crash, Some(Crash::AfterPages(pages)) if pages_read == pages) {
                return Err(Died);
            }
            let (items, leads_to) = reader.read(&cursor);
            let reading = Reading::Page { items, leads_to };
            let position =
                commit_page(&self.ctx, run, epoch, &cursor, reading.clone(), self.folds_names).await.unwrap();
            // The answer got lost: the same page comes again.
            let again = commit_page(&self.ctx, run, epoch, &cursor, reading, self.folds_names).await.unwrap();
            assert_eq!(again, position);
            if position.listing_complete {
                return Ok(());
            }
            cursor = position.cursor;
            pages_read += 1;
            if reader.seed >> (pages_read % 64) & 1 == 1 {
                self.apply(leased, folder, Extent::WhileListing, crash).await?;
            }
        }
    }

    /// Opens the destination and reports what a worker that died left unreported.
    pub(super) async fn open(&self, leased: &Leased) -> LocalFolder {
        let filled = leased.source.destination_filled;
        let folder = LocalFolder::open(
            &self.root(),
            &self.marker(),
            filled,
            LocalFolderOptions {
                clock: Arc::<ManualClock>::clone(&self.clock),
                ..LocalFolderOptions::default()
            },
        )
        .await
        .unwrap();
        let made = folder.made().await.unwrap();
        let outcome = |Made { intent, file }| done(intent.item_id, intent.token, file);
        self.report(leased, made.into_iter().map(outcome).collect()).await;
        folder.announce(&[]).await.unwrap();
        folder
    }

    async fn apply(
        &self,
        leased: &Leased,
        folder: &LocalFolder,
        extent: Extent,
        crash: Option<Crash>,
    ) -> Result<(), Died> {
        let (run, epoch) = (&leased.run, leased.source.lease.epoch);
        let mut count = 0;
        loop {
            let pages: Vec<_> = list_actions(self.ctx.clone(), run.clone(), epoch, extent).collect().await;
            let actions: Vec<Action> = pages.into_iter().flat_map(|page| page.unwrap()).collect();
            if actions.is_empty() {
                return Ok(());
            }
            folder.announce(&actions.iter().map(intent).collect::<Vec<_>>()).await.unwrap();
            let mut unreported = Vec::new();
            for action in actions {
                if let Some(meddler) = &self.meddler {
                    meddler.lock().unwrap().interrupt();
                }
                let result = perform(folder, &action, self.meddler.is_some()).await;
                if self.names_never_meet {
                    assert_apart(&self.root());
                    assert!(!spelled_anew(&action), "{action:?} does nothing where names are folded");
                }
                count += 1;
                let token = action.token.encode().unwrap();
                unreported.push(Outcome { item_id: action.item_id, token, result, notices: Vec::new() });
                match crash {
                    Some(Crash::BeforeReport(after)) if after < count => return Err(Died),
                    Some(Crash::BeforeReport(_)) => {}
                    _ => self.report(leased, std::mem::take(&mut unreported)).await,
                }
                if matches!(crash, Some(Crash::AfterActions(after)) if after < count) {
                    return Err(Died);
                }
            }
            self.report(leased, unreported).await;
        }
    }

    async fn report(&self, leased: &Leased, outcomes: Vec<Outcome>) {
        report_outcomes(&self.ctx, &leased.run, leased.source.lease.epoch, &outcomes).await.unwrap();
    }

    pub(super) fn marker(&self) -> Marker {
        Marker { source: self.source.to_string(), source_create_time: String::new() }
    }

    /// The destination.
    pub(super) fn root(&self) -> PathBuf {
        self.home.path().join("mirror")
    }

    /// The same without the marks that keep names apart; so several may have one path.
    pub(super) fn entries(&self) -> Vec<(String, Option<String>)> {
        self.tree().into_iter().map(|(path, content)| (without_marks(&path), content)).collect()
    }

    /// Whether a worker has been there.
    pub(super) fn is_marked(&self) -> bool {
        self.root().join(".sluice/source.json").exists()
    }

    /// Every path at the destination with its content; Sluice's own folder must be empty but for marker and lock.
    pub(super) fn tree(&self) -> Tree {
        let root = self.root();
        let mut tree = Tree::new();
        if !root.exists() {
            return tree;
        }
        collect(&root, &root, &mut tree);
        tree.retain(|path, content| {
            !(path.starts_with(".sluice") && (content.is_none() || !path.contains("/staging/")))
        });
        tree
    }
}

/// A path without the marks that keep names apart.
fn without_marks(path: &str) -> String {
    let plain = |name| local_name::encode(&local_name::decode(name), "");
    path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

fn intent(action: &Action) -> Intent {
    let change = match &action.step {
        Step::MakeFolder => Change::MakeFolder,
        Step::Move { from, .. } => Change::Move { from: from.clone() },
        Step::PutContent { size, hash, modified, expected, .. } => {
            Change::put_content(*size, hash.clone(), *modified, expected.clone())
        }
        Step::SetTimes { modified, .. } => Change::SetTimes { modified: modified.as_millis() },
        Step::DeleteFile { .. } | Step::DeleteFolder => Change::Delete,
    };
    let token = action.token.encode().unwrap();
    Intent { item_id: action.item_id.clone(), token, path: action.path.clone(), change }
}

fn done(item_id: String, token: Vec<u8>, file: Option<Baseline>) -> Outcome {
    Outcome { item_id, token, result: OutcomeResult::Done { bytes: 1, file }, notices: Vec::new() }
}

async fn perform(folder: &LocalFolder, action: &Action, disturbed: bool) -> OutcomeResult {
    let path = &action.path;
    let result = match &action.step {
        Step::MakeFolder => folder.make_folder(path).await.map(|_| None),
        Step::Move { from, expected } => folder.relocate(from, path, expected.as_ref()).await.map(|_| None),
        Step::PutContent { e_tag, hash, expected, deletes_replaced, .. } => {
            let mut file = folder.begin_file().await.unwrap();
            file.write(Bytes::from(e_tag.clone())).await.unwrap();
            let placement = Placement {
                modified: None,
                hash: hash.clone().unwrap_or_default(),
                expected: expected.clone(),
                deletes_replaced: *deletes_replaced,
            };
            file.finish(path, placement).await.map(|placed| Some(placed.file))
        }
        Step::SetTimes { modified, expected } => {
            folder.set_modified(path, *modified, expected).await.map(Some)
        }
        Step::DeleteFile { expected } => folder.delete_file(path, expected).await.map(|_| None),
        Step::DeleteFolder => folder.delete_folder(path).await.map(|_| None),
    };
    match result {
        Ok(file) => OutcomeResult::Done { bytes: 1, file },
        Err(error @ DestinationError::SetAside { .. }) => failed(&error),
        Err(error @ (DestinationError::Missing { .. } | DestinationError::ParentMissing { .. }))
            if disturbed =>
        {
            failed(&error)
        }
        Err(error) => panic!("{action:?}: {error}"),
    }
}

fn failed(error: &DestinationError) -> OutcomeResult {
    OutcomeResult::Failed { reason: error.reason().to_owned(), detail: String::new() }
}

/// Whether an action renames something into what a file system that folds names takes for the same name.
fn spelled_anew(action: &Action) -> bool {
    let place = |path: &[String]| path.iter().map(|name| folded(name)).collect::<Vec<_>>();
    matches!(&action.step, Step::Move { from, .. } if place(from) == place(&action.path))
}

/// No two names of a folder may be one to a file system that folds names. The bin is left out: which name is free there is asked of the
/// file system, not of the index, and the one that the model runs on keeps such names apart.
fn assert_apart(folder: &Path) {
    if folder.ends_with(".sluice/bin") {
        return;
    }
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert!(
            seen.insert(folded(entry.file_name().to_str().unwrap())),
            "{} meets another name",
            entry.path().display()
        );
        if entry.file_type().unwrap().is_dir() {
            assert_apart(&entry.path());
        }
    }
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

/// Reads the model's feed.
pub(super) struct Reader<'a> {
    pub(super) drive: &'a mut Drive,
    pub(super) feed: Option<Feed>,
    pub(super) seed: u64,
    /// The provider refuses the cursor, once.
    pub(super) resync: bool,
}

/// A listing under way: the pages, and the name of its links.
pub(super) struct Feed {
    name: String,
    pages: Vec<Vec<ListedItem>>,
}

impl Reader<'_> {
    /// The page behind a link. An empty link starts a complete listing, a delta link one of what changed; a next link goes on in
    /// the listing that gave it.
    fn read(&mut self, link: &str) -> (Vec<ListedItem>, Cursor) {
        let (name, number) = match link.split_once('/') {
            Some((name, number)) => (name.to_owned(), number.parse().unwrap()),
            None => (format!("{link}+"), 0),
        };
        if number == 0 && self.feed.as_ref().is_none_or(|feed| feed.name != name) {
            let pages =
                if link.is_empty() { self.drive.enumerate(self.seed) } else { self.drive.changes(self.seed) };
            self.feed = Some(Feed { name: name.clone(), pages });
        }
        let feed = self.feed.as_ref().unwrap();
        assert_eq!(feed.name, name);
        let items = feed.pages[number].clone();
        let last = number + 1 == feed.pages.len();
        (items, if last { Cursor::CaughtUp(name) } else { Cursor::Page(format!("{name}/{}", number + 1)) })
    }
}
