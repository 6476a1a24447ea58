//! When a token that is in use is replaced although nobody waits for it, and when a connection that is not in use is kept alive.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::{refresh_policy::DEFAULT_MIN_TTL, token::AccessToken};

/// Callers must not meet a token that is too old for them: by then it was replaced.
const AHEAD_OF_CALLERS: Duration = Duration::from_mins(1);
/// Connections that nobody asks for are refreshed once in so long. Entra ends what was inactive for 90 days.
pub const KEEP_ALIVE_AFTER: Duration = Duration::from_hours(45 * 24);

/// When a token in use is replaced: when the provider advises it, else after three quarters of its life, and in any case before
/// it is too old for a caller who names no least life. Up to a tenth of its life earlier by chance, so that tokens that were
/// obtained together are not replaced together. `chance` is anything between 0 and 255.
pub fn refresh_ahead_time(token: &AccessToken, chance: u8) -> Timestamp {
    let lifetime = token.lifetime();
    let usual = token.obtain_time.saturating_add(lifetime * 3 / 4);
    let planned = token.advised_refresh_time.unwrap_or(usual);
    let latest = token.expire_time.saturating_sub(DEFAULT_MIN_TTL + AHEAD_OF_CALLERS);
    let jitter = lifetime / 10 * u32::from(chance) / 255;
    // A token that lives very short is replaced at half its life at the earliest: else it would be replaced all the time.
    let earliest = token.obtain_time.saturating_add(lifetime / 2);
    planned.min(latest).saturating_sub(jitter).max(earliest)
}

/// Whether a connection counts as in use: it was asked for within the life of one token.
pub fn is_in_use(token: &AccessToken, used_time: Timestamp, now: Timestamp) -> bool {
    now.duration_since(used_time) <= token.lifetime()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use service_kit::secret::SecretString;

    use super::*;
    use crate::domain::{
        scopes::ScopeSet,
        token::{TokenHash, TokenKind},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn token(seconds: u64, advised: Option<u64>) -> AccessToken {
        let value = Arc::new(SecretString::new("t".to_owned()));
        let after = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
        AccessToken {
            hash: TokenHash::of(&value),
            value,
            kind: Arc::new(TokenKind { token_type: "Bearer".to_owned(), scopes: ScopeSet::default() }),
            obtain_time: NOW,
            expire_time: after(seconds),
            advised_refresh_time: advised.map(after),
        }
    }

    fn minutes(token: &AccessToken, chance: u8) -> u64 {
        refresh_ahead_time(token, chance).duration_since(NOW).as_secs() / 60
    }

    #[test]
    fn an_hour_is_replaced_after_three_quarters_or_as_advised() {
        assert_eq!(minutes(&token(3600, None), 0), 45);
        assert_eq!(minutes(&token(3600, None), 255), 39);
        assert_eq!(minutes(&token(24 * 3600, Some(12 * 3600)), 0), 12 * 60);
        assert_eq!(minutes(&token(600, None), 0), 5, "not all the time");
    }

    proptest! {
        #[test]
        fn it_is_within_the_life_and_ahead_of_callers(seconds in 1_u64..200_000, advised: Option<u16>, chance: u8) {
            let token = token(seconds, advised.map(u64::from).filter(|advised| *advised < seconds));
            let time = refresh_ahead_time(&token, chance);
            prop_assert!(time > NOW && time < token.expire_time);
            if seconds > 720 {
                prop_assert!(token.expire_time.duration_since(time) > DEFAULT_MIN_TTL);
            }
        }
    }
}
