//! `ListConnections`.

use std::sync::Arc;

use proto::token::v1::{self as wire, ListConnectionsRequest, ListConnectionsResponse};
use service_kit::{
    paging::{PageRequest, next_page_token},
    resource_name::ResourceId,
    status::{ApiError, Violations},
};

use super::{connection_message::connection_message, request_fields, status::api_error};
use crate::{
    domain::connection::StateKind,
    ops::{Context, connection_requests::list_connections},
    store::ConnectionFilter,
};

/// Parts of the sort key: the name.
const SORT_COLUMNS: usize = 1;

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &ListConnectionsRequest,
) -> Result<ListConnectionsResponse, ApiError> {
    let (filter, list, page) = parse(request)?;
    let after = page.after.as_ref().and_then(|key| key.first()).map(String::as_str);
    // One more than asked for tells whether there is another page.
    let mut found = list_connections(context, &filter, after, u64::from(page.size) + 1)
        .await
        .map_err(|error| api_error(&error))?;
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let has_more = found.len() > size;
    found.truncate(size);
    let last_name = found.last().map(|(connection, _)| connection.name.to_string());
    let next_page_token =
        last_name.filter(|_| has_more).map(|name| next_page_token(&list, &[&name])).unwrap_or_default();
    let connections =
        found.into_iter().map(|(connection, health)| connection_message(connection, health)).collect();
    Ok(ListConnectionsResponse { connections, next_page_token })
}

fn parse(request: &ListConnectionsRequest) -> Result<(ConnectionFilter, String, PageRequest), ApiError> {
    let mut violations = Violations::new();
    let tenant = violations.check("parent", request_fields::tenant(&request.parent));
    let state = violations.check("state", state(request.state));
    let tenant_text = tenant.as_ref().and_then(Option::as_ref).map_or("-", ResourceId::as_str);
    let list = format!("connections of {tenant_text} in state {}", request.state);
    let page =
        PageRequest::parse(request.page_size, &request.page_token, &list, SORT_COLUMNS, &mut violations);
    let parsed = || Some((ConnectionFilter { tenant: tenant?, state: state? }, list, page?));
    request_fields::complete(violations, parsed())
}

fn state(number: i32) -> Result<Option<StateKind>, String> {
    match wire::ConnectionState::try_from(number) {
        Ok(wire::ConnectionState::Unspecified) => Ok(None),
        Ok(wire::ConnectionState::Active) => Ok(Some(StateKind::Active)),
        Ok(wire::ConnectionState::NeedsReauth) => Ok(Some(StateKind::NeedsReauth)),
        Ok(wire::ConnectionState::Blocked) => Ok(Some(StateKind::Blocked)),
        Ok(wire::ConnectionState::Revoked) => Ok(Some(StateKind::Revoked)),
        Err(_) => Err(format!("{number} is not a state")),
    }
}
