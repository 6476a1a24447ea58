//! quickXorHash, the only content hash that OneDrive for Business and SharePoint give.
//!
//! The plain definition XORs byte `i` into a 160-bit register at bit `11·i mod 160`. Since `11·160` is a multiple of 160, bytes
//! that are 160 apart meet at the same bit, so the input is first folded onto 160 bytes by plain XOR, which the compiler turns
//! into vector instructions, and the register is made from those 160 bytes at the end. The hash is linear: it detects
//! corruption and change, and is no protection against a hostile server.
//!
//! Written here rather than taken from a crate: the one on the registry has a single release and shifts byte by byte, and this
//! runs over every byte of every file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Length of the hash in bytes.
pub const HASH_BYTES: usize = 20;

/// After this many bytes the position in the register repeats.
const PERIOD: usize = 160;

/// [`PERIOD`] as offsets are counted.
const PERIOD_BYTES: u64 = 160;

/// Bits by which the position in the register moves on from byte to byte.
const SHIFT_BITS: usize = 11;

/// Where the length of the input is XORed into the register.
const LENGTH_OFFSET: usize = HASH_BYTES - size_of::<u64>();

/// A quickXorHash in the making.
///
/// ```
/// let mut hash = graph_client::quick_xor::QuickXor::new();
/// hash.update(b"J");
/// assert_eq!(hash.base64(), "SgAAAAAAAAAAAAAAAQAAAAAAAAA=");
/// ```
#[derive(Clone, Debug)]
pub struct QuickXor {
    folded: [u8; PERIOD],
    length: u64,
    /// `length mod PERIOD`, kept apart so that no conversion is needed.
    position: usize,
}

impl QuickXor {
    /// The hash of nothing yet.
    pub const fn new() -> Self {
        Self { folded: [0; PERIOD], length: 0, position: 0 }
    }

    /// The hash of a part that begins at `offset` of the content, for [`JoinedQuickXor`].
    pub fn starting_at(offset: u64) -> Self {
        // The remainder is below the period, so it always fits.
        let position = usize::try_from(offset % PERIOD_BYTES).unwrap_or_default();
        Self { position, ..Self::new() }
    }

    /// Takes the next bytes of the content; any cut into pieces gives the same hash.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length = self.length.wrapping_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let head = bytes.len().min((PERIOD - self.position) % PERIOD);
        let (head, rest) = bytes.split_at(head);
        if let Some(tail_of_period) = self.folded.get_mut(self.position..) {
            fold(tail_of_period, head);
        }
        self.position = (self.position + head.len()) % PERIOD;

        let (periods, tail) = rest.as_chunks::<PERIOD>();
        for period in periods {
            fold(&mut self.folded, period);
        }
        fold(&mut self.folded, tail);
        self.position = (self.position + tail.len()) % PERIOD;
    }

    /// How many bytes have been taken.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The hash of what has been taken so far.
    pub fn finish(&self) -> [u8; HASH_BYTES] {
        let mut register = self.register();
        xor_length(&mut register, self.length);
        register
    }

    /// The register without the length.
    fn register(&self) -> [u8; HASH_BYTES] {
        let mut register = [0_u8; HASH_BYTES];
        for (index, byte) in self.folded.iter().enumerate() {
            let bit = index * SHIFT_BITS % (HASH_BYTES * 8);
            let [low, high] = (u16::from(*byte) << (bit % 8)).to_le_bytes();
            xor_at(&mut register, bit / 8, low);
            xor_at(&mut register, (bit / 8 + 1) % HASH_BYTES, high);
        }
        register
    }

    /// The hash as Graph writes it: base64 with padding.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.finish())
    }
}

/// The hash of a content whose parts come in any order. Small enough to be noted after each part, so that a later process goes on
/// without reading again what is there: every byte acts on the register by itself, so parts are joined by XOR.
///
/// ```
/// use graph_client::quick_xor::{JoinedQuickXor, QuickXor};
/// let (mut head, mut tail) = (QuickXor::starting_at(0), QuickXor::starting_at(1));
/// head.update(b"a");
/// tail.update(b"bc");
/// let mut joined = JoinedQuickXor::default();
/// joined.join(&tail);
/// joined.join(&head);
/// let mut whole = QuickXor::new();
/// whole.update(b"abc");
/// assert_eq!(joined.base64(), whole.base64());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinedQuickXor {
    register: [u8; HASH_BYTES],
    length: u64,
}

impl JoinedQuickXor {
    /// Goes on from what [`Self::register`] and [`Self::length`] gave.
    pub const fn resume(register: [u8; HASH_BYTES], length: u64) -> Self {
        Self { register, length }
    }

