//! One row of the provider's answers after another.

use proptest::prelude::*;

use super::*;

fn answer(status: u16, error: &str, numbers: &[u32]) -> ErrorAnswer {
    ErrorAnswer { status, error: error.to_owned(), numbers: numbers.to_vec(), ..ErrorAnswer::default() }
}

/// What a row of the table comes to, without its cause.
fn kind(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Transient { .. } => "transient".to_owned(),
        Refusal::Throttled { retry_after, .. } => format!("throttled {}", retry_after.as_secs()),
        Refusal::NeedsReauth { reach, .. } => format!("reauth {reach:?}"),
        Refusal::Blocked { reach, .. } => format!("blocked {reach:?}"),
        Refusal::AppMisconfigured { .. } => "app".to_owned(),
        Refusal::CallerFault { fault, .. } => format!("caller {fault:?}"),
        Refusal::DevicePending => "pending".to_owned(),
        Refusal::DeviceSlowDown => "slow down".to_owned(),
        Refusal::DeviceDeclined => "declined".to_owned(),
        Refusal::DeviceExpired => "expired".to_owned(),
        Refusal::CodeRefused { .. } => "code".to_owned(),
    }
}

fn check(error: &str, numbers: &[u32], expected: &str) {
    for number in numbers {
        let refusal = classify(&answer(400, error, &[*number]));
        assert_eq!(kind(&refusal), expected, "{error} {number}");
    }
}

#[test]
fn throttling() {
    check("invalid_grant", &[50_196], "throttled 60");
    check("temporarily_unavailable", &[90_055], "throttled 30");
    check("invalid_grant", &[50_053], "throttled 900");
    assert_eq!(kind(&classify(&answer(429, "", &[]))), "throttled 30");
    let with =
        |seconds| ErrorAnswer { retry_after: Some(Duration::from_secs(seconds)), ..answer(429, "", &[]) };
    assert_eq!(kind(&classify(&with(7))), "throttled 7");
    assert_eq!(kind(&classify(&with(7200))), "throttled 3600");
}

#[test]
fn what_passes() {
    let numbers = [50_033, 50_087, 90_006, 90_012, 90_024, 90_033, 90_090, 70_012];
    check("invalid_grant", &numbers, "transient");
    check("anything", &numbers, "transient");
    for status in [408, 500, 502, 503, 504, 599] {
        // Whatever it says: a server that fails is no witness.
        assert_eq!(kind(&classify(&answer(status, "invalid_grant", &[50_173]))), "transient", "{status}");
        assert_eq!(kind(&classify(&answer(status, "invalid_client", &[7_000_215]))), "transient", "{status}");
    }
    for error in ["temporarily_unavailable", "server_error", "never_heard_of", ""] {
        assert_eq!(kind(&classify(&answer(400, error, &[]))), "transient", "{error}");
    }
}

#[test]
fn a_person_must_sign_in_again() {
    let of_the_grant = [700_082, 70_008, 70_043, 700_084, 50_173, 50_132, 50_133, 50_089, 70_000];
    check("invalid_grant", &of_the_grant, "reauth Grant");
    let of_the_request = [50_076, 50_079, 50_074, 50_078, 50_072, 50_158, 65_001];
    check("invalid_grant", &of_the_request, "reauth Request");
    check("interaction_required", &of_the_request, "reauth Request");
    assert_eq!(kind(&classify(&answer(400, "invalid_grant", &[]))), "reauth Unexplained");
    assert_eq!(kind(&classify(&answer(400, "invalid_grant", &[123_456]))), "reauth Unexplained");
    for error in ["consent_required", "interaction_required", "login_required"] {
        assert_eq!(kind(&classify(&answer(400, error, &[]))), "reauth Request", "{error}");
    }
    let consent =
        ErrorAnswer { suberror: "consent_required".to_owned(), ..answer(400, "invalid_grant", &[]) };
    assert_eq!(kind(&classify(&consent)), "reauth Request");
}

#[test]
fn claims_are_passed_on() {
    let challenge =
        ErrorAnswer { claims: Some("{}".to_owned()), ..answer(400, "interaction_required", &[50_076]) };
    assert!(
        matches!(classify(&challenge), Refusal::NeedsReauth { claims: Some(claims), .. } if claims == "{}")
    );
}

#[test]
fn an_administrator_must_act() {
    check("invalid_grant", &[90_094, 90_095, 53_003, 530_032, 53_011], "blocked Request");
    check("invalid_grant", &[50_057, 50_034, 51_004, 50_105], "blocked Grant");
}

#[test]
fn our_app_is_refused() {
    check("invalid_client", &[7_000_215, 7_000_218, 7_000_222, 700_027, 70_002], "app");
    check("unauthorized_client", &[700_016, 70_001, 7_000_112], "app");
    check("invalid_request", &[90_002, 50_194], "app");
    assert_eq!(kind(&classify(&answer(401, "invalid_client", &[]))), "app");
    assert_eq!(kind(&classify(&answer(400, "unauthorized_client", &[]))), "app");
}

#[test]
fn the_request_was_wrong() {
    check("invalid_scope", &[70_011, 28_002], "caller Scopes");
    check("invalid_resource", &[500_011, 650_057, 700_022], "caller Scopes");
    check("invalid_request", &[9_002_313, 900_144], "caller Form");
    assert_eq!(kind(&classify(&answer(400, "invalid_scope", &[]))), "caller Scopes");
    assert_eq!(kind(&classify(&answer(400, "unsupported_grant_type", &[]))), "caller Form");
}

