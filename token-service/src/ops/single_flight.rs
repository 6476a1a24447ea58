//! Shares one piece of work among everybody who asks for it while it runs. The work is detached from its callers: whoever goes
//! away, it ends, and what it obtained is stored.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use service_kit::lifecycle::Lifecycle;
use tokio::sync::oneshot;

/// Most pieces of work under way at once.
const MAX_FLIGHTS: usize = 4096;

type Flight<V> = Shared<BoxFuture<'static, Option<V>>>;
type Flights<K, V> = Arc<Mutex<HashMap<K, Flight<V>>>>;

/// Work under way, by key.
pub(super) struct SingleFlight<K, V> {
    flights: Flights<K, V>,
    lifecycle: Lifecycle,
    task_name: &'static str,
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(lifecycle: Lifecycle, task_name: &'static str) -> Self {
        Self { flights: Flights::default(), lifecycle, task_name }
    }

    /// The result of the work for `key`: of that under way, or of `work`, which then starts. Nothing when too much is under
    /// way or the work was cut off.
    pub(super) async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = self.join_or_start(key, work)?;
        flight.await
    }

    fn join_or_start<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<Flight<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(&key) {
            return Some(flight.clone());
        }
        if flights.len() >= MAX_FLIGHTS {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let flight = receiver.map(Result::ok).boxed().shared();
        flights.insert(key.clone(), flight.clone());
        drop(flights);

        let landing = Landing { flights: Arc::clone(&self.flights), key };
        let work = work();
        self.lifecycle.spawn(self.task_name, async move {
            let value = work.await;
            // Off the board first: whoever asks from now on must not get what is already past.
            drop(landing);
            drop(sender.send(value));
        });
        Some(flight)
    }
}

/// Takes the work off the board, also when it panics or is cut off.
struct Landing<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let flight = lock(&self.flights).remove(&self.key);
        drop(flight);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    fn flights(lifecycle: &Lifecycle) -> SingleFlight<&'static str, usize> {
        SingleFlight::new(lifecycle.clone(), "test work")
    }

    #[tokio::test]
    async fn everybody_who_asks_meanwhile_shares_one_result() {
        let lifecycle = Lifecycle::new();
        let flights = flights(&lifecycle);
        let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            async move {
                gate.notified().await;
                runs.fetch_add(1, Ordering::SeqCst) + 1
            }
        };
        let callers = join_all((0..100).map(|_| flights.run("key", work)));
        let (results, ()) = tokio::join!(callers, async { gate.notify_one() });
        assert!(results.iter().all(|result| *result == Some(1)));
        // It landed: the next one starts anew.
        gate.notify_one();
        assert_eq!(flights.run("key", work).await, Some(2));
    }

    #[tokio::test]
    async fn the_work_outlives_the_caller_that_started_it() {
        let lifecycle = Lifecycle::new();
        let flights = flights(&lifecycle);
        let gate = Arc::new(Notify::new());
        let done = Arc::new(AtomicUsize::new(0));
        let work = || {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            async move {
                gate.notified().await;
                done.fetch_add(1, Ordering::SeqCst)
            }
        };
        assert!(flights.run("key", work).now_or_never().is_none());
        gate.notify_one();
        lifecycle.shut_down(std::time::Duration::from_secs(10)).await;
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_that_panics_leaves_nothing_behind() {
        let lifecycle = Lifecycle::new();
        let flights = flights(&lifecycle);
        assert_eq!(flights.run("key", || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.run("key", || async { 7 }).await, Some(7));
    }
}
