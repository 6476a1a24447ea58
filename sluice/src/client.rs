//! How the services are reached.

use std::{fmt, time::Duration};

use clap::Args;
use proto::{
    sync::v1::{run_service_client::RunServiceClient, source_service_client::SourceServiceClient},
    token::v1::{
        authorization_service_client::AuthorizationServiceClient,
        connection_service_client::ConnectionServiceClient, webhook_service_client::WebhookServiceClient,
    },
};
use service_kit::exit::Exit;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint, Uri},
};

use crate::failure::Failure;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one answer may take; streams have no such limit. Longer than the services' own limit.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);
/// How often a stream that says nothing is asked whether its service is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Rows asked for with one call.
pub const PAGE_SIZE: i32 = 500;
/// Most rows that one command lists; a bound on memory, far above what anybody reads.
pub const MAX_ROWS: usize = 100_000;
/// Most calls for one list.
const MAX_PAGES: usize = 10_000;

/// Heading in the help of what every command takes, so that it does not stand between a command's own options.
pub const GLOBAL_HEADING: &str = "Options of every command";

/// Where the services are.
#[derive(Args, Clone, Debug)]
pub struct Endpoints {
    /// Address of the token service.
    #[arg(
        long,
        global = true,
        env = "SLUICE_TOKEN_SERVICE",
        help_heading = GLOBAL_HEADING,
        value_name = "URL",
        default_value = "http://127.0.0.1:7401",
        value_parser = parse_address
    )]
    pub token_service: Address,
    /// Address of the sync service.
    #[arg(
        long,
        global = true,
        env = "SLUICE_SYNC_SERVICE",
        help_heading = GLOBAL_HEADING,
        value_name = "URL",
        default_value = "http://127.0.0.1:7402",
        value_parser = parse_address
    )]
    pub sync_service: Address,
}

/// Address of a service, `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Uri);

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().or(Err("must look like http://127.0.0.1:7401"))?;
        if uri.scheme_str() == Some("https") {
            return Err(
                "TLS is not supported by this version; forward a port of this machine to the service"
                    .to_owned(),
            );
        }
        let is_bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
        if uri.scheme_str() != Some("http") || uri.port().is_none() || !is_bare {
            return Err("must look like http://127.0.0.1:7401".to_owned());
        }
        Ok(Self(uri))
    }

    /// Whether what is sent there stays on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

fn parse_address(text: &str) -> Result<Address, String> {
    Address::parse(text)
}

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Keeps connections.
    Token,
    /// Keeps sources and runs.
    Sync,
}

impl Service {
    /// For sentences.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token service",
            Self::Sync => "sync service",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Self::Token => "--token-service",
            Self::Sync => "--sync-service",
        }
    }
}

impl Endpoints {
    /// Connects to one of the services.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn channel(&self, service: Service) -> Result<Channel, Failure> {
        let address = match service {
            Service::Token => &self.token_service,
            Service::Sync => &self.sync_service,
        };
        Endpoint::from(address.0.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(|error| {
                tracing::debug!(error = %error, "connecting failed");
                let line = format!(
                    "the {} at {address} does not answer; start it with `sluice up`, or name another with {}",
                    service.name(),
                    service.flag()
                );
                Failure::new(Exit::Unavailable, line)
            })
    }

    /// Connects to the token service for connections.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn connections(&self) -> Result<ConnectionServiceClient<Channel>, Failure> {
        self.channel(Service::Token).await.map(ConnectionServiceClient::new)
    }

    /// Connects to the token service for authorizations.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn authorizations(&self) -> Result<AuthorizationServiceClient<Channel>, Failure> {
        self.channel(Service::Token).await.map(AuthorizationServiceClient::new)
    }

    /// Connects to the token service for webhooks.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn webhooks(&self) -> Result<WebhookServiceClient<Channel>, Failure> {
        self.channel(Service::Token).await.map(WebhookServiceClient::new)
    }

    /// Connects to the sync service for sources.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn sources(&self) -> Result<SourceServiceClient<Channel>, Failure> {
        self.channel(Service::Sync).await.map(SourceServiceClient::new)
    }

    /// Connects to the sync service for runs.
    ///
    /// # Errors
    /// Nothing answers there.
    pub async fn runs(&self) -> Result<RunServiceClient<Channel>, Failure> {
        self.channel(Service::Sync).await.map(RunServiceClient::new)
    }
}

/// A request for one answer, with its deadline.
pub fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Follows a list to its end, or to `most` rows, and returns them as they are shown. `what` completes "cannot …". `page` is given a page
/// token and the number of rows wanted and returns rows and the next token.
///
/// # Errors
/// What the service answered to one of the calls; the list does not end.
pub async fn all_pages<T, V: From<T>>(
    what: &str,
    most: usize,
    page: impl AsyncFnMut(String, i32) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<V>, Failure> {
    let rows = follow_pages(most, page).await.map_err(|status| Failure::from_status(what, &status))?;
    Ok(rows.into_iter().map(V::from).collect())
}

async fn follow_pages<T>(
    most: usize,
    mut page: impl AsyncFnMut(String, i32) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>, Status> {
    let most = most.min(MAX_ROWS);
    let mut rows = Vec::new();
    let mut token = String::new();
    for _ in 0..MAX_PAGES {
        let wanted = i32::try_from(most - rows.len()).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        let (more, next) = page(token, wanted).await?;
        rows.extend(more.into_iter().take(most - rows.len()));
        if next.is_empty() || rows.len() == most {
            return Ok(rows);
        }
        token = next;
    }
    Err(Status::data_loss("the service's list does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain_http_with_a_port() {
        for (text, shown) in [
            ("http://127.0.0.1:7401", "http://127.0.0.1:7401"),
            ("http://token-service:7401/", "http://token-service:7401"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        for text in
            ["", "127.0.0.1:7401", "http://127.0.0.1", "http://h:1/path", "ftp://h:1", "http://h:1?x=1"]
        {
            assert!(Address::parse(text).unwrap_err().contains("must look like"), "{text}");
        }
        assert!(Address::parse("https://h:1").unwrap_err().contains("TLS"));
    }

    #[test]
    fn loopback_is_recognised() {
        for (text, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://127.evil.example:1", false),
            ("http://192.0.2.1:1", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn lists_are_followed_to_the_end_or_the_limit() {
        let pages = async |token: String, wanted: i32| {
            let start: i32 = if token.is_empty() { 0 } else { token.parse().unwrap() };
            let end = (start + wanted.min(3)).min(10);
            Ok(((start..end).collect::<Vec<_>>(), if end == 10 { String::new() } else { end.to_string() }))
        };
        assert_eq!(follow_pages(usize::MAX, pages).await.unwrap(), (0..10).collect::<Vec<_>>());
        assert_eq!(follow_pages(4, pages).await.unwrap(), [0, 1, 2, 3]);
        let endless = async |_: String, _: i32| Ok((Vec::<i32>::new(), "again".to_owned()));
        assert_eq!(follow_pages(usize::MAX, endless).await.unwrap_err().code(), tonic::Code::DataLoss);
    }
}
