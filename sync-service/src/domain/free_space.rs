//! What of a file system can still be filled.

/// Free space, some of which is to stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that are to stay free.
    pub reserve: u64,
    /// Bytes that the file system gives out at once.
    pub block: u64,
}

impl FreeSpace {
    /// Whether a file of so many bytes fits.
    pub fn fits(&self, bytes: u64) -> bool {
        bytes.saturating_add(self.reserve) <= self.free
    }

    /// Bytes that can be filled.
    pub fn left(&self) -> u64 {
        self.free.saturating_sub(self.reserve)
    }

    /// A file of so many bytes is written.
    pub fn fill(&mut self, bytes: u64) {
        self.free = self.free.saturating_sub(self.on_disk(bytes));
    }

    /// A file of so many bytes is removed.
    pub fn empty(&mut self, bytes: u64) {
        self.free = self.free.saturating_add(self.on_disk(bytes));
    }

    fn on_disk(&self, bytes: u64) -> u64 {
        bytes.checked_next_multiple_of(self.block).unwrap_or(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_never_filled() {
        let space = FreeSpace { free: 1000, reserve: 400, block: 1 };
        assert_eq!((space.left(), space.fits(600), space.fits(601)), (600, true, false));
        let greedy = FreeSpace { reserve: u64::MAX, ..space };
        assert_eq!((greedy.left(), greedy.fits(0), greedy.fits(u64::MAX)), (0, false, false));
    }

    #[test]
    fn small_files_take_whole_blocks() {
        let mut space = FreeSpace { free: 10_000, reserve: 0, block: 4096 };
        space.fill(1);
        space.fill(4096);
        assert_eq!(space.free, 10_000 - 2 * 4096);
        space.empty(1);
        assert_eq!(space.free, 10_000 - 4096);
        space.fill(u64::MAX);
        assert_eq!(space.free, 0);
        let mut unknown = FreeSpace { block: 0, free: 10, reserve: 0 };
        unknown.fill(3);
        assert_eq!(unknown.free, 7);
    }
}
