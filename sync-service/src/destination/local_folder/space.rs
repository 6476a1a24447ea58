//! Room on the file system: some of it is to stay free.

use std::{io, sync::atomic::Ordering};

use super::Inner;

impl Inner {
    /// Whether a file of so many bytes fits. While it does not, the oldest days of the bin are removed.
    pub(super) fn has_room(&self, bytes: u64) -> io::Result<bool> {
        let needed = bytes.saturating_add(self.options.reserve);
        while needed > self.free()? {
            if !self.purge_oldest_day()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Bytes that are free for us and not taken by files that are being written.
    fn free(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.root)?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        Ok(free.saturating_sub(self.room_taken.load(Ordering::Relaxed)))
    }
}
