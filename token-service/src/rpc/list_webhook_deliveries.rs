//! `ListWebhookDeliveries`.

use std::sync::Arc;

use proto::token::v1::{
    self as wire, ListWebhookDeliveriesRequest, ListWebhookDeliveriesResponse, WebhookDeliveryState,
};
use service_kit::{
    clock::Timestamp,
    paging::{PageRequest, next_page_token},
    resource_name::ResourceId,
    status::{ApiError, Violations},
};

use super::{request_fields, status::api_error};
use crate::{
    domain::webhook::{event_type, message_id},
    ops::{Context, deliver_webhooks::list_deliveries},
    store::{DeliveryFilter, WaitingDelivery},
};

/// Parts of the sort key: the endpoint and the number of the change.
const SORT_COLUMNS: usize = 2;

/// What was asked for, the name of the list, and the row to begin after.
struct Parsed {
    filter: DeliveryFilter,
    list: String,
    size: u32,
    after: Option<(String, i64)>,
}

pub(super) async fn handle(
    context: &Arc<Context>,
    request: &ListWebhookDeliveriesRequest,
) -> Result<ListWebhookDeliveriesResponse, ApiError> {
    let Parsed { filter, list, size, after } = parse(request)?;
    let after = after.as_ref().map(|(endpoint, sequence)| (endpoint.as_str(), *sequence));
    // One more than asked for tells whether there is another page.
    let mut found = list_deliveries(context, &filter, after, u64::from(size) + 1)
        .await
        .map_err(|error| api_error(&error))?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let has_more = found.len() > size;
    found.truncate(size);
    let token =
        |last: &WaitingDelivery| next_page_token(&list, &[&last.endpoint, &last.sequence.to_string()]);
    let next_page_token = found.last().filter(|_| has_more).map(token).unwrap_or_default();
    Ok(ListWebhookDeliveriesResponse {
        deliveries: found.into_iter().map(message).collect(),
        next_page_token,
    })
}

fn parse(request: &ListWebhookDeliveriesRequest) -> Result<Parsed, ApiError> {
    let mut violations = Violations::new();
    let tenant = violations.check("parent", request_fields::tenant(&request.parent));
    let given_up = violations.check("state", given_up(request.state));
    let tenant_text = tenant.as_ref().and_then(Option::as_ref).map_or("-", ResourceId::as_str);
    let list = format!("webhook deliveries of {tenant_text} in state {}", request.state);
    let page =
        PageRequest::parse(request.page_size, &request.page_token, &list, SORT_COLUMNS, &mut violations);
    let after = page.as_ref().map(|page| sort_key(page.after.as_deref()));
    let after = after.and_then(|after| violations.check("page_token", after));
    let parsed = || {
        let filter = DeliveryFilter { tenant: tenant?, given_up: given_up? };
        Some(Parsed { filter, list, size: page?.size, after: after? })
    };
    request_fields::complete(violations, parsed())
}

/// The row to begin after. What a token holds was ours once, but anybody can make one up.
fn sort_key(parts: Option<&[String]>) -> Result<Option<(String, i64)>, &'static str> {
    match parts {
        None => Ok(None),
        Some([endpoint, sequence]) => {
            let sequence = sequence.parse().map_err(|_not_a_number| "is not a token of this list")?;
            Ok(Some((endpoint.clone(), sequence)))
        }
        Some(_) => Err("is not a token of this list"),
    }
}

fn given_up(number: i32) -> Result<Option<bool>, String> {
    match WebhookDeliveryState::try_from(number) {
        Ok(WebhookDeliveryState::Unspecified) => Ok(None),
        Ok(WebhookDeliveryState::Pending) => Ok(Some(false)),
        Ok(WebhookDeliveryState::GivenUp) => Ok(Some(true)),
        Err(_) => Err(format!("{number} is not a state")),
    }
}

fn message(delivery: WaitingDelivery) -> wire::WebhookDelivery {
    let change = delivery.change.as_ref();
    let is_given_up = delivery.give_up_time.is_some();
    let state = if is_given_up { WebhookDeliveryState::GivenUp } else { WebhookDeliveryState::Pending };
    wire::WebhookDelivery {
        connection: delivery.connection.to_string(),
        state: state.into(),
        webhook_id: change.map(|change| message_id(change.sequence, change.change_time)).unwrap_or_default(),
        event_type: change.map(|change| event_type(change.state.as_ref()).to_owned()).unwrap_or_default(),
        change_time: change.map(|change| change.change_time.to_proto()),
        attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
        next_attempt_time: (!is_given_up).then(|| delivery.next_attempt_time.to_proto()),
        give_up_time: delivery.give_up_time.map(Timestamp::to_proto),
        endpoint: delivery.endpoint,
        last_failure: delivery.last_failure,
    }
}
