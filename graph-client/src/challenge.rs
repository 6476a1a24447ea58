//! The claims challenge of Continuous Access Evaluation, in the `WWW-Authenticate` header of a 401.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Longest challenge that is passed on, in bytes after decoding.
pub(crate) const MAX_CLAIMS_BYTES: usize = 8 * 1024;

/// Padding is sent by some services and not by others.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// The decoded claims, if the answer asks for any.
pub(crate) fn claims(headers: &HeaderMap) -> Option<String> {
    headers.get_all(WWW_AUTHENTICATE).iter().find_map(|header| {
        let parameters = parameters(header.to_str().ok()?);
        let insufficient = parameters
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("error") && value == "insufficient_claims");
        let claims = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("claims"))?;
        insufficient.then(|| decode(&claims.1)).flatten()
    })
}

/// Base64, of either alphabet, of a JSON object.
fn decode(text: &str) -> Option<String> {
    let bytes = [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(text).ok())
        .filter(|bytes| bytes.len() <= MAX_CLAIMS_BYTES)?;
    let claims = String::from_utf8(bytes).ok()?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&claims).is_ok().then_some(claims)
}

/// The `name=value` pairs of a challenge, RFC 9110 §11.2: values are tokens or quoted strings.
fn parameters(header: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut name = String::new();
    let mut rest = header.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // A space ends the scheme's name.
            ',' | ' ' | '\t' => name.clear(),
            '=' => {
                let quoted = rest.next_if_eq(&'"').is_some();
                let mut value = String::new();
                while let Some(c) = rest.next_if(|c| quoted || *c != ',') {
                    match c {
                        '"' if quoted => break,
                        '\\' if quoted => value.extend(rest.next()),
                        _ => value.push(c),
                    }
                }
                pairs.push((std::mem::take(&mut name), value.trim().to_owned()));
            }
            _ => name.push(c),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
    const ENCODED: &str =
        "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNjA0MTA2NjUxIn19fQ==";

    fn parse(headers: &[&str]) -> Option<String> {
        claims(&headers.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap())).collect())
    }

    #[test]
    fn a_challenge_as_graph_sends_it() {
        let header = format!(
            r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize",
            client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="{ENCODED}""#
        )
        .replace('\n', "");
        assert_eq!(parse(&[&header]).as_deref(), Some(CLAIMS));
        assert_eq!(parse(&["Negotiate", &header]).as_deref(), Some(CLAIMS));
    }

    #[test]
    fn padding_quotes_and_case_do_not_matter() {
        let bare = ENCODED.trim_end_matches('=');
        for header in [
            format!(r#"Bearer Error="insufficient_claims",CLAIMS="{bare}""#),
            format!("Bearer claims={bare},error=insufficient_claims"),
        ] {
            assert_eq!(parse(&[&header]).as_deref(), Some(CLAIMS), "{header}");
        }
    }

    #[test]
    fn other_refusals_carry_no_claims() {
        let long = base64::engine::general_purpose::STANDARD
            .encode(format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_CLAIMS_BYTES)));
        for header in [
            "Bearer".to_owned(),
            r#"Bearer error="invalid_token""#.to_owned(),
            format!(r#"Bearer error="invalid_token", claims="{ENCODED}""#),
            r#"Bearer error="insufficient_claims", claims="%%""#.to_owned(),
            r#"Bearer error="insufficient_claims", claims="bm90IGpzb24=""#.to_owned(),
            format!(r#"Bearer error="insufficient_claims", claims="{long}""#),
            r#"Bearer error="insufficient_claims", claims="unterminated\"#.to_owned(),
        ] {
            assert_eq!(parse(&[&header]), None, "{header}");
        }
    }
}
