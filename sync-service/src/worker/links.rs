//! Download links that came with the pages of this run: in memory only, for a while only.

use std::{collections::HashMap, time::Duration};

use graph_client::DownloadLink;
use tokio::time::Instant;

/// Links kept at most; files beyond that cost one request more each.
const MAX_LINKS: usize = 50_000;

/// Links older than this are not tried: the provider's live about an hour.
const MAX_AGE: Duration = Duration::from_mins(40);

/// The links by item id.
#[derive(Default)]
pub(super) struct Links {
    by_item: HashMap<String, (DownloadLink, Instant)>,
}

impl Links {
    /// Remembers an item's link, or forgets the item where it has none.
    pub(super) fn note(&mut self, item_id: &str, link: Option<&DownloadLink>) {
        match link {
            Some(link) if self.by_item.len() < MAX_LINKS || self.by_item.contains_key(item_id) => {
                self.by_item.insert(item_id.to_owned(), (link.clone(), Instant::now()));
            }
            Some(_) => {}
            None => {
                self.by_item.remove(item_id);
            }
        }
    }

    /// Takes an item's link out, if it is fresh enough to be tried.
    pub(super) fn take(&mut self, item_id: &str) -> Option<DownloadLink> {
        self.by_item.remove(item_id).filter(|(_, noted)| noted.elapsed() < MAX_AGE).map(|(link, _)| link)
    }
}
