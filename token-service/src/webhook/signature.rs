//! Signs messages: Standard Webhooks 1.0.0, symmetric (`v1`), which is HMAC-SHA256 over `id.timestamp.body`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use service_kit::secret::SecretString;
use zeroize::Zeroizing;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Fewest bytes of a secret.
const MIN_BYTES: usize = 24;
/// Most bytes of a secret.
const MAX_BYTES: usize = 64;
/// Most secrets at once: the old one and the new one.
const MAX_SECRETS: usize = 2;

/// Why a file holds no usable secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SigningSecretsError {
    /// None, or too many.
    #[error(
        "must hold one secret, or two while receivers change from one to the other, each on a line of its own"
    )]
    Count,
    /// One is not of the usual form.
    #[error("must hold secrets of the form whsec_ and the base64 of {MIN_BYTES} to {MAX_BYTES} random bytes")]
    Form,
}

/// The secrets of one endpoint: every message is signed with each, and a receiver accepts any.
pub struct SigningSecrets(Vec<hmac::Key>);

impl SigningSecrets {
    /// Reads the text of a file.
    pub fn parse(text: &SecretString) -> Result<Self, SigningSecretsError> {
        let mut keys = Vec::new();
        for line in text.expose().lines().map(str::trim).filter(|line| !line.is_empty()) {
            let encoded = line.strip_prefix(PREFIX).ok_or(SigningSecretsError::Form)?;
            let decoded = STANDARD.decode(encoded).ok().map(Zeroizing::new);
            let bytes = decoded.filter(|bytes| (MIN_BYTES..=MAX_BYTES).contains(&bytes.len()));
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes.ok_or(SigningSecretsError::Form)?));
        }
        if keys.is_empty() || keys.len() > MAX_SECRETS {
            return Err(SigningSecretsError::Count);
        }
        Ok(Self(keys))
    }

    /// The header `webhook-signature`: one signature for each secret.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signature = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        };
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(text: &str) -> Result<SigningSecrets, SigningSecretsError> {
        SigningSecrets::parse(&SecretString::new(text.to_owned()))
    }

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_what_the_specification_gives() {
        let keys = secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let header = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_give_two_signatures() {
        let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3");
        let both = secrets(&format!("{new}\n{old}\n")).unwrap().sign("id", "1", b"body");
        let alone = |text| secrets(text).unwrap().sign("id", "1", b"body");
        assert_eq!(both, format!("{} {}", alone(new), alone(old)));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for bad in ["hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS?"] {
            assert_eq!(secrets(bad).err(), Some(SigningSecretsError::Form), "{bad}");
        }
        assert_eq!(secrets("\n").err(), Some(SigningSecretsError::Count));
        assert_eq!(secrets(&format!("{good}\n{good}\n{good}")).err(), Some(SigningSecretsError::Count));
    }
}
