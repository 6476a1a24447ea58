//! A listener: connections that the requests they carry can reset, in TLS or not, as slow as they are told to be.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::link::{Link, Pace, Signals};
use crate::world::World;

/// A listener.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Says how slow connections are; none when they never are.
    world: Option<Arc<World>>,
}

impl Door {
    /// A listener for people who run tests: neither in TLS nor slow.
    pub(crate) const fn plain(listener: TcpListener) -> Self {
        Self { listener, tls: None, world: None }
    }

    /// A listener for products.
    pub(crate) const fn new(listener: TcpListener, tls: Option<TlsAcceptor>, world: Arc<World>) -> Self {
        Self { listener, tls, world: Some(world) }
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection keeps small packets back");
        }
        let signals = Arc::<Signals>::default();
        let pace = self.world.as_ref().map_or_else(Pace::default, |world| world.pace());
        let link = Link::new(stream, Arc::clone(&signals), pace);
        let stream = match &self.tls {
            None => Stream::Plain(link),
            // The handshake belongs to whoever serves the connection, so that a slow client delays nobody else.
            Some(tls) => Stream::Greeting(Box::new(tls.accept(link))),
        };
        (Wire { stream, signals }, from)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: Stream,
    signals: Arc<Signals>,
}

enum Stream {
    Plain(Link),
    Greeting(Box<tokio_rustls::Accept<Link>>),
    Tls(Box<TlsStream<Link>>),
}

/// The stream below HTTP, once there is one.
enum Ready<'a> {
    Plain(Pin<&'a mut Link>),
    Tls(Pin<&'a mut TlsStream<Link>>),
}

impl Wire {
    /// What passes between the connection and its requests.
    pub(crate) fn signals(&self) -> Arc<Signals> {
        Arc::clone(&self.signals)
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Ready<'_>>> {
        if let Stream::Greeting(accept) = &mut self.stream {
            let stream = ready!(Pin::new(accept.as_mut()).poll(context)).inspect_err(|error| {
                tracing::debug!(%error, "a client did not get through the TLS handshake");
            })?;
            self.stream = Stream::Tls(Box::new(stream));
        }
        Poll::Ready(match &mut self.stream {
            Stream::Plain(link) => Ok(Ready::Plain(Pin::new(link))),
            Stream::Tls(stream) => Ok(Ready::Tls(Pin::new(stream.as_mut()))),
            Stream::Greeting(_) => Err(io::Error::from(io::ErrorKind::NotConnected)),
        })
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.poll_ready(context))? {
            Ready::Plain(link) => link.poll_read(context, buffer),
            Ready::Tls(stream) => stream.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_ready(context))? {
            Ready::Plain(link) => link.poll_write(context, bytes),
            Ready::Tls(stream) => stream.poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.poll_ready(context))? {
            Ready::Plain(link) => link.poll_write_vectored(context, bytes),
            Ready::Tls(stream) => stream.poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.poll_ready(context))? {
            Ready::Plain(link) => link.poll_flush(context),
            Ready::Tls(stream) => stream.poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(link) => Pin::new(link).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
            Stream::Greeting(_) => Poll::Ready(Ok(())),
        }
    }
}
