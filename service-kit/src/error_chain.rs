//! One-line rendering of an error and everything below it.

use std::{
    error::Error,
    fmt::{self, Write as _},
};

/// Most errors of a chain that are shown.
const MAX_DEPTH: usize = 16;

/// `Display` is `outer: inner: innermost`, always on one line.
///
/// For the boundary that handles an error; errors themselves leave their sources out of their own text. Where one (of a
/// library) repeats its source nevertheless, the text is shown once.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        write_on_one_line(f, &last)?;
        let mut next = self.0.source();
        for _ in 1..MAX_DEPTH {
            let Some(error) = next else { return Ok(()) };
            let text = error.to_string();
            if !last.ends_with(&text) {
                f.write_str(": ")?;
                write_on_one_line(f, &text)?;
                last = text;
            }
            next = error.source();
        }
        if next.is_some() { f.write_str(": …") } else { Ok(()) }
    }
}

fn write_on_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            f.write_char(' ')?;
        }
        line.chars().filter(|c| !c.is_control()).try_for_each(|c| f.write_char(c))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Link {
        let (text, rest) = texts.split_first().unwrap();
        let source = (!rest.is_empty()).then(|| Box::new(chain(rest)));
        Link { text, source }
    }

    #[test]
    fn shows_the_chain_on_one_line() {
        let error = chain(&["cannot open", "line one\nline two", "\u{1b}[31mred"]);
        assert_eq!(ErrorChain(&error).to_string(), "cannot open: line one line two: [31mred");
    }

    #[test]
    fn a_repeated_source_is_shown_once() {
        let error = chain(&["cannot open: denied", "denied", "by policy"]);
        assert_eq!(ErrorChain(&error).to_string(), "cannot open: denied: by policy");
    }

    #[test]
    fn a_very_long_chain_is_cut() {
        let texts: Vec<&'static str> = ["a", "b"].into_iter().cycle().take(40).collect();
        let text = ErrorChain(&chain(&texts)).to_string();
        assert_eq!(text.matches(['a', 'b']).count(), MAX_DEPTH);
        assert!(text.ends_with(": …"));
    }
}
