//! The bytes of files: made when they are asked for, and stored only when a client uploaded them.
//!
//! Generated: byte *n* of a file depends only on the drive's seed, the item, its content version and *n*, so a range is as cheap as a
//! beginning. Blocks of eight bytes come from a counter through a 64-bit mixer, which runs at memory speed.

use crate::drive::kept::Kept;
use crate::mix::{GOLDEN, join, mix};
use crate::quick_xor::{HASH_BYTES, QuickXor};

/// Bytes made by one step of the mixer.
const BLOCK_BYTES: u64 = 8;
/// Buffer used to hash a content: fits the first-level cache.
const HASH_BUFFER_BYTES: usize = 16 * 1024;

/// The content of one version of one file.
#[derive(Clone, Debug)]
pub struct ContentReader {
    source: Source,
    size: u64,
}

/// Where the bytes come from.
#[derive(Clone, Debug)]
enum Source {
    /// They follow from a key.
    Generated(u64),
    /// A client sent them.
    Kept(Kept),
}

impl ContentReader {
    /// The content of a version (from 1) of an item of a drive with this key.
    pub(crate) const fn new(drive_key: u64, item: u64, version: u64, size: u64) -> Self {
        Self { source: Source::Generated(join(join(drive_key, item), version)), size }
    }

    /// A content that a client uploaded.
    pub(crate) const fn of_kept(kept: Kept) -> Self {
        let size = kept.length();
        Self { source: Source::Kept(kept), size }
    }

    /// Length of the content in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Fills the buffer from an offset; returns the number of bytes written, which is less than asked for only at the end.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let (wanted, _) = buffer.split_at_mut(length);
        match &self.source {
            Source::Generated(key) => generate(*key, offset, wanted),
            Source::Kept(kept) => {
                kept.read_at(offset, wanted);
            }
        }
        length
    }

    /// The quickXorHash of the content. The cost is that of making every byte once.
    #[must_use]
    pub fn quick_xor(&self) -> [u8; HASH_BYTES] {
        let mut hash = QuickXor::default();
        let mut buffer = [0; HASH_BUFFER_BYTES];
        let mut offset = 0;
        loop {
            let length = self.read_at(offset, &mut buffer);
            if length == 0 {
                return hash.finish();
            }
            let (filled, _) = buffer.split_at(length);
            hash.update(filled);
            offset += u64::try_from(length).unwrap_or(u64::MAX);
        }
    }
}

/// Makes the bytes of a key from an offset.
fn generate(key: u64, offset: u64, wanted: &mut [u8]) {
    let length = wanted.len();
    let mut index = offset / BLOCK_BYTES;
    let skipped = usize::try_from(offset % BLOCK_BYTES).unwrap_or_default();
    let lead = if skipped == 0 { 0 } else { length.min(8 - skipped) };
    let (head, rest) = wanted.split_at_mut(lead);
    if lead > 0 {
        copy(head, block(key, index).into_iter().skip(skipped));
        index += 1;
    }
    let mut blocks = rest.chunks_exact_mut(8);
    for eight in &mut blocks {
        eight.copy_from_slice(&block(key, index));
        index += 1;
    }
    copy(blocks.into_remainder(), block(key, index).into_iter());
}

#[inline]
const fn block(key: u64, index: u64) -> [u8; 8] {
    mix(key.wrapping_add(index.wrapping_mul(GOLDEN))).to_le_bytes()
}

fn copy(to: &mut [u8], from: impl Iterator<Item = u8>) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_is_the_same_as_that_part_of_the_whole(size in 0_u64..500, offset in 0_u64..600, length in 0_usize..100) {
            let content = ContentReader::new(1, 2, 3, size);
            let mut whole = vec![0; usize::try_from(size).unwrap()];
            prop_assert_eq!(content.read_at(0, &mut whole), whole.len());
            let mut part = vec![0; length];
            let read = content.read_at(offset, &mut part);
            let from = whole.len().min(usize::try_from(offset).unwrap());
            let to = whole.len().min(from + length);
            prop_assert_eq!(&part[..read], &whole[from..to]);
        }
    }

    #[test]
    fn versions_and_items_have_different_bytes() {
        let read = |content: ContentReader| {
            let mut buffer = [0; 64];
            content.read_at(0, &mut buffer);
            buffer
        };
        let first = read(ContentReader::new(1, 2, 1, 64));
        assert_ne!(first, read(ContentReader::new(1, 2, 2, 64)));
        assert_ne!(first, read(ContentReader::new(1, 3, 1, 64)));
        assert_ne!(first, read(ContentReader::new(2, 2, 1, 64)));
    }
}
