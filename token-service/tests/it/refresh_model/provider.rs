//! The identity provider of the model: rotates refresh tokens as real ones do, and does with each request what the model decides.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use service_kit::secret::SecretString;
use simulator::Rotation;
use token_service::{
    domain::{account::Account, scopes::ScopeSet},
    provider::{Binds, DeviceGrant, IdentityProvider, ProviderError, Reach, Refusal, TokenGrant},
};
use tokio::sync::oneshot;

use super::replica::PROVIDER_TIMEOUT;

pub(super) const CLIENT_ID: &str = "model";

/// A replica in one of its lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Sender {
    pub(super) replica: usize,
    pub(super) life: u32,
}

/// What the model lets the provider say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// What is right: a token, or a refusal of a token that is dead.
    Right,
    /// A server error.
    Transient,
    /// Wait that many seconds.
    Throttle(u64),
    /// The app's secret is wrong.
    App,
}

/// What the service knows about a request of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// Nothing yet.
    Open,
    /// A token came.
    Token(usize),
    /// The refresh token was refused.
    Refused,
    /// Something else was refused, or nothing was sent.
    Nothing,
    /// It knows that it does not know.
    Unknown,
}

/// A request as it was sent.
pub(super) struct Request {
    pub(super) connection: usize,
    /// Which refresh token it carries.
    pub(super) token: usize,
    pub(super) scopes: ScopeSet,
    pub(super) sender: Sender,
    pub(super) sent: i64,
    /// When the lease was taken that it was sent under.
    pub(super) lease_time: i64,
    /// When its outcome became what it is.
    pub(super) ended: i64,
    pub(super) outcome: Outcome,
    answer: Option<Result<usize, Refusal>>,
    reply: Option<oneshot::Sender<Result<TokenGrant, ProviderError>>>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, token, sender, sent, ended, outcome, .. } = self;
        write!(f, "token {token} of {connection} by {sender:?} at {sent}: {outcome:?} at {ended}")
    }
}

impl Request {
    /// Whether somebody may still be waiting for it.
    pub(super) fn is_awaited(&self) -> bool {
        self.outcome == Outcome::Open
    }

    fn is_given_up(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

/// What became of a refresh token on its way to the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The service never had it.
    Withheld,
    /// A replica got it at that time.
    Delivered(Sender, i64),
}

/// A refresh token.
pub(super) struct Issued {
    parent: Option<usize>,
    is_dead: bool,
    pub(super) fate: Fate,
}

/// The refresh tokens of one sign-in.
#[derive(Default)]
pub(super) struct Family {
    pub(super) tokens: Vec<Issued>,
    is_revoked: bool,
    /// Whether a person ended it.
    pub(super) was_ended: bool,
}

impl Family {
    /// Whether a refresh token would be refused.
    pub(super) fn refuses(&self, token: usize) -> bool {
        self.is_revoked || self.tokens[token].is_dead
    }

    /// The tokens that were issued for a token.
    pub(super) fn successors(&self, token: usize) -> impl Iterator<Item = (usize, &Issued)> {
        self.tokens.iter().enumerate().filter(move |(_, issued)| issued.parent == Some(token))
    }

    /// A person ends the sign-in.
    pub(super) fn end(&mut self) {
        (self.is_revoked, self.was_ended) = (true, true);
    }

    fn issue(&mut self, parent: Option<usize>) -> usize {
        self.tokens.push(Issued { parent, is_dead: false, fate: Fate::Withheld });
        self.tokens.len() - 1
    }

