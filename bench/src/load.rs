//! Callers of `GetAccessToken`, many at once, over real gRPC.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::token::v1::{
    GetAccessTokenRequest, GetAccessTokenResponse, token_service_client::TokenServiceClient,
};
use service_kit::{exit::Exit, process::Failure};
use tokio::{task::JoinSet, time::Instant};
use tonic::transport::{Channel, Endpoint};

use crate::latency::Latencies;

/// Calls for which each caller has room from the start, so that measuring does not move memory about.
const ROOM: usize = 1 << 16;

/// A client of a part.
pub(crate) type Client = TokenServiceClient<Channel>;

/// Opens one HTTP/2 connection.
pub(crate) async fn client(address: SocketAddr) -> Result<Client, Failure> {
    let failed = |error| Failure::new(Exit::Unavailable, format!("no connection to {address}: {error}"));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(failed)?;
    Ok(TokenServiceClient::new(endpoint.tcp_nodelay(true).connect().await.map_err(failed)?))
}

/// Asks once.
pub(crate) async fn ask(client: &mut Client, connection: &str) -> Result<GetAccessTokenResponse, Failure> {
    let request = GetAccessTokenRequest { connection: connection.to_owned(), ..Default::default() };
    let answer = client.get_access_token(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| {
        Failure::new(
            Exit::Failure,
            format!("GetAccessToken of {connection} failed: {:?} {}", status.code(), status.message()),
        )
    })
}

/// Who asks for what.
#[derive(Clone)]
pub(crate) struct Callers {
    /// Which server.
    pub(crate) address: SocketAddr,
    /// HTTP/2 connections.
    pub(crate) connections: usize,
    /// Callers on each, each with one request at a time.
    pub(crate) per_connection: usize,
    /// Pause of each caller between two requests.
    pub(crate) pause: Duration,
    /// The connections asked for, in turn; each caller begins at another one.
    pub(crate) names: Arc<[String]>,
}

impl Callers {
    /// Asks until `stop` is set. The first call that fails ends it all.
    pub(crate) async fn until(&self, stop: &Arc<AtomicBool>) -> Result<Latencies, Failure> {
        let mut callers = JoinSet::new();
        let count = self.connections * self.per_connection;
        for number in 0..self.connections {
            let client = client(self.address).await?;
            for place in 0..self.per_connection {
                let first = (number * self.per_connection + place) * self.names.len() / count;
                let caller =
                    Caller { client: client.clone(), names: Arc::clone(&self.names), pause: self.pause };
                callers.spawn(caller.run(first, Arc::clone(stop)));
            }
        }
        let mut all = Latencies::default();
        while let Some(ended) = callers.join_next().await {
            all.append(ended.map_err(|error| Failure::new(Exit::Failure, error))??);
        }
        Ok(all)
    }

    /// Asks for so long, and says how many calls per second were answered.
    pub(crate) async fn run_for(&self, span: Duration) -> Result<(f64, Latencies), Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = Instant::now();
        let timer = async {
            tokio::time::sleep(span).await;
            stop.store(true, Ordering::Relaxed);
        };
        let (latencies, ()) = tokio::join!(self.until(&stop), timer);
        let latencies = latencies?;
        let rate = crate::report::number(latencies.len()) / begin.elapsed().as_secs_f64();
        Ok((rate, latencies))
    }
}

struct Caller {
    client: Client,
    names: Arc<[String]>,
    pause: Duration,
}

impl Caller {
    async fn run(mut self, first: usize, stop: Arc<AtomicBool>) -> Result<Latencies, Failure> {
        let mut latencies = Latencies::with_capacity(ROOM);
        for name in self.names.iter().cycle().skip(first) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let begin = Instant::now();
            ask(&mut self.client, name).await?;
            latencies.push(begin.elapsed());
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
        }
        Ok(latencies)
    }
}
