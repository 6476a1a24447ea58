//! Leases seen from a worker that does everything by hand, also what it should not.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use service_kit::status::{status_reason, status_retry_after, status_violations};
use tonic::{Code, Status};

use crate::world::{SOURCE, World, empty_drive};

fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status_reason(&status).unwrap())
}

fn lost() -> (Code, String) {
    (Code::Aborted, "LEASE_LOST".to_owned())
}

fn page(lease: &pb::Lease, read_with: &str, link: pb::delta_page::Link) -> pb::CommitPageRequest {
    let item = |id: &str, kind: pb::DriveItemKind| pb::DriveItem {
        id: id.into(),
        parent_id: if id == "root" { String::new() } else { "root".into() },
        name: id.into(),
        kind: kind.into(),
        ..Default::default()
    };
    let items = vec![item("root", pb::DriveItemKind::Root), item("folder", pb::DriveItemKind::Folder)];
    pb::CommitPageRequest {
        run: lease.run.clone(),
        epoch: lease.epoch,
        read_with: read_with.into(),
        result: Some(pb::commit_page_request::Result::Page(pb::DeltaPage { items, link: Some(link) })),
        ..Default::default()
    }
}

fn next(link: &str) -> pb::delta_page::Link {
    pb::delta_page::Link::NextLink(link.into())
}

fn delta(link: &str) -> pb::delta_page::Link {
    pb::delta_page::Link::DeltaLink(link.into())
}

fn finish(lease: &pb::Lease) -> pb::FinishRunRequest {
    pb::FinishRunRequest {
        run: lease.run.clone(),
        epoch: lease.epoch,
        state: pb::FinishState::Completed.into(),
        ..Default::default()
    }
}

async fn actions(world: &World, lease: &pb::Lease) -> Result<Vec<pb::Action>, Status> {
    let request = pb::ListActionsRequest { run: lease.run.clone(), epoch: lease.epoch, ..Default::default() };
    let pages: Vec<_> = world.workers().await.list_actions(request).await?.into_inner().collect().await;
    Ok(pages.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flat_map(|page| page.actions).collect())
}

#[tokio::test]
async fn every_call_of_a_worker_that_was_replaced_is_refused_and_changes_nothing() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let stale = world.lease().await;
    client.commit_page(page(&stale, "", delta("d"))).await.unwrap();
    let action = actions(&world, &stale).await.unwrap().remove(0);
    world.expire_leases();
    let fresh = world.lease().await;
    assert_eq!((fresh.run.as_str(), fresh.epoch), (stale.run.as_str(), stale.epoch + 1));
    let before = world.get_run(&fresh.run).await;

    let (run, epoch) = (stale.run.clone(), stale.epoch);
    let renewal = pb::RenewLeaseRequest {
        run: run.clone(),
        epoch,
        graph_requests: 99,
        bytes_received: 99,
        activity: None,
    };
    assert_eq!(refusal(client.renew_lease(renewal).await), lost());
    assert_eq!(refusal(client.commit_page(page(&stale, "d", delta("e"))).await), lost());
    assert_eq!(refusal(actions(&world, &stale).await), lost());
    let outcome = pb::Outcome {
        item_id: action.item_id,
        token: action.token,
        result: Some(pb::outcome::Result::Done(pb::Done::default())),
        notices: Vec::new(),
    };
    let report = pb::ReportOutcomesRequest { run: run.clone(), epoch, outcomes: vec![outcome] };
    assert_eq!(refusal(client.report_outcomes(report).await), lost());
    assert_eq!(refusal(client.finish_run(finish(&stale)).await), lost());

    assert_eq!(world.get_run(&fresh.run).await, before);
    client.commit_page(page(&fresh, "d", delta("d2"))).await.unwrap();
    assert_eq!(actions(&world, &fresh).await.unwrap().len(), 1, "the stale report counted for nothing");
    world.end().await;
}

#[tokio::test]
async fn an_expired_lease_that_nobody_took_over_still_holds() {
    let world = World::new(&empty_drive()).await;
    let lease = world.lease().await;
    world.expire_leases();
    world.workers().await.commit_page(page(&lease, "", delta("d"))).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn the_page_stored_last_may_come_again_and_no_other() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let lease = world.lease().await;
    let first = client.commit_page(page(&lease, "", next("2"))).await.unwrap().into_inner();
    assert_eq!((first.cursor.as_str(), first.listing_complete), ("2", false));
    assert_eq!(client.commit_page(page(&lease, "", next("2"))).await.unwrap().into_inner(), first);
    assert_eq!(world.get_run(&lease.run).await.stats.unwrap().pages, 1, "it counts once");
    let mismatch = (Code::FailedPrecondition, "CURSOR_MISMATCH".to_owned());
    assert_eq!(refusal(client.commit_page(page(&lease, "", next("other"))).await), mismatch);
    assert_eq!(refusal(client.commit_page(page(&lease, "7", delta("d"))).await), mismatch);
    let resync = pb::CommitPageRequest {
        result: Some(pb::commit_page_request::Result::ResyncRequired(pb::ResyncRequired {})),
        ..page(&lease, "7", next("-"))
    };
    assert_eq!(refusal(client.commit_page(resync).await), mismatch);
    world.end().await;
}

