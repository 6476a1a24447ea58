//! Compares the destination with what the index says it has: folder by folder, and every file by its bytes.

use std::{collections::HashSet, io, path::PathBuf};

use futures_util::{StreamExt as _, stream};
use proto::sync::v1 as pb;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Worker, WorkerError,
    file_state::expected,
    findings::Findings,
    meter::Spent,
    run::{Stop, destination_of, source_of},
    service::SyncService,
};
use crate::{
    destination::{
        Change, DestinationError, Entered, Inspected, Intent, Names, Onlooker, OpenFolder, STAGING_FOLDER,
        Unlike,
    },
    domain::{item::STAGING_PARENT, local_name::OWN_FOLDER},
};

/// Files read at once.
const READ_AT_ONCE: usize = 4;

/// Reason of what a worker that died was at: the next run of the source tells what became of it.
const UNDER_WAY: &str = "UNDER_WAY";

/// Does a leased run that verifies, or that part of one that heals.
pub(super) async fn verify(
    worker: &Worker,
    lease: &pb::Lease,
    spent: &Spent,
    stop: &Stop,
) -> Result<(), WorkerError> {
    let (path, marker) = destination_of(source_of(lease)?)?;
    // A folder that is still to be made should have nothing.
    let Some(onlooker) = Onlooker::open(path, marker, lease.destination_expected).await? else {
        return Ok(());
    };
    let (reading, under_way) = (CancellationToken::new(), UnderWay::of(onlooker.announced().await?));
    let mut verification = Verification {
        service: &worker.service,
        lease,
        spent,
        onlooker,
        under_way,
        findings: Findings::new(&worker.service, lease),
        reading: reading.clone(),
        _ends_reading: reading.drop_guard(),
    };
    tokio::select! {
        result = verification.run() => result,
        told = stop.told() => Err(told),
    }
}

struct Verification<'a> {
    service: &'a SyncService,
    lease: &'a pb::Lease,
    spent: &'a Spent,
    onlooker: Onlooker,
    under_way: UnderWay,
    findings: Findings<'a>,
    /// Cancelled when nobody waits for what is being read any more.
    reading: CancellationToken,
    _ends_reading: DropGuard,
}

/// What a worker that died announced and did not report.
struct UnderWay {
    items: HashSet<String>,
    places: HashSet<PathBuf>,
}

impl UnderWay {
    fn of(intents: Vec<Intent>) -> Self {
        let mut places = HashSet::new();
        let mut items = HashSet::new();
        for Intent { item_id, path, change, .. } in intents {
            places.insert(path.iter().collect());
            if let Change::Move { from } = change {
                places.insert(from.iter().collect());
            }
            items.insert(item_id);
        }
        Self { items, places }
    }
}

/// A folder that the destination should have.
#[derive(Clone)]
struct Folder {
    id: String,
    path: Vec<String>,
}

/// A folder whose subfolders are gone through. No more than a page of them is held.
struct Level {
    folder: Folder,
    subfolders: std::vec::IntoIter<pb::AppliedItem>,
    /// For the next page of them; `None` behind the last.
    page_token: Option<String>,
}

impl Folder {
    fn root() -> Self {
        Self { id: String::new(), path: Vec::new() }
    }

    /// Where items wait for their places.
    fn staging() -> Self {
        Self { id: STAGING_PARENT.to_owned(), path: vec![OWN_FOLDER.to_owned(), STAGING_FOLDER.to_owned()] }
    }

    fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    /// Whether Sluice itself made the place, and not a drive.
    fn is_own(&self) -> bool {
        self.path.first().is_some_and(|name| name == OWN_FOLDER)
    }

    fn join(&self, name: &str) -> Vec<String> {
        self.path.iter().cloned().chain([name.to_owned()]).collect()
    }
}

