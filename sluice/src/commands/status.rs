//! `sluice status`: whether the services are up, and how connections and sources are doing.

use std::collections::BTreeMap;

use clap::Args;
use proto::{sync::v1::SourceState, token::v1::ConnectionState};
use serde::Serialize;
use service_kit::exit::Exit;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    client::{Endpoints, Service, call},
    commands::{connections, source},
    failure::Failure,
    output::{Output, details, printable, table},
    view::in_words,
};

/// What can be asked for: nothing in particular.
#[derive(Args, Debug)]
pub struct Arguments {}

#[derive(Serialize)]
struct Report {
    services: Vec<ServiceReport>,
    /// Number of connections in each state; `null` when they could not be counted.
    connections: Option<BTreeMap<String, usize>>,
    /// Number of sources in each state; `null` when they could not be counted.
    sources: Option<BTreeMap<String, usize>>,
}

#[derive(Serialize)]
struct ServiceReport {
    name: &'static str,
    address: String,
    up: bool,
    /// Why it is not up.
    detail: Option<String>,
}

/// Shows how things are; the exit code is 69 when a service is down.
///
/// # Errors
/// Stdout cannot be written.
pub async fn run(_: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let (token, sync) = tokio::join!(check(Service::Token, endpoints), check(Service::Sync, endpoints));
    let mut services = vec![token, sync];
    let connections = count(&mut services, Service::Token, async {
        let all = connections::fetch(None, ConnectionState::Unspecified, endpoints).await?;
        Ok(by_state(all.into_iter().map(|connection| connection.state)))
    })
    .await;
    let sources = count(&mut services, Service::Sync, async {
        let all = source::fetch(None, SourceState::Unspecified, endpoints).await?;
        Ok(by_state(all.into_iter().map(|source| source.state)))
    })
    .await;
    let exit = if services.iter().all(|service| service.up) { Exit::Done } else { Exit::Unavailable };
    output.result(&Report { services, connections, sources }, text)?;
    Ok(exit)
}

async fn check(service: Service, endpoints: &Endpoints) -> ServiceReport {
    let address = match service {
        Service::Token => &endpoints.token_service,
        Service::Sync => &endpoints.sync_service,
    };
    let detail = match endpoints.channel(service).await {
        Err(failure) => Some(failure.line().to_owned()),
        Ok(channel) => {
            match HealthClient::new(channel).check(call(HealthCheckRequest { service: String::new() })).await
            {
                Err(status) => Some(Failure::from_status("ask for its health", &status).line().to_owned()),
                Ok(answer) => match answer.into_inner().status() {
                    ServingStatus::Serving => None,
                    ServingStatus::NotServing | ServingStatus::Unknown | ServingStatus::ServiceUnknown => {
                        Some("it is not serving, for example because it is shutting down".to_owned())
                    }
                },
            }
        }
    };
    ServiceReport { name: service.name(), address: address.to_string(), up: detail.is_none(), detail }
}

/// Counts what a service keeps if it is up. One that says it is up and cannot be asked is not.
async fn count(
    services: &mut [ServiceReport],
    service: Service,
    counting: impl Future<Output = Result<BTreeMap<String, usize>, Failure>>,
) -> Option<BTreeMap<String, usize>> {
    let report = services.iter_mut().find(|report| report.name == service.name() && report.up)?;
    match counting.await {
        Ok(counts) => Some(counts),
        Err(failure) => {
            report.up = false;
            report.detail = Some(failure.line().to_owned());
            None
        }
    }
}

fn by_state(states: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    states.fold(BTreeMap::new(), |mut counts, state| {
        *counts.entry(state).or_default() += 1;
        counts
    })
}

fn text(report: &Report) -> String {
    let rows = report.services.iter().map(|service| {
        vec![
            service.name.to_owned(),
            if service.up { "up" } else { "down" }.to_owned(),
            service.address.clone(),
        ]
    });
    let mut text = table(&["SERVICE", "STATE", "ADDRESS"], rows);
    for detail in report.services.iter().filter_map(|service| service.detail.as_ref()) {
        text.push('\n');
        text.push_str(&printable(detail));
    }
    text.push_str("\n\n");
    text.push_str(&details(&[
        ("connections", &counts(report.connections.as_ref())),
        ("sources", &counts(report.sources.as_ref())),
    ]));
    text
}

fn counts(counts: Option<&BTreeMap<String, usize>>) -> String {
    let Some(counts) = counts else { return "not known".to_owned() };
    let parts: Vec<String> =
        counts.iter().map(|(state, number)| format!("{number} {}", in_words(state))).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
