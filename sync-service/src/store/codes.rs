//! How enumerations are stored. Numbers are for ever: never reuse one.

use super::StoreError;
use crate::domain::{
    finding::FindingKind,
    item::{Kind, Scope, Work},
    listing::ListingCause,
    run::{RunKind, RunPhase, RunState},
    source::Health,
};

pub(super) const FILE: i16 = 1;
pub(super) const FOLDER: i16 = 2;
pub(super) const ROOT: i16 = 3;
pub(super) const OPAQUE: i16 = 4;
pub(super) const VAULT: i16 = 5;

pub(super) const MIRRORED: i16 = 0;
pub(super) const IN_OPAQUE: i16 = 1;
pub(super) const IN_VAULT: i16 = 2;
pub(super) const EXCLUDED: i16 = 3;

pub(super) const NO_WORK: i16 = 0;
pub(super) const MAKE_FOLDER: i16 = 1;
pub(super) const MOVE: i16 = 2;
pub(super) const PUT_CONTENT: i16 = 3;
pub(super) const SET_TIMES: i16 = 4;
pub(super) const DELETE: i16 = 5;
pub(super) const FORGET: i16 = 6;

pub(super) const CURSOR_START: i16 = 0;
pub(super) const CURSOR_PAGE: i16 = 1;
pub(super) const CURSOR_CAUGHT_UP: i16 = 2;

pub(super) const LOCAL_FOLDER: i16 = 1;

pub(super) fn kind_code(kind: Kind) -> i16 {
    match kind {
        Kind::File => FILE,
        Kind::Folder => FOLDER,
        Kind::Root => ROOT,
        Kind::Opaque => OPAQUE,
        Kind::Vault => VAULT,
    }
}

pub(super) fn kind(code: i16) -> Result<Kind, StoreError> {
    match code {
        FILE => Ok(Kind::File),
        FOLDER => Ok(Kind::Folder),
        ROOT => Ok(Kind::Root),
        OPAQUE => Ok(Kind::Opaque),
        VAULT => Ok(Kind::Vault),
        other => Err(impossible("items", "kind", other)),
    }
}

pub(super) fn scope_code(scope: Scope) -> i16 {
    match scope {
        Scope::Mirrored => MIRRORED,
        Scope::InOpaque => IN_OPAQUE,
        Scope::InVault => IN_VAULT,
        Scope::Excluded => EXCLUDED,
    }
}

pub(super) fn scope(code: i16) -> Result<Scope, StoreError> {
    match code {
        MIRRORED => Ok(Scope::Mirrored),
        IN_OPAQUE => Ok(Scope::InOpaque),
        IN_VAULT => Ok(Scope::InVault),
        EXCLUDED => Ok(Scope::Excluded),
        other => Err(impossible("items", "scope", other)),
    }
}

pub(super) fn work_code(work: Work) -> i16 {
    match work {
        Work::None => NO_WORK,
        Work::MakeFolder => MAKE_FOLDER,
        Work::Move => MOVE,
        Work::PutContent => PUT_CONTENT,
        Work::SetTimes => SET_TIMES,
        Work::Delete => DELETE,
        Work::Forget => FORGET,
    }
}

pub(super) fn health_code(health: Health) -> i16 {
    match health {
        Health::Good => 0,
        Health::Failing => 1,
        Health::NeedsPerson => 2,
    }
}

pub(super) fn health(code: i16) -> Result<Health, StoreError> {
    match code {
        0 => Ok(Health::Good),
        1 => Ok(Health::Failing),
        2 => Ok(Health::NeedsPerson),
        other => Err(impossible("sources", "state", other)),
    }
}

pub(super) fn listing_code(listing: ListingCause) -> i16 {
    match listing {
        ListingCause::Changes => 0,
        ListingCause::First => 1,
        ListingCause::Periodic => 2,
        ListingCause::LinkExpired => 3,
        ListingCause::LinkUnusable => 4,
    }
}

