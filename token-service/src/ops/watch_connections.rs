//! Follows the state changes of connections.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use service_kit::{clock::Timestamp, resource_name::ResourceId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Context, Health, OpError, connection_requests::get_connection};
use crate::{
    domain::{
        connection::{Connection, ConnectionState},
        names::ConnectionName,
    },
    store::ConnectionChange,
};

/// Most changes that are read at once for one watcher.
const BATCH: u64 = 100;
/// How often a watcher reads although it heard of nothing.
const REREAD_EVERY: Duration = Duration::from_secs(5);
/// How long changes are kept for watchers to resume.
pub const KEEP_CHANGES: Duration = Duration::from_hours(7 * 24);

/// Where a watcher stands: it has seen every change up to this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position(i64);

impl Position {
    /// The position after the change with this number.
    pub fn from_sequence(sequence: i64) -> Option<Self> {
        (sequence >= 0).then_some(Self(sequence))
    }

    /// Number of the last change seen.
    pub fn sequence(self) -> i64 {
        self.0
    }
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Watched {
    /// Nothing yet; this is where the watcher stands.
    Started(Position),
    /// The state of a connection changed.
    Changed {
        /// The connection as it is now.
        connection: Box<Connection>,
        /// How it fares now.
        health: Health,
        /// Its state after the change.
        state: ConnectionState,
        /// Since when.
        since: Timestamp,
        /// Where the watcher stands after this.
        position: Position,
    },
    /// A connection was deleted, now or, of an earlier change, since.
    Deleted {
        /// Its name.
        connection: ConnectionName,
        /// Where the watcher stands after this.
        position: Position,
    },
}

/// Streams changes of one tenant or of all, after `from` or from now on. Shutting down ends the stream with
/// [`OpError::ShuttingDown`].
pub async fn watch_connections(
    context: Arc<Context>,
    tenant: Option<ResourceId>,
    from: Option<Position>,
) -> Result<impl Stream<Item = Result<Watched, OpError>> + Send + 'static, OpError> {
    let latest = context.changes.subscribe();
    let count = context.store.change_count().await?;
    let position = from.map_or(count.latest, Position::sequence);
    if position < count.pruned || position > count.latest {
        return Err(OpError::ResumeTokenExpired);
    }
    let started = from.is_none().then_some(Position(position));
    let shutdown = context.lifecycle.shutdown_token();
    let pending = VecDeque::new();
    let watch = Watch { context, tenant, latest, shutdown, position, started, pending, ended: false };
    Ok(stream::unfold(watch, |mut watch| async move {
        if watch.ended {
            return None;
        }
        let item = watch.next().await;
        watch.ended = item.is_err();
        Some((item, watch))
    }))
}

struct Watch {
    context: Arc<Context>,
    tenant: Option<ResourceId>,
    latest: watch::Receiver<i64>,
    shutdown: CancellationToken,
    position: i64,
    started: Option<Position>,
    pending: VecDeque<ConnectionChange>,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Result<Watched, OpError> {
        if let Some(position) = self.started.take() {
            return Ok(Watched::Started(position));
        }
        loop {
            if let Some(change) = self.pending.pop_front() {
                self.position = change.sequence;
                return self.describe(change).await;
            }
            // First the number, then the rows: a change in between wakes us.
            self.latest.mark_unchanged();
            let changes = self.context.store.list_changes(self.position, self.tenant.as_ref(), BATCH).await?;
            if changes.is_empty() {
                self.wait().await?;
            }
            self.pending.extend(changes);
        }
    }

    async fn describe(&self, change: ConnectionChange) -> Result<Watched, OpError> {
        let position = Position(change.sequence);
        let gone = Watched::Deleted { connection: change.connection.clone(), position };
        let Some(state) = change.state else { return Ok(gone) };
        match get_connection(&self.context, &change.connection).await {
            Ok((connection, health)) => {
                let since = change.state_time;
                Ok(Watched::Changed { connection: Box::new(connection), health, state, since, position })
            }
            Err(OpError::ConnectionNotFound(_)) => Ok(gone),
            Err(error) => Err(error),
        }
    }

    async fn wait(&mut self) -> Result<(), OpError> {
        tokio::select! {
            () = self.shutdown.cancelled() => Err(OpError::ShuttingDown),
            () = tokio::time::sleep(REREAD_EVERY) => Ok(()),
            changed = self.latest.changed() => changed.map_err(|_closed| OpError::ShuttingDown),
        }
    }
}