impl Verification<'_> {
    async fn run(&mut self) -> Result<(), WorkerError> {
        self.tree(Folder::root()).await?;
        self.tree(Folder::staging()).await
    }

    /// A folder with everything below it, in memory that grows with its depth only.
    async fn tree(&mut self, top: Folder) -> Result<(), WorkerError> {
        let mut levels = Vec::new();
        let mut next = Some(top);
        loop {
            if let Some(folder) = next.take()
                && self.folder(&folder).await?
            {
                levels.push(Level {
                    folder,
                    subfolders: Vec::new().into_iter(),
                    page_token: Some(String::new()),
                });
            }
            let Some(level) = levels.last_mut() else { return Ok(()) };
            next = self.subfolder(level).await?;
            if next.is_none() {
                levels.pop();
            }
        }
    }

    async fn subfolder(&self, level: &mut Level) -> Result<Option<Folder>, WorkerError> {
        loop {
            if let Some(item) = level.subfolders.next() {
                return Ok(Some(Folder { path: level.folder.join(&item.name), id: item.item_id }));
            }
            let Some(page_token) = level.page_token.take() else { return Ok(None) };
            let page = self.list(&level.folder, page_token, true).await?;
            level.subfolders = page.items.into_iter();
            level.page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
        }
    }

    async fn list(
        &self,
        folder: &Folder,
        page_token: String,
        folders_only: bool,
    ) -> Result<pb::ListAppliedResponse, WorkerError> {
        let request = pb::ListAppliedRequest {
            run: self.lease.run.clone(),
            epoch: self.lease.epoch,
            folder_id: folder.id.clone(),
            page_token,
            folders_only,
        };
        self.service.list_applied(request).await
    }

    /// The files of a folder, and what is in it besides. Gives whether there are subfolders to go on with.
    async fn folder(&mut self, folder: &Folder) -> Result<bool, WorkerError> {
        let Some(opened) = self.enter(folder).await? else { return Ok(false) };
        let mut names = Names::new(self.onlooker.folds_names());
        let mut has_folders = false;
        let mut page_token = Some(String::new());
        while let Some(token) = page_token {
            let first = token.is_empty();
            let page = self.list(folder, token, false).await?;
            if folder.is_root() && first {
                self.spent.begin_verification(page.total_files, page.total_bytes);
            }
            for item in &page.items {
                names.insert(&item.name);
                has_folders |= item.file.is_none();
            }
            let found = self.files(folder, &opened, page.items).await;
            self.hand_in(found).await?;
            page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
        }
        if !folder.is_own() {
            self.extras(folder, opened, names).await?;
        }
        Ok(has_folders)
    }

    /// Opens a folder, or says why not.
    async fn enter(&mut self, folder: &Folder) -> Result<Option<OpenFolder>, WorkerError> {
        let found = match self.onlooker.enter(&folder.path).await {
            Ok(Entered::Folder(opened)) => return Ok(Some(opened)),
            // Sluice's own folder for what waits is made by the next run.
            Ok(Entered::Missing) if folder.id == STAGING_PARENT => return Ok(None),
            _ if self.under_way.items.contains(&folder.id) => under_way(&folder.path, 0),
            Ok(Entered::Missing) => finding(pb::FindingKind::Missing, &folder.path, 0),
            Ok(Entered::WrongKind(there)) => wrong_kind(&folder.path, 0, there, "a folder"),
            Err(error) if folder.is_root() => return Err(error.into()),
            Err(error) => unverifiable(&folder.path, 0, &error),
        };
        self.hand_in(vec![(folder.id.clone(), found)]).await?;
        Ok(None)
    }

    /// Hands in what was found about items, for people, and for the index where the run heals.
    async fn hand_in(&mut self, found: Vec<(String, pb::Finding)>) -> Result<(), WorkerError> {
        let drift = found.iter().filter_map(|(item_id, finding)| {
            let kind = drift(finding.kind())?;
            Some(pb::Drift { item_id: item_id.clone(), kind: kind.into() })
        });
        let drift: Vec<pb::Drift> = drift.collect();
        self.findings.report(found.into_iter().map(|(_, finding)| finding).collect()).await?;
        if drift.is_empty() || self.lease.kind() != pb::RunKind::Heal {
            return Ok(());
        }
        let request = pb::ReportDriftRequest { run: self.lease.run.clone(), epoch: self.lease.epoch, drift };
        self.service.report_drift(request).await
    }

    /// Compares the files among these items, several at once. What was found comes in their order.
    async fn files(
        &self,
        folder: &Folder,
        opened: &OpenFolder,
        items: Vec<pb::AppliedItem>,
    ) -> Vec<(String, pb::Finding)> {
        let files = items.into_iter().filter(|item| item.file.is_some());
        let looks = files.map(|item| async move {
            let found = self.file(folder, opened, &item).await?;
            Some((item.item_id, found))
        });
        stream::iter(looks).buffered(READ_AT_ONCE).filter_map(std::future::ready).collect().await
    }

    async fn file(
        &self,
        folder: &Folder,
        opened: &OpenFolder,
        item: &pb::AppliedItem,
    ) -> Option<pb::Finding> {
        let expected = expected(item.file.as_ref()).unwrap_or_default();
        let (path, size) = (folder.join(&item.name), expected.size.unwrap_or_default());
        let meter = self.spent.begin_verifying(&path, size);
        let reading = self.reading.clone();
        let read_some = move |bytes| {
            meter.add(bytes);
            if reading.is_cancelled() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        let found = match opened.inspect(&item.name, expected, read_some).await {
            Ok(Inspected::Sound) => return None,
            _ if self.under_way.items.contains(&item.item_id) => under_way(&path, size),
            Ok(Inspected::Missing) => finding(pb::FindingKind::Missing, &path, size),
            Ok(Inspected::WrongKind(there)) => wrong_kind(&path, size, there, "a file"),
            Ok(Inspected::OtherSize(there)) => pb::Finding {
                reason: "SIZE_DIFFERS".to_owned(),
                detail: format!("has {there} bytes; {size} were put there"),
                ..finding(pb::FindingKind::Changed, &path, size)
            },
            Ok(Inspected::OtherBytes { same_time }) => pb::Finding {
                reason: "CONTENT_DIFFERS".to_owned(),
                detail: if same_time {
                    "has other bytes, with size and time as they were: the disk may be failing"
                } else {
                    "has other bytes of the same number"
                }
                .to_owned(),
                ..finding(pb::FindingKind::Changed, &path, size)
            },
            Ok(Inspected::NoHash) => pb::Finding {
                reason: "NO_HASH".to_owned(),
                detail: "was put there by an early version, which noted no hash".to_owned(),
                ..finding(pb::FindingKind::Unverifiable, &path, size)
            },
            Err(error) => unverifiable(&path, size, &error),
        };
        Some(found)
    }

    async fn extras(&mut self, folder: &Folder, opened: OpenFolder, names: Names) -> Result<(), WorkerError> {
        let mut extras = opened.extras(names);
        while let Some(extras) = extras.recv().await {
            let found = match extras {
                Ok(extras) => extras
                    .into_iter()
                    .map(|extra| finding(pb::FindingKind::Extra, &folder.join(&extra.name), extra.size))
                    .filter(|extra| !self.under_way.places.contains(&PathBuf::from(&extra.path)))
                    .collect(),
                Err(error) if folder.is_root() => return Err(error.into()),
                Err(error) => vec![unverifiable(&folder.path, 0, &error)],
            };
            self.findings.report(found).await?;
        }
        Ok(())
    }
}