    /// RFC 9700 §4.14.2 for the strict one; Entra keeps old tokens; the forgiving one ends a token when its successor is used.
    fn redeem(&mut self, token: usize, rotation: Rotation) -> Option<usize> {
        if self.refuses(token) {
            self.is_revoked |= rotation == Rotation::Strict;
            return None;
        }
        self.tokens[token].is_dead = rotation == Rotation::Strict;
        if let (Rotation::Grace, Some(parent)) = (rotation, self.tokens[token].parent) {
            self.tokens[parent].is_dead = true;
            for (number, issued) in self.tokens.iter_mut().enumerate() {
                issued.is_dead |= number != token && issued.parent == Some(parent);
            }
        }
        Some(self.issue(Some(token)))
    }
}

/// The provider's books.
pub(super) struct Books {
    time: Arc<AtomicI64>,
    rotation: Rotation,
    pub(super) lifetime: Duration,
    pub(super) families: Vec<Family>,
    pub(super) requests: Vec<Request>,
}

/// The provider. Clones are the same.
#[derive(Clone)]
pub(super) struct Provider(Arc<Mutex<Books>>);

impl Provider {
    pub(super) fn new(time: Arc<AtomicI64>, rotation: Rotation, lifetime: Duration) -> Self {
        let (families, requests) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Books { time, rotation, lifetime, families, requests })))
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign-in; gives its first refresh token.
    pub(super) fn sign_in(&self) -> SecretString {
        let mut books = self.books();
        let mut family = Family::default();
        let token = family.issue(None);
        books.families.push(family);
        refresh_token(books.families.len() - 1, token)
    }

    /// The provider as a replica reaches it.
    pub(super) fn seen_by(&self, sender: Sender) -> Line {
        Line { provider: self.clone(), sender }
    }
}

impl Books {
    pub(super) fn rotation(&self) -> Rotation {
        self.rotation
    }

    fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    /// Requests that the provider has not looked at yet.
    pub(super) fn unjudged(&self) -> Vec<usize> {
        self.select(|request| request.reply.is_some() && request.answer.is_none())
    }

    /// Requests whose answers are under way.
    pub(super) fn unanswered(&self) -> Vec<usize> {
        self.select(|request| request.reply.is_some() && request.answer.is_some())
    }

    fn select(&self, choose: impl Fn(&Request) -> bool) -> Vec<usize> {
        self.requests.iter().enumerate().filter(|(_, request)| choose(request)).map(|(at, _)| at).collect()
    }

    /// Looks at a request.
    pub(super) fn judge(&mut self, number: usize, verdict: Verdict) {
        let (rotation, request) = (self.rotation, &mut self.requests[number]);
        if request.reply.is_none() {
            return;
        }
        let cause = || "model".to_owned();
        request.answer = Some(match verdict {
            Verdict::Right => self.families[request.connection]
                .redeem(request.token, rotation)
                .ok_or_else(|| Refusal::NeedsReauth { cause: cause(), reach: Reach::Grant, claims: None }),
            Verdict::Transient => Err(Refusal::Transient { cause: cause(), retry_after: None }),
            Verdict::Throttle(seconds) => {
                let retry_after = Duration::from_secs(seconds);
                Err(Refusal::Throttled { cause: cause(), retry_after, binds: Binds::Account })
            }
            Verdict::App => Err(Refusal::AppMisconfigured { cause: cause() }),
        });
    }

    /// Lets the answer of a request arrive; it does nothing where nobody waits any more.
    pub(super) fn deliver(&mut self, number: usize) {
        let (now, lifetime) = (self.now(), self.lifetime);
        let request = &mut self.requests[number];
        let (Some(answer), Some(reply)) = (request.answer.take(), request.reply.take()) else { return };
        if reply.is_closed() {
            return;
        }
        request.ended = now;
        let answer = match answer {
            Ok(token) => {
                request.outcome = Outcome::Token(token);
                let issued = &mut self.families[request.connection].tokens[token];
                issued.fate = Fate::Delivered(request.sender, now);
                Ok(grant(request, token, lifetime))
            }
            Err(refusal) => {
                let is_final = matches!(refusal, Refusal::NeedsReauth { .. });
                request.outcome = if is_final { Outcome::Refused } else { Outcome::Nothing };
                Err(ProviderError::Refused(refusal))
            }
        };
        drop(reply.send(answer));
    }

