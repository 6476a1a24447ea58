//! §9.3: refreshing, and what each rotation mode makes of the old token.

use std::time::Duration;

use simulator::{
    Endpoint, FIRST_USER, Fault, FaultKind, MAX_ACCESS_BYTES, PUBLIC_CLIENT_ID, ResetMoment, Rotation,
    SECOND_USER, Simulator, ViolationKind,
};

use crate::bench::{Answer, Bench};

fn sign_in(sim: &Simulator) -> String {
    sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access openid", FIRST_USER).unwrap()
}

fn successor(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("/refresh_token").to_owned()
}

#[tokio::test]
async fn entra_mode_gives_a_new_token_each_time_and_the_old_ones_stay_valid() {
    let bench = Bench::new().await;
    let first = sign_in(&bench.sim);
    let second = successor(&bench.refresh(&first).await);
    let third = successor(&bench.refresh(&second).await);
    assert!(first != second && second != third);
    successor(&bench.refresh(&first).await);
    let counts = bench.sim.counters();
    assert_eq!((counts.refreshes, counts.refresh_token_reuse, counts.access_tokens), (3, 1, 3));
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn strict_mode_ends_the_old_token_and_reuse_revokes_the_family() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let first = sign_in(&bench.sim);
    let second = successor(&bench.refresh(&first).await);
    let third = successor(&bench.refresh(&second).await);
    let reused = bench.refresh(&first).await;
    assert_eq!((reused.status, reused.text("/error")), (400, "invalid_grant"));
    assert_eq!(bench.refresh(&third).await.text("/error"), "invalid_grant");
    assert_eq!(bench.provoked(), [ViolationKind::SupersededRefreshToken]);
}

#[tokio::test]
async fn a_token_whose_successor_was_lost_on_the_way_is_used_again_without_blame() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.tokens.rotation = Rotation::Strict);
    let first = sign_in(&bench.sim);
    let lost = FaultKind::ConnReset { moment: ResetMoment::After };
    bench.sim.faults().add(Fault::new(lost).on(Endpoint::Token).times(1));
    let fields =
        [("client_id", PUBLIC_CLIENT_ID), ("grant_type", "refresh_token"), ("refresh_token", &first)];
    let address = format!("{}/common/oauth2/v2.0/token", bench.sim.authority());
    assert!(bench.http.post(address).form(&fields).send().await.is_err());
    assert_eq!(bench.refresh(&first).await.text("/error"), "invalid_grant");
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn grace_mode_keeps_the_old_token_until_its_successor_is_used() {
    let bench = Bench::new().await;
    bench.sim.switch(|switches| switches.tokens.rotation = Rotation::Grace);
    let first = sign_in(&bench.sim);
    let lost = successor(&bench.refresh(&first).await);
    let second = successor(&bench.refresh(&first).await);
    successor(&bench.refresh(&second).await);
    assert_eq!(bench.refresh(&first).await.text("/error"), "invalid_grant");
    assert_eq!(bench.refresh(&lost).await.text("/error"), "invalid_grant");
    assert_eq!(bench.provoked(), [ViolationKind::SupersededRefreshToken; 2]);
}

#[tokio::test]
async fn a_revoked_grant_is_refused_with_the_chosen_number_and_its_access_tokens_die() {
    let bench = Bench::new().await;
    bench.sim.create_drive(&crate::bench::plain(1, 0)).unwrap();
    let refresh = sign_in(&bench.sim);
    let access = bench.refresh(&refresh).await.text("/access_token").to_owned();
    let other = bench.token_of(SECOND_USER, "Files.Read offline_access").await;
    assert_eq!(bench.get(&access, "me/drive").await.status, 200);
    assert!(bench.sim.revoke(FIRST_USER, 50_076));
    let refused = bench.refresh(&refresh).await;
    assert_eq!((refused.text("/error"), &refused.body["error_codes"][0]), ("invalid_grant", &50_076.into()));
    assert!(refused.text("/error_description").starts_with("AADSTS50076: "));
    assert!(refused.text("/error_description").contains("Trace ID: "));
    assert!(refused.text("/error_uri").ends_with("/error?code=50076"));
    assert_eq!(bench.get(&access, "me/drive").await.status, 401);
    assert_eq!(bench.get(&other, "me/drive").await.status, 404);
    assert_eq!(bench.provoked(), []);
    bench.refresh(&refresh).await;
    assert_eq!(bench.get(&access, "me/drive").await.status, 401);
    assert_eq!(bench.provoked(), [ViolationKind::RefusedTokenReused; 2]);
}

