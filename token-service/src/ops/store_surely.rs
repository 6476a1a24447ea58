//! Storing what cannot be had again: a provider gives a rotated token once.

use std::{fmt::Display, time::Duration};

use service_kit::error_chain::ErrorChain;
use tokio::time::Instant;

use super::OpError;
use crate::store::StoreError;

/// How long storing is tried: longer than a database takes to fail over or to restart.
const KEEP_TRYING: Duration = Duration::from_mins(3);
/// Wait before the second attempt; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between attempts. It is shorter than the pause of whoever takes over an expired lease.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Runs a transaction again while the database is unavailable. An attempt whose commit was lost and that did happen shows up as a
/// conflict in the next one: `attempt` must compare generations.
pub(super) async fn store_surely<T, F>(
    subject: &(dyn Display + Sync),
    mut attempt: impl FnMut() -> F,
) -> Result<T, OpError>
where
    F: Future<Output = Result<T, OpError>>,
{
    let subject = subject.to_string();
    let mut wait = FIRST_WAIT;
    let give_up = Instant::now() + KEEP_TRYING;
    while Instant::now() < give_up {
        match attempt().await {
            Err(OpError::Store(StoreError::Unavailable(error))) => {
                tracing::warn!(
                    resource.name = subject,
                    error = %ErrorChain(&*error),
                    "what the identity provider gave could not be stored yet, trying again"
                );
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
            }
            other => return other,
        }
    }
    let last = attempt().await;
    if let Err(OpError::Store(StoreError::Unavailable(_))) = &last {
        tracing::error!(
            resource.name = subject,
            "what the identity provider gave could not be stored and is lost"
        );
    }
    last
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn unavailable() -> OpError {
        StoreError::Unavailable("down".into()).into()
    }

    #[tokio::test]
    async fn a_database_that_comes_back_is_waited_for() {
        let attempts = Cell::new(0);
        let stored = store_surely(&"row", || {
            attempts.set(attempts.get() + 1);
            let result = if attempts.get() < 3 { Err(unavailable()) } else { Ok(7) };
            async { result }
        });
        assert_eq!(stored.await.unwrap(), 7);
        assert_eq!(attempts.get(), 3);
    }

    #[tokio::test]
    async fn every_other_failure_is_final() {
        let attempts = Cell::new(0);
        let conflict: Result<(), _> = store_surely(&"row", || {
            attempts.set(attempts.get() + 1);
            async { Err(StoreError::Conflict.into()) }
        })
        .await;
        assert!(matches!(conflict, Err(OpError::Store(StoreError::Conflict))));
        assert_eq!(attempts.get(), 1);
    }
}
