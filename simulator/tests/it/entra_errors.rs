//! §9.3: every error of the tables, on demand, by number and by name.

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{Endpoint, Fault, FaultKind, PUBLIC_CLIENT_ID, RetryAfter, entra_errors};

use crate::bench::{Answer, Bench};

/// How a fault names the error, its number, its status and its `error` member.
type Row = (&'static str, u32, u16, &'static str);

/// What the reference pages list, written down apart from the simulator's own table.
const EXPECTED: [Row; 69] = [
    ("50196", 50_196, 400, "invalid_grant"),
    ("90055", 90_055, 429, "temporarily_unavailable"),
    ("50033", 50_033, 400, "temporarily_unavailable"),
    ("50087", 50_087, 400, "temporarily_unavailable"),
    ("90006", 90_006, 400, "temporarily_unavailable"),
    ("90012", 90_012, 400, "temporarily_unavailable"),
    ("90024", 90_024, 400, "temporarily_unavailable"),
    ("90033", 90_033, 400, "temporarily_unavailable"),
    ("90090", 90_090, 400, "temporarily_unavailable"),
    ("70012", 70_012, 400, "server_error"),
    ("server_error", 50_000, 500, "server_error"),
    ("temporarily_unavailable", 90_033, 503, "temporarily_unavailable"),
    ("gateway_timeout", 90_012, 408, "temporarily_unavailable"),
    ("700082", 700_082, 400, "invalid_grant"),
    ("70008", 70_008, 400, "invalid_grant"),
    ("70043", 70_043, 400, "invalid_grant"),
    ("700084", 700_084, 400, "invalid_grant"),
    ("50173", 50_173, 400, "invalid_grant"),
    ("50132", 50_132, 400, "invalid_grant"),
    ("50133", 50_133, 400, "invalid_grant"),
    ("50089", 50_089, 400, "invalid_grant"),
    ("70000", 70_000, 400, "invalid_grant"),
    ("50076", 50_076, 400, "invalid_grant"),
    ("50079", 50_079, 400, "invalid_grant"),
    ("50074", 50_074, 400, "interaction_required"),
    ("50078", 50_078, 400, "interaction_required"),
    ("50072", 50_072, 400, "interaction_required"),
    ("50158", 50_158, 400, "interaction_required"),
    ("65001", 65_001, 400, "invalid_grant"),
    ("consent_required", 65_001, 400, "consent_required"),
    ("90094", 90_094, 400, "consent_required"),
    ("90095", 90_095, 400, "consent_required"),
    ("53003", 53_003, 400, "interaction_required"),
    ("530032", 530_032, 400, "interaction_required"),
    ("53011", 53_011, 400, "interaction_required"),
    ("50057", 50_057, 400, "invalid_grant"),
    ("50034", 50_034, 400, "invalid_grant"),
    ("51004", 51_004, 400, "invalid_grant"),
    ("50105", 50_105, 400, "invalid_grant"),
    ("50053", 50_053, 400, "invalid_grant"),
    ("7000215", 7_000_215, 401, "invalid_client"),
    ("7000218", 7_000_218, 401, "invalid_client"),
    ("7000222", 7_000_222, 401, "invalid_client"),
    ("700027", 700_027, 401, "invalid_client"),
    ("700025", 700_025, 401, "invalid_client"),
    ("70002", 70_002, 401, "invalid_client"),
    ("700016", 700_016, 400, "unauthorized_client"),
    ("70001", 70_001, 400, "unauthorized_client"),
    ("7000112", 7_000_112, 400, "unauthorized_client"),
    ("90002", 90_002, 400, "invalid_request"),
    ("90038", 90_038, 400, "invalid_request"),
    ("70011", 70_011, 400, "invalid_scope"),
    ("28002", 28_002, 400, "invalid_scope"),
    ("700022", 700_022, 400, "invalid_scope"),
    ("500011", 500_011, 400, "invalid_resource"),
    ("650057", 650_057, 400, "invalid_resource"),
    ("50194", 50_194, 400, "invalid_request"),
    ("9002313", 9_002_313, 400, "invalid_request"),
    ("900144", 900_144, 400, "invalid_request"),
    ("90014", 90_014, 400, "invalid_request"),
    ("unsupported_grant_type", 70_003, 400, "unsupported_grant_type"),
    ("70016", 70_016, 400, "authorization_pending"),
    ("slow_down", 70_016, 400, "slow_down"),
    ("70017", 70_017, 400, "authorization_declined"),
    ("70018", 70_018, 400, "bad_verification_code"),
    ("70019", 70_019, 400, "expired_token"),
    ("54005", 54_005, 400, "invalid_grant"),
    ("501481", 501_481, 400, "invalid_grant"),
    ("50147", 50_147, 400, "invalid_request"),
];

/// Errors a person can put right by satisfying a policy: they carry the claims the next sign-in has to ask for.
const WITH_CLAIMS: [u32; 7] = [50_072, 50_074, 50_076, 50_078, 50_079, 50_158, 53_003];

async fn refresh(bench: &Bench) -> Answer {
    bench.refresh("sim-rt-any").await
}

