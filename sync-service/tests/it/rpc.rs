//! What operators call.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use service_kit::status::{status_reason, status_violations};
use simulator::{Endpoint, Fault, FaultKind};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::world::{SOURCE, World, empty_drive, eventually, small_drive, source_name};

fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status_reason(&status).unwrap())
}

async fn create(world: &World, tenant: &str, id: &str, suspended: bool) {
    let connection = format!("tenants/{tenant}/connections/mail");
    let folder = world.home.path().join(tenant).join(id);
    let request = pb::CreateSourceRequest {
        parent: format!("tenants/{tenant}"),
        source_id: id.into(),
        source: Some(pb::Source { connection, suspended, ..world.source_spec(&folder) }),
    };
    world.sources().await.create_source(request).await.unwrap();
}

async fn listed(world: &World, request: pb::ListSourcesRequest) -> (Vec<String>, String) {
    let answer = world.sources().await.list_sources(request).await.unwrap().into_inner();
    (answer.sources.into_iter().map(|source| source.name).collect(), answer.next_page_token)
}

#[tokio::test]
async fn sources_are_listed_page_by_page_and_by_tenant_and_state() {
    let world = World::new(&empty_drive()).await;
    for (tenant, id, suspended) in [("acme", "b", false), ("acme", "e", true), ("zeta", "a", false)] {
        create(&world, tenant, id, suspended).await;
    }
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListSourcesRequest { page_size: 2, page_token, ..Default::default() };
        let (names, next) = listed(&world, request).await;
        assert!(names.len() <= 2);
        all.extend(names);
        if next.is_empty() {
            break;
        }
        page_token = next;
    }
    let acme = ["tenants/acme/sources/b", SOURCE, "tenants/acme/sources/e"];
    assert_eq!(all, [&acme[..], &["tenants/zeta/sources/a"]].concat());

    let request = pb::ListSourcesRequest { parent: "tenants/acme".into(), ..Default::default() };
    assert_eq!(listed(&world, request).await.0, acme);
    let request = pb::ListSourcesRequest { state: pb::SourceState::Suspended.into(), ..Default::default() };
    assert_eq!(listed(&world, request).await.0, ["tenants/acme/sources/e"]);
    let _lease = world.lease().await;
    let request = pb::ListSourcesRequest { state: pb::SourceState::Running.into(), ..Default::default() };
    assert_eq!(listed(&world, request).await.0, [SOURCE]);
    world.end().await;
}

#[tokio::test]
async fn a_page_token_of_another_list_is_refused() {
    let world = World::new(&empty_drive()).await;
    create(&world, "acme", "b", false).await;
    let request = pb::ListSourcesRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = listed(&world, request).await;
    let request =
        pb::ListSourcesRequest { parent: "tenants/acme".into(), page_size: -1, page_token, state: 99 };
    let status = world.sources().await.list_sources(request).await.unwrap_err();
    let fields: Vec<String> = status_violations(&status).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["state", "page_size", "page_token"]);
    world.end().await;
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_source_tenant_and_state() {
    let world = World::new(&empty_drive()).await;
    create(&world, "zeta", "docs", false).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.insert(0, world.run_to_equality().await.name);
    }
    let request = pb::LeaseRunRequest {
        worker: "w".into(),
        source: "tenants/zeta/sources/docs".into(),
        ..Default::default()
    };
    let open = world.workers().await.lease_run(request).await.unwrap().into_inner().lease.unwrap().run;
    let list = async |parent: &str, state: pb::RunState, page_token: String| {
        let request =
            pb::ListRunsRequest { parent: parent.into(), state: state.into(), page_size: 2, page_token };
        let answer = world.runs().await.list_runs(request).await.unwrap().into_inner();
        (answer.runs.into_iter().map(|run| run.name).collect::<Vec<_>>(), answer.next_page_token)
    };
    let (first, next) = list(SOURCE, pb::RunState::Unspecified, String::new()).await;
    assert_eq!(first, made[..2]);
    assert_eq!(list(SOURCE, pb::RunState::Unspecified, next).await, (made[2..].to_vec(), String::new()));
    assert_eq!(list("tenants/zeta", pb::RunState::Unspecified, String::new()).await.0, [open.as_str()]);
    assert_eq!(list("tenants/-/sources/docs", pb::RunState::Running, String::new()).await.0, [open.as_str()]);
    assert_eq!(list("", pb::RunState::Failed, String::new()).await.0, Vec::<String>::new());
    assert_eq!(list("tenants/acme/sources/none", pb::RunState::Unspecified, String::new()).await.0.len(), 0);
    world.end().await;
}

