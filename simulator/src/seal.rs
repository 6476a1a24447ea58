//! Opaque texts that only the simulator can make and read: delta links and download links carry their state, so that a drive of a
//! million files needs no table of links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::mix::Sequence;

/// Bytes of the code that proves a text was made here.
const CODE_BYTES: usize = 16;
/// Longest text that is looked at.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// Makes and reads opaque texts.
#[derive(Debug)]
pub(crate) struct Seal {
    key: [u8; 32],
}

/// What a text is for; one for links does not pass for one of the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Next and delta links.
    Feed,
    /// Download links.
    Download,
}

impl Seal {
    /// The seal of a simulator.
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: Sequence::new(seed).bytes() }
    }

    /// Seals a state.
    pub(crate) fn seal(&self, purpose: Purpose, state: &str) -> String {
        let code = self.code(purpose, state.as_bytes());
        let mut text = code.to_vec();
        text.extend(cover(code, state.as_bytes()));
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The state of a sealed text; none when it was not sealed here for this purpose.
    pub(crate) fn open(&self, purpose: Purpose, text: &str) -> Option<String> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (code, covered) = bytes.split_first_chunk::<CODE_BYTES>()?;
        let state = cover(*code, covered);
        if self.code(purpose, &state) != *code {
            return None;
        }
        String::from_utf8(state).ok()
    }

    fn code(&self, purpose: Purpose, state: &[u8]) -> [u8; CODE_BYTES] {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update(format!("{purpose:?}"))
            .chain_update(state)
            .finalize();
        let mut code = [0; CODE_BYTES];
        for (to, from) in code.iter_mut().zip(digest) {
            *to = from;
        }
        code
    }
}

/// Covers (and uncovers) a state, so that nobody is tempted to read it; it is not secret.
fn cover(code: [u8; CODE_BYTES], state: &[u8]) -> Vec<u8> {
    let (left, _) = code.split_first_chunk::<8>().map_or(([0; 8], &code[..]), |(left, rest)| (*left, rest));
    let mut stream = Sequence::new(u64::from_le_bytes(left));
    let mut out = Vec::with_capacity(state.len());
    for chunk in state.chunks(8) {
        out.extend(chunk.iter().zip(stream.next().to_le_bytes()).map(|(byte, mask)| byte ^ mask));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_opens_and_only_for_its_purpose() {
        let seal = Seal::new(1);
        let text = seal.seal(Purpose::Feed, "0 17 -");
        assert_eq!(seal.open(Purpose::Feed, &text).as_deref(), Some("0 17 -"));
        assert_eq!(seal.open(Purpose::Download, &text), None);
        assert_eq!(Seal::new(2).open(Purpose::Feed, &text), None);
        let edited: String = text.chars().rev().collect();
        assert_eq!(seal.open(Purpose::Feed, &edited), None);
        assert_eq!(seal.open(Purpose::Feed, ""), None);
    }
}
