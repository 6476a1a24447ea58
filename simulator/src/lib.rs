//! A stand-in for Microsoft Entra and the drives of Microsoft Graph that misbehaves on demand.
//!
//! It speaks HTTP and shares no types with the product, so a wrong field name cannot be wrong on both sides. Contents are
//! generated from a seed, never stored; a drive of a million items fits into a few hundred megabytes.
//!
//! ```text
//!  client ──► authority ── entra/ ──► ledger: codes, tokens, families
//!         ──► graph     ── graph/ ──► drive/: tree, feed of changes, ids ──► content, quick_xor
//!  test   ──► control   ── control/ ─► faults, switches, counters, critic, clock
//! ```
//!
//! [`Simulator::start`] binds the three listeners; everything the control interface does, its methods do in the same process.

mod clock;
mod config;
mod content;
mod control;
mod counters;
mod critic;
mod drive;
mod entra;
mod faults;
mod graph;
mod json;
mod lock;
mod mix;
mod quick_xor;
mod scenario;
mod seal;
mod simulator;
mod switches;
mod throttle;
mod tls;
mod transport;
mod world;

pub use self::simulator::{Simulator, StartError};
pub use clock::Clock;
pub use config::{
    App, CONFIDENTIAL_CLIENT_CERTIFICATE, CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_KEY,
    CONFIDENTIAL_CLIENT_SECRET, Config, FIRST_USER, FederatedCredential, Issuer, Listen, PUBLIC_CLIENT_ID,
    Platform, Public, Redirect, SECOND_USER, TENANT_ID, TRUSTED_ISSUER, TRUSTED_ISSUER_KEY,
    TRUSTED_ISSUER_SUBJECT, Tenant, User,
};
pub use content::ContentReader;
pub use counters::{Counts, Endpoint};
pub use critic::{Violation, ViolationKind};
pub use drive::change::{Change, ChangeError};
pub use drive::handle::{DriveHandle, Entry, EntryKind};
pub use drive::spec::{DriveKind, DriveSpec, MAX_FILE_BYTES, MAX_ITEMS, NameStyle, SpecError};
pub use entra::error::table::{EntraErrorName, EntraErrorRow, entra_errors};
pub use entra::ledger::device::{DecisionError, PendingCode};
pub use entra::setup::SetupError;
pub use entra::{RevocationError, SignInError};
pub use faults::{
    ActiveFault, BodyForm, Fault, FaultKind, Faults, ResetMoment, ResyncBody, ResyncInner, ResyncLocation,
    RetryAfter,
};
pub use graph::subscriptions::LifecycleError;
pub use quick_xor::QuickXor;
pub use scenario::{MAX_SCENARIO_BYTES, Scenario, ScenarioError};
pub use switches::{
    AutoSignIn, BearerOnLinks, Consent, DeltaSwitches, DeviceSwitches, GraphSwitches, LimitSwitches,
    MAX_ACCESS_BYTES, MalwareAnswer, NetworkSwitches, NoDrive, ParentPaths, QuotaTold, Rotation,
    SignInSwitches, SubscriptionSwitches, Switches, TokenSwitches, TombstoneFacets, TooFast, UploadSwitches,
};
pub use tls::{TLS_NAMES, TlsError, TlsIdentity};
