//! Reads the bodies of token and device endpoints.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer};
use service_kit::secret::SecretString;

use super::{
    DEFAULT_TOKEN_LIFETIME, DeviceGrant, MAX_TOKEN_LIFETIME, TokenGrant, classify::ErrorAnswer, id_token,
    transport::Answer,
};
use crate::domain::scopes::ScopeSet;

/// Most AADSTS numbers read from one answer.
const MAX_NUMBERS: usize = 8;
/// Most bytes of a claims challenge that is passed on.
const MAX_CLAIMS_BYTES: usize = 4 * 1024;
/// Life of device codes when the answer does not say (RFC 8628 requires it; Entra's is 15 minutes).
const DEFAULT_DEVICE_LIFETIME: Duration = Duration::from_mins(15);
/// Longest life of device codes believed.
const MAX_DEVICE_LIFETIME: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    #[serde(default, deserialize_with = "lenient_text")]
    token_type: Option<String>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    refresh_in: Option<u64>,
    #[serde(default, deserialize_with = "lenient_text")]
    scope: Option<String>,
    refresh_token: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct DeviceBody {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "lenient_seconds")]
    interval: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    error: String,
    error_description: String,
    #[serde(deserialize_with = "lenient_numbers")]
    error_codes: Vec<u32>,
    suberror: Option<String>,
    claims: Option<String>,
}

/// Reads a token answer; nothing when it is none.
pub(super) fn token_grant(answer: &Answer, client_id: &str) -> Option<TokenGrant> {
    let body: TokenBody = serde_json::from_slice(&answer.body).ok()?;
    let lifetime =
        body.expires_in.map_or(DEFAULT_TOKEN_LIFETIME, Duration::from_secs).min(MAX_TOKEN_LIFETIME);
    let account =
        body.id_token.map(SecretString::new).and_then(|token| id_token::account(token.expose(), client_id));
    (!body.access_token.is_empty()).then(|| TokenGrant {
        access_token: Arc::new(SecretString::new(body.access_token)),
        token_type: body.token_type.unwrap_or_else(|| "Bearer".to_owned()),
        lifetime,
        refresh_in: body.refresh_in.map(Duration::from_secs).filter(|advised| *advised < lifetime),
        scopes: body.scope.and_then(|scope| ScopeSet::parse_joined(&scope).ok()),
        refresh_token: body.refresh_token.filter(|token| !token.is_empty()).map(SecretString::new),
        account,
    })
}

/// Reads a device answer; nothing when it is none.
pub(super) fn device_grant(answer: &Answer) -> Option<DeviceGrant> {
    let body: DeviceBody = serde_json::from_slice(&answer.body).ok()?;
    let lifetime =
        body.expires_in.map_or(DEFAULT_DEVICE_LIFETIME, Duration::from_secs).min(MAX_DEVICE_LIFETIME);
    Some(DeviceGrant {
        device_code: SecretString::new(body.device_code),
        user_code: SecretString::new(body.user_code),
        verification_uri: body.verification_uri,
        verification_uri_complete: body.verification_uri_complete.map(SecretString::new),
        message: body.message.map(SecretString::new),
        lifetime,
        interval: body.interval.map(Duration::from_secs),
    })
}

/// Reads an error answer; a body that is none (a proxy's page, say) leaves everything but the status empty.
pub(super) fn error_answer(answer: &Answer) -> ErrorAnswer {
    let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut numbers = body.error_codes;
    if numbers.is_empty() {
        numbers.extend(described_number(&body.error_description));
    }
    numbers.truncate(MAX_NUMBERS);
    ErrorAnswer {
        status: answer.status,
        retry_after: answer.retry_after,
        error: body.error,
        suberror: body.suberror.unwrap_or_default(),
        numbers,
        claims: body.claims.filter(|claims| claims.len() <= MAX_CLAIMS_BYTES && is_object(claims)),
    }
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}

/// The number of a description that starts with `AADSTSn:`, for answers without `error_codes`.
fn described_number(description: &str) -> Option<u32> {
    let rest = description.strip_prefix("AADSTS")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Seconds as a number or, as older endpoints send them, as text. Anything else counts as absent.
fn lenient_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok())))
}

/// Text. Anything else counts as absent: a refresh token that came with it must not be lost for it.
fn lenient_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(if let serde_json::Value::String(text) = value { Some(text) } else { None })
}

