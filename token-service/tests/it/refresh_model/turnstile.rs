//! Where the work of a replica waits until the model says that it goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use service_kit::secret::SecretBytes;
use token_service::{
    crypto::{CryptoError, FileKeyring, KeyId, KeySource, Place},
    domain::sealed::Sealed,
};
use tokio::sync::oneshot;

/// What awaits who is let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    Working,
    Failing,
}

/// Lets one waiter through at a time. Clones are the same turnstile.
#[derive(Clone, Default)]
pub(super) struct Turnstile(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Pass>>,
    /// Who waited first when time passed last, and for how long.
    longest: Option<(u64, Duration)>,
}

impl Turnstile {
    /// Waits to be let through.
    pub(super) async fn pass(&self) -> Pass {
        let (admitted, ticket) = {
            let mut queue = self.lock();
            let (admit, admitted) = oneshot::channel();
            let ticket = queue.next;
            queue.next += 1;
            queue.waiting.insert(ticket, admit);
            (admitted, ticket)
        };
        let _waiter = Waiter { turnstile: self, ticket };
        admitted.await.expect("the turnstile outlives who waits at it")
    }

    /// Who waits, in the order of their coming.
    pub(super) fn waiting(&self) -> Vec<u64> {
        self.lock().waiting.keys().copied().collect()
    }

    /// Lets time pass, and says how long whoever is first has waited.
    pub(super) fn age(&self, span: Duration) -> Duration {
        let mut queue = self.lock();
        let first = queue.waiting.keys().next().copied();
        queue.longest = first.map(|first| match queue.longest {
            Some((ticket, waited)) if ticket == first => (first, waited + span),
            Some(_) | None => (first, span),
        });
        queue.longest.map_or(Duration::ZERO, |(_, waited)| waited)
    }

    /// Lets one through.
    pub(super) fn admit(&self, ticket: u64, pass: Pass) {
        let waiter = self.lock().waiting.remove(&ticket).expect("nobody with this ticket");
        waiter.send(pass).expect("who waits is there");
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the queue, also when it gives up.
struct Waiter<'a> {
    turnstile: &'a Turnstile,
    ticket: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.turnstile.lock().waiting.remove(&self.ticket);
    }
}

/// A keyring behind a turnstile: as far away as a key management service.
pub(super) struct DistantKeys {
    pub(super) keyring: FileKeyring,
    pub(super) turnstile: Turnstile,
}

impl DistantKeys {
    async fn admitted(&self) -> Result<(), CryptoError> {
        if self.turnstile.pass().await == Pass::Working { Ok(()) } else { Err(CryptoError::Open) }
    }
}

#[async_trait]
impl KeySource for DistantKeys {
    fn primary(&self) -> &KeyId {
        self.keyring.primary()
    }

    fn key_ids(&self) -> Vec<KeyId> {
        self.keyring.key_ids()
    }

    async fn wrap(&self, id: &KeyId, key: &SecretBytes, place: &Place<'_>) -> Result<Sealed, CryptoError> {
        self.admitted().await?;
        self.keyring.wrap(id, key, place).await
    }

    async fn unwrap(&self, wrapped: &Sealed, place: &Place<'_>) -> Result<SecretBytes, CryptoError> {
        self.admitted().await?;
        self.keyring.unwrap(wrapped, place).await
    }
}