#[tokio::test]
async fn only_what_the_mask_names_changes() {
    let world = World::new(&empty_drive()).await;
    let source = pb::Source {
        name: SOURCE.into(),
        display_name: "Documents".into(),
        interval: Some(prost_types::Duration { seconds: 120, nanos: 0 }),
        suspended: true,
        ..Default::default()
    };
    let mask = |paths: &[&str]| {
        Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
    };
    let update = async |update_mask| {
        let request = pb::UpdateSourceRequest { source: Some(source.clone()), update_mask };
        world.sources().await.update_source(request).await.map(|answer| answer.into_inner().source.unwrap())
    };
    let changed = update(mask(&["display_name", "interval"])).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.suspended), ("Documents", false));
    assert_eq!(changed.interval.unwrap().seconds, 120);
    assert_eq!(update(mask(&["drive"])).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(update(mask(&["suspended"])).await.unwrap().suspended);
    let suspended = (Code::FailedPrecondition, "SOURCE_SUSPENDED".to_owned());
    let request = pb::SyncSourceRequest { name: SOURCE.into() };
    assert_eq!(refusal(world.sources().await.sync_source(request).await), suspended);
    assert!(world.worker().run_source(&source_name()).await.is_err());
    assert!(world.worker().drain().await.unwrap().is_empty(), "what is suspended is never due");
    world.end().await;
}