    /// Cuts the line of a request; what the provider did with it stays done.
    pub(super) fn lose(&mut self, number: usize) {
        let now = self.now();
        let request = &mut self.requests[number];
        request.ended = now;
        request.outcome = Outcome::Unknown;
        if let Some(reply) = request.reply.take() {
            drop(reply.send(Err(ProviderError::OutcomeUnknown("the connection broke".to_owned()))));
        }
    }

    /// Notes who does not wait any more: a sender that lives knows that it does not know.
    pub(super) fn note_given_up(&mut self, lives: &[u32]) -> Vec<usize> {
        let now = self.now();
        let mut given_up = Vec::new();
        for (number, request) in self.requests.iter_mut().enumerate() {
            let is_sender_alive = lives[request.sender.replica] == request.sender.life;
            if request.is_given_up() && is_sender_alive && request.is_awaited() {
                (request.outcome, request.ended) = (Outcome::Unknown, now);
                given_up.push(number);
            }
        }
        given_up
    }

    /// What was not looked at in time never arrived, or the line is cut for good.
    pub(super) fn forget_old(&mut self) {
        let now = self.now();
        let limit = i64::try_from(PROVIDER_TIMEOUT.as_millis()).unwrap();
        for request in &mut self.requests {
            if request.is_given_up() && now - request.sent >= limit {
                request.reply = None;
            }
        }
    }

    /// Ends a request that nobody waits for.
    pub(super) fn close(&mut self, number: usize) {
        self.requests[number].reply = None;
    }
}

fn refresh_token(connection: usize, token: usize) -> SecretString {
    SecretString::new(format!("refresh {connection} {token}"))
}

/// Which refresh token it is.
pub(super) fn number_of(refresh_token: &SecretString) -> (usize, usize) {
    let mut parts = refresh_token.expose().split(' ').skip(1).map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

fn grant(request: &Request, token: usize, lifetime: Duration) -> TokenGrant {
    let connection = request.connection;
    TokenGrant {
        access_token: Arc::new(SecretString::new(format!("access {connection} {token} {}", request.scopes))),
        token_type: "Bearer".to_owned(),
        lifetime,
        refresh_in: None,
        scopes: Some(request.scopes.clone()),
        refresh_token: Some(refresh_token(connection, token)),
        account: Some(Account {
            directory_id: "directory".to_owned(),
            object_id: connection.to_string(),
            username: String::new(),
        }),
    }
}

/// The provider as one replica reaches it.
pub(super) struct Line {
    provider: Provider,
    sender: Sender,
}

#[async_trait]
impl IdentityProvider for Line {
    fn id(&self) -> &'static str {
        "model"
    }

    fn client_id(&self) -> &str {
        CLIENT_ID
    }

    async fn start_device(&self, _: &ScopeSet, _: Option<&str>) -> Result<DeviceGrant, ProviderError> {
        panic!("nobody signs in here")
    }

    async fn poll_device(&self, _: &SecretString, _: Option<&str>) -> Result<TokenGrant, ProviderError> {
        panic!("nobody signs in here")
    }

    async fn refresh(
        &self,
        refresh_token: &SecretString,
        scopes: &ScopeSet,
        _: Option<&str>,
    ) -> Result<TokenGrant, ProviderError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut books = self.provider.books();
            let now = books.now();
            let (connection, token) = number_of(refresh_token);
            books.requests.push(Request {
                connection,
                token,
                scopes: scopes.clone(),
                sender: self.sender,
                sent: now,
                lease_time: now,
                ended: now,
                outcome: Outcome::Open,
                answer: None,
                reply: Some(reply),
            });
        }
        match answer.await {
            Ok(answer) => answer,
            // Nobody is at the other end any more; a time-out ends this.
            Err(_) => std::future::pending().await,
        }
    }
}
