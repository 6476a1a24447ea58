//! The content of a file, as a stream.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use reqwest::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Response, StatusCode};

use crate::bandwidth::Bandwidth;
use crate::error::GraphError;
use crate::request::next_piece;
use crate::window::Pass;

/// Longest `ETag` of a content that is taken notice of, in bytes.
const MAX_E_TAG_BYTES: usize = 512;

/// End of the name of a text that comes in place of a content.
pub const ERROR_TEXT_SUFFIX: &str = "_Error.txt";

/// Which bytes of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteSpan {
    /// All of them.
    Whole,
    /// From this offset to the end.
    From(u64),
    /// From the start of this range to before its end.
    Within(Range<u64>),
}

impl ByteSpan {
    /// The `Range` header, RFC 9110 §14.2; `None` for the whole.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, GraphError> {
        let text = match self {
            Self::Whole | Self::From(0) => return Ok(None),
            Self::From(start) => format!("bytes={start}-"),
            Self::Within(range) if range.is_empty() => return Err(GraphError::OutOfRange),
            Self::Within(range) => format!("bytes={}-{}", range.start, range.end - 1),
        };
        HeaderValue::try_from(text).map(Some).map_err(|_error| GraphError::OutOfRange)
    }

    fn start(&self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::From(start) => *start,
            Self::Within(range) => range.start,
        }
    }
}

/// A content that is being received. The service may ignore a range and send the whole: see [`Download::offset`].
#[derive(Debug)]
pub struct Download {
    response: Response,
    offset: u64,
    length: Option<u64>,
    total: Option<u64>,
    e_tag: Option<String>,
    received: u64,
    idle_limit: Duration,
    bandwidth: Option<Arc<Bandwidth>>,
    /// The request is under way until all of it came.
    _pass: Pass,
}

impl Download {
    pub(crate) fn begin(
        (response, pass): (Response, Pass),
        span: &ByteSpan,
        idle_limit: Duration,
        bandwidth: Option<Arc<Bandwidth>>,
    ) -> Result<Self, GraphError> {
        let length = number(response.headers(), &CONTENT_LENGTH);
        let e_tag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        let e_tag = e_tag.filter(|e_tag| e_tag.len() <= MAX_E_TAG_BYTES).map(str::to_owned);
        let whole = response.status() == StatusCode::OK;
        let (offset, length, total) =
            if whole { (0, length, length) } else { part(response.headers(), span, length)? };
        Ok(Self { response, offset, length, total, e_tag, received: 0, idle_limit, bandwidth, _pass: pass })
    }

    /// Where in the content the first byte received belongs: the start of the span asked for, or 0 when the service ignored
    /// the range.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether a part came, as asked for. The service may ignore a range and send the whole.
    pub fn is_part(&self) -> bool {
        self.response.status() == StatusCode::PARTIAL_CONTENT
    }

    /// How many bytes will come, where the service says so. It is right where the listed size of the item is not.
    pub const fn content_length(&self) -> Option<u64> {
        self.length
    }

    /// Length of the whole content, where the service says so.
    pub const fn total_length(&self) -> Option<u64> {
        self.total
    }

    /// Names the version that the bytes are of, where the service says so: parts are of one content only when it is the same.
    pub fn e_tag(&self) -> Option<&str> {
        self.e_tag.as_deref()
    }

    /// Whether what comes has a name as the service gives to a text that says why there is no content (elastic/connectors#1568). A file
    /// may of course have such a name itself.
    pub fn is_named_error_text(&self) -> bool {
        let header = self.response.headers().get(CONTENT_DISPOSITION);
        header.and_then(|value| value.to_str().ok()).is_some_and(|text| {
            text.split(';').any(|parameter| parameter.trim().trim_matches('"').ends_with(ERROR_TEXT_SUFFIX))
        })
    }

