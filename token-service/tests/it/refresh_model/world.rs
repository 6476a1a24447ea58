//! Several replicas, their callers, the provider and the database, and one step of all that after another.

use std::{
    collections::{HashSet, VecDeque},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use simulator::Rotation;
use tempfile::TempDir;
use token_service::{
    domain::{names::ConnectionName, scopes::ScopeSet},
    ops::create_connection::{ImportRequest, import_refresh_token},
};

use super::{
    auditor::Auditor,
    calls::Call,
    plan::{Action, Plan},
    provider::{Fate, Outcome, Provider, Request, Sender, Verdict},
    replica::{Answer, Ground, ModelClock, PROVIDER_TIMEOUT, Replica},
    turnstile::Pass,
};
use crate::random::Random;

/// The first moment of every run.
const BEGINNING: i64 = 1_800_000_000_000;
/// Actions that are shown when a run fails.
const SHOWN: usize = 60;
/// Steps after which something that should have ended goes on for ever.
const FOR_EVER: usize = 4000;
/// How far a clock is ahead or behind at most, in milliseconds.
pub(super) const SKEW: i64 = 400;
/// Whoever waits longer than this for the database or for keys is kept from its work.
const LONGEST_TURN: Duration = Duration::from_millis(250);
/// So long before a lease is taken over its owner must be able to store what it has, in milliseconds.
const CHANCE_TO_STORE: i64 = 1400;
/// Time for every pause and breaker to be over, and for every token to end.
const LONG_ENOUGH: Duration = Duration::from_secs(150);

/// How often a run met what the model is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) served: u64,
    pub(super) refused: u64,
    pub(super) requests: u64,
    pub(super) probes: u64,
    pub(super) crashes: u64,
    /// Tokens that reached a replica, which was killed before it could store them.
    pub(super) cut_short: u64,
    pub(super) needs_reauth: u64,
    /// Tokens that were rejected and let go of.
    pub(super) let_go: usize,
}

/// Everything. Replicas are dropped before what they use.
pub(super) struct World {
    pub(super) replicas: Vec<Option<Replica>>,
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) provider: Provider,
    pub(super) auditor: Auditor,
    pub(super) calls: Vec<Call>,
    /// Who may still do for a connection what a caller asked for that was told of an outage meanwhile.
    pub(super) outlived: HashSet<(Sender, usize)>,
    pub(super) scopes: Vec<ScopeSet>,
    /// Which life each replica is in.
    pub(super) lives: Vec<u32>,
    /// When each replica was last kept from its work.
    pub(super) disturbed: Vec<i64>,
    pub(super) step: u64,
    /// How many requests to the provider were checked.
    pub(super) checked: usize,
    clock: ModelClock,
    shown: VecDeque<String>,
    /// All actions in one number.
    pub(super) trace: u64,
    pub(super) tally: Tally,
    folder: TempDir,
}

