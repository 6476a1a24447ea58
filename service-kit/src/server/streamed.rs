//! What is streamed is worked out in a task of its own.
//!
//! A server asks a stream for its next message only while the receiver takes any, and may leave it in the middle of whatever it waits
//! for: a message that is worked out with an open transaction would keep that open for as long as the receiver reads nothing. A task is
//! always gone on with, and waits for the receiver only between two messages.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::Status;
use tracing::Instrument as _;

use super::catch_panic::Panicked;
use crate::status::ApiError;

/// An answer of many messages.
pub type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Messages that wait for the receiver, besides the one that is worked out.
const AHEAD: usize = 1;

/// Works messages out in a task. The task ends with the stream: whoever drops it, ends it at the
/// next thing that it waits for.
pub fn streamed<T, S>(messages: S) -> Streamed<T>
where
    T: Send + 'static,
    S: Stream<Item = Result<T, Status>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let work = async move {
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = messages.next().await {
            if sender.send(message).await.is_err() {
                return;
            }
        }
    };
    // A set, because it ends its tasks when it is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(work.in_current_span());
    let taken = stream::unfold((receiver, tasks), |(mut receiver, mut tasks)| async move {
        if let Some(message) = receiver.recv().await {
            return Some((message, (receiver, tasks)));
        }
        // A stream that broke must not look like one that ended.
        let broken = tasks.join_next().await?.is_err();
        broken.then(|| (Err(Status::from(ApiError::internal(&Panicked))), (receiver, tasks)))
    });
    taken.boxed()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    /// How long a condition is waited for: far longer than it should ever take.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn messages_are_worked_out_to_their_end_although_nobody_reads() {
        let worked_out = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&worked_out);
        let _unread = streamed(stream::unfold((), move |()| {
            let counter = Arc::clone(&counter);
            async move {
                tokio::task::yield_now().await;
                counter.fetch_add(1, Ordering::SeqCst);
                Some((Ok(()), ()))
            }
        }));
        let waited = tokio::time::timeout(PATIENCE, async {
            while worked_out.load(Ordering::SeqCst) <= AHEAD {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "they were left in the middle");
    }

    #[tokio::test]
    async fn whoever_drops_the_stream_ends_the_work() {
        let work = Arc::new(());
        let held = Arc::clone(&work);
        let messages = streamed::<(), _>(stream::once(async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok(())
        }));
        drop(messages);
        let waited = tokio::time::timeout(PATIENCE, async {
            while Arc::strong_count(&work) > 1 {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "it goes on for nobody");
    }

    #[tokio::test]
    async fn a_panic_ends_the_stream_with_an_error_and_not_as_if_it_were_complete() {
        let broken = stream::iter([Ok(1), Ok(2)]).chain(stream::once(async { panic!("on purpose") }));
        let answers: Vec<Result<i32, Status>> = streamed(broken).collect().await;
        assert_eq!(answers.len(), 3);
        assert!(answers[..2].iter().all(Result::is_ok));
        assert_eq!(answers[2].as_ref().unwrap_err().code(), tonic::Code::Internal);
    }
}
