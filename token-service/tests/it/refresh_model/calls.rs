//! Callers, what they must get, and what a request to the provider must look like.

use std::{sync::Arc, time::Duration};

use service_kit::clock::Timestamp;
use simulator::Rotation;
use token_service::{
    domain::{
        connection::StateKind,
        refresh_policy::{EXPIRY_MARGIN, Wish},
        scopes::ScopeSet,
        token::TokenHash,
    },
    ops::{
        OpError,
        get_access_token::{AccessTokenRequest, get_access_token},
        refresh_connection::refresh_connection,
    },
    store::StoreError,
};

use super::{
    plan::{Action, Plan},
    provider::{Outcome, Sender},
    replica::{Answer, PROVIDER_TIMEOUT, Slot},
    world::{SKEW, World},
};
use crate::random::Random;

/// Longest a caller waits at replicas that nobody keeps from their work, in milliseconds: some refreshes one after another.
const LONGEST_CALL: i64 = 60_000;
/// So long after a token was let go of, some replica that hears of it late may hand it out still, in milliseconds.
const LETTING_GO: i64 = 3000;
/// Least pause between a lost answer and the one probe that follows, in milliseconds.
const PROBE_PAUSE: i64 = 1000;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A token.
    Token { connection: usize, scopes: usize, min_ttl: u64 },
    /// Another one than the latest.
    Rejecting { connection: usize },
    /// One that answers a challenge.
    Challenged { connection: usize },
    /// A refresh, whatever is at hand.
    RefreshNow { connection: usize },
}

impl Kind {
    pub(super) fn any(random: &mut Random, plan: &Plan) -> Self {
        let connection = usize::try_from(random.below(u64::try_from(plan.connections).unwrap())).unwrap();
        match random.below(20) {
            0 | 3 => Self::Rejecting { connection },
            1 => Self::Challenged { connection },
            2 => Self::RefreshNow { connection },
            other => Self::Token {
                connection,
                scopes: usize::from(!plan.is_ahead && other < 6),
                min_ttl: *random.one(&[0, 300, 1800]),
            },
        }
    }

    fn connection(self) -> usize {
        match self {
            Self::Token { connection, .. }
            | Self::Rejecting { connection }
            | Self::Challenged { connection }
            | Self::RefreshNow { connection } => connection,
        }
    }

    fn is_plain(self) -> bool {
        matches!(self, Self::Token { .. })
    }
}

/// Whether the caller was told that the replica is kept from the database, whatever becomes of what it asked for.
fn is_outage(error: &OpError) -> bool {
    matches!(error, OpError::DatabaseDown | OpError::Store(StoreError::Unavailable(_)))
}

/// A call under way.
pub(super) struct Call {
    kind: Kind,
    pub(super) sender: Sender,
    scopes: ScopeSet,
    rejected: Option<TokenHash>,
    began: i64,
    slot: Slot,
}

impl World {
    pub(super) fn call(&mut self, replica: usize, kind: Kind) {
        let scopes = match kind {
            Kind::Token { scopes, .. } => self.scopes[scopes].clone(),
            Kind::Rejecting { .. } | Kind::Challenged { .. } | Kind::RefreshNow { .. } => {
                self.scopes[0].clone()
            }
        };
        let record = &mut self.auditor.records[kind.connection()];
        let rejected = match kind {
            Kind::Rejecting { .. } => record.reject_latest(&scopes),
            Kind::Token { .. } | Kind::Challenged { .. } | Kind::RefreshNow { .. } => None,
        };
        let has_claims = matches!(kind, Kind::Challenged { .. });
        let min_ttl = match kind {
            Kind::Token { min_ttl, .. } => Duration::from_secs(min_ttl),
            Kind::Rejecting { .. } | Kind::Challenged { .. } | Kind::RefreshNow { .. } => Duration::ZERO,
        };
        let name = record.name.clone();
        let request = AccessTokenRequest {
            connection: name.clone(),
            scopes: if scopes == self.scopes[0] { ScopeSet::default() } else { scopes.clone() },
            claims: has_claims.then(|| "{}".to_owned()),
            wish: Wish { min_ttl, has_claims, rejected },
        };
        let alive = self.replicas[replica].as_ref().unwrap();
        let context = Arc::clone(&alive.context);
        let slot = if matches!(kind, Kind::RefreshNow { .. }) {
            alive.call(async move { refresh_connection(&context, &name).await.map(|_| None) })
        } else {
            alive.call(async move { get_access_token(&context, &request).await.map(Some) })
        };
        self.calls.push(Call { kind, sender: alive.sender, scopes, rejected, began: self.now(), slot });
    }