    /// Takes a part, made with [`QuickXor::starting_at`]. Each byte of the content may come once.
    pub fn join(&mut self, part: &QuickXor) {
        fold(&mut self.register, &part.register());
        self.length = self.length.wrapping_add(part.length);
    }

    /// The register, without the length.
    pub const fn register(&self) -> [u8; HASH_BYTES] {
        self.register
    }

    /// How many bytes have been taken.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The hash of what has been taken, as Graph writes it. It is that of the content once every byte came.
    pub fn base64(&self) -> String {
        let mut register = self.register;
        xor_length(&mut register, self.length);
        STANDARD.encode(register)
    }
}

impl Default for QuickXor {
    fn default() -> Self {
        Self::new()
    }
}

/// XORs `bytes` onto the start of `target`; whatever is longer keeps its rest.
fn fold(target: &mut [u8], bytes: &[u8]) {
    for (target, byte) in target.iter_mut().zip(bytes) {
        *target ^= byte;
    }
}

fn xor_length(register: &mut [u8; HASH_BYTES], length: u64) {
    for (index, byte) in length.to_le_bytes().into_iter().enumerate() {
        xor_at(register, LENGTH_OFFSET + index, byte);
    }
}

fn xor_at(register: &mut [u8; HASH_BYTES], index: usize, byte: u8) {
    if let Some(cell) = register.get_mut(index) {
        *cell ^= byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, bit by bit.
    fn plain(content: &[u8]) -> [u8; HASH_BYTES] {
        let mut bits = [false; 160];
        for (index, byte) in content.iter().enumerate() {
            for bit in 0..8 {
                bits[(index * 11 + bit) % 160] ^= byte >> bit & 1 == 1;
            }
        }
        let mut hash = [0; HASH_BYTES];
        for (index, bit) in bits.iter().enumerate() {
            hash[index / 8] |= u8::from(*bit) << (index % 8);
        }
        for (index, byte) in u64::try_from(content.len()).unwrap().to_le_bytes().iter().enumerate() {
            hash[12 + index] ^= byte;
        }
        hash
    }

    #[test]
    fn published_vectors() {
        for (input, expected) in [
            ("", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("Sg==", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="),
            ("0pZP", "0rDEEwAAAAAAAAAAAwAAAAAAAAA="),
            ("T6LYJIfDh81JrAK309H2JMJTXis=", "zBTHrspn3mEcohlJdIUAbjGNaNg="),
            ("rJaKh1dLR1k+4hynliTZMGf8Nd4qKKoZiAM=", "r7bjwkl8OYQeNaMcCY8fTmEJEmQ="),
        ] {
            let mut hash = QuickXor::new();
            hash.update(&STANDARD.decode(input).unwrap());
            assert_eq!(hash.base64(), expected, "{input}");
        }
    }

    #[test]
    fn counts_what_it_takes() {
        let mut hash = QuickXor::default();
        hash.update(&[0; 161]);
        hash.update(&[0; 7]);
        assert_eq!(hash.length(), 168);
    }

    proptest! {
        #[test]
        fn equals_the_definition_however_the_content_is_cut(
            content in prop::collection::vec(any::<u8>(), 0..2000),
            cuts in prop::collection::vec(0_usize..400, 0..12),
        ) {
            let mut hash = QuickXor::new();
            let mut rest = content.as_slice();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                hash.update(piece);
                rest = after;
            }
            hash.update(rest);
            prop_assert_eq!(hash.finish(), plain(&content));
        }
    }

    proptest! {
        #[test]
        fn parts_in_any_order_with_breaks_between_make_the_hash_of_the_whole(
            content in prop::collection::vec(any::<u8>(), 0..3000),
            mut cuts in prop::collection::vec(0_usize..3000, 0..8),
            order in any::<u64>(),
        ) {
            cuts.extend([0, content.len()]);
            cuts.retain(|cut| *cut <= content.len());
            cuts.sort_unstable();
            let mut parts: Vec<_> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
            let count = parts.len().max(1);
            parts.rotate_left(usize::try_from(order % 100).unwrap() % count);
            if order % 2 == 0 {
                parts.reverse();
            }
            let mut joined = JoinedQuickXor::default();
            for (from, to) in parts {
                let mut part = QuickXor::starting_at(u64::try_from(from).unwrap());
                part.update(&content[from..to]);
                joined = JoinedQuickXor::resume(joined.register(), joined.length());
                joined.join(&part);
            }
            prop_assert_eq!(joined.base64(), STANDARD.encode(plain(&content)));
            prop_assert_eq!(joined.length(), u64::try_from(content.len()).unwrap());
        }
    }
}
