//! Reads who signed in from an ID token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::domain::account::Account;

/// Most characters of a claim that is kept.
const MAX_CLAIM_CHARS: usize = 320;

#[derive(Deserialize)]
struct Claims {
    aud: Audience,
    tid: Option<String>,
    oid: Option<String>,
    #[serde(default)]
    preferred_username: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The account an ID token names, if it was made for this client and says both directory and object.
///
/// The signature is not checked: the token came straight from the token endpoint over TLS, which OpenID Connect Core 1.0
/// §3.1.3.7 item 6 accepts in its place.
pub(super) fn account(id_token: &str, client_id: &str) -> Option<Account> {
    let payload = id_token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&json).ok()?;
    let is_for_us = match &claims.aud {
        Audience::One(audience) => audience == client_id,
        Audience::Many(audiences) => audiences.iter().any(|audience| audience == client_id),
    };
    let keep = |text: String| (!text.is_empty() && text.len() <= MAX_CLAIM_CHARS).then_some(text);
    is_for_us.then_some(Account {
        directory_id: claims.tid.and_then(keep)?,
        object_id: claims.oid.and_then(keep)?,
        username: keep(claims.preferred_username).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn directory_object_and_name_are_read() {
        let text = token(r#"{"aud":"app","tid":"t","oid":"o","preferred_username":"a@x","extra":1}"#);
        let expected = Account { directory_id: "t".into(), object_id: "o".into(), username: "a@x".into() };
        assert_eq!(account(&text, "app"), Some(expected.clone()));
        let text = token(r#"{"aud":["other","app"],"tid":"t","oid":"o","preferred_username":"a@x"}"#);
        assert_eq!(account(&text, "app"), Some(expected));
    }

    #[test]
    fn a_token_for_another_app_or_without_an_identity_names_nobody() {
        for text in [
            token(r#"{"aud":"other","tid":"t","oid":"o"}"#),
            token(r#"{"aud":"app","oid":"o"}"#),
            token(r#"{"aud":"app","tid":"t","oid":""}"#),
            token("not json"),
            "no-dots".to_owned(),
            String::new(),
        ] {
            assert_eq!(account(&text, "app"), None, "{text}");
        }
    }
}
