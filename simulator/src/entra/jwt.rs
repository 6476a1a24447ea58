//! JSON Web Tokens in the compact form (RFC 7515 §3.1): reading those of clients, writing our own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token that was taken apart; nothing about it is proven yet.
pub(super) struct Jwt<'a> {
    pub(super) header: Value,
    pub(super) claims: Value,
    /// What the signature covers.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart; none when it is not one.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let object = |part: &str| {
            let value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        let (header, claims) = (object(header)?, object(claims)?);
        Some(Self { header, claims, signed, signature: URL_SAFE_NO_PAD.decode(signature).ok()? })
    }

    /// A member of the header that is a text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// A claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A claim that is a moment, in seconds since the Unix epoch; fractions are cut off (RFC 7519 §2).
    pub(super) fn moment(&self, name: &str) -> Option<u64> {
        let claim = self.claims.get(name)?;
        claim.as_u64().or_else(|| claim.to_string().split('.').next()?.parse().ok())
    }

    /// Whether the token is for this audience: a text, or one of a list (RFC 7519 §4.1.3).
    pub(super) fn is_for(&self, fits: impl Fn(&str) -> bool) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => fits(one),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(fits),
            _ => false,
        }
    }
}

/// Writes a token, signed by the closure.
pub(super) fn write(
    header: &Value,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<String> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes())?);
    Some(format!("{signed}.{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_written_is_read_back() {
        let claims = json!({"aud": ["a", "b"], "exp": 12.5, "sub": "s"});
        let token = write(&json!({"alg": "none"}), &claims, |_| Some(vec![1, 2])).unwrap();
        let read = Jwt::parse(&token).unwrap();
        assert_eq!(
            (read.header("alg"), read.text("sub"), read.moment("exp")),
            (Some("none"), Some("s"), Some(12))
        );
        assert!(read.is_for(|audience| audience == "b") && !read.is_for(|audience| audience == "c"));
        assert_eq!((read.signature.as_slice(), token.starts_with(read.signed)), (&[1, 2][..], true));
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        for text in ["", "a.b", "a.b.c", "e30.WzFd.AA", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(Jwt::parse(text).is_none(), "{text:.20}");
        }
    }
}
