//! Links that Graph hands out: opaque, and each with its own rule about where it may lead and who may see it.

use std::fmt;
use std::sync::Arc;

use url::Url;
use zeroize::Zeroizing;

use crate::config::{Base, DownloadHosts};
use crate::error::GraphError;

/// Longest link in bytes. Real ones have a few hundred to a few thousand.
pub const MAX_LINK_BYTES: usize = 16 * 1024;

/// An `@odata.nextLink` or `@odata.deltaLink`, byte for byte as it came. It leads to the client's own service: the bearer token
/// is sent along with it, so nothing else is accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct DeltaLink {
    text: String,
    url: Url,
}

impl DeltaLink {
    pub(crate) fn parse(base: &Base, text: &str) -> Result<Self, GraphError> {
        if text.len() > MAX_LINK_BYTES {
            return Err(GraphError::ForeignLink);
        }
        match Url::parse(text) {
            Ok(url) if base.same_service(&url) => Ok(Self { text: text.to_owned(), url }),
            Ok(_) | Err(_) => Err(GraphError::ForeignLink),
        }
    }

    /// The link, for storing.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Debug for DeltaLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeltaLink(..)")
    }
}

/// A pre-authenticated address of a file's content: whoever has it can read the file, for about an hour. It cannot be read out
/// of this type; [`GraphClient::download`](crate::GraphClient::download) uses it. Clones share one copy.
#[derive(Clone)]
pub struct DownloadLink(Arc<Zeroizing<String>>);

impl DownloadLink {
    pub(crate) fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// Where to send the request, if the link may be followed at all.
    pub(crate) fn target(&self, base: &Base, hosts: &DownloadHosts) -> Result<Url, GraphError> {
        if self.0.len() > MAX_LINK_BYTES {
            return Err(GraphError::ForbiddenDownload);
        }
        match Url::parse(&self.0) {
            Ok(url) if follows(&url, base, hosts) => Ok(url),
            Ok(_) | Err(_) => Err(GraphError::ForbiddenDownload),
        }
    }
}

fn follows(url: &Url, base: &Base, hosts: &DownloadHosts) -> bool {
    let scheme = match url.scheme() {
        "https" => true,
        "http" => base.is_plain_http(),
        _ => false,
    };
    let no_credentials = url.username().is_empty() && url.password().is_none();
    scheme && no_credentials && url.host_str().is_some_and(|host| hosts.allow(host))
}

impl fmt::Debug for DownloadLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DownloadLink(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Base {
        Base::parse(&Url::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn delta_links_come_back_byte_for_byte() {
        let base = base("https://graph.microsoft.com/");
        let text = "https://graph.microsoft.com/v1.0/drives/b!x/root/delta(token='a%20b')?x=%7e'ü";
        let link = DeltaLink::parse(&base, text).unwrap();
        assert_eq!(link.as_str(), text);
        assert_eq!(format!("{link:?}"), "DeltaLink(..)");
    }

    #[test]
    fn delta_links_to_elsewhere_are_refused() {
        let base = base("https://graph.microsoft.com/");
        let long = format!("https://graph.microsoft.com/{}", "x".repeat(MAX_LINK_BYTES));
        for text in ["", "/v1.0/me", "https://evil.test/v1.0/", "http://graph.microsoft.com/", &long] {
            assert!(matches!(DeltaLink::parse(&base, text), Err(GraphError::ForeignLink)), "{text:?}");
        }
    }

    #[test]
    fn download_links_follow_the_rules_of_the_base() {
        let real = base("https://graph.microsoft.com/");
        let local = base("http://127.0.0.1:9/");
        let microsoft = DownloadHosts::microsoft();
        for (base, hosts, text, allowed) in [
            (&real, &microsoft, "https://contoso.sharepoint.com/x?tempauth=1", true),
            (&real, &microsoft, "http://contoso.sharepoint.com/x", false),
            (&real, &microsoft, "https://evil.test/x", false),
            (&real, &microsoft, "https://u:p@contoso.sharepoint.com/x", false),
            (&real, &microsoft, "file:///etc/passwd", false),
            (&local, &DownloadHosts::Any, "http://127.0.0.1:9/x", true),
            (&local, &DownloadHosts::Any, "ftp://127.0.0.1/x", false),
        ] {
            let link = DownloadLink::new(text.to_owned());
            assert_eq!(link.target(base, hosts).is_ok(), allowed, "{text}");
            assert_eq!(format!("{link:?}"), "DownloadLink(..)");
        }
    }
}
