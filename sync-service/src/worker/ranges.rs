//! Fetches a big file in ranges, several at once, and goes on where an earlier worker stopped.
//!
//! What is there is noted beside the file after every range, with a hash that later ranges are joined to: so nothing is read again,
//! and a worker that is killed costs at most the ranges that were under way.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use graph_client::{
    ByteSpan, Download, DownloadLink, GraphError, Retry,
    quick_xor::{HASH_BYTES, JoinedQuickXor, QuickXor},
};
use proto::sync::v1 as pb;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::transfer::{Fetched, TransferError, Transfers, Wanted};
use crate::destination::{Destination, PartFile};

/// Files listed with at least so many bytes are fetched in ranges.
pub(super) const BIG_FILE_BYTES: i64 = 32 * 1024 * 1024;

/// Bytes of one range: what a kill may cost, for each range under way.
const RANGE_BYTES: u64 = 8 * 1024 * 1024;

/// Ranges of one file fetched at once.
const RANGES_AT_ONCE: usize = 4;

/// Failures in a row, without a byte between them, that end a range.
const MAX_FAILURES: u32 = 4;

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// How an attempt ended.
pub(super) enum InRanges {
    /// Every byte is there.
    Whole(Fetched),
    /// The provider sends the whole whatever is asked for.
    Ignored,
    /// The parts that were there are of another content; they are removed.
    Stale,
}

/// What is noted beside the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// Length of the content, as the provider's answers say.
    total: u64,
    /// The `ETag` of those answers; empty where they have none.
    e_tag: String,
    /// Register of the joined hash, in base64.
    hash: String,
    /// What is there: ascending, apart from each other.
    done: Vec<Range<u64>>,
}

impl Progress {
    fn new(total: u64, e_tag: String) -> Self {
        Self { total, e_tag, hash: STANDARD.encode([0; HASH_BYTES]), done: Vec::new() }
    }

    /// Reads a note; `None` for one that makes no sense, which costs the parts and nothing else.
    fn read(note: &[u8]) -> Option<Self> {
        let progress: Self = serde_json::from_slice(note).ok()?;
        let mut end = 0;
        for span in &progress.done {
            if span.start < end || span.is_empty() || span.end > progress.total {
                return None;
            }
            end = span.end;
        }
        progress.joined().map(|_| progress)
    }

    fn joined(&self) -> Option<JoinedQuickXor> {
        let register = STANDARD.decode(&self.hash).ok()?.try_into().ok()?;
        Some(JoinedQuickXor::resume(register, self.done.iter().map(|span| span.end - span.start).sum()))
    }

    /// What is still to be fetched, cut into ranges.
    fn missing(&self) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = 0;
        for span in self.done.iter().chain([&(self.total..self.total)]) {
            while at < span.start {
                let end = span.start.min(at.saturating_add(RANGE_BYTES));
                missing.push(at..end);
                at = end;
            }
            at = span.end;
        }
        missing
    }

    fn add(&mut self, span: Range<u64>, hash: &JoinedQuickXor) {
        self.hash = STANDARD.encode(hash.register());
        let at = self.done.partition_point(|known| known.start < span.start);
        self.done.insert(at, span);
        self.done = self.done.drain(..).fold(Vec::new(), |mut joined: Vec<Range<u64>>, span| {
            match joined.last_mut() {
                Some(last) if last.end == span.start => last.end = span.end,
                _ => joined.push(span),
            }
            joined
        });
    }
}

/// Names the parts of one content of one item; `None` where the drive said too little to tell contents apart.
pub(super) fn key(item_id: &str, expected: &pb::PutContent) -> Option<String> {
    let content = if expected.quick_xor_hash.is_empty() { &expected.e_tag } else { &expected.quick_xor_hash };
    if content.is_empty() {
        return None;
    }
    let mut name = Sha256::new();
    for field in [item_id, content, &expected.size.to_string()] {
        name.update(field.as_bytes());
        name.update([0]);
    }
    let digits =
        |byte: u8| [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16));
    Some(name.finalize().into_iter().flat_map(digits).collect())
}

/// One file being fetched.
struct Job<'a> {
    transfers: &'a Transfers,
    wanted: &'a Wanted<'a>,
    parts: &'a dyn PartFile,
    /// The link, and how often it was replaced.
    link: Mutex<(DownloadLink, u32)>,
    renewing: tokio::sync::Mutex<()>,
    total: u64,
    e_tag: String,
}

