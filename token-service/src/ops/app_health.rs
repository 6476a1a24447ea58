//! Health of the app registration, as the provider's latest answers show it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use service_kit::clock::Timestamp;

use super::OpError;
use crate::domain::{
    app_breaker::{AppBreaker, Standing, Trip},
    names::ConnectionName,
};

/// Health of the app registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AppHealth {
    /// Nothing was asked of the provider since the service started.
    #[default]
    Unknown,
    /// The provider accepts the app.
    Healthy,
    /// The provider refuses the app itself.
    Misconfigured,
    /// Many connections of the app fail at once.
    Failing,
}

/// How a connection fares beside its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Health of the app registration behind it.
    pub app: AppHealth,
    /// What is known about its last refresh.
    pub outcome: RefreshOutcome,
}

/// What is known about the last refresh of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RefreshOutcome {
    /// The provider's answer, or that nothing was sent.
    #[default]
    Known,
    /// A request was sent and its answer is lost: the refresh token at hand may have been replaced.
    Unknown {
        /// When that was noticed; nothing while nobody has looked yet.
        since: Option<Timestamp>,
    },
}

/// The breaker of this service's app registration, and what it says about the app's health.
#[derive(Default)]
pub(super) struct AppHealthMonitor(Mutex<AppBreaker>);

impl AppHealthMonitor {
    /// Lets a request to the provider pass, or gives the failure to answer instead.
    pub(super) fn admit(&self, now: Timestamp) -> Result<(), OpError> {
        self.lock().admit(now).map_err(|Standing { trip, cause, wait }| match trip {
            Trip::Refused => OpError::ProviderMisconfigured { cause },
            Trip::ManyFailures => OpError::ProviderUnavailable { cause, retry_after: wait },
        })
    }

    /// The provider gave a token.
    pub(super) fn record_success(&self, connection: &ConnectionName, now: Timestamp) {
        self.change(|breaker| breaker.succeeded(connection, now), "");
    }

    /// The provider refused something else than the app.
    pub(super) fn record_accepted(&self) {
        self.change(AppBreaker::accepted, "");
    }

    /// The provider refused the app.
    pub(super) fn record_refused(&self, cause: &str, now: Timestamp) {
        self.change(|breaker| breaker.refused(cause, now), cause);
    }

    /// A connection failed in a way that need not be its own fault.
    pub(super) fn record_failure(&self, connection: &ConnectionName, cause: &str, now: Timestamp) {
        self.change(|breaker| breaker.failed(connection, cause, now), cause);
    }

    /// The latest finding.
    pub(super) fn current(&self) -> AppHealth {
        let breaker = self.lock();
        match breaker.trip() {
            Some(Trip::Refused) => AppHealth::Misconfigured,
            Some(Trip::ManyFailures) => AppHealth::Failing,
            None if breaker.was_asked() => AppHealth::Healthy,
            None => AppHealth::Unknown,
        }
    }

    fn change(&self, change: impl FnOnce(&mut AppBreaker), cause: &str) {
        let mut breaker = self.lock();
        let before = breaker.trip();
        change(&mut breaker);
        let after = breaker.trip();
        drop(breaker);
        match after {
            _ if before == after => {}
            None => tracing::info!("the identity provider serves the app registration again"),
            Some(Trip::Refused) => tracing::error!(
                provider.cause = cause,
                "the identity provider refuses the app registration: check client id, secret and directory"
            ),
            Some(Trip::ManyFailures) => tracing::error!(
                provider.cause = cause,
                "many connections fail at once: the identity provider is only probed until one succeeds"
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, AppBreaker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
