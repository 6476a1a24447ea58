//! The `claims` parameter: what a client understands, and the challenge it passes on (OpenID Connect Core §5.5, graph-behaviour §9.6).

use serde_json::Value;

use super::error::EntraError;

/// AADSTS: the request is malformed.
const MALFORMED: u32 = 9_002_313;

/// What a `claims` parameter asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClaimsRequest {
    /// The client understands claims challenges (`xms_cc` with `cp1`).
    pub(super) challengeable: bool,
    /// The token has to stand for a sign-in at least this late, in seconds since the Unix epoch.
    pub(super) not_before: Option<u64>,
    /// It asks for more than to be told of the capability: it passes a challenge on.
    pub(super) answers_challenge: bool,
}

impl ClaimsRequest {
    /// Reads the parameter; without it nothing is asked for.
    pub(super) fn parse(claims: Option<&str>) -> Result<Self, EntraError> {
        let Some(text) = claims else { return Ok(Self::default()) };
        let value: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
        let value = value.ok_or_else(|| {
            EntraError::of(MALFORMED).saying("The 'claims' parameter is not a JSON object.")
        })?;
        let capabilities = value.pointer("/access_token/xms_cc/values").and_then(Value::as_array);
        let not_before = value.pointer("/access_token/nbf/value");
        let wanted = value.get("access_token").and_then(Value::as_object);
        Ok(Self {
            challengeable: capabilities.is_some_and(|all| all.iter().any(|one| one == "cp1")),
            not_before: not_before
                .and_then(|value| value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok())),
            answers_challenge: wanted.is_none_or(|claims| claims.keys().any(|name| name != "xms_cc")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_not_a_challenge() {
        let read = |text| ClaimsRequest::parse(Some(text)).unwrap();
        let capability = read(r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#);
        assert!(capability.challengeable && !capability.answers_challenge);
        let both = read(
            r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"},"xms_cc":{"values":["cp1"]}}}"#,
        );
        assert_eq!((both.challengeable, both.not_before), (true, Some(1_604_106_651)));
        assert!(both.answers_challenge);
        assert!(ClaimsRequest::parse(Some("[]")).is_err());
        assert_eq!(ClaimsRequest::parse(None).unwrap(), ClaimsRequest::default());
    }
}