#[test]
fn device_and_authorization_codes() {
    check("authorization_pending", &[70_016], "pending");
    check("expired_token", &[70_019], "expired");
    check("bad_verification_code", &[70_018], "code");
    check("invalid_grant", &[54_005, 501_481], "code");
    for (error, expected) in [
        ("authorization_pending", "pending"),
        ("slow_down", "slow down"),
        ("authorization_declined", "declined"),
        ("access_denied", "declined"),
        ("expired_token", "expired"),
        ("code_expired", "expired"),
        ("bad_verification_code", "code"),
    ] {
        assert_eq!(kind(&classify(&answer(400, error, &[]))), expected, "{error}");
    }
}

#[test]
fn the_first_known_number_decides_and_the_first_of_all_is_shown() {
    let refusal = classify(&answer(400, "invalid_grant", &[123_456, 53_003]));
    assert_eq!(kind(&refusal), "blocked Request");
    assert_eq!(refusal.cause(), "invalid_grant AADSTS123456");
}

#[test]
fn a_cause_never_repeats_free_text() {
    for error in ["<html>", "two words", "", "x\ny", &"a".repeat(65)] {
        assert_eq!(classify(&answer(403, error, &[])).cause(), "HTTP 403", "{error}");
    }
    assert_eq!(classify(&answer(400, "invalid_grant", &[])).cause(), "invalid_grant");
}

/// Numbers that mean something, numbers that do not, and any number at all.
fn numbers() -> impl Strategy<Value = Vec<u32>> {
    let known = proptest::sample::select(vec![
        50_196, 90_055, 50_053, 50_033, 70_012, 700_082, 50_173, 50_076, 65_001, 90_094, 53_003, 50_057,
        7_000_215, 700_016, 90_002, 50_194, 70_011, 9_002_313, 70_016, 70_019, 70_018, 54_005,
    ]);
    proptest::collection::vec(prop_oneof![4 => known, 1 => any::<u32>()], 0..4)
}

fn any_answer() -> impl Strategy<Value = ErrorAnswer> {
    let error = prop_oneof![
        4 => proptest::sample::select(vec![
            "", "invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope", "invalid_request",
            "interaction_required", "temporarily_unavailable", "server_error", "slow_down", "access_denied",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    let suberror = proptest::sample::select(vec!["", "consent_required", "bad_token", "<b>"]);
    let retry_after = proptest::option::of((0_u64..1_000_000).prop_map(Duration::from_secs));
    let status = prop_oneof![2 => Just(400), 1 => Just(401), 1 => Just(429), 1 => 300_u16..600];
    (status, error, suberror, numbers(), retry_after, any::<Option<()>>()).prop_map(
        |(status, error, suberror, numbers, retry_after, claims)| ErrorAnswer {
            status,
            retry_after,
            error,
            suberror: suberror.to_owned(),
            numbers,
            claims: claims.map(|()| "{}".to_owned()),
        },
    )
}

fn concerns_connection(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NeedsReauth { .. } | Refusal::Blocked { .. })
}

proptest! {
    #[test]
    fn every_answer_has_a_meaning_within_bounds_and_shows_no_text(answer in any_answer()) {
        let refusal = classify(&answer);
        prop_assert_eq!(&refusal, &classify(&answer));
        if let Refusal::Throttled { retry_after, .. } | Refusal::Transient { retry_after: Some(retry_after), .. } = &refusal {
            prop_assert!(*retry_after <= MAX_RETRY_AFTER);
        }
        let cause = refusal.cause();
        prop_assert!(cause.len() <= MAX_ERROR_CHARS + " AADSTS4294967295".len());
        prop_assert!(cause.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' ')), "{}", cause);
    }

    #[test]
    fn a_server_that_fails_or_throttles_says_nothing_about_a_connection_or_the_app(
        answer in any_answer(), status in prop_oneof![Just(408), Just(429), 500_u16..600],
    ) {
        let refusal = classify(&ErrorAnswer { status, ..answer });
        let passes = matches!(refusal, Refusal::Transient { .. } | Refusal::Throttled { .. });
        prop_assert!(passes, "{:?}", refusal);
    }

    #[test]
    fn a_refused_app_never_concerns_a_connection(
        answer in any_answer(),
        number in proptest::sample::select(vec![7_000_215, 7_000_218, 7_000_222, 700_027, 70_002, 700_016, 90_002]),
        error in proptest::sample::select(vec!["invalid_client", "unauthorized_client"]),
    ) {
        let said_by_number = ErrorAnswer { numbers: [&[number][..], &answer.numbers].concat(), ..answer.clone() };
        prop_assert!(!concerns_connection(&classify(&said_by_number)));
        let said_by_error = ErrorAnswer { error: error.to_owned(), numbers: Vec::new(), ..answer };
        prop_assert!(!concerns_connection(&classify(&said_by_error)));
    }

    #[test]
    fn what_nobody_has_met_is_never_held_against_a_connection(answer in any_answer(), error in "[a-z]{1,12}_[0-9]{3}") {
        let unheard_of = ErrorAnswer { error, numbers: Vec::new(), ..answer };
        prop_assert!(!concerns_connection(&classify(&unheard_of)));
    }
}
