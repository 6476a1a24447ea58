//! Where a source is in its drive's delta feed.

/// A position in the feed. Links are opaque: kept and sent back byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub enum Cursor {
    /// At the start of a fresh enumeration.
    Start,
    /// In the middle: the `@odata.nextLink` to go on with.
    Page(String),
    /// The listing was complete: the `@odata.deltaLink` to ask for changes with.
    CaughtUp(String),
}

impl Cursor {
    /// The link to read the next page with; empty at the start.
    pub fn link(&self) -> &str {
        match self {
            Self::Start => "",
            Self::Page(link) | Self::CaughtUp(link) => link,
        }
    }
}

// A link may hold a token of the provider's: it is not for logs.
impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start => "Start",
            Self::Page(_) => "Page(..)",
            Self::CaughtUp(_) => "CaughtUp(..)",
        })
    }
}

/// What to do with a page that a worker hands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOrder {
    /// It follows the stored cursor: store it.
    Next,
    /// It is the one that was stored last: its answer was lost.
    Again,
    /// It follows something else: refuse it.
    Stray,
}

/// Judges a page by the link it was read with and the position that it leads to.
pub fn page_order(stored: &Cursor, read_with: &str, leads_to: &Cursor) -> PageOrder {
    if stored.link() == read_with {
        PageOrder::Next
    } else if stored == leads_to {
        PageOrder::Again
    } else {
        PageOrder::Stray
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_must_follow_the_stored_cursor_or_be_the_last_one_again() {
        let stored = Cursor::Page("2".into());
        assert_eq!(page_order(&stored, "2", &Cursor::Page("3".into())), PageOrder::Next);
        assert_eq!(page_order(&stored, "1", &Cursor::Page("2".into())), PageOrder::Again);
        assert_eq!(page_order(&stored, "1", &Cursor::Page("9".into())), PageOrder::Stray);
        assert_eq!(page_order(&Cursor::Start, "", &Cursor::CaughtUp("d".into())), PageOrder::Next);
    }

    #[test]
    fn debug_output_holds_no_link() {
        assert_eq!(format!("{:?}", Cursor::CaughtUp("https://secret".into())), "CaughtUp(..)");
    }
}