    /// The next piece; `None` after the last one. A content that ends before its announced length is an error, so `None` means
    /// that all of it came.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, GraphError> {
        let piece = match next_piece(&mut self.response, self.idle_limit).await {
            Err(GraphError::Connection(error)) => {
                return Err(self.truncated().unwrap_or(GraphError::Connection(error)));
            }
            piece => piece?,
        };
        match &piece {
            Some(bytes) => {
                self.received += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                if let Some(bandwidth) = &self.bandwidth {
                    bandwidth.spend(bytes.len()).await;
                }
            }
            None => self.truncated().map_or(Ok(()), Err)?,
        }
        Ok(piece)
    }

    /// The pieces as a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, GraphError>> + Send {
        try_unfold(self, |mut download| async move {
            let piece = download.chunk().await?;
            Ok(piece.map(|piece| (piece, download)))
        })
    }

    fn truncated(&self) -> Option<GraphError> {
        let expected = self.length.filter(|length| *length > self.received)?;
        Some(GraphError::Truncated { expected, received: self.received })
    }
}

/// Offset, length and total length of a part, if it is the one asked for.
fn part(
    headers: &HeaderMap,
    span: &ByteSpan,
    length: Option<u64>,
) -> Result<(u64, Option<u64>, Option<u64>), GraphError> {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let range = range.and_then(ContentRange::parse).filter(|range| range.answers(span));
    let range =
        range.ok_or(GraphError::Malformed { what: "a part of a content other than the one asked for" })?;
    let span_length = range.last - range.first + 1;
    if length.is_some_and(|length| length != span_length) {
        return Err(GraphError::Malformed { what: "a part of a content of two lengths" });
    }
    Ok((range.first, Some(span_length), range.total))
}

/// `Content-Range: bytes first-last/total`, RFC 9110 §14.4.
struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let range = Self { first: first.parse().ok()?, last: last.parse().ok()?, total };
        // The last offset there is would make a length that does not fit.
        let sound = range.first <= range.last && range.last < range.total.unwrap_or(u64::MAX);
        sound.then_some(range)
    }

    /// Whether it is what was asked for: the right start, and no more than the wanted end.
    fn answers(&self, span: &ByteSpan) -> bool {
        let within = match span {
            // Nothing was asked for, so no part may come.
            ByteSpan::Whole | ByteSpan::From(0) => false,
            ByteSpan::From(_) => true,
            ByteSpan::Within(range) => self.last < range.end,
        };
        within && self.first == span.start()
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_headers() {
        let header = |span: ByteSpan| span.header().unwrap().map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header(ByteSpan::Whole), None);
        assert_eq!(header(ByteSpan::From(0)), None);
        assert_eq!(header(ByteSpan::From(7)).as_deref(), Some("bytes=7-"));
        assert_eq!(header(ByteSpan::Within(0..1)).as_deref(), Some("bytes=0-0"));
        assert_eq!(header(ByteSpan::Within(5..u64::MAX)).as_deref(), Some("bytes=5-18446744073709551614"));
        assert!(matches!(ByteSpan::Within(5..5).header(), Err(GraphError::OutOfRange)));
    }

    #[test]
    fn content_ranges() {
        for (text, first, last, total) in
            [("bytes 0-0/1", 0, 0, Some(1)), ("bytes 5-9/10", 5, 9, Some(10)), ("bytes 5-9/*", 5, 9, None)]
        {
            let range = ContentRange::parse(text).unwrap();
            assert_eq!((range.first, range.last, range.total), (first, last, total));
        }
        for text in [
            "",
            "bytes */10",
            "bytes 5-4/10",
            "bytes 5-10/10",
            "items 0-1/2",
            "bytes 0-18446744073709551615/*",
        ] {
            assert!(ContentRange::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_asked_part_is_an_answer() {
        let range = ContentRange::parse("bytes 5-9/100").unwrap();
        for (span, answers) in [
            (ByteSpan::From(5), true),
            (ByteSpan::Within(5..10), true),
            (ByteSpan::Within(5..20), true),
            (ByteSpan::Within(5..9), false),
            (ByteSpan::From(4), false),
            (ByteSpan::Whole, false),
        ] {
            assert_eq!(range.answers(&span), answers, "{span:?}");
        }
    }
}
