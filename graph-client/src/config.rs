//! What a client is made of: addresses, time limits, retry limits.

use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use crate::bandwidth::Bandwidth;

/// Version of the API, the first path segment after the base address.
const API_VERSION: &str = "v1.0";

/// Hosts, with everything below them, that Microsoft serves file contents from.
const MICROSOFT_CONTENT_HOSTS: [&str; 7] = [
    "sharepoint.com",
    "sharepoint.us",
    "sharepoint-mil.us",
    "sharepoint.cn",
    "1drv.com",
    "microsoftpersonalcontent.com",
    "svc.ms",
];

/// Settings of a [`GraphClient`](crate::GraphClient).
#[derive(Clone, Debug)]
pub struct GraphConfig {
    /// Address that `/v1.0/` is appended to. Plain `http` is accepted towards this machine only.
    pub base: Url,
    /// `User-Agent` of every request. Microsoft prefers traffic decorated `NONISV|Company|App/Version`.
    pub user_agent: String,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How often and how long to try again.
    pub retries: RetryLimits,
    /// Where contents may be fetched from.
    pub download_hosts: DownloadHosts,
    /// `$top` of a delta enumeration. The service may send fewer items, and more where it repeats ancestors.
    pub page_size: u16,
    /// Most requests under way at once, downloads included; how many there are follows what the service bears.
    pub max_in_flight: u32,
    /// Limit on the bytes of downloads; shared by every client that is made with it.
    pub bandwidth: Option<Arc<Bandwidth>>,
}

/// Default of [`GraphConfig::max_in_flight`].
const MAX_IN_FLIGHT: u32 = 64;

impl GraphConfig {
    /// The defaults, for the service at `base`.
    pub fn new(base: Url) -> Self {
        let download_hosts =
            if base.scheme() == "https" { DownloadHosts::microsoft() } else { DownloadHosts::Any };
        Self {
            base,
            user_agent: concat!("NONISV|Sluice|Sluice/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeouts: Timeouts::default(),
            retries: RetryLimits::default(),
            download_hosts,
            page_size: 1000,
            max_in_flight: MAX_IN_FLIGHT,
            bandwidth: None,
        }
    }
}

/// Time limits of one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From sending a request to the end of the answer's headers. Graph has been seen to stall for a minute.
    pub header: Duration,
    /// Between two pieces of a body. There is no limit on a whole download.
    pub idle: Duration,
    /// For a whole JSON body, so that a trickle cannot hold a call for ever.
    pub document: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            header: Duration::from_secs(90),
            idle: Duration::from_mins(1),
            document: Duration::from_mins(3),
        }
    }
}

/// Limits of trying again within one call.
#[derive(Clone, Copy, Debug)]
pub struct RetryLimits {
    /// Requests sent after the first one that failed.
    pub max_retries: u32,
    /// Time of the whole call, waiting included. A wait that would pass it ends the call at once.
    pub max_elapsed: Duration,
    /// Upper end of the first random delay; it doubles from attempt to attempt.
    pub backoff_base: Duration,
    /// Upper end of any random delay.
    pub backoff_cap: Duration,
    /// How long a throttled client pauses when the answer does not say.
    pub throttle_default: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self {
            max_retries: 6,
            max_elapsed: Duration::from_mins(5),
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            throttle_default: Duration::from_secs(30),
        }
    }
}

/// Hosts that download links may name. A link is a credential and its content becomes a file, so both matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadHosts {
    /// Any host: the links come from Graph itself.
    Any,
    /// These domains and everything below them.
    Within(Vec<String>),
}

impl DownloadHosts {
    /// The domains Microsoft serves contents from, in all its clouds.
    pub fn microsoft() -> Self {
        Self::Within(MICROSOFT_CONTENT_HOSTS.map(str::to_owned).to_vec())
    }

