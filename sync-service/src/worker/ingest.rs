//! Reads the drive's delta feed to its end and hands every page to the service.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
};

use graph_client::{
    DeltaPage, DriveItem, DrivePath, GraphClient, GraphError, ItemKind, PageLink, TokenSource,
};
use proto::sync::v1 as pb;
use service_kit::clock::Timestamp;

use super::{WorkerError, apply::Applier, links::Links, run::Stop, service::SyncService};

/// Where pages go.
pub(super) trait Pages {
    /// Hands a page over.
    async fn commit(&mut self, page: pb::CommitPageRequest) -> Result<pb::CommitPageResponse, WorkerError>;

    /// Whether the destination takes names that differ in case or Unicode form only for one.
    fn folds_names(&self) -> bool;

    /// Called after a page that is not the last one.
    async fn between(&mut self) -> Result<(), WorkerError>;
}

/// A mirror: what a page says is stored. When many links are at hand, what can be done before the listing is complete is done, so
/// that every link is used while it lives and none need be asked for again.
pub(super) struct Mirror<'a> {
    pub(super) service: &'a SyncService,
    pub(super) links: &'a Links,
    pub(super) applier: &'a Applier,
}

impl Pages for Mirror<'_> {
    async fn commit(&mut self, page: pb::CommitPageRequest) -> Result<pb::CommitPageResponse, WorkerError> {
        self.service.commit_page(page).await
    }

    fn folds_names(&self) -> bool {
        self.applier.destination.folds_names()
    }

    async fn between(&mut self) -> Result<(), WorkerError> {
        if self.links.is_full() {
            self.applier.apply(true).await?;
            self.links.clear();
        }
        Ok(())
    }
}

/// How often a run starts a fresh listing because the provider refused its cursor.
const MAX_RESYNCS: u32 = 1;

/// Most pages that one run reads; beyond that the feed is taken for endless.
const MAX_PAGES: usize = 1_000_000;

/// What reading the feed needs.
pub(super) struct Listing<'a> {
    pub(super) graph: &'a GraphClient,
    pub(super) tokens: &'a dyn TokenSource,
    pub(super) drive: &'a DrivePath,
    pub(super) links: &'a Links,
    pub(super) stop: &'a Stop,
}

/// Reads pages from the cursor on until the listing is complete. Links of files are noted for the transfers.
pub(super) async fn ingest(
    listing: &Listing<'_>,
    pages: &mut impl Pages,
    lease: &pb::Lease,
    mut cursor: String,
) -> Result<(), WorkerError> {
    let Listing { graph, tokens, drive, links, stop } = *listing;
    let mut resyncs = 0;
    let mut circle = CircleGuard::default();
    loop {
        stop.check()?;
        circle.enter(&cursor)?;
        let page = tokio::select! {
            page = read(graph, tokens, drive, &cursor) => page,
            told = stop.told() => return Err(told),
        };
        let result = match page {
            Ok(page) => pb::commit_page_request::Result::Page(page_message(page, links)),
            Err(error) if error.is_resync() || matches!(error, GraphError::ForeignLink) => {
                resyncs += 1;
                if resyncs > MAX_RESYNCS {
                    tracing::error!(run = %lease.run, %drive, "a fresh listing was refused as well");
                    return Err(WorkerError::ResyncAgain { drive: drive.to_string() });
                }
                tracing::info!(run = %lease.run, reason = error.reason(), "the feed starts over");
                circle = CircleGuard::default();
                pb::commit_page_request::Result::ResyncRequired(pb::ResyncRequired {})
            }
            Err(error @ (GraphError::Rejected { .. } | GraphError::NotFound { .. }))
                if !cursor.is_empty() =>
            {
                return Err(WorkerError::FeedRefused(error));
            }
            Err(error) => return Err(error.into()),
        };
        let request = pb::CommitPageRequest {
            run: lease.run.clone(),
            epoch: lease.epoch,
            read_with: cursor,
            result: Some(result),
            destination_folds_names: pages.folds_names(),
        };
        let position = pages.commit(request).await?;
        if position.listing_complete {
            return Ok(());
        }
        pages.between().await?;
        cursor = position.cursor;
    }
}

async fn read(
    graph: &GraphClient,
    tokens: &dyn TokenSource,
    drive: &DrivePath,
    cursor: &str,
) -> Result<DeltaPage, GraphError> {
    if cursor.is_empty() {
        return graph.delta_page(tokens, drive, None).await;
    }
    let link = graph.delta_link(cursor)?;
    graph.delta_page(tokens, drive, Some(&link)).await
}

/// Notices a feed that leads back to a page that was read already (seen in the field: the same next link for ever).
#[derive(Default)]
struct CircleGuard {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl CircleGuard {
    fn enter(&mut self, cursor: &str) -> Result<(), WorkerError> {
        if self.seen.len() >= MAX_PAGES || !self.seen.insert(self.hasher.hash_one(cursor)) {
            return Err(WorkerError::FeedCircle);
        }
        Ok(())
    }
}

fn page_message(page: DeltaPage, links: &Links) -> pb::DeltaPage {
    for item in &page.items {
        links.note(&item.id, item.download_link.as_ref().filter(|_| !item.deleted));
    }
    let link = match page.link {
        PageLink::Next(link) => pb::delta_page::Link::NextLink(link.as_str().to_owned()),
        PageLink::Delta(link) => pb::delta_page::Link::DeltaLink(link.as_str().to_owned()),
    };
    pb::DeltaPage { items: page.items.into_iter().map(item_message).collect(), link: Some(link) }
}

fn item_message(item: DriveItem) -> pb::DriveItem {
    let kind = match item.kind {
        ItemKind::File => pb::DriveItemKind::File,
        ItemKind::Folder => pb::DriveItemKind::Folder,
        ItemKind::Root => pb::DriveItemKind::Root,
        ItemKind::Package => pb::DriveItemKind::Package,
        ItemKind::Remote => pb::DriveItemKind::Remote,
        ItemKind::Unknown => pb::DriveItemKind::Unspecified,
    };
    pb::DriveItem {
        id: item.id,
        parent_id: item.parent_id.unwrap_or_default(),
        name: item.name.unwrap_or_default(),
        kind: kind.into(),
        deleted: item.deleted,
        size: item.size.unwrap_or_default(),
        e_tag: item.e_tag.unwrap_or_default(),
        c_tag: item.c_tag.unwrap_or_default(),
        quick_xor_hash: item.quick_xor_hash.unwrap_or_default(),
        modified_time: item.modified_unix_ms.map(|millis| Timestamp::from_millis(millis).to_proto()),
        malware: item.malware,
        special_folder: item.special_folder.unwrap_or_default(),
    }
}
