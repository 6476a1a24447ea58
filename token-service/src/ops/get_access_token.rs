//! Gives an access token: from memory, else from the database, else by a refresh that everybody who asks meanwhile shares.

use std::{sync::Arc, time::Duration};

use service_kit::{error_chain::ErrorChain, lifecycle::Lifecycle};

use super::{
    Context, OpError,
    custody::{Custody, TokenSlot},
    refresh,
    single_flight::SingleFlight,
};
use crate::{
    domain::{
        connection::{ConnectionState, StoredConnection},
        names::ConnectionName,
        refresh_policy::{Decision, Held, Wish, decide},
        scopes::ScopeSet,
        token::{AccessToken, TokenHash},
    },
    store::{StoreError, scope_key},
};

/// How often a request asks: a refresh that was under way may bring a token that this request cannot use either.
const MAX_ROUNDS: usize = 2;
/// How long the database may take where a token in memory would do as well.
const DATABASE_PATIENCE: Duration = Duration::from_millis(500);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct AccessTokenRequest {
    /// The connection.
    pub connection: ConnectionName,
    /// Scopes; empty means those the connection was made with.
    pub scopes: ScopeSet,
    /// A Continuous Access Evaluation challenge.
    pub claims: Option<String>,
    /// What else the token must be like.
    pub wish: Wish,
}

/// Requests with the same key share one refresh.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct FlightKey {
    pub(super) connection: ConnectionName,
    pub(super) scopes: ScopeSet,
    /// The token that is to be replaced, as far as one was at hand.
    pub(super) stale: Option<TokenHash>,
    /// Whether callers say that the resource refused that token.
    pub(super) is_rejected: bool,
    pub(super) claims: Option<String>,
    /// Refresh even where somebody else just did.
    pub(super) unconditional: bool,
}

/// Result of a shared refresh.
pub(super) type FlightResult = Result<Arc<AccessToken>, Arc<OpError>>;
/// Refreshes under way.
pub(super) type TokenFlights = SingleFlight<FlightKey, FlightResult>;

impl SingleFlight<FlightKey, FlightResult> {
    pub(super) fn for_tokens(lifecycle: Lifecycle) -> Self {
        Self::new(lifecycle, "token refresh")
    }
}

/// Gives an access token of a connection.
pub async fn get_access_token(
    context: &Arc<Context>,
    request: &AccessTokenRequest,
) -> Result<Arc<AccessToken>, Arc<OpError>> {
    if let Some(token) = in_memory(context, request) {
        return Ok(token);
    }
    // Boxed: the usual request must not carry the room that this one needs.
    Box::pin(obtain(context, request)).await
}

/// The token in memory, if it will do. The connection's own scopes have the empty set there, so that the usual request needs no
/// database.
fn in_memory(context: &Context, request: &AccessTokenRequest) -> Option<Arc<AccessToken>> {
    let now = context.now();
    let token = context.cache.get(&request.connection, &request.scopes, now)?;
    (decide(now, Some(Held::from(token.as_ref())), &request.wish) == Decision::Serve).then_some(token)
}

/// Gives a token that is not in memory.
async fn obtain(
    context: &Arc<Context>,
    request: &AccessTokenRequest,
) -> Result<Arc<AccessToken>, Arc<OpError>> {
    let mut outcome = None;
    for _ in 0..MAX_ROUNDS {
        let (held, scopes) = match at_hand(context, request).await? {
            AtHand::Serve(token) => return Ok(token),
            AtHand::Refresh { held, scopes } => (held, scopes),
        };
        tracing::debug!(connection.name = %request.connection, "a caller waits for a refresh");
        let fresh = match refresh_shared(context, request, scopes, held.as_ref()).await {
            Ok(fresh) => fresh,
            Err(error) => return fall_back(context, request, held, error),
        };
        let decision = decide(context.now(), Some(Held::from(fresh.as_ref())), &satisfied(&request.wish));
        if decision == Decision::Serve || request.claims.is_some() {
            return Ok(fresh);
        }
        outcome = Some(fresh);
    }
    // The freshest one there is: only one that the resource refused must not be given again.
    outcome.filter(|token| !is_rejected(request, token)).ok_or_else(|| Arc::new(OpError::Busy))
}