/// What a finding about an item means for the index.
fn drift(found: pb::FindingKind) -> Option<pb::DriftKind> {
    use pb::FindingKind as Kind;
    match found {
        Kind::Missing | Kind::WrongKind => Some(pb::DriftKind::Gone),
        Kind::Changed => Some(pb::DriftKind::Changed),
        Kind::Unspecified
        | Kind::MakeFolder
        | Kind::Move
        | Kind::Transfer
        | Kind::SetTime
        | Kind::Delete
        | Kind::Keep
        | Kind::Leave
        | Kind::Extra
        | Kind::Unverifiable => None,
    }
}

fn finding(kind: pb::FindingKind, path: &[String], size: i64) -> pb::Finding {
    pb::Finding { kind: kind.into(), path: path.join("/"), size, ..pb::Finding::default() }
}

fn wrong_kind(path: &[String], size: i64, there: Unlike, wanted: &str) -> pb::Finding {
    let (reason, what) = match there {
        Unlike::File => ("IS_FILE", "a file"),
        Unlike::Folder => ("IS_FOLDER", "a folder"),
        Unlike::Link => ("IS_LINK", "a symbolic link"),
        Unlike::Special => ("IS_SPECIAL", "a pipe, a socket or a device"),
    };
    pb::Finding {
        reason: reason.to_owned(),
        detail: format!("is {what}, where {wanted} of the drive's should be"),
        ..finding(pb::FindingKind::WrongKind, path, size)
    }
}

fn unverifiable(path: &[String], size: i64, error: &DestinationError) -> pb::Finding {
    pb::Finding {
        reason: error.reason().to_owned(),
        detail: error.to_string(),
        ..finding(pb::FindingKind::Unverifiable, path, size)
    }
}

fn under_way(path: &[String], size: i64) -> pb::Finding {
    pb::Finding {
        reason: UNDER_WAY.to_owned(),
        detail: "a worker that died was at it; the next run tells what became of it".to_owned(),
        ..finding(pb::FindingKind::Unverifiable, path, size)
    }
}
