//! Shares what the provider says about throttling with every worker whose calls have the same limits.
//!
//! The provider limits an application in a directory, whoever calls: when one worker is told to wait, the others would go on and
//! make it worse.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use graph_client::{GraphClient, Share};
use proto::sync::v1 as pb;
use service_kit::clock::duration_from_proto;
use tokio::time::{Instant, timeout};

use super::{WorkerError, service::SyncService};

/// Most budgets whose clients a worker keeps; beyond that it begins anew, and hears of throttling from the service.
const MAX_CLIENTS: usize = 1_000;

/// Pause before the service is asked again after it could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the start of a run waits to hear whether it has to wait.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// One client for each budget, so that one that is throttled does not hold back the others.
pub(super) struct Clients {
    first: GraphClient,
    by_budget: Mutex<HashMap<String, Arc<GraphClient>>>,
}

impl Clients {
    pub(super) fn new(first: GraphClient) -> Self {
        Self { first, by_budget: Mutex::default() }
    }

    /// The client of a budget.
    pub(super) fn of(&self, budget: &str) -> Arc<GraphClient> {
        let mut clients = self.by_budget.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(budget) {
            clients.clear();
        }
        Arc::clone(clients.entry(budget.to_owned()).or_insert_with(|| Arc::new(self.first.apart())))
    }

    /// Requests that all of them sent.
    pub(super) fn requests_sent(&self) -> u64 {
        self.first.requests_sent()
    }
}

/// Does the work while it passes news on in both directions. The first word is heard before the work begins. Without the service
/// the work goes on: each worker still does what the provider tells it.
pub(super) async fn sharing<T>(
    service: &SyncService,
    graph: &GraphClient,
    (budget, lease): (&str, &pb::Lease),
    work: impl Future<Output = Result<T, WorkerError>>,
) -> Result<T, WorkerError> {
    let mut stream = match timeout(FIRST_WORD, service.watch_throttle(budget, lease)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) | Err(_) => None,
    };
    if let Some(stream) = &mut stream
        && let Ok(Ok(Some(first))) = timeout(FIRST_WORD, stream.message()).await
    {
        heed(graph, &first);
    }
    tokio::select! {
        result = work => result,
        never = hear(service, graph, (budget, lease), stream) => match never {},
        never = tell_waits(service, graph, budget) => match never {},
        never = tell_budgets(service, graph, budget) => match never {},
    }
}

fn heed(graph: &GraphClient, news: &pb::WatchThrottleResponse) {
    let wait = news.wait.as_ref().and_then(duration_from_proto).unwrap_or_default();
    if !wait.is_zero() {
        tracing::info!(wait_ms = wait.as_millis(), "another worker was throttled; waiting as well");
        graph.hold(wait);
    }
    let units_per_minute = Some(news.units_per_minute).filter(|units| *units > 0);
    graph.share(Share { units_per_minute, sharers: news.sharers });
}

async fn hear(
    service: &SyncService,
    graph: &GraphClient,
    (budget, lease): (&str, &pb::Lease),
    mut stream: Option<tonic::Streaming<pb::WatchThrottleResponse>>,
) -> std::convert::Infallible {
    loop {
        if let Some(stream) = &mut stream {
            while let Ok(Some(news)) = stream.message().await {
                heed(graph, &news);
            }
        }
        tokio::time::sleep(PAUSE).await;
        stream = service.watch_throttle(budget, lease).await.ok();
    }
}

async fn tell_waits(service: &SyncService, graph: &GraphClient, budget: &str) -> std::convert::Infallible {
    let mut closings = graph.closings();
    loop {
        if closings.changed().await.is_err() {
            // The client is gone with everything that could be told of it.
            return std::future::pending().await;
        }
        let until = *closings.borrow_and_update();
        let Some(until) = until else { continue };
        while let wait = until.saturating_duration_since(Instant::now())
            && !wait.is_zero()
        {
            match service.report_throttle(budget, wait, 0).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::debug!(%error, "sync-service cannot be told of throttling; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn tell_budgets(service: &SyncService, graph: &GraphClient, budget: &str) -> std::convert::Infallible {
    let mut budgets = graph.budgets();
    loop {
        let heard = *budgets.borrow_and_update();
        if let Some(units) = heard
            && let Err(error) = service.report_throttle(budget, Duration::ZERO, units).await
        {
            tracing::debug!(%error, "sync-service cannot be told of the budget; trying again");
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        if budgets.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
