//! A TCP connection that can be reset from outside, and that can be slow.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Most bytes a slow connection sends at a time, so that it is slow evenly.
const SLICE_BYTES: usize = 16 * 1024;

/// How slow a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// What passes between a request and the beginning of its answer, at least.
    pub(crate) latency: Duration,
    /// Bytes sent per second; none means without limit.
    pub(crate) bytes_per_second: Option<u64>,
}

/// What passes between a connection and the requests it carries.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// The connection is reset at the next byte.
    pub(super) cut: AtomicBool,
    /// How often everything that was written until then was sent.
    pub(super) flushes: AtomicU64,
}

/// A TCP connection.
pub(crate) struct Link {
    stream: TcpStream,
    signals: Arc<Signals>,
    pace: Pace,
    /// Something was received since the last time something was sent.
    asked: bool,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Link {
    pub(crate) const fn new(stream: TcpStream, signals: Arc<Signals>, pace: Pace) -> Self {
        Self { stream, signals, pace, asked: false, wait: None }
    }

    fn check(&self) -> io::Result<()> {
        if self.signals.cut.load(Ordering::SeqCst) {
            // Closing with a linger of zero sends RST instead of FIN.
            self.stream.set_zero_linger()?;
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        Ok(())
    }

    /// Ready when the next bytes may be sent.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.asked) {
            self.hold(self.pace.latency);
        }
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        Poll::Ready(())
    }

    /// Sends nothing for a while, counted from the end of the present wait.
    fn hold(&mut self, span: Duration) {
        if span.is_zero() {
            return;
        }
        let from = self.wait.as_ref().map_or_else(Instant::now, |wait| wait.deadline());
        self.wait = Some(Box::pin(sleep_until(from + span)));
    }

    /// What was sent takes its time.
    fn sent(&mut self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(sent)), Some(rate)) = (&outcome, self.pace.bytes_per_second) {
            let sent = u64::try_from(*sent).unwrap_or(u64::MAX);
            self.hold(Duration::from_micros(sent.saturating_mul(1_000_000) / rate.max(1)));
        }
        outcome
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.asked |= buffer.filled().len() > before;
        outcome
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        ready!(self.poll_turn(context));
        let limit = self.pace.bytes_per_second.map_or(bytes.len(), |_| bytes.len().min(SLICE_BYTES));
        let slice = bytes.get(..limit).unwrap_or(bytes);
        let outcome = Pin::new(&mut self.stream).poll_write(context, slice);
        self.sent(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pace.bytes_per_second.is_some() {
            let first = bytes.iter().find(|slice| !slice.is_empty());
            return self.poll_write(context, first.map_or(&[], |slice| &**slice));
        }
        self.check()?;
        ready!(self.poll_turn(context));
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.signals.flushes.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
