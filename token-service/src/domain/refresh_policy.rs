//! Whether a token at hand is good enough for a request, and whether it may still be served when refreshing fails.

use std::time::Duration;

use service_kit::clock::Timestamp;

use super::token::{AccessToken, TokenHash};

/// Least remaining life when the caller names none.
pub const DEFAULT_MIN_TTL: Duration = Duration::from_mins(5);
/// Longest `min_ttl` a caller may ask for; Entra's shortest tokens live 60 minutes.
pub const MAX_MIN_TTL: Duration = Duration::from_mins(30);
/// A token this close to its end is as good as ended: it would not survive the way to the resource.
pub const EXPIRY_MARGIN: Duration = Duration::from_secs(2);

/// What a request wants of a token, besides its scopes.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Least remaining life.
    pub min_ttl: Duration,
    /// A Continuous Access Evaluation challenge to answer: only a new token will do.
    pub has_claims: bool,
    /// The token that the resource refused.
    pub rejected: Option<TokenHash>,
}

/// A token at hand, as far as the decision needs it.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Its hash.
    pub hash: TokenHash,
    /// When it was obtained.
    pub obtain_time: Timestamp,
    /// When it ends.
    pub expire_time: Timestamp,
}

impl From<&AccessToken> for Held {
    fn from(token: &AccessToken) -> Self {
        Self { hash: token.hash, obtain_time: token.obtain_time, expire_time: token.expire_time }
    }
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Hand out the token at hand.
    Serve,
    /// Refresh; should that fail for a passing reason, the token at hand will still do.
    RefreshOrServe,
    /// Refresh; the token at hand is of no use.
    Refresh,
}

/// Decides.
pub fn decide(now: Timestamp, held: Option<Held>, wish: &Wish) -> Decision {
    let Some(held) = held else { return Decision::Refresh };
    let remaining = held.expire_time.duration_since(now);
    let is_rejected = wish.rejected.is_some_and(|rejected| rejected.matches(&held.hash));
    if wish.has_claims || is_rejected || remaining <= EXPIRY_MARGIN {
        return Decision::Refresh;
    }
    if remaining >= least_remaining(held.expire_time.duration_since(held.obtain_time), wish.min_ttl) {
        Decision::Serve
    } else {
        Decision::RefreshOrServe
    }
}

