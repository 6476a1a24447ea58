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
    assert_eq!(bench.provoked(), [ViolationKind::RetryAfterIgnored; 2]);
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
    assert_eq!(bench.provoked(), [ViolationKind::RetryAfterIgnored]);
}

#[tokio::test]
async fn writes_cost_two_units_and_questions_about_permissions_five() {
    let (bench, _, token) = Bench::writable(simulator::DriveKind::Business).await;
    bench.sim.switch(|switches| switches.resource_units_per_minute = Some(7));
    assert_eq!(bench.put(&token, "me/drive/root:/a:/content", b"1").await.status, 201);
    assert_eq!(bench.get(&token, "me/drive/root/permissions").await.status, 200);
    assert_eq!(bench.get(&token, "me/drive").await.status, 429);
}

#[tokio::test]
async fn days_and_users_have_limits_of_their_own() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.switch(|switches| switches.limits.resource_units_per_day = Some(2));
    for status in [200, 200, 429] {
        assert_eq!(bench.get(&token, "me/drive").await.status, status);
    }
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.switch(|switches| switches.limits.user_requests_per_five_minutes = Some(1));
    for status in [200, 429] {
        assert_eq!(bench.get(&token, "me/drive").await.status, status);
    }
}

#[tokio::test]
async fn applications_are_told_what_is_left_once_it_is_little() {
    let (bench, drive, delegated) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.switch(|switches| {
        switches.resource_units_per_minute = Some(10);
        switches.limits.rate_limit_headers = true;
    });
    let answer = bench
        .token_request(&[
            ("client_id", simulator::CONFIDENTIAL_CLIENT_ID),
            ("client_secret", simulator::CONFIDENTIAL_CLIENT_SECRET),
            ("grant_type", "client_credentials"),
            ("scope", "https://graph.microsoft.com/.default"),
        ])
        .await;
    let token = answer.text("/access_token").to_owned();
    let path = format!("drives/{}", drive.id());
    let mut told = Vec::new();
    for _ in 0..9 {
        let answer = bench.get(&token, &path).await;
        told.push(answer.header("ratelimit-remaining").map(str::to_owned));
        if let Some(limit) = answer.header("ratelimit-limit") {
            assert_eq!(limit, "10");
            assert!(answer.header("ratelimit-reset").is_some());
        }
    }
    assert!(told[..7].iter().all(Option::is_none));
    assert_eq!(told[7..], [Some("2".to_owned()), Some("1".to_owned())]);
    for _ in 0..9 {
        assert!(bench.get(&delegated, &path).await.header("ratelimit-remaining").is_none());
    }
}

#[tokio::test]
async fn whoever_ignores_429_is_blocked_until_forgiven() {
    let (bench, _, token) = Bench::with_drive(&plain(1, 0)).await;
    bench.sim.switch(|switches| switches.limits.block_after_ignored = Some(2));
    bench.sim.faults().add(Fault::throttle(Endpoint::Drive, 1, Some(RetryAfter::Seconds(60))));
    assert_eq!(bench.get(&token, "me/drive").await.status, 429);
    bench.sim.clock().advance(Duration::from_secs(1));
    assert_eq!(bench.get(&token, "me/drive").await.status, 200);
    for _ in 0..2 {
        assert_eq!(bench.get(&token, "me/drive").await.status, 503);
    }
    bench.sim.clock().advance(Duration::from_hours(2));
    let token = bench.token().await;
    assert_eq!(bench.get(&token, "me/drive").await.status, 503);
    bench.sim.unblock();
    assert_eq!(bench.get(&token, "me/drive").await.status, 200);
    assert_eq!(bench.provoked(), [ViolationKind::RetryAfterIgnored; 3]);
}
