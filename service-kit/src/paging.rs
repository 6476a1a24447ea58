//! Pages of lists (AIP-158): sizes, and page tokens that say where the previous page ended.
//!
//! A page token holds the sort key of the last row, so a page costs the same however far down it is, and rows that come or
//! go in between are neither repeated nor skipped. It also holds a fingerprint of the list it belongs to: used with another
//! filter it is refused, where it would silently skip rows.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::status::Violations;

/// Rows of a page when the caller does not say.
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// Most rows of a page.
pub const MAX_PAGE_SIZE: u32 = 1000;
/// Most characters of a page token.
pub const MAX_PAGE_TOKEN_LENGTH: usize = 2048;
/// Form of the token; a token of another version is refused.
const VERSION: u8 = 1;
const FIELD_SIZE: &str = "page_size";
const FIELD_TOKEN: &str = "page_token";
const NOT_OURS: &str =
    "is not a token that this list gave out for these filters; leave it empty to start over";

/// What a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Most rows to return: 1 to [`MAX_PAGE_SIZE`].
    pub size: u32,
    /// Sort key of the last row that the caller has; `None` for the first page.
    pub after: Option<Vec<String>>,
}

impl PageRequest {
    /// Reads `page_size` and `page_token` and notes what is bad about them. `list` says which list this is, with all its
    /// filters; `columns` is the number of parts of its sort key.
    pub fn parse(
        page_size: i32,
        page_token: &str,
        list: &str,
        columns: usize,
        violations: &mut Violations,
    ) -> Option<Self> {
        let size = violations.check(FIELD_SIZE, parse_size(page_size));
        let after = match page_token {
            "" => Some(None),
            token => violations.check(FIELD_TOKEN, decode(token, list, columns).ok_or(NOT_OURS)).map(Some),
        };
        Some(Self { size: size?, after: after? })
    }
}

/// The token for the page after the row with this sort key; `list` as in [`PageRequest::parse`].
pub fn next_page_token(list: &str, sort_key: &[&str]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&fingerprint(list).to_be_bytes());
    for part in sort_key {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend(part.bytes().take(usize::from(length)));
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn parse_size(size: i32) -> Result<u32, String> {
    match u32::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size @ 1..=MAX_PAGE_SIZE) => Ok(size),
        Ok(_) | Err(_) => {
            Err(format!("{size} is not between 1 and {MAX_PAGE_SIZE}, nor 0 for {DEFAULT_PAGE_SIZE}"))
        }
    }
}

fn decode(token: &str, list: &str, columns: usize) -> Option<Vec<String>> {
    if token.len() > MAX_PAGE_TOKEN_LENGTH {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (print, mut rest) = rest.split_first_chunk::<8>()?;
    if *version != VERSION || u64::from_be_bytes(*print) != fingerprint(list) {
        return None;
    }
    let mut key = Vec::with_capacity(columns);
    for _ in 0..columns {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        key.push(String::from_utf8(part.to_vec()).ok()?);
        rest = after;
    }
    rest.is_empty().then_some(key)
}

/// FNV-1a, 64 bits: the same for all versions and machines, and nothing secret depends on it.
fn fingerprint(list: &str) -> u64 {
    list.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::status::status_violations;

    const LIST: &str = "connections of tenants/acme in any state";

    fn parse(size: i32, token: &str, list: &str, columns: usize) -> Result<PageRequest, Vec<String>> {
        let mut violations = Violations::new();
        let page = PageRequest::parse(size, token, list, columns, &mut violations);
        match violations.finish() {
            Ok(()) => Ok(page.unwrap()),
            Err(error) => {
                assert_eq!(page, None);
                Err(status_violations(&error.into()).into_iter().map(|(field, _)| field).collect())
            }
        }
    }

    #[test]
    fn sizes_outside_the_bounds_are_refused() {
        assert_eq!(parse(0, "", LIST, 1).unwrap(), PageRequest { size: 100, after: None });
        for size in [1, 1000] {
            assert_eq!(i64::from(parse(size, "", LIST, 1).unwrap().size), i64::from(size));
        }
        for size in [-1, 1001, i32::MAX, i32::MIN] {
            assert_eq!(parse(size, "", LIST, 1).unwrap_err(), ["page_size"]);
        }
    }

    #[test]
    fn both_bad_fields_are_noted() {
        assert_eq!(parse(-1, "!", LIST, 1).unwrap_err(), ["page_size", "page_token"]);
    }

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let token = next_page_token(LIST, &["tenants/acme/connections/mail"]);
        let key = vec!["tenants/acme/connections/mail".to_owned()];
        assert_eq!(parse(7, &token, LIST, 1).unwrap(), PageRequest { size: 7, after: Some(key) });
        assert_eq!(parse(7, &token, "connections of tenants/acme, active", 1).unwrap_err(), ["page_token"]);
        assert_eq!(parse(7, &token, LIST, 2).unwrap_err(), ["page_token"]);
        assert_eq!(parse(7, &token, LIST, 0).unwrap_err(), ["page_token"]);
        assert_eq!(parse(7, &"A".repeat(3000), LIST, 1).unwrap_err(), ["page_token"]);
    }

    proptest! {
        #[test]
        fn keys_come_back_whole(key in prop::collection::vec("\\PC{0,40}", 0..4)) {
            let parts: Vec<&str> = key.iter().map(String::as_str).collect();
            let page = parse(1, &next_page_token(LIST, &parts), LIST, key.len()).unwrap();
            prop_assert_eq!(page.after, Some(key));
        }

        #[test]
        fn no_text_is_more_than_refused(token in "[A-Za-z0-9_-]{1,200}", columns in 0..4_usize) {
            prop_assert_eq!(parse(1, &token, LIST, columns).unwrap_err(), ["page_token"]);
        }
    }
}