#[tokio::test]
async fn a_token_that_was_not_used_for_ninety_days_is_inactive() {
    let bench = Bench::new().await;
    let refresh = sign_in(&bench.sim);
    bench.sim.clock().advance(Duration::from_hours(90 * 24));
    let refused = bench.refresh(&refresh).await;
    assert_eq!((refused.text("/error"), &refused.body["error_codes"][0]), ("invalid_grant", &700_082.into()));
}

#[tokio::test]
async fn a_token_is_bound_to_its_application() {
    let bench = Bench::new().await;
    let refresh = sign_in(&bench.sim);
    let answer = bench
        .token_request(&[
            ("client_id", simulator::CONFIDENTIAL_CLIENT_ID),
            ("client_secret", simulator::CONFIDENTIAL_CLIENT_SECRET),
            ("grant_type", "refresh_token"),
            ("refresh_token", &refresh),
        ])
        .await;
    assert_eq!((answer.status, answer.text("/error")), (400, "invalid_grant"));
}

#[tokio::test]
async fn a_narrower_scope_is_given_and_a_wider_one_needs_consent() {
    let bench = Bench::new().await;
    let refresh =
        bench.sim.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read User.Read offline_access", FIRST_USER);
    let refresh = refresh.unwrap();
    let ask = async |scope| {
        bench
            .token_request(&[
                ("client_id", PUBLIC_CLIENT_ID),
                ("grant_type", "refresh_token"),
                ("refresh_token", &refresh),
                ("scope", scope),
            ])
            .await
    };
    let narrow = ask("https://graph.microsoft.com/Files.Read").await;
    assert_eq!((narrow.status, narrow.text("/scope")), (200, "Files.Read"));
    let wide = ask("Files.ReadWrite.All").await;
    assert_eq!((wide.text("/error"), &wide.body["error_codes"][0]), ("invalid_grant", &65_001.into()));
}

#[tokio::test]
async fn access_tokens_are_as_long_as_asked_for_and_all_different() {
    let bench = Bench::new().await;
    let token = sign_in(&bench.sim);
    let mut seen = std::collections::BTreeSet::new();
    for (asked, given) in
        [(0, 51), (1, 51), (100, 100), (1500, 1500), (1500, 1500), (1 << 20, MAX_ACCESS_BYTES)]
    {
        bench.sim.switch(|switches| switches.tokens.access_bytes = asked);
        let access = bench.refresh(&token).await.text("/access_token").to_owned();
        assert_eq!(access.len(), given);
        assert!(seen.insert(access));
    }
}

/// No answer replaced the token, so it is still the newest (RFC 6749 §6).
#[tokio::test]
async fn a_request_that_is_refused_for_its_scopes_does_not_use_the_token_up() {
    for rotation in [Rotation::Strict, Rotation::Grace, Rotation::Entra] {
        let bench = Bench::new().await;
        bench.sim.switch(|switches| switches.tokens.rotation = rotation);
        let first = sign_in(&bench.sim);
        for (scope, error) in [("Sites.Read.All", "invalid_grant"), ("nonsense", "invalid_scope")] {
            let refused = bench
                .token_request(&[
                    ("client_id", PUBLIC_CLIENT_ID),
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &first),
                    ("scope", scope),
                ])
                .await;
            assert_eq!((refused.status, refused.text("/error")), (400, error), "{rotation:?}");
        }
        let second = successor(&bench.refresh(&first).await);
        successor(&bench.refresh(&second).await);
        assert_eq!(bench.sim.counters().refresh_token_reuse, 0);
    }
}
