//! What follows for sources when a connection breaks, is repaired, or is deleted.

use super::{Ctx, OpError};
use crate::{
    domain::{names::ConnectionName, schedule::SLEEP},
    store::connections,
};

/// What token-service says of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The connection.
    pub name: ConnectionName,
    /// Whether it gives tokens; `None` when it is deleted.
    pub usable: Option<bool>,
}

/// Where the changes are to go on after a restart; empty at the very beginning.
///
/// # Errors
/// When the database fails.
pub async fn resume_token(ctx: &Ctx) -> Result<String, OpError> {
    Ok(connections::resume_token(ctx.store.read()).await?)
}

/// Stores what was told, and how far it goes, in one transaction. Sources of a connection that gives no tokens go to sleep; those of
/// one that does are due at once.
///
/// # Errors
/// When the database fails.
pub async fn told(ctx: &Ctx, told: &[Told], resume_token: Option<&str>) -> Result<(), OpError> {
    let now = ctx.now();
    let (mut asleep, mut awake) = (0, 0);
    let txn = ctx.store.begin().await?;
    for Told { name, usable } in told {
        connections::note(txn.conn(), name, *usable, now).await?;
        if *usable == Some(true) {
            awake += connections::wake(txn.conn(), name, now).await?;
        } else {
            asleep += connections::put_to_sleep(txn.conn(), name, now.saturating_add(SLEEP)).await?;
        }
    }
    if let Some(resume_token) = resume_token {
        connections::set_resume_token(txn.conn(), resume_token).await?;
    }
    txn.commit().await?;
    if asleep + awake > 0 {
        tracing::info!(asleep, awake, "connections changed: sources sleep, or wake");
        ctx.due.notify_waiters();
    }
    Ok(())
}