pub(super) fn listing(table: &'static str, code: i16) -> Result<ListingCause, StoreError> {
    match code {
        0 => Ok(ListingCause::Changes),
        1 => Ok(ListingCause::First),
        2 => Ok(ListingCause::Periodic),
        3 => Ok(ListingCause::LinkExpired),
        4 => Ok(ListingCause::LinkUnusable),
        other => Err(impossible(table, "listing", other)),
    }
}

pub(super) fn run_kind_code(kind: RunKind) -> i16 {
    match kind {
        RunKind::Sync => 0,
        RunKind::Plan => 1,
        RunKind::Verify => 2,
        RunKind::Heal => 3,
    }
}

pub(super) fn run_kind(code: i16) -> Result<RunKind, StoreError> {
    match code {
        0 => Ok(RunKind::Sync),
        1 => Ok(RunKind::Plan),
        2 => Ok(RunKind::Verify),
        3 => Ok(RunKind::Heal),
        other => Err(impossible("runs", "kind", other)),
    }
}

pub(super) fn finding_code(kind: FindingKind) -> i16 {
    match kind {
        FindingKind::MakeFolder => 1,
        FindingKind::Move => 2,
        FindingKind::Transfer => 3,
        FindingKind::SetTime => 4,
        FindingKind::Delete => 5,
        FindingKind::Keep => 6,
        FindingKind::Leave => 7,
        FindingKind::Missing => 8,
        FindingKind::Changed => 9,
        FindingKind::Extra => 10,
        FindingKind::WrongKind => 11,
        FindingKind::Unverifiable => 12,
    }
}

pub(super) fn finding(code: i16) -> Result<FindingKind, StoreError> {
    match code {
        1 => Ok(FindingKind::MakeFolder),
        2 => Ok(FindingKind::Move),
        3 => Ok(FindingKind::Transfer),
        4 => Ok(FindingKind::SetTime),
        5 => Ok(FindingKind::Delete),
        6 => Ok(FindingKind::Keep),
        7 => Ok(FindingKind::Leave),
        8 => Ok(FindingKind::Missing),
        9 => Ok(FindingKind::Changed),
        10 => Ok(FindingKind::Extra),
        11 => Ok(FindingKind::WrongKind),
        12 => Ok(FindingKind::Unverifiable),
        other => Err(impossible("run_findings", "kind", other)),
    }
}

pub(super) fn run_state_code(state: RunState) -> i16 {
    match state {
        RunState::Running => 1,
        RunState::Succeeded => 2,
        RunState::Partial => 3,
        RunState::Failed => 4,
        RunState::NeedsPerson => 5,
        RunState::Cancelled => 6,
    }
}

pub(super) fn run_state(code: i16) -> Result<RunState, StoreError> {
    match code {
        1 => Ok(RunState::Running),
        2 => Ok(RunState::Succeeded),
        3 => Ok(RunState::Partial),
        4 => Ok(RunState::Failed),
        5 => Ok(RunState::NeedsPerson),
        6 => Ok(RunState::Cancelled),
        other => Err(impossible("runs", "state", other)),
    }
}

pub(super) fn run_phase_code(phase: RunPhase) -> i16 {
    match phase {
        RunPhase::Listing => 1,
        RunPhase::Applying => 2,
        RunPhase::Waiting => 3,
        RunPhase::Verifying => 4,
    }
}

pub(super) fn run_phase(code: i16) -> Result<RunPhase, StoreError> {
    match code {
        1 => Ok(RunPhase::Listing),
        2 => Ok(RunPhase::Applying),
        3 => Ok(RunPhase::Waiting),
        4 => Ok(RunPhase::Verifying),
        other => Err(impossible("runs", "phase", other)),
    }
}

pub(super) fn impossible(table: &'static str, column: &str, value: impl std::fmt::Display) -> StoreError {
    StoreError::Inconsistent { table, what: format!("{column} is {value}") }
}
