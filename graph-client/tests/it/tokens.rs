//! Refused tokens, and sources without one.

use std::time::Duration;

use graph_client::{DrivePath, GraphError, Retry, TokenError};

use crate::server::{Server, Tokens, json, reply};

const CHALLENGE: &str = r#"Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNjA0MTA2NjUxIn19fQ==""#;
const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = Server::start([
        json(401, r#"{"error":{"code":"InvalidAuthenticationToken"}}"#),
        json(200, r#"{"id":"1"}"#),
    ])
    .await;
    let tokens = Tokens::default();
    server.client().item(&tokens, &DrivePath::Me, "1").await.unwrap();
    assert_eq!(*tokens.refused.lock().unwrap(), [None]);
    let sent: Vec<_> =
        server.requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, [Some("Bearer token-0".to_owned()), Some("Bearer token-1".to_owned())]);
}

#[tokio::test]
async fn a_claims_challenge_reaches_the_source_decoded() {
    let server =
        Server::start([reply(401, &[("www-authenticate", CHALLENGE)], ""), json(200, r#"{"id":"1"}"#)]).await;
    let tokens = Tokens::default();
    server.client().item(&tokens, &DrivePath::Me, "1").await.unwrap();
    assert_eq!(*tokens.refused.lock().unwrap(), [Some(CLAIMS.to_owned())]);
}

#[tokio::test]
async fn a_replacement_that_another_call_got_may_be_refused_as_well() {
    let refused = || json(401, r#"{"error":{"code":"InvalidAuthenticationToken"}}"#);
    let server = Server::start([refused(), refused(), json(200, r#"{"id":"1"}"#)]).await;
    server.client().item(&Tokens::default(), &DrivePath::Me, "1").await.unwrap();
    assert_eq!(server.requests()[2].header("authorization"), Some("Bearer token-2"));
}

#[tokio::test]
async fn fresh_tokens_that_are_refused_too_need_a_person() {
    let server = Server::start((0..9).map(|_| reply(401, &[], ""))).await;
    let (client, tokens) = (server.client(), Tokens::default());
    let error = client.item(&tokens, &DrivePath::Me, "1").await.unwrap_err();
    assert!(error.needs_person());
    assert_eq!((error.reason(), error.retry()), ("TOKEN_REFUSED", Retry::Never));
    assert_eq!(tokens.refused.lock().unwrap().len(), 2);
    assert_eq!(client.requests_sent(), 3);
}

#[tokio::test]
async fn after_a_replacement_the_source_is_asked_again() {
    let server = Server::start([reply(401, &[], ""), reply(502, &[], ""), json(200, r#"{"id":"1"}"#)]).await;
    let tokens = Tokens::default();
    server.client().item(&tokens, &DrivePath::Me, "1").await.unwrap();
    assert_eq!(server.requests()[2].header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let server = Server::start([]).await;
    let client = server.client();
    for (needs_person, retry_after, retry) in [
        (true, None, Retry::Never),
        (true, Some(Duration::from_secs(5)), Retry::Never),
        (false, Some(Duration::from_secs(5)), Retry::After(Duration::from_secs(5))),
        (false, None, Retry::Backoff),
    ] {
        let reason = "NEEDS_REAUTH".to_owned();
        let error = TokenError { needs_person, reason, message: "sign in again".to_owned(), retry_after };
        let tokens = Tokens { error: Some(error), ..Tokens::default() };
        let error = client.item(&tokens, &DrivePath::Me, "1").await.unwrap_err();
        assert_eq!((error.needs_person(), error.retry()), (needs_person, retry));
        assert_eq!(
            (error.reason(), error.to_string().as_str()),
            ("NEEDS_REAUTH", "no access token: sign in again")
        );
        assert!(matches!(error, GraphError::Token(_)));
    }
    assert_eq!(client.requests_sent(), 0);
}
