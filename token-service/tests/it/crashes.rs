//! SIGKILL at random instants while refresh tokens are rotated without a pause. Whatever the database had is kept, what cannot be
//! known is shown as such and asked for once. `scripts/chaos` runs it for longer; what it prints replays.
//!
//! A refresh token has *reached the service* when the database has it: from then on no kill can lose it, and only from then on does
//! anybody get the access token that came with it. Between the provider's rotation and that commit the successor exists on the
//! wire or in memory only. A kill in there costs nothing where old tokens stay good; a strict provider ends the sign-in, which is
//! what the connection then says. The line to the provider (`wire`) keeps which tokens were issued and which answers were sent
//! whole, and kills in each of those phases on purpose.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use proto::token::v1::{ConnectionState, GetConnectionRequest, RefreshConnectionRequest, RefreshOutcome};
use service_kit::{
    clock::SystemClock,
    database::{self, DatabaseUrl, PoolOptions},
    status::status_reason,
};
use simulator::{Rotation, ViolationKind};
use token_service::{
    domain::{names::ConnectionName, refresh_lease::Standing},
    store::Store,
};

use crate::{
    processes::Process,
    random::{Random, setting},
    test_database::TestDatabase,
    wire::{Exchange, Moment, Wire},
    world::{PATIENCE, World, eventually, import, name},
};

/// Seed and number of kills of the short form.
const SEED: u64 = 20_261_121;
const KILLS: u64 = 5;
/// Most refreshes before the one that is cut off.
const MOST_BEFORE: u64 = 5;
/// Longest time between the provider's whole answer and a kill that is meant for what follows it.
const LONGEST_AFTER_MICROS: u64 = 6000;
/// Longest life of a process that is killed whatever it does.
const LONGEST_LIFE_MILLIS: u64 = 150;

/// Connections that are asked for at once in the end.
const AT_ONCE: usize = 16;

/// A connection in whose rotation a process was killed.
struct Victim {
    id: String,
    /// The refresh token it was made from.
    first: String,
    /// Refreshes that were reported as done.
    acknowledged: usize,
}

/// What a connection came to afterwards.
struct Found {
    /// Whether its outcome was shown as unknown before anybody asked.
    was_unknown: bool,
    /// Why it needs a sign-in; nothing when it works.
    lost: Option<String>,
}

