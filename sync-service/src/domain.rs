//! What the engine decides, as pure functions: nothing here waits, reads a clock or knows a database.

pub mod action;
pub mod activity;
pub mod baseline;
pub mod brake;
pub mod change;
pub mod cursor;
pub mod drift;
pub mod fairness;
pub mod filter;
pub mod finding;
pub mod folded;
pub mod free_space;
pub mod item;
pub mod item_backoff;
pub mod listing;
pub mod local_name;
pub mod names;
pub mod outcome;
pub mod run;
pub mod schedule;
pub mod source;
