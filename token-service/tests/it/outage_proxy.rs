//! A proxy in front of PostgreSQL that cuts every connection, or lets nothing through any more, when it is told to.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use service_kit::{database::DatabaseUrl, lifecycle::Lifecycle};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use url::Url;

/// How the line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Up,
    /// Bytes go nowhere, and connections stay open.
    Stalled,
    /// Connections are closed, new ones at once.
    Cut,
}

/// What becomes of a connection at a statement. Unless it goes on, whoever waits for the answer never hears anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It goes on: only what comes after it counts.
    Passed,
    /// The statement never gets there; the server sees the connection end.
    Swallowed,
    /// The statement is done; the server sees the connection end.
    Done,
    /// The statement never gets there, and the server sees nothing.
    Lost,
    /// The statement waits until the line is mended, and goes on then.
    Held,
}

/// The statements, or parts of them, at which something becomes of the connection that sends them next, one after the other.
type Moments = Arc<Mutex<VecDeque<(&'static str, Fate)>>>;

enum Server {
    Socket(PathBuf),
    Tcp(String),
}

pub(crate) struct OutageProxy {
    address: SocketAddr,
    database: String,
    user: String,
    line: Arc<watch::Sender<Line>>,
    moments: Moments,
}

impl OutageProxy {
    /// A proxy in front of the database with this address.
    pub(crate) async fn start(database: &str, lifecycle: &Lifecycle) -> Self {
        let url = Url::parse(database).unwrap();
        let host = url.host_str().unwrap().replace("%2F", "/").replace("%2f", "/");
        let port = url.port().unwrap_or(5432);
        let server = if host.starts_with('/') {
            Server::Socket(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))
        } else {
            Server::Tcp(format!("{host}:{port}"))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(watch::Sender::new(Line::Up));
        let moments = Moments::default();
        let next = Arc::clone(&moments);
        let (lines, end) = (Arc::clone(&line), lifecycle.shutdown_token());
        lifecycle.spawn("proxy", async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Some(Ok((near, _))) = end.run_until_cancelled(listener.accept()).await {
                let (line, moments) = (lines.subscribe(), Arc::clone(&next));
                match &server {
                    Server::Socket(path) => {
                        let far = UnixStream::connect(path).await.unwrap();
                        tasks.spawn(carry(near, far, line, moments));
                    }
                    Server::Tcp(host) => {
                        let far = TcpStream::connect(host).await.unwrap();
                        tasks.spawn(carry(near, far, line, moments));
                    }
                }
            }
        });
        let user = url.username().to_owned();
        Self { address, database: url.path().to_owned(), user, line, moments }
    }

    /// The database's address through the proxy. Every statement comes by with its text.
    pub(crate) fn url(&self) -> DatabaseUrl {
        let options = "sslmode=disable&statement-cache-capacity=0";
        let text = format!("postgres://{}@{}{}?{options}", self.user, self.address, self.database);
        DatabaseUrl::parse(&text).unwrap()
    }

    pub(crate) fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    pub(crate) fn stall(&self) {
        self.line.send_replace(Line::Stalled);
    }

    /// Says what becomes of the connection that next sends a statement with this text in it, after all that was said before. Others
    /// go on.
    pub(crate) fn on_next(&self, text: &'static str, fate: Fate) {
        self.moments.lock().unwrap().push_back((text, fate));
    }

    /// Whether there were all such statements.
    pub(crate) fn has_met(&self) -> bool {
        self.moments.lock().unwrap().is_empty()
    }

    pub(crate) fn mend(&self) {
        self.line.send_replace(Line::Up);
    }
}

/// Carries bytes both ways while the line is up, and ends when it is cut.
async fn carry<F: AsyncRead + AsyncWrite + Unpin>(
    near: TcpStream,
    far: F,
    mut line: watch::Receiver<Line>,
    moments: Moments,
) {
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let (there, back) = (line.clone(), line.clone());
    let never = Moments::default();
    let met = tokio::select! {
        _ = line.wait_for(|line| *line == Line::Cut) => None,
        met = one_way(&mut near_read, &mut far_write, there, &moments) => met,
        _ = one_way(&mut far_read, &mut near_write, back, &never) => None,
    };
    let Some(fate) = met else { return };
    if fate != Fate::Lost {
        drop((far_read, far_write));
    }
    std::future::pending::<()>().await;
}

/// Says at what it ended, if it met what it was to end at.
async fn one_way<R, W>(
    from: &mut R,
    to: &mut W,
    mut line: watch::Receiver<Line>,
    moments: &Moments,
) -> Option<Fate>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if line.wait_for(|line| *line != Line::Stalled).await.is_err() {
            return None;
        }
        let is_at = |text: &str| buffer[..count].windows(text.len()).any(|part| part == text.as_bytes());
        let met = moments.lock().unwrap().pop_front_if(|(text, _)| is_at(text)).map(|(_, fate)| fate);
        if matches!(met, Some(Fate::Swallowed | Fate::Lost)) {
            return met;
        }
        if met == Some(Fate::Held) {
            line.mark_unchanged();
            line.changed().await.ok()?;
        }
        to.write_all(&buffer[..count]).await.ok()?;
        if met == Some(Fate::Done) {
            return met;
        }
    }
    None
}