/// Whether the resource refused this token, as the caller says.
fn is_rejected(request: &AccessTokenRequest, token: &AccessToken) -> bool {
    request.wish.rejected.is_some_and(|hash| hash.matches(&token.hash))
}

/// What there is before the provider is asked.
enum AtHand {
    Serve(Arc<AccessToken>),
    Refresh { held: Option<Arc<AccessToken>>, scopes: ScopeSet },
}

async fn at_hand(context: &Context, request: &AccessTokenRequest) -> Result<AtHand, Arc<OpError>> {
    let name = &request.connection;
    let now = context.now();
    // While the database does not answer, a token in memory that still lives is better than none.
    let unverified = context
        .cache
        .get_unverified(name, &request.scopes)
        .filter(|token| decide(now, Some(Held::from(token.as_ref())), &request.wish) != Decision::Refresh);
    let Some(token) = unverified else {
        return Ok(context.database.or_down(in_database(context, request)).await?);
    };
    let found = context.database.or_down(in_database(context, request));
    match tokio::time::timeout(DATABASE_PATIENCE, found).await.unwrap_or(Err(OpError::DatabaseDown)) {
        Err(error @ (OpError::DatabaseDown | OpError::Store(StoreError::Unavailable(_)))) => {
            tracing::debug!(
                connection.name = %name,
                error = %ErrorChain(&error),
                "serving the token in memory although the token database failed"
            );
            Ok(AtHand::Serve(token))
        }
        found => Ok(found?),
    }
}

/// What the database has.
async fn in_database(context: &Context, request: &AccessTokenRequest) -> Result<AtHand, OpError> {
    let name = &request.connection;
    let epoch = context.cache.epoch();
    let stored = find_connection(context, name).await?;
    let scopes = effective_scopes(&request.scopes, &stored);
    let held = shared_token(context, &stored, &scopes).await?;
    // A slow database must not make an old token young.
    let now = context.now();
    let decision = decide(now, held.as_deref().map(Held::from), &request.wish);
    if let (Decision::Serve, Some(token)) = (decision, &held) {
        if stored.connection.state == ConnectionState::Active {
            context.cache.insert(epoch, name, &request.scopes, token, now);
        } else {
            context.cache.insert_briefly(epoch, name, &request.scopes, token, now);
        }
        return Ok(AtHand::Serve(Arc::clone(token)));
    }
    // A flight refuses as well, and lets go of the token that was rejected.
    if !held.as_deref().is_some_and(|token| is_rejected(request, token)) {
        refuse_unless_active(&stored)?;
    }
    Ok(AtHand::Refresh { held, scopes })
}

async fn refresh_shared(
    context: &Arc<Context>,
    request: &AccessTokenRequest,
    scopes: ScopeSet,
    held: Option<&Arc<AccessToken>>,
) -> FlightResult {
    let key = FlightKey {
        connection: request.connection.clone(),
        scopes,
        stale: held.map(|token| token.hash),
        is_rejected: held.is_some_and(|token| is_rejected(request, token)),
        claims: request.claims.clone(),
        unconditional: false,
    };
    let epoch = context.cache.epoch();
    let fresh = run_flight(context, key).await?;
    context.cache.insert(epoch, &request.connection, &request.scopes, &fresh, context.now());
    Ok(fresh)
}

/// Joins or starts a refresh.
pub(super) async fn run_flight(context: &Arc<Context>, key: FlightKey) -> FlightResult {
    let flight = context.flights.run(key.clone(), || {
        let context = Arc::clone(context);
        async move { refresh::refresh(&context, &key).await.map_err(Arc::new) }
    });
    // The flight goes on: what the provider gave is stored as soon as it can be.
    tokio::select! {
        biased;
        landed = flight => landed.unwrap_or_else(|| Err(Arc::new(OpError::Busy))),
        () = context.database.down() => Err(Arc::new(OpError::DatabaseDown)),
    }
}

