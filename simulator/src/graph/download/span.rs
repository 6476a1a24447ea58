//! Ranges (graph-behaviour §4.3).

/// Which part of a content is wanted (RFC 9110 §14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Whole,
    /// From, and up to but not including.
    Part(u64, u64),
    Unsatisfiable,
}

impl Span {
    /// Bytes of a content of this size that are sent.
    pub(super) const fn length(self, size: u64) -> u64 {
        match self {
            Self::Whole => size,
            Self::Part(from, to) => to - from,
            Self::Unsatisfiable => 0,
        }
    }

    /// Reads a `Range` header. One range only; whatever is not understood means the whole.
    pub(super) fn of(header: Option<&str>, size: u64) -> Self {
        let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
            return Self::Whole;
        };
        match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), _) if first >= size => Self::Unsatisfiable,
            (Ok(first), Ok(last)) if last >= first => Self::Part(first, last.saturating_add(1).min(size)),
            (Ok(first), Err(_)) if last.trim().is_empty() => Self::Part(first, size),
            (Err(_), Ok(0)) if first.trim().is_empty() => Self::Unsatisfiable,
            (Err(_), Ok(suffix)) if first.trim().is_empty() && size > 0 => {
                Self::Part(size.saturating_sub(suffix), size)
            }
            _ => Self::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    /// RFC 9110 §14.1.2
    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (header, size, expected) in [
            (None, 10, Span::Whole),
            (Some("bytes=0-3"), 10, Span::Part(0, 4)),
            (Some("bytes=4-"), 10, Span::Part(4, 10)),
            (Some("bytes=4-99"), 10, Span::Part(4, 10)),
            (Some("bytes=-3"), 10, Span::Part(7, 10)),
            (Some("bytes=-99"), 10, Span::Part(0, 10)),
            (Some("bytes=10-"), 10, Span::Unsatisfiable),
            (Some("bytes=-0"), 10, Span::Unsatisfiable),
            (Some("bytes=0-0"), 0, Span::Unsatisfiable),
            (Some("bytes=5-2"), 10, Span::Whole),
            (Some("lines=1-2"), 10, Span::Whole),
            (Some("bytes=0-1,4-5"), 10, Span::Whole),
        ] {
            assert_eq!(Span::of(header, size), expected, "{header:?} of {size}");
        }
    }
}
