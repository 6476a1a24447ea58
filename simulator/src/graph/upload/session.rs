//! The sessions of a simulator and what each has received.

use std::collections::HashMap;
use std::sync::Mutex;

use super::super::error::GraphError;
use super::super::put_content::Destination;
use crate::drive::kept::Kept;
use crate::drive::spec::DriveKind;
use crate::drive::writes::Conflict;
use crate::lock::lock;
use crate::switches::UploadSwitches;
use crate::throttle::Requester;
use crate::world::World;

/// Most sessions at a time; further ones are refused.
const MAX_SESSIONS: usize = 10_000;

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) drive: u32,
    /// Whose limits it is under.
    pub(super) requester: Requester,
    pub(super) kind: DriveKind,
    pub(super) destination: Destination,
    pub(super) conflict: Conflict,
    /// Length of the content, once it was told.
    pub(super) total: Option<u64>,
    /// What arrived, in order.
    pub(super) received: Kept,
    /// Whether the content is stored only when the client says so.
    pub(super) deferred: bool,
    /// A chunk that was not the last had a length that is no multiple of 320 KiB.
    pub(super) misaligned: bool,
    /// Times the client claims: created and last modified, milliseconds since the Unix epoch.
    pub(super) times: (Option<u64>, Option<u64>),
    pub(super) began_ms: u64,
    pub(super) touched_ms: u64,
}

impl Session {
    /// When it ends unless a chunk comes: sliding for business drives, fixed for personal ones.
    pub(super) fn expires_ms(&self, switches: &UploadSwitches) -> u64 {
        match self.kind {
            DriveKind::Personal => self.began_ms.saturating_add(switches.personal_session_seconds * 1_000),
            DriveKind::Business | DriveKind::DocumentLibrary => {
                self.touched_ms.saturating_add(switches.session_seconds * 1_000)
            }
        }
    }

    /// Refuses what comes after its end.
    pub(super) fn check_life(&self, world: &World) -> Result<(), GraphError> {
        let switches = world.switches().uploads;
        let now_ms = world.clock.now_ms();
        let hard_ms = self.began_ms.saturating_add(switches.session_hard_seconds * 1_000);
        let sliding = self.kind != DriveKind::Personal;
        if now_ms >= self.expires_ms(&switches) {
            return Err(super::unknown());
        }
        if sliding && now_ms >= hard_ms {
            let message = "The token of the upload address has expired.";
            return Err(GraphError::with_inner(401, "unauthenticated", "expiredToken", message));
        }
        Ok(())
    }

    /// Whether everything has arrived.
    pub(super) fn is_complete(&self) -> bool {
        self.total == Some(self.received.length())
    }

    /// The ranges that are missing. With a known length the next chunk and the rest are told apart, as the service may do.
    pub(super) fn missing(&self) -> Vec<String> {
        let from = self.received.length();
        let next = from.saturating_add(super::fragment::SUGGESTED_BYTES);
        match self.total {
            Some(total) if from >= total => Vec::new(),
            Some(total) if next < total => vec![format!("{from}-{}", next - 1), format!("{next}-")],
            Some(_) | None => vec![format!("{from}-")],
        }
    }
}

/// Uploads that are not finished.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    sessions: Mutex<HashMap<String, Session>>,
}

impl Uploads {
    /// A copy of a session.
    pub(super) fn get(&self, token: &str) -> Option<Session> {
        lock(&self.sessions).get(token).cloned()
    }

    /// Adds a session; false when there are too many.
    pub(super) fn add(&self, token: String, session: Session) -> bool {
        let mut sessions = lock(&self.sessions);
        if sessions.len() >= MAX_SESSIONS {
            return false;
        }
        sessions.insert(token, session);
        true
    }

    /// Ends a session; none when it has ended already.
    pub(super) fn remove(&self, token: &str) -> Option<Session> {
        lock(&self.sessions).remove(token)
    }

    /// Changes a session.
    pub(super) fn change<T>(
        &self,
        token: &str,
        change: impl FnOnce(&mut Session) -> Result<T, GraphError>,
    ) -> Result<T, GraphError> {
        let mut sessions = lock(&self.sessions);
        change(sessions.get_mut(token).ok_or_else(super::unknown)?)
    }

    /// Forgets sessions whose time is over.
    pub(super) fn sweep(&self, switches: &UploadSwitches, now_ms: u64) {
        let hard_ms = switches.session_hard_seconds * 1_000;
        lock(&self.sessions).retain(|_, session| {
            // One whose token has expired is kept for another day, to be told apart from one that never was.
            now_ms < session.expires_ms(switches) && now_ms < session.began_ms.saturating_add(2 * hard_ms)
        });
    }

    /// Bytes that the living sessions of a drive have received.
    pub(in crate::graph) fn received_bytes(&self, drive: u32, world: &World) -> u64 {
        let (switches, now_ms) = (world.switches().uploads, world.clock.now_ms());
        let sessions = lock(&self.sessions);
        let living = sessions.values().filter(|one| one.drive == drive && now_ms < one.expires_ms(&switches));
        living.map(|session| session.received.length()).sum()
    }

    /// Whether a session for this name lives.
    pub(super) fn is_being_uploaded(&self, drive: u32, destination: &Destination) -> bool {
        lock(&self.sessions)
            .values()
            .any(|session| session.drive == drive && session.destination.is_same(destination))
    }
}
