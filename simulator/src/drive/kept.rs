//! Contents that clients uploaded: the only bytes a simulator keeps, within a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// Most bytes of uploaded contents a simulator keeps, those of unfinished sessions included (1 GiB). What goes beyond is refused
/// as a used-up quota.
pub(crate) const MAX_KEPT_BYTES: u64 = 1 << 30;

/// The room for uploaded contents. Copies share the same room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    used: Arc<AtomicU64>,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Room {
    /// Keeps bytes until the last copy of the result is dropped.
    pub(crate) fn keep(&self, bytes: Bytes) -> Result<Kept, Full> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let taken = self.used.try_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            used.checked_add(length).filter(|after| *after <= MAX_KEPT_BYTES)
        });
        if taken.is_err() {
            return Err(Full);
        }
        let piece = Arc::new(Piece { bytes, length, used: Arc::clone(&self.used) });
        Ok(Kept { pieces: vec![(0, piece)], length })
    }
}

/// Bytes that take room until they are dropped.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    length: u64,
    used: Arc<AtomicU64>,
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.used.fetch_sub(self.length, Ordering::SeqCst);
    }
}

/// A content in pieces, as it was sent. Copies share the bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Each with its place in the content, in order and without gaps.
    pieces: Vec<(u64, Arc<Piece>)>,
    length: u64,
}

impl Kept {
    /// Bytes of the content.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Adds what follows.
    pub(crate) fn append(&mut self, more: Self) {
        let at = self.length;
        self.pieces.extend(more.pieces.into_iter().map(|(from, piece)| (at + from, piece)));
        self.length += more.length;
    }

    /// Fills the buffer from an offset; returns the number of bytes written.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut written = 0;
        let first = self.pieces.partition_point(|(from, piece)| from + piece.length <= offset);
        for (from, piece) in self.pieces.iter().skip(first) {
            let at = offset + u64::try_from(written).unwrap_or_default();
            let skip = usize::try_from(at.saturating_sub(*from)).unwrap_or(usize::MAX);
            let rest = piece.bytes.get(skip..).unwrap_or_default();
            let (_, free) = buffer.split_at_mut(written);
            let length = rest.len().min(free.len());
            for (to, byte) in free.iter_mut().zip(rest) {
                *to = *byte;
            }
            written += length;
            if written == buffer.len() {
                break;
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_as_one_content_and_give_their_room_back() {
        let room = Room::default();
        let mut kept = room.keep(Bytes::from_static(b"abc")).unwrap();
        kept.append(room.keep(Bytes::from_static(b"defgh")).unwrap());
        let read = |offset, length| {
            let mut buffer = vec![0; length];
            let written = kept.read_at(offset, &mut buffer);
            buffer.truncate(written);
            buffer
        };
        assert_eq!(
            (kept.length(), read(0, 20), read(2, 3), read(8, 1)),
            (8, b"abcdefgh".to_vec(), b"cde".to_vec(), Vec::new())
        );
        assert_eq!(room.used.load(Ordering::SeqCst), 8);
        drop(kept);
        assert_eq!(room.used.load(Ordering::SeqCst), 0);
    }
}
