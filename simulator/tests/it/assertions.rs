//! §9.3: applications that prove themselves by a certificate (RFC 7523) or by the token of another issuer.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use simulator::{
    App, CONFIDENTIAL_CLIENT_CERTIFICATE, CONFIDENTIAL_CLIENT_KEY, Clock, Config, FederatedCredential,
    Issuer, SetupError, Simulator, StartError, TENANT_ID,
};

use crate::bench::{Answer, Bench, plain};

const CLIENT: &str = "b0a7c0de-0000-4000-8000-0000000000aa";
const ISSUER: &str = "https://cluster.example";
const SUBJECT: &str = "system:serviceaccount:sluice:token-service";
const AUDIENCE: &str = "api://AzureADTokenExchange";

fn key() -> &'static RsaKeyPair {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RsaKeyPair::from_pkcs8(&der(CONFIDENTIAL_CLIENT_KEY)).unwrap())
}

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(text).unwrap()
}

fn jwks() -> Value {
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key().public_key());
    json!({"keys": [{"kty": "RSA", "kid": "k1", "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e)}]})
}

async fn bench() -> Bench {
    let federated =
        FederatedCredential { issuer: ISSUER.into(), subject: SUBJECT.into(), audience: AUDIENCE.into() };
    let app = App {
        certificates: vec![CONFIDENTIAL_CLIENT_CERTIFICATE.into()],
        federated: vec![federated],
        ..App::public(CLIENT)
    };
    let clock = Clock::stopped(std::time::Duration::from_hours(500_000));
    let issuers = vec![Issuer { issuer: ISSUER.into(), jwks: jwks() }];
    Bench::with(Config { clock, apps: vec![app], issuers, ..Config::default() }).await
}

/// The second the clock of the bench stands at.
const NOW: u64 = 500_000 * 3_600;

fn signed(header: &Value, claims: &Value, padding: &'static dyn RsaEncoding) -> String {
    signed_by(key(), header, claims, padding)
}

fn signed_by(key: &RsaKeyPair, header: &Value, claims: &Value, padding: &'static dyn RsaEncoding) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn thumbprint() -> String {
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, &der(CONFIDENTIAL_CLIENT_CERTIFICATE)))
}

fn certificate_claims(bench: &Bench) -> Value {
    let audience = format!("{}/{TENANT_ID}/oauth2/v2.0/token", bench.sim.authority());
    json!({"aud": audience, "iss": CLIENT, "sub": CLIENT, "jti": "j1", "nbf": NOW, "exp": NOW + 600})
}

/// An assertion by the certificate, with claims changed by `change`.
fn by_certificate(bench: &Bench, change: &Value) -> String {
    let mut claims = certificate_claims(bench);
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signed(&json!({"alg": "RS256", "x5t#S256": thumbprint()}), &claims, &RSA_PKCS1_SHA256)
}

fn by_issuer(change: &Value) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "exp": NOW + 600});
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signed(&json!({"alg": "RS256", "kid": "k1"}), &claims, &RSA_PKCS1_SHA256)
}

async fn ask(bench: &Bench, tenant: &str, assertion: &str) -> Answer {
    ask_as(bench, CLIENT, tenant, assertion).await
}

