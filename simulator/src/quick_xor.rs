//! quickXorHash, Microsoft's content hash for drives (graph-behaviour §1.4).
//!
//! Byte *i* is XORed into a 160-bit register after rotating left by `11·i mod 160`. The rotation repeats every 160 bytes, so the
//! stream is first XORed into 160 lanes, which the compiler turns into vector instructions, and the lanes are rotated once at the end.

use base64::Engine as _;

/// Length of the hash in bytes.
pub(crate) const HASH_BYTES: usize = 20;
/// The rotation comes round after this many bytes.
const LANES: usize = 160;
/// Rotation between two neighbouring bytes, in bits.
const ROTATION_BITS: usize = 11;

/// The hash of a stream, while the stream passes by.
#[derive(Clone, Debug)]
pub struct QuickXor {
    lanes: [u8; LANES],
    position: usize,
    length: u64,
}

impl Default for QuickXor {
    fn default() -> Self {
        Self { lanes: [0; LANES], position: 0, length: 0 }
    }
}

impl QuickXor {
    /// Takes the next bytes of the stream.
    pub fn update(&mut self, data: &[u8]) {
        let lead = data.len().min((LANES - self.position) % LANES);
        let (head, rest) = data.split_at(lead);
        xor(self.lanes.iter_mut().skip(self.position), head);
        let rounds = rest.chunks_exact(LANES);
        let tail = rounds.remainder();
        for round in rounds {
            xor(self.lanes.iter_mut(), round);
        }
        xor(self.lanes.iter_mut(), tail);
        self.position = (self.position + data.len()) % LANES;
        self.length = self.length.wrapping_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
    }

    /// The hash of everything taken so far.
    #[must_use]
    pub fn finish(&self) -> [u8; 20] {
        let mut register = [0_u8; HASH_BYTES];
        for (index, byte) in self.lanes.iter().enumerate() {
            let rotation = (index * ROTATION_BITS) % LANES;
            let spread = (u16::from(*byte) << (rotation % 8)).to_le_bytes();
            for (step, part) in spread.into_iter().enumerate() {
                if let Some(cell) = register.get_mut((rotation / 8 + step) % HASH_BYTES) {
                    *cell ^= part;
                }
            }
        }
        xor(register.iter_mut().skip(HASH_BYTES - 8), &self.length.to_le_bytes());
        register
    }

    /// The hash as Graph writes it: base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        encode(self.finish())
    }
}

/// A hash as Graph writes it: base64.
pub(crate) fn encode(hash: [u8; HASH_BYTES]) -> String {
    base64::engine::general_purpose::STANDARD.encode(hash)
}

fn xor<'a>(lanes: impl Iterator<Item = &'a mut u8>, data: &[u8]) {
    for (lane, byte) in lanes.zip(data) {
        *lane ^= *byte;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vectors of graph-behaviour §1.4.
    #[test]
    fn published_vectors() {
        let engine = base64::engine::general_purpose::STANDARD;
        for (input, expected) in [
            ("", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("Sg==", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="),
            ("0pZP", "0rDEEwAAAAAAAAAAAwAAAAAAAAA="),
            ("T6LYJIfDh81JrAK309H2JMJTXis=", "zBTHrspn3mEcohlJdIUAbjGNaNg="),
            ("rJaKh1dLR1k+4hynliTZMGf8Nd4qKKoZiAM=", "r7bjwkl8OYQeNaMcCY8fTmEJEmQ="),
        ] {
            let mut hash = QuickXor::default();
            hash.update(&engine.decode(input).unwrap());
            assert_eq!(hash.to_base64(), expected, "{input}");
        }
    }

    /// The definition, bit by bit, to compare with.
    fn by_definition(data: &[u8]) -> [u8; HASH_BYTES] {
        let mut bits = [false; LANES];
        for (index, byte) in data.iter().enumerate() {
            for bit in 0..8 {
                bits[(index * ROTATION_BITS + bit) % LANES] ^= byte >> bit & 1 == 1;
            }
        }
        let mut out = [0_u8; HASH_BYTES];
        for (index, bit) in bits.into_iter().enumerate() {
            out[index / 8] |= u8::from(bit) << (index % 8);
        }
        for (cell, byte) in out[12..].iter_mut().zip(u64::try_from(data.len()).unwrap().to_le_bytes()) {
            *cell ^= byte;
        }
        out
    }

    proptest! {
        #[test]
        fn equals_the_definition_however_it_is_cut(
            data in proptest::collection::vec(any::<u8>(), 0..1_000),
            cut in 1_usize..400,
        ) {
            let mut hash = QuickXor::default();
            data.chunks(cut).for_each(|part| hash.update(part));
            prop_assert_eq!(hash.finish(), by_definition(&data));
        }
    }
}
