//! Health of the app registration, as the provider's latest answers show it.

use std::sync::{Mutex, PoisonError};

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
}

/// Keeps the latest finding.
#[derive(Default)]
pub(super) struct AppHealthMonitor(Mutex<AppHealth>);

impl AppHealthMonitor {
    /// The provider accepted the app: it gave a token, or refused something else than the app.
    pub(super) fn record_accepted(&self) {
        if self.replace(AppHealth::Healthy) == AppHealth::Misconfigured {
            tracing::info!("the identity provider accepts the app registration again");
        }
    }

    /// The provider refused the app.
    pub(super) fn record_refused(&self, cause: &str) {
        if self.replace(AppHealth::Misconfigured) != AppHealth::Misconfigured {
            tracing::error!(
                provider.cause = cause,
                "the identity provider refuses the app registration: check client id, secret and directory"
            );
        }
    }

    /// The latest finding.
    pub(super) fn current(&self) -> AppHealth {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, health: AppHealth) -> AppHealth {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), health)
    }
}