async fn ask_as(bench: &Bench, client: &str, tenant: &str, assertion: &str) -> Answer {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("scope", "https://graph.microsoft.com/.default"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    bench.form(&format!("{tenant}/oauth2/v2.0/token"), &fields).await
}

fn refused(answer: &Answer, aadsts: u32, why: &str) {
    assert_eq!((answer.status, answer.text("/error")), (401, "invalid_client"), "{why}");
    assert_eq!(answer.body["error_codes"][0], aadsts, "{why}");
}

#[tokio::test]
async fn a_registered_certificate_proves_an_application_with_rs256_and_ps256() {
    let bench = bench().await;
    let drive = bench.sim.create_drive(&plain(1, 0)).unwrap();
    let claims = certificate_claims(&bench);
    let sha1 =
        ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der(CONFIDENTIAL_CLIENT_CERTIFICATE));
    let sha1 = json!({"alg": "RS256", "x5t": URL_SAFE_NO_PAD.encode(sha1)});
    let sha256 = json!({"alg": "PS256", "x5t#S256": thumbprint()});
    // As MSAL for Python writes it.
    let padded = json!({"alg": "PS256", "x5t#S256": format!("{}=", thumbprint())});
    for assertion in [
        signed(&sha1, &claims, &RSA_PKCS1_SHA256),
        signed(&sha256, &claims, &RSA_PSS_SHA256),
        signed(&padded, &claims, &RSA_PSS_SHA256),
    ] {
        let answer = ask(&bench, TENANT_ID, &assertion).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let read = bench.get(answer.text("/access_token"), &format!("drives/{}", drive.id())).await;
        assert_eq!(read.status, 200);
    }
}

#[tokio::test]
async fn the_audience_may_be_the_issuer_and_the_tenant_may_be_its_domain() {
    let bench = bench().await;
    for end in ["contoso.example/oauth2/v2.0/token", &format!("{TENANT_ID}/v2.0")] {
        let audience = format!("{}/{end}", bench.sim.authority());
        let assertion = by_certificate(&bench, &json!({"aud": audience}));
        assert_eq!(ask(&bench, "contoso.example", &assertion).await.status, 200, "{end}");
    }
}

#[tokio::test]
async fn every_claim_of_a_certificate_assertion_is_checked() {
    let bench = bench().await;
    for (change, aadsts) in [
        (json!({"aud": "https://login.example/token"}), 700_023),
        (json!({"aud": format!("{}/common/oauth2/v2.0/token", bench.sim.authority())}), 700_023),
        (json!({"sub": "somebody"}), 700_021),
        (json!({"iss": "somebody", "sub": "somebody"}), 700_021),
        (json!({"exp": NOW - 300}), 700_024),
        (json!({"exp": null}), 700_024),
        (json!({"nbf": NOW + 301}), 700_024),
    ] {
        refused(&ask(&bench, TENANT_ID, &by_certificate(&bench, &change)).await, aadsts, &change.to_string());
    }
    let skewed = json!({"exp": NOW - 299, "nbf": NOW + 300});
    assert_eq!(ask(&bench, TENANT_ID, &by_certificate(&bench, &skewed)).await.status, 200);
}

#[tokio::test]
async fn signature_and_certificate_are_checked() {
    let bench = bench().await;
    let claims = certificate_claims(&bench);
    let unnamed = signed(&json!({"alg": "RS256"}), &claims, &RSA_PKCS1_SHA256);
    let foreign = signed(&json!({"alg": "RS256", "x5t": "other"}), &claims, &RSA_PKCS1_SHA256);
    let none = signed(&json!({"alg": "none", "x5t#S256": thumbprint()}), &claims, &RSA_PKCS1_SHA256);
    let mixed = signed(&json!({"alg": "PS256", "x5t#S256": thumbprint()}), &claims, &RSA_PKCS1_SHA256);
    let good = by_certificate(&bench, &json!({}));
    let (message, _) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{message}.");
    for assertion in [&unnamed, &foreign, &none, &mixed, &unsigned] {
        refused(&ask(&bench, TENANT_ID, assertion).await, 700_027, assertion);
    }
    let malformed = ask(&bench, TENANT_ID, "no.token").await;
    assert_eq!((malformed.status, &malformed.body["error_codes"][0]), (400, &50_027.into()));
}

/// RFC 7523 §3, item 7
#[tokio::test]
async fn an_assertion_may_be_used_again_unless_the_switch_says_otherwise() {
    let bench = bench().await;
    let assertion = by_certificate(&bench, &json!({}));
    assert_eq!(ask(&bench, TENANT_ID, &assertion).await.status, 200);
    bench.sim.switch(|switches| switches.tokens.refuse_assertion_replay = true);
    assert_eq!(ask(&bench, TENANT_ID, &assertion).await.status, 200);
    refused(&ask(&bench, TENANT_ID, &assertion).await, 700_027, "used twice");
    let fresh = by_certificate(&bench, &json!({"jti": "j2"}));
    assert_eq!(ask(&bench, TENANT_ID, &fresh).await.status, 200);
}

