//! A connection as the wire has it.

use proto::token::v1::{self as wire};

use crate::{
    domain::connection::{Connection, StateKind},
    ops::{AppHealth, Health, RefreshOutcome},
};

/// Builds the message.
pub(super) fn connection_message(connection: Connection, health: Health) -> wire::Connection {
    let (outcome, outcome_time) = outcome_message(health.outcome);
    let state = connection.state.kind();
    wire::Connection {
        name: connection.name.to_string(),
        display_name: connection.display_name,
        provider: connection.provider,
        client_id: connection.client_id,
        scopes: connection.scopes.iter().map(str::to_owned).collect(),
        account: connection.account.map(|account| wire::Account {
            directory_id: account.directory_id,
            object_id: account.object_id,
            username: account.username,
        }),
        state: state_message(state).into(),
        state_cause: connection.state.cause().to_owned(),
        state_time: Some(connection.state_time.to_proto()),
        create_time: Some(connection.create_time.to_proto()),
        refresh_time: connection.refresh_time.map(service_kit::clock::Timestamp::to_proto),
        app_health: health_message(health.app).into(),
        refresh_outcome: outcome.into(),
        refresh_outcome_time: outcome_time,
    }
}

fn state_message(state: StateKind) -> wire::ConnectionState {
    match state {
        StateKind::Active => wire::ConnectionState::Active,
        StateKind::NeedsReauth => wire::ConnectionState::NeedsReauth,
        StateKind::Blocked => wire::ConnectionState::Blocked,
        StateKind::Revoked => wire::ConnectionState::Revoked,
    }
}

fn outcome_message(outcome: RefreshOutcome) -> (wire::RefreshOutcome, Option<prost_types::Timestamp>) {
    match outcome {
        RefreshOutcome::Known => (wire::RefreshOutcome::Known, None),
        RefreshOutcome::Unknown { since } => {
            (wire::RefreshOutcome::Unknown, since.map(service_kit::clock::Timestamp::to_proto))
        }
    }
}

fn health_message(health: AppHealth) -> wire::AppHealth {
    match health {
        AppHealth::Unknown => wire::AppHealth::Unspecified,
        AppHealth::Healthy => wire::AppHealth::Healthy,
        AppHealth::Misconfigured => wire::AppHealth::Misconfigured,
        AppHealth::Failing => wire::AppHealth::Failing,
    }
}
