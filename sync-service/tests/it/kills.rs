//! SIGKILL of worker, sync-service and token-service at random instants, over a drive that keeps changing while Graph misbehaves:
//! every time the destination ends equal to the drive. `scripts/chaos sync` runs it for longer; what it prints replays.

mod processes;
mod watcher;

use std::{env, time::Duration};

use proto::sync::v1 as pb;
use simulator::{
    DriveSpec, Endpoint, Fault, FaultKind, ResetMoment, ResyncBody, ResyncInner, ResyncLocation,
    ViolationKind,
};

use self::{
    processes::{Part, Stage},
    watcher::Watcher,
};
use crate::world::eventually;

/// Seed and number of runs of the short form.
const SEED: u64 = 20_261_121;
const RUNS: u64 = 4;
/// Within this time after the one before, another process is killed.
const LONGEST_LIFE_MILLIS: u64 = 400;
/// Most kills in one run, besides the first.
const MAX_KILLS: u64 = 3;
/// Most changes of the drive between two kills.
const MAX_CHANGES: u64 = 12;

#[expect(clippy::disallowed_methods, reason = "a test has no command line to take its length from")]
fn setting(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// SplitMix64: the same numbers from the same seed, everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// The worker half of the time.
    fn part(&mut self) -> Part {
        match self.below(4) {
            0 | 1 => Part::Worker,
            2 => Part::SyncService,
            _ => Part::TokenService,
        }
    }
}

/// What Graph does wrong all the time.
fn faults() -> Vec<Fault> {
    let mut faults = vec![
        Fault::new(FaultKind::TruncatedBody).probability(0.03),
        Fault::new(FaultKind::EmptyPageWithNextlink).probability(0.05),
        Fault::new(FaultKind::DownloadUrlFirst401).probability(0.03),
        Fault::new(FaultKind::TokenEarlyExpiry).probability(0.01),
        Fault::new(FaultKind::Resync {
            inner: ResyncInner::default(),
            location: ResyncLocation::default(),
            body: ResyncBody::default(),
        })
        .probability(0.03),
    ];
    for endpoint in [Endpoint::Delta, Endpoint::Download] {
        faults.push(Fault::status(503, None).on(endpoint).probability(0.03));
        for moment in [ResetMoment::Before, ResetMoment::After] {
            faults.push(Fault::new(FaultKind::ConnReset { moment }).on(endpoint).probability(0.02));
        }
    }
    faults
}

/// What a client cannot keep to that forgot everything in the middle: how long Graph told it to wait, and that Graph refused its
/// token, if it was killed before it could tell token-service.
fn is_excused(kind: ViolationKind) -> bool {
    matches!(kind, ViolationKind::RetryAfterIgnored | ViolationKind::RefusedTokenReused)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_the_destination_ends_equal_to_the_drive() {
    let (seed, runs) = (setting("SLUICE_CHAOS_SEED", SEED), setting("SLUICE_CHAOS_RUNS", RUNS));
    println!("replay with SLUICE_CHAOS_SEED={seed} SLUICE_CHAOS_RUNS={runs}");
    let mut random = Random(seed);
    let spec = DriveSpec {
        seed,
        files: 120,
        folders: 20,
        max_file_bytes: 60_000,
        big_files: vec![3_000_000, 9_000_000],
        ..DriveSpec::default()
    };
    let mut stage = Stage::new(&spec).await;
    let watcher = Watcher::start(&stage);
    for fault in faults() {
        stage.sim.faults().add(fault);
    }
    let mut kills = 0;
    for run in 0..runs {
        for _ in 0..=random.below(MAX_KILLS) {
            let changes = random.below(MAX_CHANGES);
            watcher.change(&stage.drive, &mut || random.below(u64::MAX), changes);
            stage.sync().await;
            // What ends is the life, in the middle of whatever it does.
            tokio::time::sleep(Duration::from_millis(random.below(LONGEST_LIFE_MILLIS))).await;
            stage.kill(random.part()).await;
            kills += 1;
        }
        stage.sync().await;
        stage.settle(&format!("run {run} of seed {seed}")).await;
        stage.assert_equal(&format!("run {run} of seed {seed}"));
        stage.assert_no_secret();
    }
    watcher.stop().await;
    println!("{runs} runs, {kills} kills");
    let violations = stage.sim.violations();
    let violations: Vec<_> = violations.iter().filter(|violation| !is_excused(violation.kind)).collect();
    assert!(violations.is_empty(), "{violations:?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_costs_one_page_and_the_transfers_under_way_and_no_more() {
    const FILE_BYTES: u64 = 20_000;
    const KILLS: u64 = 4;
    let mut random = Random(SEED);
    let spec = DriveSpec { files: 1500, folders: 10, max_file_bytes: FILE_BYTES, ..DriveSpec::default() };
    let mut stage = Stage::new(&spec).await;
    stage.sync().await;
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(100 + random.below(700))).await;
        stage.kill(Part::Worker).await;
    }
    stage.settle("the mirror").await;
    stage.assert_equal("the mirror");
    let pages: i64 = stage.runs().await.iter().map(|run| run.stats.unwrap_or_default().pages).sum();
    let counts = stage.sim.counters();
    let read_twice = counts.of(Endpoint::Delta) - u64::try_from(pages).unwrap();
    assert!(read_twice <= KILLS, "{read_twice} pages were read and not stored");
    let again = counts.bytes_served.saturating_sub(stage.drive.total_bytes());
    let pages_bytes = counts.of(Endpoint::Delta) * 2_000_000;
    let under_way = KILLS * processes::TRANSFERS * FILE_BYTES;
    assert!(again <= pages_bytes + under_way, "{again} bytes were transferred again");
    let downloads = counts.of(Endpoint::Download);
    // What was done and not reported yet is proven by its bytes, not transferred again.
    let most = 1500 + KILLS * processes::TRANSFERS;
    assert!(downloads <= most, "{downloads} downloads of 1500 files");
    eventually("no run is open", async || {
        stage.runs().await.iter().all(|run| run.state() != pb::RunState::Running)
    })
    .await;
    stage.end().await;
}
