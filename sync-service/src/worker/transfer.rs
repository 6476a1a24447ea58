//! Transfers one file: streamed, counted and hashed on the way, and put in place only when it is what the drive has.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use graph_client::{
    ByteSpan, DownloadLink, DrivePath, ERROR_TEXT_SUFFIX, GraphClient, GraphError, Retry, TokenSource,
    quick_xor::QuickXor,
};
use proto::sync::v1 as pb;
use service_kit::clock::Timestamp;

use super::{
    file_state,
    links::Links,
    meter::{Meter, Spent},
    ranges::{self, InRanges},
};
use crate::destination::{Destination, DestinationError, Kept, NewFile, Placed, Placement};

/// How often one file is fetched in one run before it counts as failed.
const MAX_TRIES: u32 = 4;

/// Why a file was not transferred.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    /// Graph's side.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Our side.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The drive has another version by now; its feed will say so.
    #[error("the file changed while it was transferred")]
    ChangedUnderneath,
    /// What came is neither what was listed nor the same twice.
    #[error("the content does not match the drive's hash, and differs each time")]
    Corrupt,
    /// It comes the same each time, so that it would be believed.
    #[error("the drive sent a text that tells of an error in place of the content")]
    ErrorText,
}

impl TransferError {
    /// Short reason for machines.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Graph(error) => error.reason().to_owned(),
            Self::Destination(error) => error.reason().to_owned(),
            Self::ChangedUnderneath => "CHANGED_UNDERNEATH".to_owned(),
            Self::Corrupt => "HASH_MISMATCH".to_owned(),
            Self::ErrorText => "ERROR_TEXT".to_owned(),
        }
    }

    /// What was kept before it failed.
    pub(super) fn kept(self) -> Vec<Kept> {
        match self {
            Self::Destination(DestinationError::SetAside { kept, .. }) => vec![kept],
            Self::Destination(_)
            | Self::Graph(_)
            | Self::ChangedUnderneath
            | Self::Corrupt
            | Self::ErrorText => Vec::new(),
        }
    }
}

/// Transfers files of one drive.
pub(super) struct Transfers {
    pub(super) graph: Arc<GraphClient>,
    pub(super) tokens: Arc<dyn TokenSource>,
    pub(super) drive: DrivePath,
    pub(super) links: Arc<Links>,
    pub(super) spent: Spent,
    /// Keys of files that are fetched in ranges and not in place yet. One for each big file that fails in this run.
    pub(super) unfinished: Mutex<HashSet<String>>,
}

/// What is to be fetched.
pub(super) struct Wanted<'a> {
    pub(super) item_id: &'a str,
    pub(super) path: &'a [String],
    pub(super) expected: &'a pb::PutContent,
    pub(super) meter: &'a Meter,
}

/// A file as fetched, not yet in place.
pub(super) struct Fetched {
    pub(super) file: Box<dyn NewFile>,
    pub(super) size: i64,
    pub(super) hash: String,
    /// Whether the answer said how long it is, and was.
    pub(super) whole: bool,
}

/// Extensions of files whose listed size and hash are not those of what the provider sends: it promotes properties and labels into
/// documents, and converts some images (reported in onedrive-api-docs#935, #1068, #1532, #1723 and rclone#6701).
const REWRITTEN: [&str; 22] = [
    "doc", "docx", "docm", "dot", "dotx", "dotm", "xls", "xlsx", "xlsm", "xlsb", "ppt", "pptx", "pptm",
    "pdf", "htm", "html", "aspx", "heic", "heif", "jpg", "jpeg", "one",
];