/// Half the life of a token must do for everybody: otherwise one that lives little longer than the caller wants, or not as long, would
/// cost a refresh at every request.
fn least_remaining(lifetime: Duration, min_ttl: Duration) -> Duration {
    min_ttl.min(lifetime / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use service_kit::secret::SecretString;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn hash(of: &str) -> TokenHash {
        TokenHash::of(&SecretString::new(of.to_owned()))
    }

    fn held(lifetime: Duration, remaining: Duration) -> Held {
        let expire_time = NOW.saturating_add(remaining);
        Held { hash: hash("held"), obtain_time: expire_time.saturating_sub(lifetime), expire_time }
    }

    fn wish(min_ttl: Duration) -> Wish {
        Wish { min_ttl, has_claims: false, rejected: None }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn nothing_at_hand_means_refresh() {
        assert_eq!(decide(NOW, None, &wish(Duration::ZERO)), Decision::Refresh);
    }

    #[test]
    fn a_token_with_enough_life_is_served_and_one_with_less_is_refreshed() {
        let want = wish(seconds(300));
        assert_eq!(decide(NOW, Some(held(seconds(3600), seconds(300))), &want), Decision::Serve);
        assert_eq!(decide(NOW, Some(held(seconds(3600), seconds(299))), &want), Decision::RefreshOrServe);
        assert_eq!(decide(NOW, Some(held(seconds(3600), EXPIRY_MARGIN)), &want), Decision::Refresh);
    }

    #[test]
    fn tokens_that_live_shorter_than_wanted_are_served_until_half_their_life() {
        let want = wish(seconds(1800));
        assert_eq!(decide(NOW, Some(held(seconds(300), seconds(150))), &want), Decision::Serve);
        assert_eq!(decide(NOW, Some(held(seconds(300), seconds(149))), &want), Decision::RefreshOrServe);
        // Little longer than wanted is no better.
        assert_eq!(decide(NOW, Some(held(seconds(1810), seconds(905))), &want), Decision::Serve);
        assert_eq!(decide(NOW, Some(held(seconds(1810), seconds(904))), &want), Decision::RefreshOrServe);
    }

    #[test]
    fn a_rejected_token_is_refreshed_only_if_it_is_the_one_at_hand() {
        let rejecting = |of: &str| Wish { rejected: Some(hash(of)), ..wish(seconds(300)) };
        let token = held(seconds(3600), seconds(3000));
        assert_eq!(decide(NOW, Some(token), &rejecting("held")), Decision::Refresh);
        assert_eq!(decide(NOW, Some(token), &rejecting("older")), Decision::Serve);
    }

    #[test]
    fn a_claims_challenge_always_refreshes() {
        let want = Wish { has_claims: true, ..wish(Duration::ZERO) };
        assert_eq!(decide(NOW, Some(held(seconds(3600), seconds(3600))), &want), Decision::Refresh);
    }

    proptest! {
        #[test]
        fn what_is_served_is_alive_and_not_rejected(
            lifetime in 0_u64..100_000, age in 0_u64..100_000, min_ttl in 0_u64..=1800, rejected: Option<bool>, has_claims: bool,
        ) {
            let token = held(seconds(lifetime), seconds(lifetime.saturating_sub(age)));
            let rejected = rejected.map(|same| hash(if same { "held" } else { "other" }));
            let want = Wish { min_ttl: seconds(min_ttl), has_claims, rejected };
            let remaining = token.expire_time.duration_since(NOW);
            let decision = decide(NOW, Some(token), &want);
            if decision != Decision::Refresh {
                prop_assert!(remaining > EXPIRY_MARGIN);
                prop_assert!(!has_claims && rejected != Some(token.hash));
            }
            if decision == Decision::Serve {
                prop_assert!(remaining >= seconds(min_ttl).min(seconds(lifetime) / 2));
            }
        }

        #[test]
        fn whoever_asks_for_less_life_never_gets_less(
            lifetime in 0_u64..100_000, age in 0_u64..100_000, min_ttl in 0_u64..1800, more in 0_u64..=1800, has_claims: bool,
            rejected: Option<bool>,
        ) {
            let token = held(seconds(lifetime), seconds(lifetime.saturating_sub(age)));
            let rejected = rejected.map(|same| hash(if same { "held" } else { "other" }));
            let decide = |min_ttl| decide(NOW, Some(token), &Wish { min_ttl: seconds(min_ttl), has_claims, rejected });
            let (modest, demanding) = (decide(min_ttl), decide(min_ttl + more));
            if demanding == Decision::Serve {
                prop_assert_eq!(modest, Decision::Serve);
            }
            // Whether a token is of any use does not depend on how long it should live.
            prop_assert_eq!(modest == Decision::Refresh, demanding == Decision::Refresh);
        }

        #[test]
        fn a_token_past_its_end_or_one_that_was_refused_is_never_given(
            lifetime in 0_u64..100_000, since_end in 0_u64..100_000, remaining in 0_u64..100_000, min_ttl in 0_u64..=1800,
        ) {
            let expire_time = NOW.saturating_sub(seconds(since_end));
            let ended = Held { hash: hash("held"), obtain_time: expire_time.saturating_sub(seconds(lifetime)), expire_time };
            prop_assert_eq!(decide(NOW, Some(ended), &wish(seconds(min_ttl))), Decision::Refresh);
            let refused = Wish { rejected: Some(hash("held")), ..wish(seconds(min_ttl)) };
            prop_assert_eq!(decide(NOW, Some(held(seconds(lifetime), seconds(remaining))), &refused), Decision::Refresh);
        }

        #[test]
        fn more_life_never_turns_serving_into_refreshing(
            lifetime in 0_u64..100_000, age in 1_u64..100_000, min_ttl in 0_u64..=1800,
        ) {
            let want = wish(seconds(min_ttl));
            let older = decide(NOW, Some(held(seconds(lifetime), seconds(lifetime.saturating_sub(age)))), &want);
            let younger = decide(NOW, Some(held(seconds(lifetime), seconds(lifetime.saturating_sub(age - 1)))), &want);
            if older == Decision::Serve {
                prop_assert_eq!(younger, Decision::Serve);
            }
        }

        #[test]
        fn a_fresh_token_is_always_served(lifetime in 5_u64..100_000, min_ttl in 0_u64..=1800) {
            let fresh = held(seconds(lifetime), seconds(lifetime));
            prop_assert_eq!(decide(NOW, Some(fresh), &wish(seconds(min_ttl))), Decision::Serve);
        }
    }
}
