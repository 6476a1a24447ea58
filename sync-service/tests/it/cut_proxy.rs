//! A proxy in front of a service that cuts every connection when it is told to, as a service that is killed does.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use service_kit::lifecycle::Lifecycle;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

pub(crate) struct CutProxy {
    pub(crate) address: SocketAddr,
    lines: Arc<std::sync::Mutex<CancellationToken>>,
    connections: Arc<AtomicU64>,
}

impl CutProxy {
    pub(crate) async fn start(target: SocketAddr, lifecycle: &Lifecycle) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lines = Arc::new(std::sync::Mutex::new(CancellationToken::new()));
        let connections = Arc::new(AtomicU64::new(0));
        let (accepted, counted, end) =
            (Arc::clone(&lines), Arc::clone(&connections), lifecycle.shutdown_token());
        lifecycle.spawn("proxy", async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Some(Ok((mut near, _))) = end.run_until_cancelled(listener.accept()).await {
                counted.fetch_add(1, Ordering::Relaxed);
                let line = accepted.lock().unwrap().clone();
                tasks.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    line.run_until_cancelled(copy_bidirectional(&mut near, &mut far)).await;
                });
            }
        });
        Self { address, lines, connections }
    }

    /// Cuts every connection there is; new ones can be made.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.lines.lock().unwrap()).cancel();
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}