#[tokio::test]
async fn actions_wait_for_the_complete_listing_also_after_a_takeover() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let lease = world.lease().await;
    let incomplete = (Code::FailedPrecondition, "LISTING_INCOMPLETE".to_owned());
    assert_eq!(refusal(actions(&world, &lease).await), incomplete);
    client.commit_page(page(&lease, "", next("2"))).await.unwrap();
    assert_eq!(refusal(actions(&world, &lease).await), incomplete);
    client.commit_page(page(&lease, "2", delta("d"))).await.unwrap();
    assert_eq!(actions(&world, &lease).await.unwrap().len(), 1);
    world.expire_leases();
    let lease = world.lease().await;
    assert_eq!(refusal(actions(&world, &lease).await), incomplete);
    world.end().await;
}

#[tokio::test]
async fn a_run_is_not_done_because_a_worker_says_so() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let lease = world.lease().await;
    client.finish_run(finish(&lease)).await.unwrap();
    let run = world.get_run(&lease.run).await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "LISTING_INCOMPLETE"));

    let lease = world.lease().await;
    client.commit_page(page(&lease, "", delta("d"))).await.unwrap();
    let left = client.finish_run(finish(&lease)).await.unwrap().into_inner();
    assert_eq!(left.items_left, 1);
    assert_eq!(world.get_run(&lease.run).await.state(), pb::RunState::Partial);
    world.end().await;
}

#[tokio::test]
async fn the_end_of_a_run_may_be_told_twice() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let lease = world.lease().await;
    client.commit_page(page(&lease, "", delta("d"))).await.unwrap();
    let first = client.finish_run(finish(&lease)).await.unwrap().into_inner();
    let ended = world.get_run(&lease.run).await;
    let again = pb::FinishRunRequest { state: pb::FinishState::Failed.into(), ..finish(&lease) };
    assert_eq!(client.finish_run(again).await.unwrap().into_inner(), first);
    assert_eq!(world.get_run(&lease.run).await, ended, "the second telling changes nothing");
    let _newer = world.lease().await;
    assert_eq!(refusal(client.finish_run(finish(&lease)).await), lost());
    world.end().await;
}

#[tokio::test]
async fn a_source_that_is_leased_says_when_to_come_back() {
    let world = World::new(&empty_drive()).await;
    let _lease = world.lease().await;
    let request = pb::LeaseRunRequest { worker: "w".into(), source: SOURCE.into(), ..Default::default() };
    let status = world.workers().await.lease_run(request).await.unwrap_err();
    assert_eq!(status_reason(&status).as_deref(), Some("SOURCE_LEASED"));
    assert_eq!(status_retry_after(&status), Some(sync_service::ops::LEASE_TTL));
    world.end().await;
}

#[tokio::test]
async fn an_outcome_with_a_foreign_token_is_refused_with_all_others_of_its_report() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let lease = world.lease().await;
    client.commit_page(page(&lease, "", delta("d"))).await.unwrap();
    let action = actions(&world, &lease).await.unwrap().remove(0);
    let done = |token: Vec<u8>| pb::Outcome {
        item_id: action.item_id.clone(),
        token,
        result: Some(pb::outcome::Result::Done(pb::Done::default())),
        notices: Vec::new(),
    };
    let outcomes = vec![done(action.token.clone()), done(b"made up".to_vec())];
    let report = pb::ReportOutcomesRequest { run: lease.run.clone(), epoch: lease.epoch, outcomes };
    assert_eq!(refusal(client.report_outcomes(report).await).0, Code::InvalidArgument);
    assert_eq!(actions(&world, &lease).await.unwrap().len(), 1, "none of the report is stored");
    world.end().await;
}

#[tokio::test]
async fn a_waiting_worker_is_told_that_the_service_ends_not_that_nothing_is_due() {
    let world = World::new(&empty_drive()).await;
    let _busy = world.lease().await;
    let mut client = world.workers().await;
    let wait = Some(prost_types::Duration { seconds: 30, nanos: 0 });
    let request =
        pb::LeaseRunRequest { worker: "w".into(), source: String::new(), wait, ..Default::default() };
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(async move { client.lease_run(request).await });
    tokio::task::yield_now().await;
    // Whether the call arrived before the end began or not: it is never told that nothing is due.
    world.stop_sync_service().await;
    let status = waiting.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    world.end().await;
}

#[tokio::test]
async fn bad_requests_of_workers_name_every_bad_field() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let fields = |status: Status| {
        assert_eq!(status.code(), Code::InvalidArgument);
        status_violations(&status).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
    };
    let wait = Some(prost_types::Duration { seconds: 31, nanos: 0 });
    let request =
        pb::LeaseRunRequest { worker: String::new(), source: "x".into(), wait, ..Default::default() };
    assert_eq!(fields(client.lease_run(request).await.unwrap_err()), ["worker", "source", "wait"]);
    let request = pb::CommitPageRequest { run: "x".into(), ..Default::default() };
    assert_eq!(fields(client.commit_page(request).await.unwrap_err()), ["run", "result"]);
    let outcomes = vec![pb::Outcome::default(); 501];
    let request = pb::ReportOutcomesRequest { run: "x".into(), epoch: 1, outcomes };
    let named = fields(client.report_outcomes(request).await.unwrap_err());
    assert!(named.contains(&"run".to_owned()) && named.contains(&"outcomes".to_owned()));
    let request = pb::FinishRunRequest { run: "x".into(), ..Default::default() };
    assert_eq!(fields(client.finish_run(request).await.unwrap_err()), ["run", "state"]);
    world.end().await;
}
