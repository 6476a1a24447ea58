//! Rows as the database has them; visible only inside the store.

pub(super) mod finding;
pub(super) mod item;
pub(super) mod notice;
pub(super) mod run;
pub(super) mod source;
pub(super) mod throttle;