    pub(crate) fn allow(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Within(domains) => domains.iter().any(|domain| {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
        }
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither `https` nor `http`, or with a user name, query or fragment in it.
    #[error(
        "the Graph address must be an https address without user name, query and fragment, like https://graph.microsoft.com/"
    )]
    Base,
    /// Tokens would cross a network in clear.
    #[error(
        "the Graph address {host} is not on this machine, so it must be https: access tokens are sent to it"
    )]
    PlainHttp {
        /// The host of the address.
        host: String,
    },
    /// Not a header value.
    #[error("the Graph user agent must be printable ASCII")]
    UserAgent,
    /// The page size is zero.
    #[error("the Graph page size must be at least 1")]
    PageSize,
    /// TLS cannot be set up, for example because the system has no CA certificates.
    #[error(
        "the HTTP client cannot be set up; over https it needs the system's CA certificates (package ca-certificates)"
    )]
    Http(#[source] reqwest::Error),
}

/// A checked base address.
#[derive(Clone, Debug)]
pub(crate) struct Base(Url);

impl Base {
    pub(crate) fn parse(base: &Url) -> Result<Self, ConfigError> {
        let address_only = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        let host = base.host().filter(|_| address_only).ok_or(ConfigError::Base)?;
        match base.scheme() {
            "https" => {}
            "http" if is_loopback(&host) => {}
            "http" => return Err(ConfigError::PlainHttp { host: host.to_string() }),
            _ => return Err(ConfigError::Base),
        }
        Ok(Self(base.clone()))
    }

    pub(crate) fn is_plain_http(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The address of a resource; every segment is percent-encoded.
    pub(crate) fn at<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // Always so: an address with a host has path segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(API_VERSION).extend(segments);
        }
        url
    }

    /// Whether `url` goes to the very service that this address names.
    pub(crate) fn same_service(&self, url: &Url) -> bool {
        url.username().is_empty() && url.password().is_none() && url.origin() == self.0.origin()
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<Base, ConfigError> {
        Base::parse(&Url::parse(text).unwrap())
    }

    #[test]
    fn addresses_are_joined_and_encoded() {
        let segments = ["drives", "b!x", "items", "a/b%?#é ü"];
        for text in ["https://graph.microsoft.com", "https://graph.microsoft.com/"] {
            assert_eq!(
                base(text).unwrap().at(segments).as_str(),
                "https://graph.microsoft.com/v1.0/drives/b!x/items/a%2Fb%25%3F%23%C3%A9%20%C3%BC"
            );
        }
        assert_eq!(
            base("https://proxy.test/graph/").unwrap().at(["me"]).as_str(),
            "https://proxy.test/graph/v1.0/me"
        );
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for text in ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:5"] {
            assert!(base(text).unwrap().is_plain_http());
        }
        for text in ["http://graph.microsoft.com", "http://10.0.0.1/", "http://localhost.evil.test/"] {
            assert!(matches!(base(text), Err(ConfigError::PlainHttp { .. })), "{text}");
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        for text in
            ["ftp://host/", "https://user@host/", "https://host/?a=b", "https://host/#a", "mailto:a@b"]
        {
            assert!(matches!(base(text), Err(ConfigError::Base)), "{text}");
        }
    }

    #[test]
    fn same_service_compares_scheme_host_and_port() {
        let base = base("https://graph.microsoft.com/").unwrap();
        for (text, same) in [
            ("https://graph.microsoft.com/v1.0/x?token=1", true),
            ("https://graph.microsoft.com:443/", true),
            ("https://GRAPH.microsoft.com/", true),
            ("http://graph.microsoft.com/", false),
            ("https://graph.microsoft.com:444/", false),
            ("https://graph.microsoft.com.evil.test/", false),
            ("https://graph.microsoft.com@evil.test/", false),
            ("https://a@graph.microsoft.com/", false),
        ] {
            assert_eq!(base.same_service(&Url::parse(text).unwrap()), same, "{text}");
        }
    }

    #[test]
    fn download_hosts_are_whole_domains() {
        let hosts = DownloadHosts::microsoft();
        for (host, allowed) in [
            ("contoso.sharepoint.com", true),
            ("sharepoint.com", true),
            ("public.dm.files.1drv.com", true),
            ("my.microsoftpersonalcontent.com", true),
            ("evilsharepoint.com", false),
            ("sharepoint.com.evil.test", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(hosts.allow(host), allowed, "{host}");
        }
        assert!(DownloadHosts::Any.allow("anything.test"));
    }
}