    /// Takes the answers that are there, and checks each.
    pub(super) fn harvest(&mut self) {
        let (ended, waiting): (Vec<Call>, Vec<Call>) =
            self.calls.drain(..).partition(|call| call.slot.lock().unwrap().is_some());
        self.calls = waiting;
        for call in ended {
            let answer = call.slot.lock().unwrap().take().unwrap();
            self.tally.calls += 1;
            match &answer {
                Ok(_) => self.tally.served += 1,
                Err(error) => {
                    self.tally.refused += 1;
                    if !call.kind.is_plain() && is_outage(error) {
                        self.outlived.insert((call.sender, call.kind.connection()));
                    }
                }
            }
            self.check_answer(&call, answer);
        }
        for call in &self.calls {
            let is_late = self.now() - call.began > LONGEST_CALL;
            assert!(
                !is_late || self.was_disturbed(call.sender, call.began),
                "a caller waits too long: {:?}",
                call.kind
            );
        }
    }

    fn check_answer(&self, call: &Call, answer: Answer) {
        let record = &self.auditor.records[call.kind.connection()];
        let kind = call.kind;
        let token = match answer {
            Ok(token) => token,
            Err(error) => return self.check_failure(call, &error),
        };
        let is_newer = record.tokens.values().any(|token| token.since >= call.began);
        let wants_newer = matches!(kind, Kind::RefreshNow { .. } | Kind::Challenged { .. });
        assert!(is_newer || !wants_newer, "{kind:?} was answered although nothing was refreshed");
        let Some(token) = token else { return };
        let durable = record.tokens.get(token.value.expose()).unwrap_or_else(|| {
            panic!("{kind:?}: a token was handed out before it and its refresh token were durable")
        });
        assert_eq!(durable.scopes, call.scopes, "{kind:?}: a token of other scopes");
        assert!(call.rejected.is_none_or(|rejected| rejected != token.hash), "the rejected token again");
        if let Some(since) = record.let_go.get(token.value.expose()) {
            assert!(
                call.began - since < LETTING_GO || self.was_disturbed(call.sender, *since),
                "{kind:?}: a token that was rejected, of a connection that was refused"
            );
        }
        let now = Timestamp::from_millis(self.now() + SKEW + 1000);
        // A paused replica, or a long moment, may hand out what ended meanwhile.
        assert!(
            durable.expire_time > now || self.was_disturbed(call.sender, call.began),
            "{kind:?}: a token that has ended"
        );
    }

    fn check_failure(&self, call: &Call, error: &OpError) {
        let (record, kind) = (&self.auditor.records[call.kind.connection()], call.kind);
        let is_passing = matches!(
            error,
            OpError::ProviderUnavailable { .. }
                | OpError::ProviderThrottled { .. }
                | OpError::ProviderMisconfigured { .. }
                | OpError::Busy
        );
        let is_final = matches!(error, OpError::NeedsReauth { .. });
        assert!(is_passing || is_final || is_outage(error), "{kind:?} got '{error}'");
        assert!(
            !is_final || record.has_needed_reauth,
            "{kind:?}: '{error}', which the connection does not show"
        );
        if is_final && record.state == StateKind::NeedsReauth {
            let shared = record.shared(&call.scopes).map(|token| token.hash);
            assert!(call.rejected.is_none() || shared != call.rejected, "the rejected token is shared still");
        }
        // Whether the connection is refused or not, a token that lives as long as is asked for is served.
        let is_modest = matches!(kind, Kind::Token { min_ttl: 0, .. });
        let is_needless = (is_passing && kind.is_plain() && record.state == StateKind::Active
            || is_final && is_modest)
            && self.has_valid_token(call);
        assert!(
            !is_needless || self.was_disturbed(call.sender, call.began),
            "{kind:?} got '{error}' although there was a valid token"
        );
    }

    /// Whether one token was good all the time the call took.
    fn has_valid_token(&self, call: &Call) -> bool {
        let needed = self.now() + SKEW + i64::try_from(EXPIRY_MARGIN.as_millis()).unwrap();
        let record = &self.auditor.records[call.kind.connection()];
        record
            .shared(&call.scopes)
            .is_some_and(|token| token.since < call.began && token.expire_time.as_millis() > needed)
    }

    /// A connection needs a person from now on: only because its refresh token is dead indeed.
    pub(super) fn check_loss(&self, connection: usize) {
        let books = self.provider.books();
        let token = self.auditor.records[connection].refresh_token;
        assert!(
            books.families[connection].refuses(token),
            "connection {connection} was given up although its refresh token {token} is good"
        );
        assert!(
            books.rotation() == Rotation::Strict || books.families[connection].was_ended,
            "connection {connection} was lost with a provider that forgives"
        );
    }

