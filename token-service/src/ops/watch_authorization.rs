//! Reads and follows authorizations.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{Context, Health, OpError, connection_requests::get_connection};
use crate::{
    domain::{
        authorization::{Authorization, AuthorizationState},
        connection::Connection,
        names::AuthorizationName,
    },
    store::StoreError,
};

/// How often a watcher reads the database although nothing woke it: another replica may have made the change.
const REREAD_EVERY: Duration = Duration::from_secs(2);

/// An authorization at one instant, with the connection once it is completed.
#[derive(Clone, Debug)]
pub struct AuthorizationView {
    /// The authorization.
    pub authorization: Authorization,
    /// The connection, where the authorization is completed and the connection still there.
    pub connection: Option<(Connection, Health)>,
}

/// Reads an authorization.
pub async fn get_authorization(
    context: &Context,
    name: &AuthorizationName,
) -> Result<Authorization, OpError> {
    let found = context.store.get_authorization(name).await;
    found.map(|stored| stored.authorization).map_err(|error| match error {
        StoreError::NotFound => OpError::AuthorizationNotFound(name.clone()),
        StoreError::Conflict
        | StoreError::AlreadyExists
        | StoreError::Inconsistent { .. }
        | StoreError::Unavailable(_) => OpError::Store(error),
    })
}

/// Follows an authorization: its state at once, then each change, until it has ended. Shutting down ends the stream with
/// [`OpError::ShuttingDown`].
pub async fn watch_authorization(
    context: Arc<Context>,
    name: AuthorizationName,
) -> Result<impl Stream<Item = Result<AuthorizationView, OpError>> + Send + 'static, OpError> {
    // First the signals, then the row: a change in between wakes the watcher.
    let signals = context.signals.subscribe();
    let first = view(&context, &name).await?;
    let shutdown = context.lifecycle.shutdown_token();
    let watch = Watch { context, name, signals, shutdown, shown: None, next: Some(first), ended: false };
    Ok(stream::unfold(watch, |mut watch| async move {
        let item = watch.advance().await?;
        Some((item, watch))
    }))
}

struct Watch {
    context: Arc<Context>,
    name: AuthorizationName,
    signals: Receiver<AuthorizationName>,
    shutdown: CancellationToken,
    shown: Option<AuthorizationState>,
    next: Option<AuthorizationView>,
    ended: bool,
}

impl Watch {
    async fn advance(&mut self) -> Option<Result<AuthorizationView, OpError>> {
        if self.ended {
            return None;
        }
        loop {
            let current = match self.next.take() {
                Some(first) => Ok(first),
                None => view(&self.context, &self.name).await,
            };
            match current {
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Ok(current) if self.shown.as_ref() != Some(&current.authorization.state) => {
                    self.ended = current.authorization.state.is_terminal();
                    self.shown = Some(current.authorization.state.clone());
                    return Some(Ok(current));
                }
                Ok(_) => {}
            }
            if self.wait_for_change().await.is_none() {
                self.ended = true;
                return Some(Err(OpError::ShuttingDown));
            }
        }
    }

    /// Waits until it is worth reading again; nothing when the service stops.
    async fn wait_for_change(&mut self) -> Option<()> {
        let reread = tokio::time::sleep(REREAD_EVERY);
        tokio::pin!(reread);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = &mut reread => return Some(()),
                signal = self.signals.recv() => match signal {
                    Ok(changed) if changed != self.name => {}
                    Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => return Some(()),
                },
            }
        }
    }
}

async fn view(context: &Context, name: &AuthorizationName) -> Result<AuthorizationView, OpError> {
    let authorization = get_authorization(context, name).await?;
    let connection = if authorization.state == AuthorizationState::Completed {
        match get_connection(context, &authorization.connection).await {
            Ok(found) => Some(found),
            Err(OpError::ConnectionNotFound(_)) => None,
            Err(error) => return Err(error),
        }
    } else {
        None
    };
    Ok(AuthorizationView { authorization, connection })
}
