//! When no token is to be had: the run says who must act.

use proto::sync::v1 as pb;
use service_kit::exit::Exit;
use simulator::{Fault, FaultKind};

use crate::world::{World, small_drive};

#[tokio::test]
async fn a_revoked_connection_needs_a_person() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    world.drive.random_changes(1, 5);
    let before = crate::world::read_tree(&world.mirror());
    assert!(world.sim.revoke(simulator::FIRST_USER, 50_173));
    let (end, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "NEEDS_REAUTH"));
    assert_eq!(end.exit(), Exit::NeedsPerson);
    assert!(run.issues.is_empty(), "{:?}", run.issues);
    assert!(!run.detail.is_empty());
    assert_eq!(world.get_source().await.state(), pb::SourceState::NeedsPerson);
    assert!(crate::world::read_tree(&world.mirror()) == before);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_app_registration_needs_a_person_who_is_not_the_customer() {
    let world = World::new(&small_drive()).await;
    world.run_to_equality().await;
    let kind = FaultKind::Oauth {
        status: 401,
        error: "invalid_client".to_owned(),
        aadsts: 7_000_215,
        suberror: None,
        claims: None,
        retry_after: None,
    };
    world.sim.faults().add(Fault::new(kind));
    world.sim.clock().advance(std::time::Duration::from_hours(2));
    let (end, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::NeedsPerson, "PROVIDER_MISCONFIGURED"));
    assert_eq!(end.exit(), Exit::NeedsPerson);
    world.end().await;
}

#[tokio::test]
async fn an_absent_token_service_is_waited_for_until_later() {
    let world = World::new(&small_drive()).await;
    world.stop_token_service().await;
    let (end, run) = world.run_to_failure().await;
    assert_eq!((run.state(), run.reason.as_str()), (pb::RunState::Failed, "TOKEN_SERVICE_UNAVAILABLE"));
    assert_eq!(end.exit(), Exit::TryAgain);
    let source = world.get_source().await;
    assert_eq!(source.state(), pb::SourceState::Failing);
    assert!(source.next_run_time.unwrap().seconds > run.end_time.unwrap().seconds);
    world.end().await;
}
