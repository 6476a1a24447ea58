//! §9, §9.3: applications, tenants, client credentials, discovery.

use reqwest::StatusCode;
use simulator::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, PUBLIC_CLIENT_ID, TENANT_ID};

use crate::bench::{Answer, Bench, plain};

async fn credentials(bench: &Bench, tenant: &str, more: &[(&str, &str)]) -> Answer {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", CONFIDENTIAL_CLIENT_ID),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    fields.extend(more);
    bench.form(&format!("{tenant}/oauth2/v2.0/token"), &fields).await
}

#[tokio::test]
async fn an_application_gets_a_token_of_its_own_that_reads_every_drive_of_the_tenant() {
    let bench = Bench::new().await;
    let drive = bench.sim.create_drive(&plain(1, 0)).unwrap();
    let answer =
        credentials(&bench, "contoso.example", &[("client_secret", CONFIDENTIAL_CLIENT_SECRET)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for absent in ["scope", "refresh_token", "id_token"] {
        assert!(answer.body.get(absent).is_none(), "{absent}");
    }
    let token = answer.text("/access_token");
    assert_eq!(bench.get(token, &format!("drives/{}", drive.id())).await.status, 200);
    assert_eq!(bench.get(token, "me/drive").await.status, 400);
}

#[tokio::test]
async fn the_secret_may_come_by_http_basic() {
    let bench = Bench::new().await;
    let address = format!("{}/{TENANT_ID}/oauth2/v2.0/token", bench.sim.authority());
    let fields = [("grant_type", "client_credentials"), ("scope", "https://graph.microsoft.com/.default")];
    let request =
        bench.http.post(address).basic_auth(CONFIDENTIAL_CLIENT_ID, Some(CONFIDENTIAL_CLIENT_SECRET));
    assert_eq!(bench.send(request.form(&fields)).await.status, 200);
}

#[tokio::test]
async fn a_wrong_secret_is_401_and_a_missing_one_too() {
    let bench = Bench::new().await;
    let wrong = credentials(&bench, TENANT_ID, &[("client_secret", "wrong")]).await;
    assert_eq!((wrong.status, wrong.text("/error")), (401, "invalid_client"));
    assert_eq!(wrong.body["error_codes"][0], 7_000_215);
    let missing = credentials(&bench, TENANT_ID, &[]).await;
    assert_eq!((missing.status, missing.text("/error")), (401, "invalid_client"));
    assert_eq!(missing.body["error_codes"][0], 7_000_218);
}

#[tokio::test]
async fn a_public_client_must_not_send_a_secret() {
    let bench = Bench::new().await;
    let fields = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("client_secret", "something"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
    ];
    let answer = bench.token_request(&fields).await;
    assert_eq!((answer.text("/error"), &answer.body["error_codes"][0]), ("invalid_client", &700_025.into()));
}

#[tokio::test]
async fn client_credentials_need_one_tenant() {
    let bench = Bench::new().await;
    let answer = credentials(&bench, "common", &[("client_secret", CONFIDENTIAL_CLIENT_SECRET)]).await;
    assert_eq!((answer.status, answer.text("/error")), (400, "invalid_request"));
}

#[tokio::test]
async fn unknown_clients_tenants_scopes_and_grants_have_their_errors() {
    let bench = Bench::new().await;
    let device = async |tenant: &str, client: &str, scope: &str| {
        bench
            .form(&format!("{tenant}/oauth2/v2.0/devicecode"), &[("client_id", client), ("scope", scope)])
            .await
    };
    for (answer, error, number) in [
        (device(TENANT_ID, "nobody", "Files.Read").await, "unauthorized_client", 700_016),
        (device("nowhere", PUBLIC_CLIENT_ID, "Files.Read").await, "invalid_request", 90_002),
        (device(TENANT_ID, PUBLIC_CLIENT_ID, "Nonsense").await, "invalid_scope", 70_011),
        (device(TENANT_ID, PUBLIC_CLIENT_ID, "").await, "invalid_request", 900_144),
        (bench.token_request(&[("client_id", PUBLIC_CLIENT_ID)]).await, "invalid_request", 900_144),
        (bench.token_request(&[("grant_type", "magic")]).await, "unsupported_grant_type", 70_003),
    ] {
        assert_eq!((answer.status, answer.text("/error")), (400, error));
        assert_eq!(answer.body["error_codes"][0], number);
    }
}

#[tokio::test]
async fn the_discovery_document_leads_to_the_endpoints() {
    let bench = Bench::new().await;
    let base = bench.sim.authority();
    let address = format!("{base}/{TENANT_ID}/v2.0/.well-known/openid-configuration");
    let answer = bench.send(bench.http.get(address)).await;
    assert_eq!(answer.text("/issuer"), format!("{base}/{TENANT_ID}/v2.0"));
    assert_eq!(answer.text("/token_endpoint"), format!("{base}/{TENANT_ID}/oauth2/v2.0/token"));
    assert_eq!(
        answer.text("/device_authorization_endpoint"),
        format!("{base}/{TENANT_ID}/oauth2/v2.0/devicecode")
    );
    let keys = bench.send(bench.http.get(answer.text("/jwks_uri"))).await;
    assert_eq!(keys.status, StatusCode::OK.as_u16());
    assert!(keys.body["keys"].is_array());
}
