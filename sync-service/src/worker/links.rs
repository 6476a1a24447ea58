//! Download links that came with the pages of this run: in memory only, for a while only, and not too many.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use graph_client::DownloadLink;
use tokio::time::Instant;

/// With this many links at hand the listing waits until their contents are transferred. A link has one or two kilobytes.
pub(super) const MAX_LINKS: usize = 20_000;

/// Links older than this are not tried: the provider's live about an hour.
const MAX_AGE: Duration = Duration::from_mins(40);

/// The links by item id. Never more than the limit and those of one page.
pub(super) struct Links {
    limit: usize,
    by_item: Mutex<HashMap<String, (DownloadLink, Instant)>>,
}

impl Links {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, by_item: Mutex::default() }
    }

    /// Remembers an item's link, or forgets the item where it has none.
    pub(super) fn note(&self, item_id: &str, link: Option<&DownloadLink>) {
        match link {
            Some(link) => self.lock().insert(item_id.to_owned(), (link.clone(), Instant::now())),
            None => self.lock().remove(item_id),
        };
    }

    /// Takes an item's link out, if it is fresh enough to be tried.
    pub(super) fn take(&self, item_id: &str) -> Option<DownloadLink> {
        self.lock().remove(item_id).filter(|(_, noted)| noted.elapsed() < MAX_AGE).map(|(link, _)| link)
    }

    /// Whether they are to be used up before more pages are read.
    pub(super) fn is_full(&self) -> bool {
        self.lock().len() >= self.limit
    }

    /// Forgets them: what is left belongs to files that need no transfer, or cannot have one yet.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (DownloadLink, Instant)>> {
        // A poisoned lock still holds whole entries.
        self.by_item.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
