//! A proxy in front of PostgreSQL that cuts every connection, or lets nothing through any more, when it is told to.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

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

enum Server {
    Socket(PathBuf),
    Tcp(String),
}

pub(crate) struct OutageProxy {
    address: SocketAddr,
    database: String,
    user: String,
    line: Arc<watch::Sender<Line>>,
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
        let (lines, end) = (Arc::clone(&line), lifecycle.shutdown_token());
        lifecycle.spawn("proxy", async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Some(Ok((near, _))) = end.run_until_cancelled(listener.accept()).await {
                let line = lines.subscribe();
                match &server {
                    Server::Socket(path) => {
                        let far = UnixStream::connect(path).await.unwrap();
                        tasks.spawn(carry(near, far, line));
                    }
                    Server::Tcp(host) => {
                        let far = TcpStream::connect(host).await.unwrap();
                        tasks.spawn(carry(near, far, line));
                    }
                }
            }
        });
        let user = url.username().to_owned();
        Self { address, database: url.path().to_owned(), user, line }
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

    pub(crate) fn mend(&self) {
        self.line.send_replace(Line::Up);
    }
}

/// Carries bytes both ways while the line is up, and ends when it is cut.
async fn carry<F: AsyncRead + AsyncWrite + Unpin>(near: TcpStream, far: F, mut line: watch::Receiver<Line>) {
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let (there, back) = (line.clone(), line.clone());
    tokio::select! {
        _ = line.wait_for(|line| *line == Line::Cut) => {}
        () = one_way(&mut near_read, &mut far_write, there) => {}
        () = one_way(&mut far_read, &mut near_write, back) => {}
    }
}

async fn one_way<R, W>(from: &mut R, to: &mut W, mut line: watch::Receiver<Line>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if line.wait_for(|line| *line != Line::Stalled).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
}
