//! One row of the provider's answers after another.

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
