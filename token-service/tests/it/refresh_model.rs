//! Refreshing against a model: whatever the order in which replicas, their callers, the database and the provider do their parts,
//! and wherever a replica is killed, stands still or loses the database, the invariants of ARCHITECTURE.md hold.
//!
//! The operations are the real ones, on a real SQLite database. Each replica has a runtime of its own, whose time stands still and
//! which runs only when the model lets it: until its work waits for the database, the key service, the provider or time. Which of
//! all that comes next is drawn from a seed, so a run that fails is the same each time. What must hold is checked after every step
//! (`calls`, `auditor`, `World::judge`); what each kind of run consists of is in `plan`.

mod auditor;
mod calls;
mod plan;
mod provider;
mod replica;
mod turnstile;
mod world;

use std::{path::Path, thread};

use migrations::{Policy, Schema};
use sea_orm::Database;
use simulator::Rotation;
use tempfile::TempDir;
use token_service::crypto::FileKeyring;

use self::world::World;
use crate::random::setting;

/// First seed of the short form, and how many there are.
const SEED: u64 = 20_261_121;
const RUNS: u64 = 12;
/// Steps of a run before everything is made to work again.
const STEPS: u64 = 700;

/// A migrated database and a keyring, to be copied for each run.
fn template() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    FileKeyring::create(&folder.path().join("keyring.toml")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("token.db").display());
        let database = Database::connect(url).await.unwrap();
        migrations::ensure(&database, Schema::Token, Policy::MigrateEmbedded).await.unwrap();
        database.close().await.unwrap();
    });
    folder
}

/// Says how to see a failed run again.
struct Replay<'a>(&'a mut World, u64);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(world, seed) = self;
            println!("{}", world.story());
            println!("step {}; replay with scripts/chaos --kills 0 --runs 1 --seed {seed}", world.step);
        }
    }
}

fn run(template: &Path, seed: u64, rotation: Rotation) -> u64 {
    let mut world = World::new(template, seed, rotation);
    let replay = Replay(&mut world, seed);
    for _ in 0..setting("SLUICE_MODEL_STEPS", STEPS) {
        replay.0.go_on();
    }
    replay.0.finish();
    replay.0.tally.let_go = replay.0.auditor.records.iter().map(|record| record.let_go.len()).sum();
    println!("seed {seed}: {:?}, trace {:x}", replay.0.tally, replay.0.trace);
    replay.0.trace
}

fn runs(rotation: Rotation) {
    let (seed, runs) = (setting("SLUICE_MODEL_SEED", SEED), setting("SLUICE_MODEL_RUNS", RUNS));
    let template = template();
    for seed in seed..seed.wrapping_add(runs) {
        run(template.path(), seed, rotation);
    }
}

#[test]
fn invariants_hold_in_every_order_with_a_provider_that_keeps_old_tokens() {
    runs(Rotation::Entra);
}

#[test]
fn invariants_hold_in_every_order_with_a_provider_that_forgives() {
    runs(Rotation::Grace);
}

#[test]
fn invariants_hold_in_every_order_with_a_strict_provider() {
    runs(Rotation::Strict);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let template = template();
    for seed in 0..3 {
        let one = run(template.path(), seed, Rotation::Strict);
        assert_eq!(run(template.path(), seed, Rotation::Strict), one, "seed {seed}");
    }
}
