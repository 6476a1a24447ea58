//! Whether the token database answers, as the task that follows its changes finds out several times a second. While it does
//! not, nobody waits for it: tokens in memory are served, everything else fails at once.

use tokio::sync::watch;

use super::OpError;

/// What was found last.
pub(super) struct DatabaseState(watch::Sender<bool>);

impl DatabaseState {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    /// Says what was found.
    pub(super) fn set(&self, is_up: bool) {
        let changed = self.0.send_if_modified(|was_up| std::mem::replace(was_up, is_up) != is_up);
        match (changed, is_up) {
            (true, true) => tracing::info!("the token database answers again"),
            (true, false) => {
                tracing::error!("the token database does not answer: only tokens in memory can be served");
            }
            (false, _) => {}
        }
    }

    /// Whether it answers, whenever that changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Waits until it does not answer.
    pub(super) async fn down(&self) {
        // The sender lives as long as we do.
        drop(self.0.subscribe().wait_for(|is_up| !is_up).await);
    }

    /// Does what needs the database, unless that does not answer.
    pub(super) async fn or_down<T>(
        &self,
        work: impl Future<Output = Result<T, OpError>>,
    ) -> Result<T, OpError> {
        tokio::select! {
            biased;
            () = self.down() => Err(OpError::DatabaseDown),
            result = work => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_database_that_is_down() {
        let state = DatabaseState::new();
        assert!(state.or_down(async { Ok(()) }).await.is_ok());
        let waiting = state.or_down(std::future::pending::<Result<(), OpError>>());
        let (waited, ()) = tokio::join!(waiting, async { state.set(false) });
        assert!(matches!(waited, Err(OpError::DatabaseDown)));
        assert!(state.or_down(async { Ok(()) }).await.is_err(), "nothing is begun");
        state.set(true);
        assert!(state.or_down(async { Ok(()) }).await.is_ok());
    }
}
