//! The one source of pseudo-random numbers: splitmix64, whose values can never change under us as a library's may.

/// The odd constant of splitmix64 (2^64 divided by the golden ratio).
pub(crate) const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64: a bijection of 64 bits in which every input bit moves every output bit.
#[inline]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Two numbers made into one, for keys that depend on both.
pub(crate) const fn join(left: u64, right: u64) -> u64 {
    mix(left ^ mix(right.wrapping_add(GOLDEN)))
}

/// A number for a text, for keys that depend on it.
pub(crate) fn text(value: &str) -> u64 {
    value.bytes().fold(GOLDEN, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// A deterministic sequence of numbers.
#[derive(Debug)]
pub(crate) struct Sequence {
    state: u64,
}

impl Sequence {
    /// The sequence that belongs to a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: mix(seed ^ GOLDEN) }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// The next number below a bound; 0 when the bound is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// Whether an event of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        share(self.next()) < probability
    }

    /// The next N bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
        out
    }
}

/// A mixed number as a share between 0 (included) and 1 (excluded).
pub(crate) fn share(value: u64) -> f64 {
    f64::from(u32::try_from(value >> 32).unwrap_or_default()) / 4_294_967_296.0
}

/// Sixteen bytes in the form of a GUID, lower case.
pub(crate) fn guid(bytes: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let mut sequence = Sequence::new(1);
        let seen: std::collections::BTreeSet<u64> = (0..1_000).map(|_| sequence.below(7)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
        assert_eq!(sequence.below(0), 0);
    }

    #[test]
    fn a_guid_has_the_usual_form() {
        assert_eq!(guid([0xAB; 16]), "abababab-abab-abab-abab-abababababab");
    }
}
