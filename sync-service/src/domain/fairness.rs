//! Whose source is leased next: tenants in turn, and none beyond its cap.

use service_kit::clock::Timestamp;

/// Most runs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Of one tenant.
    pub tenant: u32,
    /// With one connection. All runs of a connection share what its application may ask of the provider.
    pub connection: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Self { tenant: 32, connection: 16 }
    }
}

/// What one connection has waiting and under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub tenant: String,
    /// The connection's name.
    pub connection: String,
    /// Sources that a worker holds.
    pub held: u32,
    /// When the source that waits longest became due; `None` when none waits.
    pub due_since: Option<Timestamp>,
    /// When a run of the tenant was leased last; `None` when never.
    pub last_turn: Option<Timestamp>,
}

/// The connections of which a source may be leased now, the one whose turn it is first: of the tenant with the fewest runs under way,
/// then of the one that waited longest for its turn, then the connection with the fewest, then what is due longest.
///
/// So a tenant with thousands of due sources delays the others by one run at a time, and whoever waits is served after at most as
/// many leases as there are other tenants waiting.
pub fn in_turn(claims: &[Claim], caps: Caps) -> Vec<&Claim> {
    let held_by = |tenant: &str| -> u32 {
        claims.iter().filter(|claim| claim.tenant == tenant).map(|claim| claim.held).sum()
    };
    let mut held = std::collections::HashMap::new();
    for claim in claims {
        held.entry(claim.tenant.as_str()).or_insert_with(|| held_by(&claim.tenant));
    }
    let of_tenant = |claim: &Claim| held.get(claim.tenant.as_str()).copied().unwrap_or_default();
    let mut open: Vec<&Claim> = claims
        .iter()
        .filter(|claim| claim.due_since.is_some())
        .filter(|claim| of_tenant(claim) < caps.tenant && claim.held < caps.connection)
        .collect();
    open.sort_by_key(|claim| (of_tenant(claim), claim.last_turn, claim.held, claim.due_since));
    open
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(tenant: &str, connection: &str, held: u32, due: Option<i64>, turn: Option<i64>) -> Claim {
        Claim {
            tenant: tenant.into(),
            connection: connection.into(),
            held,
            due_since: due.map(Timestamp::from_millis),
            last_turn: turn.map(Timestamp::from_millis),
        }
    }

    fn order(claims: &[Claim], caps: Caps) -> Vec<&str> {
        in_turn(claims, caps).into_iter().map(|claim| claim.connection.as_str()).collect()
    }

    #[test]
    fn the_tenant_with_the_fewest_runs_comes_first_however_long_others_wait() {
        let claims = [claim("big", "b", 3, Some(1), Some(1)), claim("small", "s", 0, Some(9), Some(9))];
        assert_eq!(order(&claims, Caps::default()), ["s", "b"]);
    }

    #[test]
    fn tenants_with_equally_many_runs_take_turns() {
        let claims = [claim("a", "a", 0, Some(1), Some(5)), claim("b", "b", 0, Some(2), None)];
        assert_eq!(order(&claims, Caps::default()), ["b", "a"], "b never had a turn");
    }

    #[test]
    fn the_caps_hold_over_the_connections_of_a_tenant() {
        let caps = Caps { tenant: 3, connection: 2 };
        let claims = [claim("a", "a1", 2, Some(1), None), claim("a", "a2", 0, Some(1), None)];
        assert_eq!(order(&claims, caps), ["a2"]);
        let claims = [claim("a", "a1", 2, Some(1), None), claim("a", "a2", 1, Some(1), None)];
        assert!(order(&claims, caps).is_empty());
    }

    proptest! {
        /// One worker after another leases and now and then gives back: no cap is broken, and whoever waits is served in time.
        #[test]
        fn nobody_starves_and_no_cap_is_broken(
            backlogs in proptest::collection::vec(1_u32..40, 1..8),
            workers in 1_u32..6,
            cap in 1_u32..5,
        ) {
            let caps = Caps { tenant: cap, connection: cap };
            let mut claims: Vec<Claim> =
                (0..backlogs.len()).map(|n| claim(&n.to_string(), &n.to_string(), 0, Some(0), None)).collect();
            let mut waiting = backlogs.clone();
            let mut under_way: std::collections::VecDeque<usize> = std::collections::VecDeque::new();
            let mut since_turn = vec![0_usize; backlogs.len()];
            let mut now = 0;
            while waiting.iter().any(|left| *left > 0) {
                now += 1;
                let next = in_turn(&claims, caps).first().map(|claim| claim.tenant.parse::<usize>().unwrap());
                match next {
                    Some(tenant) if under_way.len() < usize::try_from(workers).unwrap() => {
                        waiting[tenant] -= 1;
                        claims[tenant].held += 1;
                        prop_assert!(claims[tenant].held <= cap);
                        claims[tenant].last_turn = Some(Timestamp::from_millis(now));
                        under_way.push_back(tenant);
                        since_turn[tenant] = 0;
                        for other in (0..backlogs.len()).filter(|other| *other != tenant && waiting[*other] > 0) {
                            // Those at their cap wait for themselves.
                            since_turn[other] += usize::from(claims[other].held < cap);
                            prop_assert!(since_turn[other] <= backlogs.len() * usize::try_from(workers).unwrap());
                        }
                    }
                    _ => {
                        let ended = under_way.pop_front().unwrap();
                        claims[ended].held -= 1;
                    }
                }
                for (claim, left) in claims.iter_mut().zip(&waiting) {
                    claim.due_since = (*left > 0).then(|| Timestamp::from_millis(0));
                }
            }
        }
    }
}
