//! Where retry jitter and request ids get their randomness from, so that tests can fix it.

/// A source of random numbers. None of them protects a secret.
pub trait Randomness: Send + Sync {
    /// The next number, uniform over the whole range.
    fn next_u64(&self) -> u64;
}

/// The thread's generator, seeded by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn next_u64(&self) -> u64 {
        rand::random()
    }
}

/// A random version-4 UUID in its usual text form, for `client-request-id`.
pub(crate) fn request_id(randomness: &dyn Randomness) -> String {
    let high = randomness.next_u64() & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = randomness.next_u64() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Randomness for Fixed {
        fn next_u64(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn request_ids_are_version_4_uuids() {
        assert_eq!(request_id(&Fixed(0)), "00000000-0000-4000-8000-000000000000");
        assert_eq!(request_id(&Fixed(u64::MAX)), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn system_numbers_differ() {
        assert_ne!(request_id(&SystemRandomness), request_id(&SystemRandomness));
    }
}