#[tokio::test]
async fn the_token_of_a_registered_issuer_proves_an_application() {
    let bench = bench().await;
    let answer = ask(&bench, TENANT_ID, &by_issuer(&json!({}))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for (change, aadsts) in [
        (json!({"sub": "system:serviceaccount:other:other"}), 700_213),
        (json!({"aud": "sts"}), 700_212),
        (json!({"exp": NOW - 300}), 700_024),
        (json!({"iss": "https://cluster.example/"}), 700_021),
    ] {
        refused(&ask(&bench, TENANT_ID, &by_issuer(&change)).await, aadsts, &change.to_string());
    }
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": NOW + 600});
    let other_key = signed(&json!({"alg": "RS256", "kid": "k2"}), &claims, &RSA_PKCS1_SHA256);
    refused(&ask(&bench, TENANT_ID, &other_key).await, 700_027, "unknown key");
}

#[tokio::test]
async fn the_confidential_client_of_the_default_configuration_has_an_issuer() {
    let clock = Clock::stopped(std::time::Duration::from_hours(500_000));
    let bench = Bench::with(Config { clock, ..Config::default() }).await;
    let pair = RsaKeyPair::from_pkcs8(&der(simulator::TRUSTED_ISSUER_KEY)).unwrap();
    let claims = json!({"iss": simulator::TRUSTED_ISSUER, "sub": simulator::TRUSTED_ISSUER_SUBJECT, "aud": AUDIENCE, "exp": NOW + 600});
    let header = json!({"alg": "RS256", "kid": "test-issuer"});
    let assertion = signed_by(&pair, &header, &claims, &RSA_PKCS1_SHA256);
    let answer = ask_as(&bench, simulator::CONFIDENTIAL_CLIENT_ID, TENANT_ID, &assertion).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
}

#[tokio::test]
async fn an_issuer_nobody_registered_is_refused() {
    let app = App {
        federated: vec![FederatedCredential {
            issuer: "https://elsewhere.example".into(),
            subject: SUBJECT.into(),
            audience: AUDIENCE.into(),
        }],
        ..App::public(CLIENT)
    };
    let bench = Bench::with(Config { apps: vec![app], ..Config::default() }).await;
    refused(&ask(&bench, TENANT_ID, &by_issuer(&json!({}))).await, 700_211, "issuer");
}

#[tokio::test]
async fn an_assertion_needs_its_type() {
    let bench = bench().await;
    let assertion = by_certificate(&bench, &json!({}));
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("scope", "https://graph.microsoft.com/.default"),
        ("client_assertion", &assertion),
    ];
    assert_eq!(bench.token_request(&fields).await.body["error_codes"][0], 900_144);
    fields.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"));
    assert_eq!(bench.token_request(&fields).await.body["error_codes"][0], 90_023);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_registered_is_refused_at_the_start() {
    let start = async |app: App, issuers: Vec<Issuer>| {
        let config = Config { apps: vec![app], issuers, ..Config::default() };
        match Simulator::start(config).await {
            Err(StartError::Setup(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let with = |pem: &str| App { certificates: vec![pem.to_owned()], ..App::public(CLIENT) };
    assert!(matches!(start(with("nothing"), vec![]).await, SetupError::CertificatePem { .. }));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(start(with(garbage), vec![]).await, SetupError::Certificate { .. }));
    let issuer = Issuer { issuer: ISSUER.into(), jwks: json!({"keys": [{"kty": "EC"}]}) };
    assert!(matches!(start(App::public(CLIENT), vec![issuer]).await, SetupError::KeySet(_)));
}
