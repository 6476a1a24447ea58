//! What may happen next, and how often.

use std::time::Duration;

use super::{
    calls::Kind,
    provider::{Outcome, Verdict},
    turnstile::Pass,
    world::World,
};
use crate::random::Random;

/// Most calls that are under way at once.
const MAX_CALLS: usize = 10;

/// One thing that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// A statement or a transaction of a replica runs.
    AdmitToDatabase(usize, u64, Pass),
    /// The key service answers a replica.
    AdmitToKeys(usize, u64),
    /// The provider looks at a request.
    Judge(usize, Verdict),
    /// Its answer arrives.
    Deliver(usize),
    /// The line is cut instead.
    Lose(usize),
    /// A person ends the sign-in of a connection at the provider; access tokens live on.
    End(usize),
    /// Somebody asks a replica.
    Call(usize, Kind),
    /// So many milliseconds pass.
    Pass(u64),
    /// A replica is killed.
    Crash(usize),
    /// It starts again.
    Start(usize),
    /// A replica stands still while time goes on.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// A replica does not reach the database.
    CutOff(usize),
    /// It does again.
    Reconnect(usize),
}

/// What kind of run this is; frequencies are in a thousand.
pub(super) struct Plan {
    pub(super) replicas: usize,
    pub(super) connections: usize,
    pub(super) lifetime: Duration,
    /// Whether tokens are refreshed ahead of time. The order in which several are due is nobody's to say, so there is one then.
    pub(super) is_ahead: bool,
    /// How eagerly the provider works; the less, the more requests are under way when something else happens.
    eagerness: u64,
    transient: u64,
    throttle: u64,
    app: u64,
    lost: u64,
    crash: u64,
    pause: u64,
    cut_off: u64,
    end: u64,
}

impl Plan {
    pub(super) fn new(random: &mut Random) -> Self {
        // Each trouble is there in half of the runs only: what hides in one shows in another.
        let mut sometimes = |often: u64| if random.happens(500) { often } else { 0 };
        let (transient, throttle, app, lost) = (sometimes(150), sometimes(80), sometimes(80), sometimes(150));
        let (crash, pause, cut_off) = (sometimes(15), sometimes(15), sometimes(15));
        let end = sometimes(4);
        let eagerness = *random.one(&[1, 4, 12]);
        let is_ahead = random.happens(300);
        Self {
            replicas: 3,
            connections: if is_ahead { 1 } else { 3 },
            lifetime: Duration::from_secs(12 + random.below(28)),
            is_ahead,
            eagerness,
            transient,
            throttle,
            app,
            lost,
            crash,
            pause,
            cut_off,
            end,
        }
    }

    fn verdict(&self, random: &mut Random) -> Verdict {
        if random.happens(self.transient) {
            Verdict::Transient
        } else if random.happens(self.throttle) {
            Verdict::Throttle(1 + random.below(4))
        } else if random.happens(self.app) {
            Verdict::App
        } else {
            Verdict::Right
        }
    }
}

impl World {
    /// Chooses among everything that may happen now.
    pub(super) fn choose(&mut self) -> Action {
        let mut choices = self.work();
        let is_busy = choices.len() > 6;
        choices.push((if is_busy { 4 } else { 40 }, Action::Pass(10 + self.random.below(190))));
        if self.random.happens(3) {
            choices.push((40, Action::Pass(1000 + self.random.below(6000))));
        }
        if self.random.happens(self.plan.end) {
            let connections = u64::try_from(self.plan.connections).unwrap();
            choices.push((90, Action::End(usize::try_from(self.random.below(connections)).unwrap())));
        }
        let replica = usize::try_from(self.random.below(u64::try_from(self.plan.replicas).unwrap())).unwrap();
        let target = self.refreshing();
        choices.extend(self.trouble(target.unwrap_or(replica), if target.is_some() { 4 } else { 1 }));
        if self.calls.len() < MAX_CALLS
            && self.replicas[replica].as_ref().is_some_and(|found| !found.is_paused)
        {
            let kind = Kind::any(&mut self.random, &self.plan);
            choices.push((if self.calls.is_empty() { 30 } else { 12 }, Action::Call(replica, kind)));
        }
        let mut at = self.random.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, action) in choices {
            if at < weight {
                return action;
            }
            at -= weight;
        }
        unreachable!("the weights add up")
    }

    /// A replica in the middle of a refresh: where trouble hurts most.
    fn refreshing(&mut self) -> Option<usize> {
        let mut found = Vec::new();
        {
            let books = self.provider.books();
            for request in &books.requests {
                let is_kept = match request.outcome {
                    Outcome::Open => false,
                    Outcome::Token(token) => {
                        let record = self.auditor.records.get(request.connection);
                        record.is_none_or(|record| record.refresh_token >= token)
                    }
                    Outcome::Refused | Outcome::Nothing | Outcome::Unknown => true,
                };
                if !is_kept && self.is_alive(request.sender) {
                    found.push(request.sender.replica);
                }
            }
        }
        (!found.is_empty()).then(|| *self.random.one(&found))
    }

    /// What replicas and provider have to do.
    fn work(&mut self) -> Vec<(u64, Action)> {
        let mut choices = Vec::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            let Some(replica) = replica.as_ref().filter(|replica| !replica.is_paused) else { continue };
            // Who is cut off waits for long, and fails then.
            let (often, pass) = if replica.is_cut_off { (2, Pass::Failing) } else { (20, Pass::Working) };
            let tickets = replica.database.waiting();
            choices.extend(
                tickets.into_iter().map(|ticket| (often, Action::AdmitToDatabase(number, ticket, pass))),
            );
            let tickets = replica.keys.waiting();
            choices.extend(tickets.into_iter().map(|ticket| (20, Action::AdmitToKeys(number, ticket))));
        }
        let (unjudged, unanswered) = {
            let books = self.provider.books();
            (books.unjudged(), books.unanswered())
        };
        let often = self.plan.eagerness;
        for request in unjudged {
            let verdict = self.plan.verdict(&mut self.random);
            choices.push((often, Action::Judge(request, verdict)));
            if self.random.happens(self.plan.lost / 3) {
                choices.push((often, Action::Lose(request)));
            }
        }
        for request in unanswered {
            let is_lost = self.random.happens(self.plan.lost);
            choices.push((often, if is_lost { Action::Lose(request) } else { Action::Deliver(request) }));
        }
        choices
    }

    /// What may befall a replica, or end.
    fn trouble(&mut self, number: usize, danger: u64) -> Option<(u64, Action)> {
        let Some(replica) = &self.replicas[number] else {
            return self.random.happens(200).then_some((60, Action::Start(number)));
        };
        if replica.is_paused {
            return self.random.happens(40).then_some((60, Action::Resume(number)));
        }
        if replica.is_cut_off {
            return self.random.happens(40).then_some((60, Action::Reconnect(number)));
        }
        let random = &mut self.random;
        if random.happens(self.plan.crash * danger) {
            Some((90, Action::Crash(number)))
        } else if random.happens(self.plan.pause * danger) {
            Some((90, Action::Pause(number)))
        } else if random.happens(self.plan.cut_off * danger) {
            Some((90, Action::CutOff(number)))
        } else {
            None
        }
    }
}
