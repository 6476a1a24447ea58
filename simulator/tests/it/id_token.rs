//! §9, OpenID Connect Core §2, §3.1.3.7: signed ID tokens, the keys to check them by, and the document that leads there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;
use simulator::{FIRST_USER, PUBLIC_CLIENT_ID, TENANT_ID};

use crate::bench::{Answer, Bench};
use crate::browser::{Browser, redeem};

fn part(token: &str, index: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

/// The claims of an answer's ID token, unchecked.
pub(crate) fn claims(answer: &Answer) -> Value {
    serde_json::from_slice(&part(answer.text("/id_token"), 1)).unwrap()
}

#[tokio::test]
async fn an_id_token_is_signed_with_the_published_key_and_carries_the_nonce() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[("nonce", "n-0S6_WzA2Mj")]).await;
    let answer = redeem(&bench, &code, &[]).await;
    let token = answer.text("/id_token");
    let header: Value = serde_json::from_slice(&part(token, 0)).unwrap();
    assert_eq!(header["alg"], "RS256");
    let keys = format!("{}/{TENANT_ID}/discovery/v2.0/keys", bench.sim.authority());
    let keys = bench.send(bench.http.get(keys)).await.body;
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["use"]), (&"RSA".into(), &"sig".into()));
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let public = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    let (signed, _) = token.rsplit_once('.').unwrap();
    public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &part(token, 2)).unwrap();
    let edited = signed.replacen('.', ".e", 1);
    assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, edited.as_bytes(), &part(token, 2)).is_err());
    let claims = claims(&answer);
    assert_eq!((&claims["nonce"], &claims["aud"]), (&"n-0S6_WzA2Mj".into(), &PUBLIC_CLIENT_ID.into()));
    assert_eq!(claims["iss"], key["issuer"]);
    assert_eq!(claims["ver"], "2.0");
}

#[tokio::test]
async fn a_refresh_renews_the_id_token_without_the_nonce() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[("nonce", "n")]).await;
    let first = redeem(&bench, &code, &[]).await;
    let second = bench.refresh(first.text("/refresh_token")).await;
    let (old, new) = (claims(&first), claims(&second));
    assert_eq!((&old["sub"], &old["oid"]), (&new["sub"], &new["oid"]));
    assert!(new.get("nonce").is_none() && old["uti"] != new["uti"]);
}

#[tokio::test]
async fn client_info_names_user_and_tenant_when_it_is_asked_for() {
    let bench = Bench::new().await;
    let code = Browser::new(&bench).code(FIRST_USER, &[]).await;
    let answer = redeem(&bench, &code, &[("client_info", "1")]).await;
    let info: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(answer.text("/client_info")).unwrap()).unwrap();
    let claims = claims(&answer);
    assert_eq!((&info["uid"], &info["utid"]), (&claims["oid"], &claims["tid"]));
    let without = bench.refresh(answer.text("/refresh_token")).await;
    assert!(without.body.get("client_info").is_none());
}

#[tokio::test]
async fn the_discovery_document_is_complete() {
    let bench = Bench::new().await;
    let base = bench.sim.authority();
    let document = format!("{base}/common/v2.0/.well-known/openid-configuration");
    let document = bench.send(bench.http.get(document)).await;
    assert_eq!(document.text("/issuer"), format!("{base}/{{tenantid}}/v2.0"));
    assert_eq!(document.text("/authorization_endpoint"), format!("{base}/common/oauth2/v2.0/authorize"));
    assert_eq!(document.text("/end_session_endpoint"), format!("{base}/common/oauth2/v2.0/logout"));
    for (member, value) in [
        ("id_token_signing_alg_values_supported", "RS256"),
        ("response_modes_supported", "form_post"),
        ("response_types_supported", "code"),
        ("code_challenge_methods_supported", "S256"),
        ("token_endpoint_auth_methods_supported", "private_key_jwt"),
        ("scopes_supported", "offline_access"),
        ("subject_types_supported", "pairwise"),
    ] {
        assert!(document.body[member].as_array().unwrap().contains(&value.into()), "{member}");
    }
    let unknown = format!("{base}/nowhere/v2.0/.well-known/openid-configuration");
    assert_eq!(bench.send(bench.http.get(unknown)).await.status, 400);
}

#[tokio::test]
async fn instance_discovery_names_the_authority_and_its_aliases() {
    let bench = Bench::new().await;
    let base = bench.sim.authority();
    let address = format!("{base}/common/discovery/instance?api-version=1.1");
    let answer = bench.send(bench.http.get(address)).await;
    assert_eq!(
        answer.text("/tenant_discovery_endpoint"),
        format!("{base}/common/v2.0/.well-known/openid-configuration")
    );
    let host = base.trim_start_matches("http://");
    let groups = answer.body["metadata"].as_array().unwrap();
    assert!(groups.iter().any(|group| group["aliases"].as_array().unwrap().contains(&host.into())));
}
