//! A server that answers by script, wrongly too: it writes bytes, not HTTP. And a client that meets it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use graph_client::{
    AccessToken, DeltaPage, DownloadLink, DriveItem, DrivePath, GraphClient, GraphConfig, GraphError,
    TokenError, TokenSource,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// One answer.
pub(crate) enum Reply {
    /// These bytes, then the connection closes.
    Close(Vec<u8>),
    /// These bytes, then nothing more until the client goes away.
    Stall(Vec<u8>),
    /// These bytes, then spaces without end.
    Flood(Vec<u8>),
}

/// An answer with a status, headers and a body of the right length.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (headers, length) = (headers.concat(), body.len());
    let head =
        format!("HTTP/1.1 {status} Any\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    Reply::Close(format!("{head}{body}").into_bytes())
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &str) -> Reply {
    reply(status, &[("content-type", "application/json;odata.metadata=minimal")], body)
}

/// The head of an answer, without an end and with anything after it.
pub(crate) fn raw(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path and query, byte for byte.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The server.
pub(crate) struct Server {
    pub(crate) address: String,
    script: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts it; it answers one request per connection and closes without an answer when the script is over.
    pub(crate) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            requests: Arc::default(),
        };
        let (script, requests) = (Arc::clone(&server.script), Arc::clone(&server.requests));
        let accepting = async move {
            while let Ok((connection, _)) = listener.accept().await {
                spawn(answer(connection, Arc::clone(&script), Arc::clone(&requests)));
            }
        };
        spawn(accepting);
        server
    }

    pub(crate) fn then(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Settings with which tests do not wait.
    pub(crate) fn config(&self) -> GraphConfig {
        let mut config = GraphConfig::new(Url::parse(&self.address).unwrap());
        config.retries.max_retries = 2;
        config.retries.backoff_base = Duration::from_millis(1);
        config.retries.backoff_cap = Duration::from_millis(2);
        config
    }

    pub(crate) fn client(&self) -> GraphClient {
        GraphClient::new(&self.config()).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "the tasks end with the test's runtime")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

async fn answer(
    mut connection: TcpStream,
    script: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<Request>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    requests.lock().unwrap().push(parse(&String::from_utf8(head).unwrap()));
    let next = script.lock().unwrap().pop_front();
    // A client that went away is what some tests are about.
    let _gone = match next {
        None => Ok(()),
        Some(Reply::Close(bytes)) => connection.write_all(&bytes).await,
        Some(Reply::Stall(bytes)) => {
            let written = connection.write_all(&bytes).await;
            let mut rest = Vec::new();
            written.and(connection.read_to_end(&mut rest).await.map(drop))
        }
        Some(Reply::Flood(bytes)) => {
            let mut written = connection.write_all(&bytes).await;
            while written.is_ok() {
                written = connection.write_all(&[b' '; 8192]).await;
            }
            written
        }
    };
}

fn parse(head: &str) -> Request {
    let mut lines = head.lines();
    let target = lines.next().unwrap().strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Request {
        target: target.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// Hands out `token-0`, and after each refusal the next one; notes the refusals.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) refused: Mutex<Vec<Option<String>>>,
    pub(crate) error: Option<TokenError>,
}

impl Tokens {
    fn current(&self) -> Result<Arc<AccessToken>, TokenError> {
        let text = format!("token-{}", self.refused.lock().unwrap().len());
        self.error.clone().map_or(Ok(Arc::new(AccessToken::new(text, 0))), Err)
    }
}

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self) -> Result<Arc<AccessToken>, TokenError> {
        self.current()
    }

    async fn rejected(
        &self,
        token: &AccessToken,
        claims: Option<String>,
    ) -> Result<Arc<AccessToken>, TokenError> {
        assert_eq!(token.sha256(), self.current()?.sha256());
        self.refused.lock().unwrap().push(claims);
        self.current()
    }
}

/// Asks `client` for item `1`.
pub(crate) async fn item(client: &GraphClient) -> Result<DriveItem, GraphError> {
    client.item(&Tokens::default(), &DrivePath::Me, "1").await
}

/// Asks `client` for the first page of the feed.
pub(crate) async fn page(client: &GraphClient) -> Result<DeltaPage, GraphError> {
    client.delta_page(&Tokens::default(), &DrivePath::Me, None).await
}

/// A link to `target`, got as a client gets it.
pub(crate) async fn link(server: &Server, client: &GraphClient, target: &str) -> DownloadLink {
    let address = &server.address;
    server.then(json(200, &format!(r#"{{"id":"1","@microsoft.graph.downloadUrl":"{address}{target}"}}"#)));
    item(client).await.unwrap().download_link.unwrap()
}
