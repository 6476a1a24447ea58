//! Does the actions that the service lists, and reports what became of them, until it lists none.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use proto::sync::v1 as pb;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    WorkerError,
    execute::{Executor, is_transfer},
    recover::intent,
    run::Stop,
    service::SyncService,
};
use crate::destination::{Destination, Intent};

/// Outcomes in one report at most.
const MAX_REPORT: usize = 250;

/// Longest time an outcome waits for others to be reported with.
const MAX_REPORT_DELAY: Duration = Duration::from_millis(500);

/// How often a broken stream of actions is listed anew in a row.
const MAX_BROKEN_STREAMS: u32 = 5;

/// Makes the destination equal to what the index says.
pub(super) struct Applier {
    pub(super) service: SyncService,
    pub(super) executor: Arc<Executor>,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) run: String,
    pub(super) epoch: i64,
    pub(super) transfers: usize,
    pub(super) stop: Stop,
}

impl Applier {
    /// Applies everything that can be applied, or what can be before the listing is complete.
    pub(super) async fn apply(&self, while_listing: bool) -> Result<(), WorkerError> {
        let mut reporter = Reporter {
            service: &self.service,
            destination: Arc::clone(&self.destination),
            run: &self.run,
            epoch: self.epoch,
            open: HashMap::new(),
            outcomes: Vec::new(),
            due: None,
        };
        let mut broken = 0;
        loop {
            let request = pb::ListActionsRequest { run: self.run.clone(), epoch: self.epoch, while_listing };
            let pages = self.service.list_actions(request).await?;
            let mut wave = Wave {
                executor: &self.executor,
                limit: self.transfers,
                stop: &self.stop,
                tasks: JoinSet::new(),
            };
            let mut result = wave.run(pages, &mut reporter).await;
            if result.as_ref().is_err_and(WorkerError::is_passing) {
                // What is under way must not be begun a second time.
                result = wave.settle(&mut reporter).await.and(result);
            }
            // Also when the wave failed: what is done and durable need not be done again.
            let flushed = reporter.flush().await;
            match (result, flushed) {
                (Ok(0), Ok(())) => return Ok(reporter.destination.announce(&[]).await?),
                (Ok(_), Ok(())) => broken = 0,
                (Err(error), Ok(())) if error.is_passing() && broken < MAX_BROKEN_STREAMS => broken += 1,
                (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
            }
        }
    }
}

/// The actions of one call of `ListActions`.
struct Wave<'a> {
    executor: &'a Arc<Executor>,
    limit: usize,
    stop: &'a Stop,
    tasks: JoinSet<Result<pb::Outcome, WorkerError>>,
}

impl Wave<'_> {
    /// Does them: transfers many at once, everything else in order. Gives how many there were.
    async fn run(
        &mut self,
        pages: impl Stream<Item = Result<Vec<pb::Action>, WorkerError>>,
        reporter: &mut Reporter<'_>,
    ) -> Result<usize, WorkerError> {
        let mut pages = pin!(pages);
        let mut waiting: VecDeque<pb::Action> = VecDeque::new();
        let mut listed_all = false;
        let mut count = 0;
        loop {
            self.stop.check()?;
            while self.tasks.len() < self.limit
                && let Some(action) = waiting.pop_front()
            {
                count += 1;
                if is_transfer(&action) {
                    let executor = Arc::clone(self.executor);
                    self.tasks.spawn(async move { executor.execute(action).await });
                } else {
                    let outcome = self.executor.execute(action).await?;
                    reporter.add(outcome).await?;
                    self.stop.check()?;
                }
            }
            if listed_all && waiting.is_empty() && self.tasks.is_empty() {
                return Ok(count);
            }
            let due = reporter.due.unwrap_or_else(|| Instant::now() + MAX_REPORT_DELAY);
            tokio::select! {
                page = pages.next(), if !listed_all && waiting.is_empty() => match page {
                    Some(page) => {
                        let page = page?;
                        reporter.announce(&page).await?;
                        waiting.extend(page);
                    }
                    None => listed_all = true,
                },
                Some(done) = self.tasks.join_next() => {
                    let outcome = done.map_err(WorkerError::Task)??;
                    reporter.add(outcome).await?;
                }
                () = sleep_until(due), if reporter.due.is_some() => reporter.flush().await?,
                told = self.stop.told() => return Err(told),
            }
        }
    }
}

impl Wave<'_> {
    /// Waits for the transfers that are under way.
    async fn settle(&mut self, reporter: &mut Reporter<'_>) -> Result<(), WorkerError> {
        while let Some(done) = self.tasks.join_next().await {
            reporter.add(done.map_err(WorkerError::Task)??).await?;
        }
        Ok(())
    }
}

/// Gathers outcomes and reports them once they are durable.
struct Reporter<'a> {
    service: &'a SyncService,
    destination: Arc<dyn Destination>,
    run: &'a str,
    epoch: i64,
    /// What is announced and not reported yet, by item.
    open: HashMap<String, Intent>,
    outcomes: Vec<pb::Outcome>,
    due: Option<Instant>,
}

impl Reporter<'_> {
    /// Before any of the actions is begun.
    async fn announce(&mut self, actions: &[pb::Action]) -> Result<(), WorkerError> {
        self.open.extend(actions.iter().filter_map(intent).map(|intent| (intent.item_id.clone(), intent)));
        let intents: Vec<Intent> = self.open.values().cloned().collect();
        Ok(self.destination.announce(&intents).await?)
    }

    async fn add(&mut self, outcome: pb::Outcome) -> Result<(), WorkerError> {
        self.outcomes.push(outcome);
        self.due.get_or_insert_with(|| Instant::now() + MAX_REPORT_DELAY);
        if self.outcomes.len() >= MAX_REPORT { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), WorkerError> {
        self.due = None;
        if self.outcomes.is_empty() {
            return Ok(());
        }
        self.destination.flush().await?;
        let outcomes = std::mem::take(&mut self.outcomes);
        let request = pb::ReportOutcomesRequest { run: self.run.to_owned(), epoch: self.epoch, outcomes };
        let reported: Vec<String> = request.outcomes.iter().map(|outcome| outcome.item_id.clone()).collect();
        self.service.report(request).await?;
        for item_id in &reported {
            self.open.remove(item_id);
        }
        Ok(())
    }
}