    /// Checks what was sent to the provider since the last look.
    pub(super) fn check_requests(&mut self) {
        let mut books = self.provider.books();
        let (mut new, mut probes) = (0, 0);
        for number in self.checked..books.requests.len() {
            let request = &books.requests[number];
            // The import that makes a connection comes before it.
            let Some(record) = self.auditor.records.get(request.connection) else { continue };
            new += 1;
            probes += u64::from(record.losses > 0);
            let earlier: Vec<_> = books.requests[..number]
                .iter()
                .filter(|earlier| earlier.connection == request.connection)
                .collect();
            let timeout = i64::try_from(PROVIDER_TIMEOUT.as_millis()).unwrap();
            for other in &earlier {
                let is_young = request.sent - other.sent < timeout;
                let is_pending =
                    other.is_awaited() && (is_young || !self.was_disturbed(other.sender, other.sent));
                assert!(!is_pending, "two requests for one connection are under way");
            }
            let is_unknown = earlier.iter().rev().find_map(|earlier| match earlier.outcome {
                Outcome::Open | Outcome::Unknown => Some(true),
                Outcome::Token(token) => Some(!self.is_alive(earlier.sender) && record.refresh_token < token),
                Outcome::Refused => Some(false),
                Outcome::Nothing => None,
            });
            assert!(
                is_unknown != Some(true) || record.losses > 0,
                "a request whose answer is lost is repeated as if nothing had been: {request:?} after {earlier:?}"
            );
            let mut calls = self.calls.iter().filter(|call| call.kind.connection() == request.connection);
            let is_usual = calls.all(|call| call.kind.is_plain())
                && !self.outlived.contains(&(request.sender, request.connection));
            if let Some(last) = earlier.last() {
                let pause = request.sent - last.ended;
                // A sender that stood still notices its loss late, when its lease may be over and others may ask.
                let is_too_soon = last.outcome == Outcome::Unknown
                    && pause < PROBE_PAUSE - 2 * SKEW
                    && !self.was_disturbed(last.sender, last.sent);
                assert!(!is_usual || !is_too_soon, "a lost answer is followed up after {pause} ms");
            }
            if let Some(token) = record.latest(&request.scopes) {
                let left = token.expire_time.as_millis() - request.sent;
                let life = i64::try_from(books.lifetime.as_millis()).unwrap();
                let is_good = token.step < record.lease_step && left > life * 6 / 10 + 2 * SKEW;
                assert!(
                    !is_usual || !is_good,
                    "a good token was replaced although nobody asked for that: {request:?}"
                );
            }
        }
        let checked = books.requests.len();
        for number in self.checked..checked {
            let request = &mut books.requests[number];
            let record = self.auditor.records.get(request.connection);
            request.lease_time = record.map_or(request.sent, |record| record.lease_time);
        }
        drop(books);
        self.checked = checked;
        self.tally.requests += new;
        self.tally.probes += probes;
    }

    /// In the end a connection works, at every replica, with one token for all; or its refresh token is dead indeed.
    pub(super) fn check_end(&mut self) {
        for connection in 0..self.plan.connections {
            let before = self.provider.books().requests.len();
            for replica in 0..self.plan.replicas {
                self.act(Action::Call(replica, Kind::Token { connection, scopes: 0, min_ttl: 0 }));
            }
            let slots: Vec<Slot> = self.calls.iter().map(|call| Arc::clone(&call.slot)).collect();
            let mut answers = Vec::new();
            self.calls.clear();
            while answers.len() < slots.len() {
                self.serve();
                answers.extend(slots.iter().filter_map(|slot| slot.lock().unwrap().take()));
            }
            let mut tokens: Vec<String> = Vec::new();
            for answer in answers {
                match answer {
                    Ok(token) => tokens.push(token.unwrap().value.expose().to_owned()),
                    Err(error) => {
                        assert!(matches!(*error, OpError::NeedsReauth { .. }), "in the end: {error}");
                    }
                }
            }
            assert!(tokens.is_empty() || tokens.len() == slots.len(), "replicas do not agree");
            tokens.sort();
            tokens.dedup();
            let asked = self.provider.books().requests.len() - before;
            let record = &self.auditor.records[connection];
            let (most, state) =
                if tokens.is_empty() { (0, StateKind::NeedsReauth) } else { (1, StateKind::Active) };
            assert!(tokens.len() == most && asked <= 1, "{} tokens for {asked} requests", tokens.len());
            assert_eq!(record.state, state);

            assert!(record.losses == 0 || state == StateKind::NeedsReauth, "the outcome is known by now");
        }
    }
}
