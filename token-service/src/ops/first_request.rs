//! What it means when the provider does not do what a connection is to be made with: as yet there is none whose state could change.

use std::time::Duration;

use service_kit::error_chain::ErrorChain;

use super::{OpError, error::RefusedPart};
use crate::provider::{Fault, ProviderError, Refusal};

/// Wait that is suggested when the provider failed without naming one.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the caller is told. `otherwise` says what a refusal means that is neither passing nor about the caller's own scopes.
pub(super) fn first_request_error(
    error: ProviderError,
    are_callers_scopes: bool,
    otherwise: impl FnOnce(&Refusal) -> OpError,
) -> OpError {
    let refusal = match error {
        ProviderError::Refused(refusal) => refusal,
        ProviderError::Unreachable(_) | ProviderError::OutcomeUnknown(_) => {
            tracing::warn!(error = %ErrorChain(&error), "an import or a device authorization brought no answer");
            return OpError::ProviderUnavailable { cause: "no answer".to_owned(), retry_after: RETRY_AFTER };
        }
    };
    match refusal {
        Refusal::Transient { cause, retry_after } => {
            OpError::ProviderUnavailable { cause, retry_after: retry_after.unwrap_or(RETRY_AFTER) }
        }
        Refusal::Throttled { cause, retry_after, .. } => OpError::ProviderThrottled { cause, retry_after },
        Refusal::CallerFault { cause, fault: Fault::Scopes } if are_callers_scopes => {
            OpError::RequestRefused { part: RefusedPart::Scopes, cause }
        }
        other @ (Refusal::NeedsReauth { .. }
        | Refusal::Blocked { .. }
        | Refusal::AppMisconfigured { .. }
        | Refusal::CallerFault { .. }
        | Refusal::DevicePending
        | Refusal::DeviceSlowDown
        | Refusal::DeviceDeclined
        | Refusal::DeviceExpired
        | Refusal::CodeRefused { .. }) => otherwise(&other),
    }
}
