//! Opaque texts that only the simulator can make and read: delta links and download links carry their state, so that a drive of a
//! million files needs no table of links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::mix::Sequence;

/// Bytes of the sum that shows whether a text is as it was given, whoever gave it.
const SUM_BYTES: usize = 8;
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

/// What a text turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsealed {
    /// Sealed here: its state.
    State(String),
    /// Sealed by another simulator, and as that one gave it.
    Foreign,
    /// Never sealed for this purpose, or changed since.
    Edited,
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
        let mut whole = sum(purpose, &text).to_vec();
        whole.append(&mut text);
        URL_SAFE_NO_PAD.encode(whole)
    }

    /// What a text turns out to be.
    pub(crate) fn open(&self, purpose: Purpose, text: &str) -> Unsealed {
        let whole =
            Some(text).filter(|text| text.len() <= MAX_TEXT_BYTES).map(|text| URL_SAFE_NO_PAD.decode(text));
        let Some(Ok(whole)) = whole else { return Unsealed::Edited };
        let Some((told, rest)) = whole.split_first_chunk::<SUM_BYTES>() else { return Unsealed::Edited };
        let Some((code, covered)) = rest.split_first_chunk::<CODE_BYTES>() else { return Unsealed::Edited };
        if sum(purpose, rest) != *told {
            return Unsealed::Edited;
        }
        let state = cover(*code, covered);
        if self.code(purpose, &state) != *code {
            return Unsealed::Foreign;
        }
        String::from_utf8(state).map_or(Unsealed::Edited, Unsealed::State)
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

/// The sum of a text; everybody can make it, and it keeps honest clients apart from others.
fn sum(purpose: Purpose, text: &[u8]) -> [u8; SUM_BYTES] {
    let digest = Sha256::new().chain_update(format!("{purpose:?}")).chain_update(text).finalize();
    let mut sum = [0; SUM_BYTES];
    for (to, from) in sum.iter_mut().zip(digest) {
        *to = from;
    }
    sum
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
        assert_eq!(seal.open(Purpose::Feed, &text), Unsealed::State("0 17 -".to_owned()));
        assert_eq!(seal.open(Purpose::Download, &text), Unsealed::Edited);
        let edited: String = text.chars().rev().collect();
        assert_eq!(seal.open(Purpose::Feed, &edited), Unsealed::Edited);
        assert_eq!(seal.open(Purpose::Feed, ""), Unsealed::Edited);
    }

    #[test]
    fn what_another_simulator_sealed_does_not_open_and_is_not_taken_for_edited() {
        let text = Seal::new(1).seal(Purpose::Feed, "0 17 -");
        assert_eq!(Seal::new(2).open(Purpose::Feed, &text), Unsealed::Foreign);
    }
}