/// Whether the provider may send other bytes of such a file than it lists.
pub(super) fn is_rewritten(path: &[String]) -> bool {
    let extension = path.last().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    extension.is_some_and(|extension| REWRITTEN.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn is_named_error_text(path: &[String]) -> bool {
    path.last().is_some_and(|name| name.ends_with(ERROR_TEXT_SUFFIX))
}

/// With a listed hash, that decides; without one, the length does.
fn as_listed(fetched: &Fetched, expected: &pb::PutContent) -> bool {
    if expected.quick_xor_hash.is_empty() {
        fetched.size == expected.size
    } else {
        fetched.hash == expected.quick_xor_hash
    }
}

impl Transfers {
    /// Fetches an item and puts it at `path`.
    ///
    /// Content that is not as listed is fetched once more: the same bytes again will not get better. Without a listed hash, and for the
    /// kinds of files that the provider rewrites on the way, the same bytes twice in a row, of an item that did not change meanwhile,
    /// are what the drive has.
    pub(super) async fn put(
        &self,
        destination: &dyn Destination,
        item_id: &str,
        path: &[String],
        expected: &pb::PutContent,
    ) -> Result<Placed, TransferError> {
        let modified = expected.modified_time.as_ref().and_then(Timestamp::from_proto);
        // Before anything is asked for.
        let _room = destination.take_room(u64::try_from(expected.size).unwrap_or_default()).await?;
        let mut link = self.links.take(item_id);
        let meter = self.spent.begin(path, expected.size);
        let wanted = Wanted { item_id, path, expected, meter: &meter };
        let mut mismatch: Option<String> = None;
        let mut failure = TransferError::Corrupt;
        for _ in 0..MAX_TRIES {
            let (fresh, noted) = match link.take() {
                Some(noted) => (noted, true),
                None => (self.fresh_link(item_id, expected).await?, false),
            };
            let fetched = match self.fetch(destination, &wanted, &fresh).await {
                Ok(Some(fetched)) => fetched,
                Ok(None) => continue,
                Err(TransferError::Graph(error))
                    if error.is_link_expired()
                        || error.retry() != Retry::Never
                        || noted && error.may_be_the_link() =>
                {
                    failure = error.into();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let same_again = mismatch.as_ref() == Some(&fetched.hash);
            let believable = expected.quick_xor_hash.is_empty() && fetched.whole || is_rewritten(path);
            if as_listed(&fetched, expected) || same_again && believable {
                let placement = Placement {
                    modified,
                    hash: fetched.hash,
                    expected: file_state::expected(expected.expected.as_ref()),
                    deletes_replaced: expected.deletes_replaced,
                };
                let placed = fetched.file.finish(path, placement).await?;
                self.forget_parts(item_id, expected);
                return Ok(placed);
            }
            failure = TransferError::Corrupt;
            if same_again {
                break;
            }
            mismatch = Some(fetched.hash);
        }
        Err(failure)
    }

    /// Removes parts at the destination that belong to no file which is still to be fetched.
    pub(super) async fn clear_parts(&self, destination: &dyn Destination) -> Result<(), DestinationError> {
        let unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).clone();
        destination.keep_parts(unfinished).await
    }

    fn forget_parts(&self, item_id: &str, expected: &pb::PutContent) {
        if let Some(key) = ranges::key(item_id, expected) {
            self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }

    /// Fetches a content: in ranges if it is big, and in one piece otherwise. Nothing when parts of an earlier worker turned out to
    /// be of another content: then it starts anew.
    async fn fetch(
        &self,
        destination: &dyn Destination,
        wanted: &Wanted<'_>,
        link: &DownloadLink,
    ) -> Result<Option<Fetched>, TransferError> {
        let big = wanted.expected.size >= ranges::BIG_FILE_BYTES;
        let Some(key) = ranges::key(wanted.item_id, wanted.expected).filter(|_| big) else {
            return self.fetch_whole(destination, wanted, link).await.map(Some);
        };
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        match self.fetch_in_ranges(destination, &key, wanted, link.clone()).await? {
            InRanges::Whole(fetched) => Ok(Some(fetched)),
            InRanges::Ignored => self.fetch_whole(destination, wanted, link).await.map(Some),
            InRanges::Stale => Ok(None),
        }
    }

    /// A link for the very version that was listed.
    pub(super) async fn fresh_link(
        &self,
        item_id: &str,
        expected: &pb::PutContent,
    ) -> Result<DownloadLink, TransferError> {
        let item = self.graph.item(self.tokens.as_ref(), &self.drive, item_id).await?;
        if item.malware {
            return Err(GraphError::Malware.into());
        }
        let changed = item.e_tag.as_deref().is_some_and(|e_tag| e_tag != expected.e_tag);
        if changed && !expected.e_tag.is_empty() {
            return Err(TransferError::ChangedUnderneath);
        }
        item.download_link.ok_or_else(|| GraphError::LinkExpired.into())
    }

    async fn fetch_whole(
        &self,
        destination: &dyn Destination,
        wanted: &Wanted<'_>,
        link: &DownloadLink,
    ) -> Result<Fetched, TransferError> {
        let mut download = self.graph.download(link, ByteSpan::Whole).await?;
        if download.is_named_error_text() && !is_named_error_text(wanted.path) {
            return Err(TransferError::ErrorText);
        }
        let whole = download.content_length().is_some();
        let mut file = destination.begin_file().await?;
        let mut hash = QuickXor::new();
        while let Some(bytes) = download.chunk().await? {
            hash.update(&bytes);
            wanted.meter.add(bytes.len());
            file.write(bytes).await?;
        }
        let size = i64::try_from(hash.length()).unwrap_or(i64::MAX);
        Ok(Fetched { file, size, hash: hash.base64(), whole })
    }
}