#[tokio::test]
async fn unknown_names_are_not_found_and_bad_ones_are_refused() {
    let world = World::new(&empty_drive()).await;
    let (mut sources, mut runs) = (world.sources().await, world.runs().await);
    let source = || "tenants/acme/sources/none".to_owned();
    let run = || format!("{SOURCE}/runs/none");
    let no_source = (Code::NotFound, "SOURCE_NOT_FOUND".to_owned());
    let no_run = (Code::NotFound, "RUN_NOT_FOUND".to_owned());
    assert_eq!(refusal(sources.get_source(pb::GetSourceRequest { name: source() }).await), no_source);
    assert_eq!(refusal(sources.sync_source(pb::SyncSourceRequest { name: source() }).await), no_source);
    assert_eq!(refusal(sources.delete_source(pb::DeleteSourceRequest { name: source() }).await), no_source);
    assert_eq!(refusal(runs.get_run(pb::GetRunRequest { name: run() }).await), no_run);
    assert_eq!(refusal(runs.cancel_run(pb::CancelRunRequest { name: run() }).await), no_run);
    assert_eq!(refusal(runs.watch_run(pb::WatchRunRequest { name: run() }).await.map(|_| ())), no_run);
    let request = pb::ApproveDeletionsRequest { name: run(), max_deletions: 1 };
    assert_eq!(refusal(runs.approve_deletions(request).await), no_run);
    let request = pb::LeaseRunRequest { worker: "w".into(), source: source(), ..Default::default() };
    assert_eq!(refusal(world.workers().await.lease_run(request).await), no_source);
    let bad = sources.get_source(pb::GetSourceRequest { name: "tenants/acme".into() }).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    let request = pb::ApproveDeletionsRequest { name: "x".into(), max_deletions: 0 };
    let status = runs.approve_deletions(request).await.unwrap_err();
    assert_eq!(status_violations(&status).len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let world = World::new(&empty_drive()).await;
    let request = pb::CreateSourceRequest {
        parent: "tenants/acme".into(),
        source_id: "docs".into(),
        source: Some(world.source_spec(&world.mirror())),
    };
    let exists = (Code::AlreadyExists, "SOURCE_EXISTS".to_owned());
    assert_eq!(refusal(world.sources().await.create_source(request).await), exists);
    world.end().await;
}

#[tokio::test]
async fn a_deleted_source_stops_its_worker_and_takes_its_runs_along() {
    let world = World::new(&small_drive()).await;
    let stall = FaultKind::HeaderStall { milliseconds: 600_000 };
    world.sim.faults().add(Fault::new(stall).on(Endpoint::Download).skip(5));
    let worker = world.worker();
    let source = source_name();
    let delete = async {
        eventually("transfers", async || world.sim.counters().of(Endpoint::Download) > 5).await;
        let request = pb::DeleteSourceRequest { name: SOURCE.into() };
        world.sources().await.delete_source(request).await.unwrap();
    };
    let (end, ()) = tokio::join!(worker.run_source(&source), delete);
    let end = end.unwrap();
    assert_eq!(
        end.error.as_ref().map(sync_service::worker::WorkerError::reason).as_deref(),
        Some("LEASE_LOST")
    );
    let gone = world.runs().await.get_run(pb::GetRunRequest { name: end.run }).await;
    assert_eq!(refusal(gone), (Code::NotFound, "RUN_NOT_FOUND".to_owned()));
    world.sim.faults().clear();

    // A new source of the same name is another one: it does not take over what the old one left.
    world.clock.advance(std::time::Duration::from_secs(1));
    world.create_source().await;
    let (_, run) = world.run_to_failure().await;
    assert_eq!(run.reason, "DESTINATION_TAKEN");
    world.end().await;
}

#[tokio::test]
async fn watching_a_run_shows_it_to_its_end() {
    let world = World::new(&small_drive()).await;
    world.sim.faults().add(Fault::new(FaultKind::HeaderStall { milliseconds: 100 }).on(Endpoint::Download));
    let worker = world.worker();
    let source = source_name();
    let watch = async {
        eventually("the run", async || !world.get_source().await.latest_run.is_empty()).await;
        let name = world.get_source().await.latest_run;
        let changes = world.runs().await.watch_run(pb::WatchRunRequest { name }).await.unwrap().into_inner();
        changes.map(|change| change.unwrap().run.unwrap()).collect::<Vec<_>>().await
    };
    let (end, seen) = tokio::join!(worker.run_source(&source), watch);
    assert!(end.unwrap().error.is_none());
    assert_eq!(seen.first().unwrap().state(), pb::RunState::Running);
    assert_eq!(seen.last().unwrap().state(), pb::RunState::Succeeded);
    assert!(seen.len() > 2, "progress in between");
    world.end().await;
}

#[tokio::test]
async fn watching_ends_with_the_service() {
    let world = World::new(&empty_drive()).await;
    let name = world.lease().await.run;
    let mut changes = world.runs().await.watch_run(pb::WatchRunRequest { name }).await.unwrap().into_inner();
    assert_eq!(changes.next().await.unwrap().unwrap().run.unwrap().state(), pb::RunState::Running);
    let ((), last) = tokio::join!(world.stop_sync_service(), changes.next());
    assert_eq!(refusal(last.unwrap()), (Code::Unavailable, "SHUTTING_DOWN".to_owned()));
    world.end().await;
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let world = World::new(&empty_drive()).await;
    let channel = World::endpoint(world.sync_address).connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    let services =
        ["sluice.sync.v1.SourceService", "sluice.sync.v1.RunService", "sluice.sync.v1.WorkerService"];
    for service in services {
        let answer =
            health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel);
    let mut answers =
        reflection.server_reflection_info(futures_util::stream::iter([request])).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    for service in services {
        assert!(list.service.iter().any(|listed| listed.name == service), "{service}");
    }
    world.end().await;
}
