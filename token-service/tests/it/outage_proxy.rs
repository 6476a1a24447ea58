//! A proxy in front of PostgreSQL that cuts every connection, or lets nothing through any more, when it is told to.

use std::{
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

/// What becomes of the next commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Commit {
    /// It is like any other.
    Answered,
    /// It never gets there, and nobody ever says so.
    Swallowed,
    /// It is done, and nobody ever says so.
    Done,
}

enum Server {
    Socket(PathBuf),
    Tcp(String),
}

pub(crate) struct OutageProxy {
    address: SocketAddr,
    database: String,
    user: String,
    line: Arc<watch::Sender<Line>>,
    commit: Arc<Mutex<Commit>>,
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
        let commit = Arc::new(Mutex::new(Commit::Answered));
        let next_commit = Arc::clone(&commit);
        let (lines, end) = (Arc::clone(&line), lifecycle.shutdown_token());
        lifecycle.spawn("proxy", async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Some(Ok((near, _))) = end.run_until_cancelled(listener.accept()).await {
                let (line, commit) = (lines.subscribe(), Arc::clone(&next_commit));
                match &server {
                    Server::Socket(path) => {
                        let far = UnixStream::connect(path).await.unwrap();
                        tasks.spawn(carry(near, far, line, commit));
                    }
                    Server::Tcp(host) => {
                        let far = TcpStream::connect(host).await.unwrap();
                        tasks.spawn(carry(near, far, line, commit));
                    }
                }
            }
        });
        let user = url.username().to_owned();
        Self { address, database: url.path().to_owned(), user, line, commit }
    }

    /// The database's address through the proxy.
    pub(crate) fn url(&self) -> DatabaseUrl {
        let text = format!("postgres://{}@{}{}?sslmode=disable", self.user, self.address, self.database);
        DatabaseUrl::parse(&text).unwrap()
    }

    pub(crate) fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    pub(crate) fn stall(&self) {
        self.line.send_replace(Line::Stalled);
    }

    /// Says what becomes of the next commit. What is swallowed or not answered takes its connection with it: the server sees it end, and
    /// whoever waits at the other end sees nothing at all.
    pub(crate) fn on_next_commit(&self, commit: Commit) {
        *self.commit.lock().unwrap() = commit;
    }

    /// Whether there was such a commit.
    pub(crate) fn has_met_commit(&self) -> bool {
        *self.commit.lock().unwrap() == Commit::Answered
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
    commit: Arc<Mutex<Commit>>,
) {
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let (there, back) = (line.clone(), line.clone());
    let answered = Mutex::new(Commit::Answered);
    let met = tokio::select! {
        _ = line.wait_for(|line| *line == Line::Cut) => false,
        met = one_way(&mut near_read, &mut far_write, there, &commit) => met,
        _ = one_way(&mut far_read, &mut near_write, back, &answered) => false,
    };
    if met {
        drop((far_read, far_write));
        std::future::pending::<()>().await;
    }
}

/// Says whether it ended at the commit that it was to end at.
async fn one_way<R, W>(
    from: &mut R,
    to: &mut W,
    mut line: watch::Receiver<Line>,
    commit: &Mutex<Commit>,
) -> bool
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if line.wait_for(|line| *line != Line::Stalled).await.is_err() {
            return false;
        }
        let is_commit = buffer[..count].windows(6).any(|text| text == b"COMMIT");
        let commit = if is_commit {
            std::mem::replace(&mut *commit.lock().unwrap(), Commit::Answered)
        } else {
            Commit::Answered
        };
        if commit == Commit::Swallowed {
            return true;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return false;
        }
        if commit == Commit::Done {
            return true;
        }
    }
    false
}
