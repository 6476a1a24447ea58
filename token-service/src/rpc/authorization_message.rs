//! An authorization as the wire has it.

use proto::token::v1::{self as wire};

use crate::domain::authorization::{Authorization, AuthorizationState};

/// Builds the message.
pub(super) fn authorization_message(authorization: &Authorization) -> wire::Authorization {
    let state = match authorization.state {
        AuthorizationState::Pending => wire::AuthorizationState::Pending,
        AuthorizationState::Completed => wire::AuthorizationState::Completed,
        AuthorizationState::Declined => wire::AuthorizationState::Declined,
        AuthorizationState::Expired => wire::AuthorizationState::Expired,
        AuthorizationState::Failed { .. } => wire::AuthorizationState::Failed,
    };
    wire::Authorization {
        name: authorization.name.to_string(),
        connection: authorization.connection.to_string(),
        state: state.into(),
        failure_cause: authorization.state.cause().to_owned(),
        create_time: Some(authorization.create_time.to_proto()),
        expire_time: Some(authorization.expire_time.to_proto()),
    }
}
