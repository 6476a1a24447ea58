//! Device codes and what became of them (RFC 8628).

use super::Ledger;
use crate::config::User;
use crate::entra::TenantRef;
use crate::entra::scopes::Scopes;
use crate::switches::{DeviceSwitches, TooFast};

/// Letters of user codes: none that can be mistaken for another.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Polls this much earlier than told are not held against a client: its clock and ours differ.
const TOLERANCE_MS: u64 = 100;
/// Polling too fast so many times ends in AADSTS50196.
const LOOP_POLLS: u32 = 3;
/// What `slow_down` adds to the interval, in milliseconds (RFC 8628 §3.5).
const SLOW_DOWN_MS: u64 = 5_000;

/// A device code.
pub(crate) struct DeviceGrant {
    client_id: String,
    tenant: TenantRef,
    scopes: Scopes,
    user_code: String,
    expires_ms: u64,
    interval_ms: u64,
    last_poll_ms: Option<u64>,
    polls: u32,
    fast_polls: u32,
    state: DeviceState,
}

enum DeviceState {
    Pending,
    Approved(User),
    Declined,
    Redeemed,
}

/// A device code that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PendingCode {
    /// What the person types.
    pub user_code: String,
    /// The application that asks.
    pub client_id: String,
}

/// What a poll came to.
pub(crate) enum Poll {
    /// Nobody has decided yet.
    Pending,
    /// The client polls too fast and is told so.
    SlowDown,
    /// The client polls too fast and is cut off.
    Loop,
    /// The person said no.
    Declined,
    /// Too late.
    Expired,
    /// There is no such code, or it was redeemed.
    Unknown,
    /// The person said yes.
    Approved(User, Scopes),
}

/// Why a decision was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// No pending device code has that user code.
    #[error("no pending sign-in has the code {0:?}")]
    UnknownCode(String),
    /// No such user.
    #[error("no user is called {0:?}")]
    UnknownUser(String),
    /// The user belongs to another tenant than the one the sign-in was begun in.
    #[error("the user belongs to another tenant")]
    WrongTenant,
}

impl Ledger {
    /// Issues a device code; returns it and its user code.
    pub(crate) fn issue_device(
        &mut self,
        client_id: &str,
        tenant: TenantRef,
        scopes: Scopes,
        switches: &DeviceSwitches,
        now_ms: u64,
    ) -> (String, String) {
        let code = self.secret("sim-dc-");
        let mut letters = (0..8).filter_map(|_| {
            let index = usize::try_from(self.random.below(20)).ok()?;
            LETTERS.get(index).copied().map(char::from)
        });
        let head: String = letters.by_ref().take(4).collect();
        let user_code = format!("{head}-{}", letters.collect::<String>());
        let grant = DeviceGrant {
            client_id: client_id.to_owned(),
            tenant,
            scopes,
            user_code: user_code.clone(),
            expires_ms: now_ms.saturating_add(switches.expires_seconds.saturating_mul(1_000)),
            interval_ms: switches.interval_seconds.saturating_mul(1_000),
            last_poll_ms: None,
            polls: 0,
            fast_polls: 0,
            state: DeviceState::Pending,
        };
        self.devices.insert(code.clone(), grant);
        (code, user_code)
    }

    /// A poll for a device code; says also whether it came too early.
    pub(crate) fn poll_device(
        &mut self,
        code: &str,
        client_id: &str,
        switches: &DeviceSwitches,
        auto: &[User],
        now_ms: u64,
    ) -> (Poll, bool) {
        let Some(grant) = self.devices.get_mut(code).filter(|grant| grant.client_id == client_id) else {
            return (Poll::Unknown, false);
        };
        // The interval lies between polls: the first one may come at once.
        let last = grant.last_poll_ms.replace(now_ms);
        let fast = last
            .is_some_and(|last| now_ms.saturating_add(TOLERANCE_MS) < last.saturating_add(grant.interval_ms));
        grant.polls = grant.polls.saturating_add(1);
        grant.fast_polls += u32::from(fast);
        if fast {
            match switches.too_fast {
                TooFast::SlowDown => {
                    grant.interval_ms = grant.interval_ms.saturating_add(SLOW_DOWN_MS);
                    return (Poll::SlowDown, true);
                }
                TooFast::LoopDetected if grant.fast_polls >= LOOP_POLLS => return (Poll::Loop, true),
                TooFast::Pending | TooFast::LoopDetected => {}
            }
        }
        let automatic = switches.approve_after_polls.is_some_and(|polls| grant.polls >= polls);
        if automatic && matches!(grant.state, DeviceState::Pending) {
            let first = auto.iter().find(|user| grant.tenant.admits(&user.tid));
            grant.state = first.cloned().map_or(DeviceState::Pending, DeviceState::Approved);
        }
        (grant.result(now_ms), fast)
    }

    /// A person's answer to a user code: yes as somebody, or no.
    pub(crate) fn decide_device(
        &mut self,
        user_code: &str,
        answer: Option<User>,
        now_ms: u64,
    ) -> Result<(), DecisionError> {
        let typed = normal(user_code);
        let grant = self.devices.entries.values_mut().find(|grant| {
            normal(&grant.user_code) == typed
                && matches!(grant.state, DeviceState::Pending)
                && grant.expires_ms > now_ms
        });
        let grant = grant.ok_or_else(|| DecisionError::UnknownCode(user_code.to_owned()))?;
        grant.state = match answer {
            Some(user) if !grant.tenant.admits(&user.tid) => return Err(DecisionError::WrongTenant),
            Some(user) => DeviceState::Approved(user),
            None => DeviceState::Declined,
        };
        Ok(())
    }

    /// The codes that wait for a person.
    pub(crate) fn pending_devices(&self, now_ms: u64) -> Vec<PendingCode> {
        let waiting = self.devices.order.iter().filter_map(|code| self.devices.entries.get(code));
        waiting
            .filter(|grant| matches!(grant.state, DeviceState::Pending) && grant.expires_ms > now_ms)
            .map(|grant| PendingCode {
                user_code: grant.user_code.clone(),
                client_id: grant.client_id.clone(),
            })
            .collect()
    }
}

impl DeviceGrant {
    fn result(&mut self, now_ms: u64) -> Poll {
        match &self.state {
            DeviceState::Redeemed => Poll::Unknown,
            DeviceState::Declined => Poll::Declined,
            DeviceState::Pending | DeviceState::Approved(_) if self.expires_ms <= now_ms => Poll::Expired,
            DeviceState::Pending => Poll::Pending,
            DeviceState::Approved(user) => {
                let poll = Poll::Approved(user.clone(), self.scopes.clone());
                self.state = DeviceState::Redeemed;
                poll
            }
        }
    }
}

/// People type small letters and leave out the dash.
fn normal(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}
