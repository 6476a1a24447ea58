//! §7: limits, `Retry-After`, and what the critic thinks of those who ignore it.

use std::time::Duration;

use simulator::{Change, Endpoint, Fault, RetryAfter, ViolationKind};

use crate::bench::{Bench, plain};

#[tokio::test]
async fn a_limit_answers_429_with_two_inner_errors_and_refills() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.switch(|switches| switches.resource_units_per_minute = Some(4));
    assert_eq!(bench.get(&token, "me/drive/root/children").await.status, 200);
    assert_eq!(bench.get(&token, "me/drive/root/delta").await.status, 200);
    let refused = bench.get(&token, "me/drive").await;
    assert_eq!((refused.status, refused.text("/error/code")), (429, "activityLimitReached"));
    assert_eq!(refused.text("/error/innerError/code"), "throttledRequest");
    assert_eq!(refused.text("/error/innerError/innerError/code"), "quota");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=16).contains(&wait));
    bench.sim.clock().advance(Duration::from_secs(wait));
    assert_eq!(bench.get(&token, "me/drive").await.status, 200);
    assert_eq!(bench.sim.counters().throttled, 1);
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn an_incremental_delta_costs_one_unit_and_an_enumeration_two() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.switch(|switches| switches.resource_units_per_minute = Some(4));
    let (_, link) = bench.drain(&token, "me/drive/root/delta").await;
    assert_eq!(bench.get(&token, &link).await.status, 200);
    assert_eq!(bench.get(&token, &link).await.status, 200);
    assert_eq!(bench.get(&token, &link).await.status, 429);
}

#[tokio::test]
async fn retry_after_comes_as_seconds_as_a_date_or_not_at_all() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    let ask = async |after| {
        bench.sim.faults().add(Fault::throttle(Endpoint::Drive, 1, after));
        let answer = bench.get(&token, "me/drive").await;
        assert_eq!(answer.status, 429);
        answer.header("retry-after").map(str::to_owned)
    };
    assert_eq!(ask(None).await, None);
    assert_eq!(ask(Some(RetryAfter::Seconds(15))).await.as_deref(), Some("15"));
    assert!(ask(Some(RetryAfter::HttpDate(15))).await.unwrap().ends_with(" GMT"));
}

#[tokio::test]
async fn after_429_every_call_of_the_app_and_tenant_has_to_wait_downloads_too() {
    let (bench, drive, token) = Bench::with_drive(&plain(0, 0)).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "a".into(), size: 1 }).unwrap();
    let item = bench.get(&token, &format!("me/drive/items/{id}")).await;
    bench.sim.faults().add(Fault::throttle(Endpoint::Delta, 1, Some(RetryAfter::Seconds(10))));
    assert_eq!(bench.get(&token, "me/drive/root/delta").await.status, 429);
    bench.sim.clock().advance(Duration::from_secs(5));
    bench.get(&token, "me/drive").await;
    bench.send(bench.http.get(item.text("/@microsoft.graph.downloadUrl"))).await;
    let kinds: Vec<_> = bench.sim.violations().iter().map(|violation| violation.kind).collect();
    assert_eq!(kinds, [ViolationKind::RetryAfterIgnored; 2]);
    bench.sim.clear_violations();
    bench.sim.clock().advance(Duration::from_secs(5));
    bench.get(&token, "me/drive").await;
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn after_503_only_the_drive_has_to_wait() {
    let (bench, drive, token) = Bench::with_drive(&plain(1, 0)).await;
    let other = bench.sim.create_drive(&plain(1, 0)).unwrap();
    let fault = Fault::status(503, Some(RetryAfter::Seconds(10))).on(Endpoint::Delta).times(1);
    bench.sim.faults().add(fault);
    assert_eq!(bench.get(&token, &format!("drives/{}/root/delta", drive.id())).await.status, 503);
    bench.sim.clock().advance(Duration::from_secs(5));
    bench.get(&token, &format!("drives/{}", other.id())).await;
    assert_eq!(bench.sim.violations(), []);
    bench.get(&token, &format!("drives/{}", drive.id())).await;
    assert_eq!(bench.sim.violations().len(), 1);
}
