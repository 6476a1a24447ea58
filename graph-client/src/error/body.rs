//! The error document of an answer.

use serde_json::Value;

use super::ErrorCodes;

/// Most bytes read of an error document; the rest is dropped.
pub(crate) const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;

/// How deep codes are looked for: real ones nest two levels.
const MAX_DEPTH: usize = 8;

/// Longest code that is kept.
const MAX_CODE_CHARS: usize = 64;

/// What an error document says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    pub(crate) codes: ErrorCodes,
    /// The message says that a delta token is not supported. There is no code of its own for it, and the message is an
    /// identifier in quotes, so it is one of two texts that are looked at.
    pub(crate) delta_token_refused: bool,
    /// The message says `ObjectHandle is Invalid`: so a Personal Vault answers, and nothing else tells it apart.
    pub(crate) object_handle_invalid: bool,
}

impl ErrorBody {
    /// Reads a document; anything that is none gives no codes.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return Self::default() };
        let mut codes = Vec::new();
        let mut delta_token_refused = false;
        let mut object_handle_invalid = false;
        let mut level = document.get("error");
        for _ in 0..MAX_DEPTH {
            let Some(error) = level else { break };
            codes.extend(error.get("code").and_then(Value::as_str).and_then(word));
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
            delta_token_refused |= message.contains("'DeltaToken' not supported");
            object_handle_invalid |= message.contains("ObjectHandle is Invalid");
            level = error.get("innerError").or_else(|| error.get("innererror"));
        }
        Self { codes: ErrorCodes(codes), delta_token_refused, object_handle_invalid }
    }
}

/// A code cut down to what a code consists of.
fn word(code: &str) -> Option<String> {
    let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let word: String = code.chars().filter(kept).take(MAX_CODE_CHARS).collect();
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_walked_in_both_spellings() {
        for inner in ["innerError", "innererror"] {
            let body = format!(
                r#"{{"error":{{"code":"activityLimitReached","message":"The request has been throttled",
                    "{inner}":{{"code":"throttledRequest","{inner}":{{"code":"quota"}},"date":"2026"}}}}}}"#
            );
            let codes = ErrorBody::parse(body.as_bytes()).codes;
            assert_eq!(codes.to_string(), " (activityLimitReached, throttledRequest, quota)");
            assert_eq!(codes.first(), Some("activityLimitReached"));
            assert!(codes.contain("Quota") && !codes.contain("other"));
        }
    }

    #[test]
    fn what_is_no_error_document_has_no_codes() {
        for body in
            ["", "<html>busy</html>", "[]", "{}", r#"{"error":"invalid_grant"}"#, r#"{"error":{"code":5}}"#]
        {
            assert_eq!(ErrorBody::parse(body.as_bytes()), ErrorBody::default(), "{body}");
        }
        assert_eq!(ErrorCodes::default().to_string(), "");
    }

    #[test]
    fn codes_are_cut_down_to_short_words() {
        let body = format!(r#"{{"error":{{"code":"a b\n\u001b[31m<c>{}"}}}}"#, "x".repeat(100));
        let codes = ErrorBody::parse(body.as_bytes()).codes;
        assert_eq!(codes.first().map(str::len), Some(MAX_CODE_CHARS));
        assert!(codes.first().is_some_and(|code| code.starts_with("ab31mcxxx")));
    }

    #[test]
    fn nesting_is_bounded() {
        let body = format!(
            r#"{{"error":{}{}}}"#,
            r#"{"code":"a","innerError":"#.repeat(50),
            "{}".to_owned() + &"}".repeat(50)
        );
        let codes = ErrorBody::parse(body.as_bytes()).codes;
        assert_eq!(codes.0.len(), MAX_DEPTH);
    }

    #[test]
    fn a_refused_delta_token_is_seen() {
        let body = r#"{"error":{"code":"invalidRequest","message":"Parameter 'DeltaToken' not supported for this request."}}"#;
        assert!(ErrorBody::parse(body.as_bytes()).delta_token_refused);
    }
}