/// The numbers of a list; what is no number is left out.
fn lenient_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let numbers = value.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(numbers.iter().filter_map(|number| number.as_u64().and_then(|n| u32::try_from(n).ok())).collect())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 400, retry_after: None, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    #[test]
    fn a_life_that_is_not_given_is_five_minutes_and_text_counts_as_a_number() {
        let cases = [
            (r#"{"access_token":"a"}"#, DEFAULT_TOKEN_LIFETIME),
            (r#"{"access_token":"a","expires_in":3599}"#, Duration::from_secs(3599)),
            (r#"{"access_token":"a","expires_in":"3599"}"#, Duration::from_secs(3599)),
            (r#"{"access_token":"a","expires_in":null}"#, DEFAULT_TOKEN_LIFETIME),
            (r#"{"access_token":"a","expires_in":-1}"#, DEFAULT_TOKEN_LIFETIME),
            (r#"{"access_token":"a","expires_in":99999999}"#, MAX_TOKEN_LIFETIME),
        ];
        for (body, expected) in cases {
            assert_eq!(token_grant(&answer(body), "app").unwrap().lifetime, expected, "{body}");
        }
    }

    #[test]
    fn advice_to_refresh_is_read_unless_it_makes_no_sense() {
        let cases = [
            (r#"{"access_token":"a","expires_in":3599,"refresh_in":"1800"}"#, Some(Duration::from_mins(30))),
            (r#"{"access_token":"a","expires_in":3599,"refresh_in":3599}"#, None),
            (r#"{"access_token":"a","expires_in":3599,"refresh_in":"soon"}"#, None),
            (r#"{"access_token":"a","expires_in":3599}"#, None),
        ];
        for (body, expected) in cases {
            assert_eq!(token_grant(&answer(body), "app").unwrap().refresh_in, expected, "{body}");
        }
    }

    #[test]
    fn a_rotated_token_is_read_whatever_comes_with_it() {
        for odd in ["7", "null", "[7]", "{}", r#""odd \" text""#] {
            let others = ["token_type", "scope", "id_token", "expires_in", "refresh_in", "unheard_of"];
            let others: Vec<String> = others.iter().map(|name| format!(r#""{name}":{odd}"#)).collect();
            let body = format!(r#"{{"access_token":"a","refresh_token":"b",{}}}"#, others.join(","));
            let grant = token_grant(&answer(&body), "app").unwrap();
            assert_eq!(grant.refresh_token.unwrap().expose(), "b", "{body}");
        }
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":7}"#,
            r#"{"access_token":"a","refresh_token":7}"#,
        ] {
            assert!(token_grant(&answer(body), "app").is_none(), "{body}");
        }
    }

    #[test]
    fn numbers_come_from_the_list_or_else_from_the_description() {
        let cases = [
            (r#"{"error":"e","error_codes":[700082,1]}"#, vec![700_082, 1]),
            (r#"{"error":"e","error_description":"AADSTS50173: text"}"#, vec![50_173]),
            (r#"{"error":"e","error_description":"see AADSTS50173"}"#, vec![]),
            (r#"{"error":"e","error_codes":"odd"}"#, vec![]),
        ];
        for (body, expected) in cases {
            assert_eq!(error_answer(&answer(body)).numbers, expected, "{body}");
        }
    }

    #[test]
    fn claims_are_an_object_or_absent() {
        let cases = [
            (r#"{"error":"e","claims":"{\"access_token\":{}}"}"#, Some(r#"{"access_token":{}}"#)),
            (r#"{"error":"e","claims":"[]"}"#, None),
            (r#"{"error":"e","claims":""}"#, None),
        ];
        for (body, expected) in cases {
            assert_eq!(error_answer(&answer(body)).claims.as_deref(), expected, "{body}");
        }
        let long = format!(r#"{{"error":"e","claims":"{{\"a\":\"{}\"}}"}}"#, "x".repeat(MAX_CLAIMS_BYTES));
        assert_eq!(error_answer(&answer(&long)).claims, None);
    }

    #[test]
    fn a_page_instead_of_an_error_leaves_only_the_status() {
        let read = error_answer(&answer("<html><body>Bad gateway</body></html>"));
        assert_eq!((read.status, read.error.as_str()), (400, ""));
    }

    #[test]
    fn device_answers_are_read() {
        let body = r#"{"device_code":"d","user_code":"u","verification_uri":"https://x","expires_in":900,"interval":5}"#;
        let grant = device_grant(&answer(body)).unwrap();
        assert_eq!(grant.device_code.expose(), "d");
        assert_eq!(grant.lifetime, Duration::from_mins(15));
        assert_eq!(grant.interval, Some(Duration::from_secs(5)));
    }
}
