//! How a process stops: every task is tracked by name, told to stop, waited for, and cut off at a deadline.
//!
//! The order is always the same: readiness off and listeners closed (both follow [`Lifecycle::shutdown_token`]), work in
//! flight drains, and what still runs at the deadline is dropped. Since any process may be killed at any instant, dropping
//! loses nothing; draining only saves others a retry.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long tasks that were cut off have to let go of what they hold.
const CUT_OFF_WAIT: Duration = Duration::from_secs(1);

/// Tracks the tasks of one process. Clones are the same lifecycle.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    shutdown: CancellationToken,
    cut_off: CancellationToken,
    tasks: TaskTracker,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next_number: u64,
    names: BTreeMap<u64, &'static str>,
}

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Every task ended by itself.
    Clean,
    /// Some tasks were cut off.
    DeadlinePassed {
        /// Their names, one for each task, sorted.
        still_running: Vec<&'static str>,
    },
}

impl Lifecycle {
    /// A lifecycle with nothing to wait for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that shutting down waits for. A panic in it is logged and ends that task only.
    ///
    /// The task should end soon after [`Self::shutdown_token`] is cancelled; at the deadline it is dropped wherever it waits.
    #[expect(clippy::disallowed_methods, reason = "this is the tracked way to spawn")]
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let entry = Entry::add(&self.running, name);
        let cut_off = self.cut_off.clone();
        let guarded = async move {
            let _entry = entry;
            tokio::select! {
                biased;
                () = cut_off.cancelled() => {}
                ended = AssertUnwindSafe(task).catch_unwind() => {
                    if ended.is_err() {
                        tracing::error!(task.name = name, "task {name} panicked");
                    }
                }
            }
        };
        tokio::spawn(self.tasks.track_future(guarded));
    }

    /// Cancelled as soon as shutting down begins.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Begins shutting down; more calls change nothing.
    pub fn request_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Begins shutting down, waits until every task has ended, and drops those that have not at the deadline. Returns within
    /// `deadline` and one second.
    ///
    /// To be called from outside the tasks: a task would wait for itself.
    pub async fn shut_down(&self, deadline: Duration) -> Drain {
        self.request_shutdown();
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok() {
            return Drain::Clean;
        }
        let mut still_running: Vec<&'static str> = lock(&self.running).names.values().copied().collect();
        still_running.sort_unstable();
        self.cut_off.cancel();
        if tokio::time::timeout(CUT_OFF_WAIT, self.tasks.wait()).await.is_err() {
            tracing::warn!(task.count = self.tasks.len(), "tasks do not yield and are abandoned");
        }
        Drain::DeadlinePassed { still_running }
    }
}

/// Names a task for as long as its future exists.
struct Entry {
    running: Arc<Mutex<Running>>,
    number: u64,
}

impl Entry {
    fn add(running: &Arc<Mutex<Running>>, name: &'static str) -> Self {
        let mut all = lock(running);
        let number = all.next_number;
        all.next_number += 1;
        all.names.insert(number, name);
        Self { running: Arc::clone(running), number }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.running).names.remove(&self.number);
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the process is told to stop: SIGTERM, or SIGINT (ctrl-c).
pub async fn terminate_signal() {
    let wait = |kind: SignalKind, name: &'static str| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
                tracing::info!(signal.name = name, "received {name}");
            }
            Err(error) => {
                tracing::warn!(error = %error, signal.name = name, "cannot listen for {name}");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = wait(SignalKind::terminate(), "SIGTERM") => {}
        () = wait(SignalKind::interrupt(), "SIGINT") => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn tasks_that_follow_the_token_drain() {
        let lifecycle = Lifecycle::new();
        for name in ["one", "two"] {
            let stop = lifecycle.shutdown_token();
            lifecycle.spawn(name, async move { stop.cancelled().await });
        }
        assert_eq!(lifecycle.shut_down(LONG).await, Drain::Clean);
        assert!(lifecycle.shutdown_token().is_cancelled());
    }

    #[tokio::test]
    async fn what_still_runs_at_the_deadline_is_named_and_dropped() {
        let lifecycle = Lifecycle::new();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        lifecycle.spawn("stuck", async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        lifecycle.spawn("quick", async {});
        let drain = lifecycle.shut_down(Duration::from_millis(20)).await;
        assert_eq!(drain, Drain::DeadlinePassed { still_running: vec!["stuck"] });
        assert!(receiver.await.is_err(), "the stuck task's state was not dropped");
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_own_task() {
        let lifecycle = Lifecycle::new();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        lifecycle.spawn("broken", async { panic!("on purpose") });
        lifecycle.spawn("whole", async move { sender.send(7).unwrap() });
        assert_eq!(receiver.await, Ok(7));
        assert_eq!(lifecycle.shut_down(LONG).await, Drain::Clean);
    }

    #[tokio::test]
    async fn an_idle_lifecycle_stops_at_once() {
        assert_eq!(Lifecycle::new().shut_down(Duration::ZERO).await, Drain::Clean);
    }
}