fn check(answer: &Answer, row: Row) {
    let (name, aadsts, status, error) = row;
    assert_eq!((answer.status, answer.text("/error")), (status, error), "{name}");
    assert_eq!(answer.body["error_codes"], json!([aadsts]), "{name}");
    let description = answer.text("/error_description");
    assert!(description.starts_with(&format!("AADSTS{aadsts}: ")), "{description}");
    for (member, label) in [("trace_id", "Trace ID: "), ("correlation_id", "Correlation ID: ")] {
        let id = answer.text(&format!("/{member}"));
        assert_eq!(id.len(), 36);
        assert!(description.contains(&format!("{label}{id}")), "{description}");
    }
    assert!(description.ends_with(&format!("Timestamp: {}", answer.text("/timestamp"))));
    assert!(answer.text("/timestamp").ends_with('Z'));
    assert!(answer.text("/error_uri").ends_with(&format!("/error?code={aadsts}")));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let claims = answer.body.get("claims").and_then(Value::as_str);
    assert_eq!(claims.is_some(), WITH_CLAIMS.contains(&aadsts), "{name}");
    if let Some(claims) = claims {
        let claims: Value = serde_json::from_str(claims).unwrap();
        assert_eq!(claims["access_token"]["capolids"]["essential"], true);
    }
}

#[tokio::test]
async fn every_row_is_answered_on_demand() {
    let bench = Bench::new().await;
    for row in EXPECTED {
        bench.sim.faults().add(Fault::entra(row.0).unwrap().times(1));
        check(&refresh(&bench).await, row);
    }
    assert_eq!(bench.sim.violations(), []);
}

#[tokio::test]
async fn every_row_has_a_name_of_its_own_and_is_found_by_name_and_number() {
    let bench = Bench::new().await;
    let mut names = std::collections::BTreeSet::new();
    for row in entra_errors() {
        assert!(names.insert(row.name), "{}", row.name);
        bench.sim.faults().add(Fault::entra(row.name).unwrap().times(1));
        let answer = refresh(&bench).await;
        assert_eq!((answer.status, answer.text("/error")), (row.status, row.error), "{}", row.name);
        assert_eq!(answer.body.get("suberror").and_then(Value::as_str), row.suberror, "{}", row.name);
        assert!(Fault::entra(&format!("AADSTS{}", row.aadsts)).is_some());
    }
    assert!(Fault::entra("no_such_error").is_none() && Fault::entra("1").is_none());
}

/// The sub-errors MSAL tells apart.
#[tokio::test]
async fn suberrors_say_what_to_do_next() {
    let bench = Bench::new().await;
    for (number, suberror) in [
        ("50076", "basic_action"),
        ("65001", "consent_required"),
        ("53003", "message_only"),
        ("50173", "bad_token"),
        ("700082", "token_expired"),
    ] {
        bench.sim.faults().add(Fault::entra(number).unwrap().times(1));
        assert_eq!(refresh(&bench).await.text("/suberror"), suberror);
    }
}

#[tokio::test]
async fn status_claims_and_retry_after_of_a_row_can_be_chosen() {
    let bench = Bench::new().await;
    let mut fault = Fault::entra("90033").unwrap().times(1);
    if let FaultKind::Entra { status, claims, retry_after, .. } = &mut fault.kind {
        *status = Some(503);
        *claims = Some("{}".to_owned());
        *retry_after = Some(RetryAfter::Seconds(7));
    }
    bench.sim.faults().add(fault);
    let answer = refresh(&bench).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
    assert_eq!(answer.text("/claims"), "{}");
}

#[tokio::test]
async fn the_control_interface_takes_names_and_numbers_and_refuses_others() {
    let bench = Bench::new().await;
    let address = format!("{}/control/faults", bench.sim.control());
    let set = async |error: Value| {
        let fault = json!({"fault": "entra", "error": error, "times": 1});
        bench.send(bench.http.post(&address).json(&fault)).await.status
    };
    for error in [json!(50_173), json!("50173"), json!("fresh_token_needed")] {
        assert_eq!(set(error).await, 200);
        assert_eq!(refresh(&bench).await.body["error_codes"][0], 50_173);
    }
    assert_eq!(set(json!("nonsense")).await, 400);
    assert_eq!(set(json!(1)).await, 400);
    let listed = format!("{}/control/entra-errors", bench.sim.control());
    let listed = bench.send(bench.http.request(Method::GET, listed)).await;
    assert_eq!(listed.body["errors"].as_array().unwrap().len(), entra_errors().len());
}

#[tokio::test]
async fn the_device_code_endpoint_fails_with_any_row_too() {
    let bench = Bench::new().await;
    bench.sim.faults().add(Fault::entra("7000112").unwrap().on(Endpoint::DeviceCode).times(1));
    let fields = [("client_id", PUBLIC_CLIENT_ID), ("scope", "Files.Read")];
    let answer = bench.form("common/oauth2/v2.0/devicecode", &fields).await;
    assert_eq!(answer.text("/error"), "unauthorized_client");
    assert_eq!(bench.form("common/oauth2/v2.0/devicecode", &fields).await.status, 200);
}

#[tokio::test]
async fn error_uri_leads_to_a_page_about_the_number() {
    let bench = Bench::new().await;
    let answer = refresh(&bench).await;
    let page = bench.send(bench.http.get(answer.text("/error_uri"))).await;
    assert!(page.body.as_str().unwrap().contains("AADSTS70000"));
    let unknown = format!("{}/error?code=1", bench.sim.authority());
    assert_eq!(bench.send(bench.http.get(unknown)).await.status, 404);
}
