//! The gate of every call of a worker: does its lease still hold?

use super::OpError;
use crate::{
    domain::{
        names::{RunName, SourceName},
        run::Run,
        source::Source,
    },
    store::{Connection, runs, sources},
};

/// Reads and locks the source and the run that a lease is for.
///
/// An expired lease that nobody took over is as good as a live one: the epoch alone keeps two workers apart.
///
/// # Errors
/// [`OpError::LeaseLost`] when the source is gone, another worker has taken it, or the run has ended.
pub(super) async fn leased(
    conn: &impl Connection,
    name: &RunName,
    epoch: i64,
) -> Result<(Source, Run), OpError> {
    let lost = || OpError::LeaseLost(name.clone());
    let source_name = SourceName::new(name.tenant().clone(), name.source().clone());
    let source = sources::lock_by_name(conn, &source_name).await?.ok_or_else(lost)?;
    if source.lease.epoch != epoch {
        return Err(lost());
    }
    let key = source.open_run.ok_or_else(lost)?;
    let run = runs::by_key(conn, key).await?.ok_or_else(lost)?;
    if run.id == *name.run() { Ok((source, run)) } else { Err(lost()) }
}