/// Refreshes without a pause until the process is gone.
async fn rotate(process: &Process, id: &str, acknowledged: &AtomicUsize) {
    let mut connections = process.connections.clone();
    while connections.refresh_connection(RefreshConnectionRequest { name: name(id) }).await.is_ok() {
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

/// Each phase of a refresh in its turn, and any time at all.
fn moment(kill: u64, random: &mut Random) -> Option<Moment> {
    match kill % 5 {
        0 => Some(Moment::Answered(Duration::from_micros(random.below(LONGEST_AFTER_MICROS)))),
        1 => Some(Moment::Rotated),
        2 => None,
        3 => Some(Moment::HalfAnswered),
        _ => Some(Moment::Asked),
    }
}

async fn kill_one(world: &World, wire: &Wire, database: &str, random: &mut Random, kill: u64) -> Victim {
    let mut process = Process::start(world, database, &wire.authority).await;
    let (id, first) = (format!("c{kill}"), world.refresh_token());
    process.connections.create_connection(import(&id, first.clone())).await.unwrap();
    let (before, life) =
        (random.below(MOST_BEFORE), Duration::from_millis(random.below(LONGEST_LIFE_MILLIS)));
    let acknowledged = AtomicUsize::new(0);
    let rotating = rotate(&process, &id, &acknowledged);
    // What ends is the life, in the middle of whatever it does.
    if let Some(moment) = moment(kill, random) {
        let come = wire.when(before, moment);
        tokio::select! {
            come = come => come.expect("the moment never came"),
            () = rotating => panic!("a refresh failed"),
        }
    } else {
        drop(tokio::time::timeout(life, rotating).await);
    }
    process.kill().await;
    Victim { id, first, acknowledged: acknowledged.into_inner() }
}

/// Waits until no lease of a dead process is in force, looks at each connection, and asks for it once.
async fn look_after(process: &Process, store: &Store, victims: &[Victim]) -> Vec<Found> {
    for victim in victims {
        let name = ConnectionName::parse(&name(&victim.id)).unwrap();
        eventually("the lease of a dead process ends", async || {
            let lease = store.find_lease(&name).await.unwrap();
            lease.is_none_or(|lease| lease.standing() != Standing::Held)
        })
        .await;
    }
    let mut found = Vec::with_capacity(victims.len());
    // The service would ask later, and say so, if it were asked for more at once than one directory stands.
    for victims in victims.chunks(AT_ONCE) {
        found.extend(join_all(victims.iter().map(|victim| look_at(process, victim))).await);
    }
    found
}

async fn look_at(process: &Process, victim: &Victim) -> Found {
    let (mut connections, name) = (process.connections.clone(), name(&victim.id));
    let request = GetConnectionRequest { name: name.clone() };
    let before = connections.get_connection(request.clone()).await.unwrap().into_inner();
    let before = before.connection.unwrap();
    assert_eq!(before.state(), ConnectionState::Active, "nobody asked yet");
    let refreshed = connections.refresh_connection(RefreshConnectionRequest { name }).await;
    let after = connections.get_connection(request).await.unwrap().into_inner().connection.unwrap();
    assert_eq!(after.refresh_outcome(), RefreshOutcome::Known, "{refreshed:?}");
    let lost = match refreshed {
        Ok(_) => None,
        Err(status) => {
            assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"), "{status}");
            Some(after.state_cause.clone())
        }
    };
    let expected = if lost.is_none() { ConnectionState::Active } else { ConnectionState::NeedsReauth };
    assert_eq!(after.state(), expected);
    Found { was_unknown: before.refresh_outcome() == RefreshOutcome::Unknown, lost }
}

/// How the kills ended.
#[derive(Debug, Default)]
struct Tally {
    refreshes: usize,
    /// Kills after which nobody could know what had become of a request.
    unknown: usize,
    /// Successors whose answer the process never had whole.
    never_delivered: usize,
    /// Successors that the process had read or could read, and was killed before it could commit.
    never_stored: usize,
    /// Connections that need a sign-in.
    lost: usize,
}

impl Tally {
    /// Compares what became of a connection with what the line to the provider saw.
    fn judge(
        &mut self,
        rotation: Rotation,
        exchanges: (&[Exchange], &[Exchange]),
        victim: &Victim,
        found: &Found,
    ) {
        let (before, after) = exchanges;
        let mut tokens = vec![victim.first.clone()];
        let mut is_delivered = true;
        while let Some(next) = before.iter().find(|exchange| Some(&exchange.used) == tokens.last()) {
            tokens.push(next.issued.clone().expect("refused before anything was lost"));
            is_delivered = next.is_delivered;
        }
        let id = &victim.id;
        let probes: Vec<usize> = after
            .iter()
            .filter_map(|exchange| tokens.iter().position(|token| *token == exchange.used))
            .collect();
        assert_eq!(probes.len(), 1, "{id}: asked more than once what became of it");
        let (stored, latest) = (probes[0], tokens.len() - 1);
        // The import and every refresh that was reported as done.
        assert!(
            stored > victim.acknowledged,
            "{id}: a refresh that was reported as done is not in the database"
        );
        assert!(latest - stored <= 1, "{id}: refreshed again although nothing of the last time was stored");
        self.refreshes += latest;
        self.unknown += usize::from(found.was_unknown);
        let is_cut_short = stored < latest;
        if is_cut_short {
            assert!(found.was_unknown, "{id}: nobody was told that an answer is lost");
            if is_delivered { self.never_stored += 1 } else { self.never_delivered += 1 }
        }
        let Some(cause) = &found.lost else {
            assert!(!is_cut_short || rotation != Rotation::Strict, "{id}: the provider is not strict");
            return;
        };
        self.lost += 1;
        assert_eq!(rotation, Rotation::Strict, "{id}: lost although the old token was still good: {cause}");
        assert!(is_cut_short, "{id}: lost although the database had the latest token: {cause}");
        assert!(cause.contains("after an answer was lost"), "{id}: lost without a word: {cause}");
    }
}

async fn kill_again_and_again(rotation: Rotation, database: &str, world: World) {
    let (seed, kills) = (setting("SLUICE_CHAOS_SEED", SEED), setting("SLUICE_CHAOS_KILLS", KILLS));
    println!("replay with scripts/chaos --seed {seed} --kills {kills}");
    let mut random = Random::new(seed);
    world.sim.switch(|switches| switches.tokens.rotation = rotation);
    let wire = Wire::to(&world.sim.authority()).await;
    let mut victims = Vec::new();
    for kill in 0..kills {
        victims.push(kill_one(&world, &wire, database, &mut random, kill).await);
    }
    let before = wire.exchanges();

    let process = Process::start(&world, database, &wire.authority).await;
    let url = DatabaseUrl::parse(database).unwrap();
    let beside = database::connect(&url, &PoolOptions::default()).await.unwrap();
    let store = Store::new(beside, PATIENCE, Arc::new(SystemClock));
    let found = look_after(&process, &store, &victims).await;
    let exchanges = wire.exchanges();
    let mut tally = Tally::default();
    for (victim, found) in victims.iter().zip(&found) {
        tally.judge(rotation, (&before, &exchanges[before.len()..]), victim, found);
    }
    println!("{rotation:?}, {kills} kills: {tally:?}");
    if rotation == Rotation::Strict {
        // What became of a lost answer can only be learnt by asking with the old token, which a strict provider minds.
        let minded = world.sim.take_violations();
        assert!(minded.iter().all(|one| one.kind == ViolationKind::SupersededRefreshToken), "{minded:?}");
    }
    drop(process);
}

async fn on_sqlite(rotation: Rotation) {
    let world = World::new().await;
    let database = format!("sqlite:{}", world.database_path().display());
    kill_again_and_again(rotation, &database, world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_connection_with_a_provider_that_keeps_old_tokens() {
    on_sqlite(Rotation::Entra).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_connection_with_a_provider_that_forgives() {
    on_sqlite(Rotation::Grace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_with_a_strict_provider_lose_only_what_never_reached_the_database_and_say_so() {
    on_sqlite(Rotation::Strict).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_with_a_strict_provider_on_postgresql_lose_only_what_never_reached_the_database_and_say_so() {
    let Some(database) = TestDatabase::create().await else { return };
    kill_again_and_again(Rotation::Strict, &database.url(), World::new().await).await;
    database.drop().await;
}