/// Why a range was not fetched.
enum RangeError {
    Transfer(TransferError),
    Ignored,
    Stale,
}

impl<E: Into<TransferError>> From<E> for RangeError {
    fn from(error: E) -> Self {
        Self::Transfer(error.into())
    }
}

impl Transfers {
    /// Fetches a content in ranges into the parts of `key`.
    pub(super) async fn fetch_in_ranges(
        &self,
        destination: &dyn Destination,
        key: &str,
        wanted: &Wanted<'_>,
        link: DownloadLink,
    ) -> Result<InRanges, TransferError> {
        let (parts, note) = destination.open_parts(key).await?;
        let noted = note.and_then(|note| Progress::read(&note));
        let (progress, first) = if let Some(progress) = noted {
            (progress, None)
        } else {
            let download = self.graph.download(&link, ByteSpan::Within(0..RANGE_BYTES)).await?;
            let Some(total) = download.total_length().filter(|_| download.is_part()) else {
                parts.discard().await?;
                return Ok(InRanges::Ignored);
            };
            let e_tag = download.e_tag().unwrap_or_default().to_owned();
            (Progress::new(total, e_tag), Some(download))
        };
        let job = Job {
            transfers: self,
            wanted,
            parts: parts.as_ref(),
            link: Mutex::new((link, 0)),
            renewing: tokio::sync::Mutex::default(),
            total: progress.total,
            e_tag: progress.e_tag.clone(),
        };
        let fetched = job.fetch(progress, first).await;
        match fetched {
            Ok(hash) => {
                let size = i64::try_from(hash.length()).unwrap_or(i64::MAX);
                let file = parts.complete().await?;
                Ok(InRanges::Whole(Fetched { file, size, hash: hash.base64(), whole: true }))
            }
            Err(RangeError::Transfer(error)) => Err(error),
            Err(RangeError::Ignored) => {
                parts.discard().await?;
                Ok(InRanges::Ignored)
            }
            Err(RangeError::Stale) => {
                parts.discard().await?;
                Ok(InRanges::Stale)
            }
        }
    }
}

