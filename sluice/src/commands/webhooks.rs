//! `sluice webhooks`: what webhook endpoints were not told.

use clap::{Args, ValueEnum};
use proto::token::v1::{ListWebhookDeliveriesRequest, WebhookDeliveryState};
use serde::Serialize;
use service_kit::exit::Exit;

use crate::{
    client::{Endpoints, MAX_ROWS, all_pages, call},
    failure::Failure,
    names::{self, TenantName},
    output::{Output, table},
    view::{WebhookDelivery, in_words},
};

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only of this tenant's connections.
    #[arg(long, value_parser = names::tenant)]
    tenant: Option<TenantName>,
    /// Only in this state.
    #[arg(long)]
    state: Option<State>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    GivenUp,
}

#[derive(Serialize)]
struct List {
    deliveries: Vec<WebhookDelivery>,
}

/// Lists what was not delivered.
///
/// # Errors
/// The service is not there or refuses.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let client = endpoints.webhooks().await?;
    let parent = arguments.tenant.as_ref().map(ToString::to_string).unwrap_or_default();
    let state = match arguments.state {
        None => WebhookDeliveryState::Unspecified,
        Some(State::Pending) => WebhookDeliveryState::Pending,
        Some(State::GivenUp) => WebhookDeliveryState::GivenUp,
    };
    let deliveries: Vec<WebhookDelivery> =
        all_pages("list what was not delivered", MAX_ROWS, async |page_token, page_size| {
            let request = ListWebhookDeliveriesRequest {
                parent: parent.clone(),
                page_size,
                page_token,
                state: state.into(),
            };
            let page = client.clone().list_webhook_deliveries(call(request)).await?.into_inner();
            Ok((page.deliveries, page.next_page_token))
        })
        .await?;
    if deliveries.is_empty() {
        output.note("nothing: every endpoint was told of everything");
    }
    output.result(&List { deliveries }, |list| {
        let rows = list.deliveries.iter().map(|delivery| {
            vec![
                delivery.endpoint.clone(),
                in_words(&delivery.state),
                delivery.connection.clone(),
                delivery.event_type.clone().unwrap_or_default(),
                delivery.change_time.clone().unwrap_or_default(),
                delivery.attempts.to_string(),
                delivery.last_failure.clone().unwrap_or_default(),
            ]
        });
        table(&["ENDPOINT", "STATE", "CONNECTION", "EVENT", "CHANGED", "ATTEMPTS", "LAST FAILURE"], rows)
    })?;
    Ok(Exit::Done)
}
