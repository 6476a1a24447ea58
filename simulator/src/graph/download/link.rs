//! Download links: what they lead to, sealed into them (graph-behaviour §4.1, §4.2).

use std::sync::Arc;

use super::super::access::Caller;
use crate::drive::Drive;
use crate::drive::item::Slot;
use crate::seal::{Purpose, Unsealed};
use crate::throttle::Requester;
use crate::world::World;

/// What the token in a link begins with.
const TOKEN_PREFIX: &str = "sim-dl-";

/// What of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graph) enum What {
    /// Whatever content it has when the link is used.
    Present,
    /// The same, although it is infected.
    Infected,
    /// It as a PDF.
    Pdf,
    /// The content of a version.
    Version(u32),
}

impl What {
    const fn number(self) -> u32 {
        match self {
            Self::Present => 0,
            Self::Infected => u32::MAX - 1,
            Self::Pdf => u32::MAX,
            Self::Version(version) => version,
        }
    }

    fn of(number: u32) -> Self {
        let special = [Self::Present, Self::Infected, Self::Pdf];
        special.into_iter().find(|what| what.number() == number).unwrap_or(Self::Version(number))
    }
}

/// Makes the links of one answer.
pub(in crate::graph) struct Links<'a> {
    world: &'a World,
    drive: &'a Drive,
    caller: usize,
    expires_ms: u64,
}

impl<'a> Links<'a> {
    /// Links for a caller to files of a drive.
    pub(in crate::graph) fn new(world: &'a World, caller: &Caller, drive: &'a Drive) -> Self {
        let life_ms = world.switches().download_link_seconds.saturating_mul(1_000);
        let expires_ms = world.clock.now_ms().saturating_add(life_ms);
        Self { world, drive, caller: world.caller_number(caller.requester()), expires_ms }
    }

    /// A link to a file.
    pub(in crate::graph) fn to(&self, slot: Slot, what: What) -> String {
        let state = format!(
            "{} {slot} {} {} {} {}",
            self.drive.index,
            self.expires_ms,
            self.caller,
            self.world.number(),
            what.number()
        );
        let token = self.world.seal.seal(Purpose::Download, &state);
        let unique = self.drive.ids.unique(slot);
        format!(
            "{}{}?UniqueId={unique}&Translate=false&tempauth={TOKEN_PREFIX}{token}",
            self.world.bases.downloads,
            super::PATH
        )
    }
}

/// What a link carries.
pub(super) struct Opened {
    pub(super) drive: Arc<Drive>,
    pub(super) slot: Slot,
    pub(super) expires_ms: u64,
    pub(super) requester: Requester,
    pub(super) what: What,
}

/// What a link turns out to be.
pub(super) enum Link {
    Known(Opened),
    /// Of an earlier simulator, or of a drive that is gone.
    Stale,
    Edited,
}

impl Link {
    /// Reads the token in a link.
    pub(super) fn open(world: &World, token: &str) -> Self {
        let sealed = token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
        match world.seal.open(Purpose::Download, sealed) {
            Unsealed::State(state) => read(world, &state).map_or(Self::Stale, Self::Known),
            Unsealed::Foreign => Self::Stale,
            Unsealed::Edited => Self::Edited,
        }
    }

    /// Where it leads, if it still leads somewhere.
    pub(super) fn known(self) -> Option<Opened> {
        match self {
            Self::Known(opened) => Some(opened),
            Self::Stale | Self::Edited => None,
        }
    }
}

fn read(world: &World, state: &str) -> Option<Opened> {
    let mut fields = state.split(' ').map(str::parse::<u64>);
    let mut number = || fields.next()?.ok();
    let (index, slot, expires_ms, caller) = (number()?, number()?, number()?, number()?);
    let (_, what) = (number()?, number()?);
    Some(Opened {
        drive: world.drive_at(u32::try_from(index).ok()?)?,
        slot: Slot::try_from(slot).ok()?,
        expires_ms,
        requester: world.caller(usize::try_from(caller).ok()?)?,
        what: What::of(u32::try_from(what).ok()?),
    })
}