impl Job<'_> {
    /// Fetches what is missing, a few ranges at once, and notes each.
    async fn fetch(
        &self,
        mut progress: Progress,
        mut first: Option<Download>,
    ) -> Result<JoinedQuickXor, RangeError> {
        let mut joined = progress.joined().unwrap_or_default();
        let mut waiting = progress.missing().into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < RANGES_AT_ONCE
                && let Some(span) = waiting.next()
            {
                running.push(self.range(span, first.take()));
            }
            let Some(done) = running.next().await else { return Ok(joined) };
            let (span, hash) = done?;
            joined.join(&hash);
            progress.add(span, &joined);
            let note = serde_json::to_vec(&progress).unwrap_or_default();
            self.parts.note(note).await?;
        }
    }

    /// Fetches one range; what breaks off is gone on with where it broke.
    async fn range(
        &self,
        span: Range<u64>,
        mut open: Option<Download>,
    ) -> Result<(Range<u64>, QuickXor), RangeError> {
        let mut hash = QuickXor::starting_at(span.start);
        let mut failures = 0;
        loop {
            let before = hash.length();
            let at = span.start + before;
            let (link, renewed) = self.link();
            let result = self.receive(at..span.end, &link, &mut hash, open.take()).await;
            let error = match result {
                Ok(()) => return Ok((span, hash)),
                Err(RangeError::Transfer(TransferError::Graph(error))) => error,
                Err(error) => return Err(error),
            };
            failures = if hash.length() > before { 1 } else { failures + 1 };
            let link_refused = error.may_be_the_link();
            if failures >= MAX_FAILURES || !link_refused && error.retry() == Retry::Never {
                return Err(error.into());
            }
            if link_refused {
                self.renew_link(renewed).await?;
            }
        }
    }

    async fn receive(
        &self,
        span: Range<u64>,
        link: &DownloadLink,
        hash: &mut QuickXor,
        open: Option<Download>,
    ) -> Result<(), RangeError> {
        let mut download = match open {
            Some(download) => download,
            None => self.transfers.graph.download(link, ByteSpan::Within(span.clone())).await?,
        };
        if !download.is_part() {
            return Err(RangeError::Ignored);
        }
        let same =
            download.total_length() == Some(self.total) && download.e_tag().unwrap_or_default() == self.e_tag;
        if !same {
            return Err(RangeError::Stale);
        }
        let mut at = span.start;
        let mut gathered = BytesMut::with_capacity(WRITE_BYTES);
        loop {
            // What came before a break is kept.
            let piece = download.chunk().await;
            if let Ok(Some(bytes)) = &piece {
                self.wanted.meter.add(bytes.len());
                gathered.extend_from_slice(bytes);
            }
            let more = matches!(piece, Ok(Some(_)));
            if gathered.len() >= WRITE_BYTES || !more && !gathered.is_empty() {
                let bytes = gathered.split().freeze();
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.parts.write_at(at, bytes.clone()).await?;
                hash.update(&bytes);
                at += length;
            }
            if !more {
                piece?;
                // An answer may be shorter than what was asked for.
                return if at == span.end {
                    Ok(())
                } else {
                    Err(GraphError::Truncated { expected: span.end - span.start, received: at - span.start }
                        .into())
                };
            }
        }
    }

    fn link(&self) -> (DownloadLink, u32) {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the link, once for all ranges that it was refused to.
    async fn renew_link(&self, refused: u32) -> Result<(), RangeError> {
        let _one_at_a_time = self.renewing.lock().await;
        if self.link().1 > refused {
            return Ok(());
        }
        let fresh = self.transfers.fresh_link(self.wanted.item_id, self.wanted.expected).await?;
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = (fresh, refused + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn spans(ends: &[(u64, u64)]) -> Vec<Range<u64>> {
        ends.iter().map(|(start, end)| *start..*end).collect()
    }

    fn progress(total: u64, done: &[(u64, u64)]) -> Progress {
        Progress { done: spans(done), ..Progress::new(total, String::new()) }
    }

    #[test]
    fn what_is_missing_is_cut_into_ranges() {
        let all = spans(&[(0, 8 * MIB), (8 * MIB, 16 * MIB), (16 * MIB, 20 * MIB)]);
        assert_eq!(progress(20 * MIB, &[]).missing(), all);
        let ends = spans(&[(0, 4 * MIB), (19 * MIB, 20 * MIB)]);
        assert_eq!(progress(20 * MIB, &[(4 * MIB, 19 * MIB)]).missing(), ends);
        assert!(progress(5, &[(0, 5)]).missing().is_empty());
    }

    #[test]
    fn neighbours_are_joined_in_whatever_order_they_come() {
        let mut progress = progress(40, &[]);
        for span in [20..30, 0..10, 30..40, 10..20] {
            progress.add(span, &JoinedQuickXor::default());
        }
        assert_eq!(progress.done, spans(&[(0, 40)]));
    }

    #[test]
    fn a_note_that_makes_no_sense_counts_for_nothing() {
        let good = progress(40, &[(0, 10), (20, 30)]);
        assert_eq!(Progress::read(&serde_json::to_vec(&good).unwrap()), Some(good));
        for bad in [
            progress(40, &[(0, 41)]),
            progress(40, &[(10, 20), (0, 5)]),
            progress(40, &[(0, 10), (5, 20)]),
            Progress { hash: "AAAA".into(), ..progress(40, &[]) },
        ] {
            assert_eq!(Progress::read(&serde_json::to_vec(&bad).unwrap()), None, "{bad:?}");
        }
        assert_eq!(Progress::read(b""), None);
    }

    #[test]
    fn another_content_has_another_key() {
        let content = |hash: &str, e_tag: &str, size| pb::PutContent {
            quick_xor_hash: hash.into(),
            e_tag: e_tag.into(),
            size,
            ..Default::default()
        };
        assert_eq!(key("1", &content("h", "e1", 5)), key("1", &content("h", "e2", 5)), "only renamed");
        assert_ne!(key("1", &content("h", "e", 5)), key("2", &content("h", "e", 5)));
        assert_ne!(key("1", &content("", "e1", 5)), key("1", &content("", "e2", 5)));
        assert_ne!(key("1", &content("", "e", 5)), key("1", &content("", "e", 6)));
        assert_eq!(key("1", &content("", "", 5)), None);
    }
}