/// A token that still lives is served when refreshing failed for a reason that is not the connection's.
fn fall_back(
    context: &Context,
    request: &AccessTokenRequest,
    held: Option<Arc<AccessToken>>,
    error: Arc<OpError>,
) -> FlightResult {
    let is_passing = matches!(
        *error,
        OpError::ProviderUnavailable { .. }
            | OpError::ProviderThrottled { .. }
            | OpError::ProviderMisconfigured { .. }
            | OpError::Store(StoreError::Unavailable(_) | StoreError::Conflict)
            | OpError::DatabaseDown
            | OpError::Busy
    );
    let decision = decide(context.now(), held.as_deref().map(Held::from), &request.wish);
    match (is_passing, decision, held) {
        (true, Decision::Serve | Decision::RefreshOrServe, Some(token)) => {
            tracing::info!(
                connection.name = %request.connection,
                error = %error,
                "serving the token at hand although refreshing failed"
            );
            Ok(token)
        }
        _ => Err(error),
    }
}

/// Once the challenge was carried to the provider, its answer is a token like any other.
fn satisfied(wish: &Wish) -> Wish {
    Wish { has_claims: false, ..wish.clone() }
}

/// Reads a connection.
pub(super) async fn find_connection(
    context: &Context,
    name: &ConnectionName,
) -> Result<StoredConnection, OpError> {
    context.store.get_connection(name).await.map_err(|error| match error {
        StoreError::NotFound => OpError::ConnectionNotFound(name.clone()),
        StoreError::Conflict
        | StoreError::AlreadyExists
        | StoreError::Inconsistent { .. }
        | StoreError::Unavailable(_) => OpError::Store(error),
    })
}

/// The scopes of a request, or the connection's own.
pub(super) fn effective_scopes(asked: &ScopeSet, stored: &StoredConnection) -> ScopeSet {
    if asked.is_empty() { stored.connection.scopes.clone() } else { asked.clone() }
}

/// Opens the shared token of a connection and a set of scopes.
pub(super) async fn shared_token(
    context: &Context,
    stored: &StoredConnection,
    scopes: &ScopeSet,
) -> Result<Option<Arc<AccessToken>>, OpError> {
    Ok(shared_token_and_generation(context, stored, scopes).await?.map(|(token, _)| token))
}

/// The same, with the generation that the token was stored at: no other token of the connection has that.
pub(super) async fn shared_token_and_generation(
    context: &Context,
    stored: &StoredConnection,
    scopes: &ScopeSet,
) -> Result<Option<(Arc<AccessToken>, i64)>, OpError> {
    if stored.connection.state == ConnectionState::Revoked {
        return Ok(None);
    }
    let name = &stored.connection.name;
    let Some(token) = context.store.find_access_token(name, &scope_key(scopes)).await? else {
        return Ok(None);
    };
    let generation = token.generation;
    let data_key = context.custody.data_key(stored).await?;
    match Custody::open_access_token(&data_key, token) {
        Ok(token) => Ok(Some((token, generation))),
        // The connection and its token are two reads: between them a new sign-in may have replaced both.
        Err(error) => {
            let current = find_connection(context, name).await?;
            let is_same = current.connection.uid == stored.connection.uid
                && current.credential.data_key_version == stored.credential.data_key_version;
            if is_same { Err(error) } else { Ok(None) }
        }
    }
}

/// Fails unless tokens of the connection can be had.
pub(super) fn refuse_unless_active(stored: &StoredConnection) -> Result<(), OpError> {
    let connection = &stored.connection;
    let name = || connection.name.clone();
    match &connection.state {
        ConnectionState::Active => Ok(()),
        ConnectionState::NeedsReauth { cause } => Err(OpError::NeedsReauth {
            connection: name(),
            cause: cause.clone(),
            since: connection.state_time,
            claims: None,
        }),
        ConnectionState::Blocked { cause } => {
            Err(OpError::Blocked { connection: name(), cause: cause.clone(), since: connection.state_time })
        }
        ConnectionState::Revoked => Err(OpError::Revoked(name())),
    }
}

/// Which shared token a refresh of these scopes fills.
pub(super) fn slot<'a>(
    connection: &'a ConnectionName,
    scopes: &'a ScopeSet,
    scope_key: &'a str,
) -> TokenSlot<'a> {
    TokenSlot { connection, scopes, scope_key }
}
