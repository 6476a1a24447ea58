//! Query parameters, with the spellings that clients use.

use percent_encoding::percent_decode_str;

/// The parameters of an address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the part after the question mark.
    pub(crate) fn parse(text: &str) -> Self {
        let decoded =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self { pairs: pairs.collect() }
    }

    /// A parameter, whether its name is written with `$` or without, in any case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let fits = |known: &str| known.strip_prefix('$').unwrap_or(known).eq_ignore_ascii_case(name);
        self.pairs.iter().find(|(known, _)| fits(known)).map(|(_, value)| value.as_str())
    }

    /// `$top` within 1 and the most, else the default.
    pub(crate) fn top(&self, default: usize, most: usize) -> usize {
        self.get("top").and_then(|text| text.parse::<usize>().ok()).map_or(default, |top| top.clamp(1, most))
    }
}