impl World {
    pub(super) fn new(template: &Path, seed: u64, rotation: Rotation) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let folder = tempfile::tempdir().unwrap();
        for file in ["token.db", "keyring.toml"] {
            fs::copy(template.join(file), folder.path().join(file)).unwrap();
        }
        let time = Arc::new(AtomicI64::new(BEGINNING));
        let clock = ModelClock { time: Arc::clone(&time), skew: 0 };
        let scopes: Vec<ScopeSet> =
            ["files", "mail"].iter().map(|scope| ScopeSet::parse([scope]).unwrap()).collect();
        let auditor = Auditor::open(folder.path(), &clock, scopes.clone());
        let provider = Provider::new(time, rotation, plan.lifetime);
        let replicas = (0..plan.replicas).map(|_| None).collect();
        let mut world = Self {
            replicas,
            random,
            provider,
            auditor,
            calls: Vec::new(),
            outlived: HashSet::new(),
            scopes,
            lives: vec![0; plan.replicas],
            disturbed: vec![0; plan.replicas],
            step: 0,
            checked: 0,
            clock,
            shown: VecDeque::new(),
            trace: 0,
            tally: Tally::default(),
            folder,
            plan,
        };
        for replica in 0..world.plan.replicas {
            world.start(replica);
        }
        for connection in 0..world.plan.connections {
            world.sign_in(connection);
        }
        world
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.time.load(Ordering::SeqCst)
    }

    pub(super) fn is_alive(&self, sender: Sender) -> bool {
        self.lives[sender.replica] == sender.life
    }

    /// Whether a replica was kept from its work since a moment, or is no more.
    pub(super) fn was_disturbed(&self, sender: Sender, since: i64) -> bool {
        !self.is_alive(sender) || self.is_disturbed(sender.replica) || self.disturbed[sender.replica] >= since
    }

    fn is_disturbed(&self, replica: usize) -> bool {
        self.replicas[replica].as_ref().is_none_or(|replica| replica.is_paused || replica.is_cut_off)
    }

    fn start(&mut self, replica: usize) {
        let skew = i64::try_from(self.random.below(2 * u64::try_from(SKEW).unwrap())).unwrap() - SKEW;
        let ground = Ground {
            folder: self.folder.path(),
            clock: self.clock.clone(),
            provider: &self.provider,
            scopes: &self.scopes[0],
            is_ahead: self.plan.is_ahead,
        };
        let sender = Sender { replica, life: self.lives[replica] };
        let started = Replica::start(&ground, sender, skew);
        started.settle();
        self.replicas[replica] = Some(started);
    }

    fn sign_in(&mut self, connection: usize) {
        let name = ConnectionName::parse(&format!("tenants/model/connections/c{connection}")).unwrap();
        let request = ImportRequest {
            connection: name.clone(),
            display_name: String::new(),
            scopes: ScopeSet::default(),
            refresh_token: self.provider.sign_in(),
        };
        let replica = self.replicas[0].as_ref().unwrap();
        let context = Arc::clone(&replica.context);
        let slot = replica.call(async move {
            import_refresh_token(&context, request).await.map_err(Arc::new)?;
            Answer::Ok(None)
        });
        for _ in 0..FOR_EVER {
            if slot.lock().unwrap().is_some() {
                break;
            }
            self.serve();
        }
        slot.lock().unwrap().take().expect("the import ends").expect("the import succeeds");
        self.checked = self.provider.books().requests.len();
        self.auditor.adopt(name);
        self.auditor.look(self.now(), self.step);
    }

    /// One step of the plan.
    pub(super) fn go_on(&mut self) {
        let action = self.choose();
        self.act(action);
    }

    pub(super) fn act(&mut self, action: Action) {
        self.step += 1;
        self.remember(action);
        match action {
            Action::AdmitToDatabase(replica, ticket, pass) => {
                self.alive(replica).database.admit(ticket, pass);
                self.settle();
                for lost in self.auditor.look(self.now(), self.step) {
                    self.tally.needs_reauth += 1;
                    self.check_loss(lost);
                }
            }
            Action::AdmitToKeys(replica, ticket) => self.alive(replica).keys.admit(ticket, Pass::Working),
            Action::Judge(request, verdict) => self.judge(request, verdict),
            Action::Deliver(request) => self.provider.books().deliver(request),
            Action::Lose(request) => self.provider.books().lose(request),
            Action::End(connection) => self.provider.books().families[connection].end(),
            Action::Call(replica, kind) => self.call(replica, kind),
            Action::Pass(millis) => self.pass(Duration::from_millis(millis)),
            Action::Crash(replica) => {
                self.lives[replica] += 1;
                self.tally.crashes += 1;
                self.tally.cut_short += self.unkept(replica);
                drop(self.replicas[replica].take());
                self.calls.retain(|call| call.sender.replica != replica);
            }
            Action::Start(replica) => self.start(replica),
            Action::Pause(replica) => self.alive_mut(replica).is_paused = true,
            Action::Resume(replica) => {
                self.alive_mut(replica).resume();
                self.disturbed[replica] = self.now();
            }
            Action::CutOff(replica) => self.alive_mut(replica).is_cut_off = true,
            Action::Reconnect(replica) => {
                self.alive_mut(replica).is_cut_off = false;
                self.disturbed[replica] = self.now();
            }
        }
        self.settle();
        self.resolve_given_up();
        self.check_requests();
        self.harvest();
    }

    /// How many refresh tokens reached a replica and were never stored.
    fn unkept(&self, replica: usize) -> u64 {
        let books = self.provider.books();
        let latest = |connection: usize| self.auditor.records[connection].refresh_token;
        let is_unkept = |request: &&Request| {
            matches!(request.outcome, Outcome::Token(token) if token > latest(request.connection))
                && request.sender.replica == replica
                && request.sender.life + 1 == self.lives[replica]
        };
        u64::try_from(books.requests.iter().filter(is_unkept).count()).unwrap()
    }

    fn remember(&mut self, action: Action) {
        let text = format!("{:>8} ms {action:?}", self.now() - BEGINNING);
        for byte in text.bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.shown.len() == SHOWN {
            self.shown.pop_front();
        }
        self.shown.push_back(text);
    }

    /// The latest actions.
    pub(super) fn story(&self) -> String {
        Vec::from(self.shown.clone()).join("\n")
    }

    fn alive(&self, replica: usize) -> &Replica {
        self.replicas[replica].as_ref().expect("this replica is dead")
    }

    fn alive_mut(&mut self, replica: usize) -> &mut Replica {
        self.replicas[replica].as_mut().expect("this replica is dead")
    }

    fn settle(&self) {
        self.replicas.iter().flatten().for_each(Replica::settle);
    }

    fn pass(&mut self, span: Duration) {
        let now = self.now() + i64::try_from(span.as_millis()).unwrap();
        self.clock.time.store(now, Ordering::SeqCst);
        for replica in self.replicas.iter_mut().flatten() {
            if replica.database.age(span).max(replica.keys.age(span)) > LONGEST_TURN {
                self.disturbed[replica.sender.replica] = now;
            }
            replica.pass(span);
        }
        // A moment that long keeps everybody from everything.
        if span >= PROVIDER_TIMEOUT / 4 {
            self.disturbed.fill(now);
        }
    }

    /// The provider must never meet a token again whose successor reached the service, unless whoever got that was killed or
    /// kept from storing it.
    fn judge(&mut self, request: usize, verdict: Verdict) {
        let (connection, token, lease_time, was_refused) = {
            let mut books = self.provider.books();
            let Request { connection, token, lease_time, .. } = books.requests[request];
            let was_refused = books.families[connection].refuses(token);
            books.judge(request, verdict);
            (connection, token, lease_time, was_refused)
        };
        if !was_refused || verdict != Verdict::Right {
            return;
        }
        let books = self.provider.books();
        for (number, successor) in books.families[connection].successors(token) {
            if let Fate::Delivered(sender, since) = successor.fate {
                assert!(
                    self.was_disturbed(sender, since.max(lease_time - CHANCE_TO_STORE)),
                    "refresh token {token} of {connection} was used again although its successor {number} had reached {sender:?}"
                );
            }
        }
    }

    /// Requests whose senders live and do not wait any more: the provider may have had them, or not.
    fn resolve_given_up(&mut self) {
        let given_up = self.provider.books().note_given_up(&self.lives);
        for request in given_up {
            let is_unjudged = self.provider.books().unjudged().contains(&request);
            if is_unjudged && self.random.happens(500) {
                self.judge(request, Verdict::Right);
            }
            self.provider.books().close(request);
        }
        self.provider.books().forget_old();
    }

    /// Lets everything go on that waits, and a little time pass.
    pub(super) fn serve(&mut self) {
        for replica in 0..self.replicas.len() {
            let Some(waiting) = &self.replicas[replica] else { continue };
            let (database, keys) = (waiting.database.waiting(), waiting.keys.waiting());
            keys.first().iter().for_each(|ticket| self.act(Action::AdmitToKeys(replica, **ticket)));
            database
                .first()
                .iter()
                .for_each(|ticket| self.act(Action::AdmitToDatabase(replica, **ticket, Pass::Working)));
        }
        let (unjudged, unanswered) = {
            let books = self.provider.books();
            (books.unjudged(), books.unanswered())
        };
        for request in unjudged {
            self.act(Action::Judge(request, Verdict::Right));
        }
        for request in unanswered {
            self.act(Action::Deliver(request));
        }
        self.act(Action::Pass(25));
    }

    /// Everything works from now on: every call ends, and in the end every connection does what it should.
    pub(super) fn finish(&mut self) {
        for replica in 0..self.replicas.len() {
            match &self.replicas[replica] {
                None => self.act(Action::Start(replica)),
                Some(alive) => {
                    let (is_paused, is_cut_off) = (alive.is_paused, alive.is_cut_off);
                    if is_paused {
                        self.act(Action::Resume(replica));
                    }
                    if is_cut_off {
                        self.act(Action::Reconnect(replica));
                    }
                }
            }
        }
        for _ in 0..FOR_EVER {
            if self.calls.is_empty() {
                break;
            }
            self.serve();
        }
        assert!(self.calls.is_empty(), "{} callers wait for ever", self.calls.len());
        let until = self.now() + i64::try_from(LONG_ENOUGH.as_millis()).unwrap();
        while self.now() < until {
            self.act(Action::Pass(15_000));
            for _ in 0..8 {
                self.serve();
            }
        }
        self.check_end();
    }
}
