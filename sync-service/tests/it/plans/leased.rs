//! Plans that wait, are cancelled, lose their worker, or are made by one that does everything by hand.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::sync::v1::{self as pb, plan_run_request, plan_run_response};
use service_kit::status::status_reason;
use tonic::{Code, Status};

use super::{apply, ask, file, findings, lines, only_run, plan, suspend};
use crate::world::{SOURCE, World, empty_drive};

#[tokio::test]
async fn a_plan_that_waits_can_be_cancelled_and_asked_for_again() {
    let world = World::new(&empty_drive()).await;
    world.run_to_equality().await;
    let asked = ask(&world).await;
    assert_eq!(ask(&world).await.name, asked.name, "one waits already");
    let request = pb::CancelRunRequest { name: asked.name.clone() };
    let cancelled = world.runs().await.cancel_run(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!((cancelled.state(), cancelled.reason.as_str()), (pb::RunState::Cancelled, "CANCELLED"));
    assert!(world.worker().drain().await.unwrap().is_empty());
    let again = ask(&world).await;
    assert_ne!(again.name, asked.name);
    assert_eq!(only_run(&world).await.run, again.name);
    world.end().await;
}

async fn lease(world: &World, kinds: &[pb::RunKind]) -> Option<pb::Lease> {
    let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
    let request = pb::LeaseRunRequest { worker: "by hand".into(), kinds, ..Default::default() };
    world.workers().await.lease_run(request).await.unwrap().into_inner().lease
}

#[tokio::test]
async fn a_worker_that_cannot_plan_is_given_no_plan() {
    let world = World::new(&empty_drive()).await;
    world.run_to_equality().await;
    let asked = ask(&world).await;
    assert!(lease(&world, &[]).await.is_none());
    let leased = lease(&world, &[pb::RunKind::Plan]).await.unwrap();
    assert_eq!((leased.run, leased.kind), (asked.name, pb::RunKind::Plan.into()));
    world.end().await;
}

#[tokio::test]
async fn plan_and_run_of_a_source_are_never_at_once() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5)]);
    let run = world.lease().await;
    ask(&world).await;
    assert!(lease(&world, &[pb::RunKind::Plan]).await.is_none(), "a run is under way");
    // The worker of the run dies: its run is taken over first.
    world.expire_leases();
    let ends = world.worker().drain().await.unwrap();
    assert_eq!((ends.len(), ends[0].run.as_str()), (2, run.run.as_str()));

    ask(&world).await;
    lease(&world, &[pb::RunKind::Plan]).await.unwrap();
    let request = pb::LeaseRunRequest { worker: "w".into(), source: SOURCE.into(), ..Default::default() };
    let refused = world.workers().await.lease_run(request).await.unwrap_err();
    assert_eq!(status_reason(&refused).as_deref(), Some("SOURCE_LEASED"));
    world.end().await;
}

#[tokio::test]
async fn the_plan_of_a_dead_worker_is_made_again_from_the_start() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5), file("/b.txt", 6)]);
    suspend(&world, true).await;
    let asked = ask(&world).await;
    let dead = lease(&world, &[pb::RunKind::Plan]).await.unwrap();
    let finding =
        pb::Finding { kind: pb::FindingKind::Delete.into(), path: "x".into(), ..Default::default() };
    let report = |first_number, findings| pb::ReportFindingsRequest {
        run: dead.run.clone(),
        epoch: dead.epoch,
        first_number,
        findings,
    };
    let mut client = world.workers().await;
    client.report_findings(report(0, vec![finding.clone(), finding.clone()])).await.unwrap();
    client.report_findings(report(1, vec![finding.clone(), finding.clone()])).await.unwrap();
    assert_eq!(findings(&world, &asked.name).await.len(), 3, "the second was there already");
    let gap = client.report_findings(report(4, vec![finding.clone()])).await.unwrap_err();
    assert_eq!(gap.code(), Code::InvalidArgument);
    let unknown = client.report_findings(report(3, vec![pb::Finding::default()])).await.unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);

    world.expire_leases();
    assert_eq!(only_run(&world).await.run, asked.name);
    assert_eq!(lines(&findings(&world, &asked.name).await), ["transfer a.txt", "transfer b.txt"]);
    let late = client.report_findings(report(3, vec![finding])).await.unwrap_err();
    assert_eq!(status_reason(&late).as_deref(), Some("LEASE_LOST"));
    world.end().await;
}

#[tokio::test]
async fn what_an_earlier_plan_found_is_forgotten() {
    let world = World::new(&empty_drive()).await;
    apply(&world, [file("/a.txt", 5)]);
    suspend(&world, true).await;
    let (first, found) = plan(&world).await;
    assert_eq!(found.len(), 1);
    let (second, _) = plan(&world).await;
    assert_eq!(findings(&world, &first.name).await.len(), 0);
    assert_eq!(findings(&world, &second.name).await.len(), 1);
    world.end().await;
}

async fn rehearsal(
    world: &World,
    steps: Vec<plan_run_request::Step>,
) -> Result<Vec<plan_run_response::Step>, Status> {
    let steps = stream::iter(steps.into_iter().map(|step| pb::PlanRunRequest { step: Some(step) }));
    let answers = world.workers().await.plan_run(steps).await?.into_inner();
    answers.map(|answer| answer.map(|answer| answer.step.unwrap())).try_collect().await
}

#[tokio::test]
async fn a_rehearsal_out_of_order_or_of_another_worker_is_refused() {
    let world = World::new(&empty_drive()).await;
    world.run_to_equality().await;
    ask(&world).await;
    let leased = lease(&world, &[pb::RunKind::Plan]).await.unwrap();
    let start = |epoch| plan_run_request::Step::Start(pb::PlanStart { run: leased.run.clone(), epoch });
    let page = |read_with: &str| {
        let link = Some(pb::delta_page::Link::DeltaLink("d".into()));
        plan_run_request::Step::Page(pb::CommitPageRequest {
            run: leased.run.clone(),
            epoch: leased.epoch,
            read_with: read_with.into(),
            result: Some(pb::commit_page_request::Result::Page(pb::DeltaPage { items: Vec::new(), link })),
            ..Default::default()
        })
    };
    for steps in [vec![], vec![page("")], vec![start(leased.epoch), start(leased.epoch)]] {
        assert_eq!(rehearsal(&world, steps).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let stale = rehearsal(&world, vec![start(leased.epoch - 1)]).await.unwrap_err();
    assert_eq!(status_reason(&stale).as_deref(), Some("LEASE_LOST"));
    let stray = rehearsal(&world, vec![start(leased.epoch), page("another")]).await.unwrap_err();
    assert_eq!(status_reason(&stray).as_deref(), Some("CURSOR_MISMATCH"));
    let answers = rehearsal(&world, vec![start(leased.epoch), page(&leased.cursor)]).await.unwrap();
    let [plan_run_response::Step::Position(at), plan_run_response::Step::Position(end)] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!((&at.cursor, end.listing_complete), (&leased.cursor, true));
    world.end().await;
}
