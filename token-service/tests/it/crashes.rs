//! SIGKILL at random instants while refresh tokens are rotated without a pause: no connection is lost whose new token could be
//! kept, and one that is says why. `scripts/chaos` runs it for longer; what it prints replays.

use std::{env, time::Duration};

use proto::token::v1::{ConnectionState, GetConnectionRequest, RefreshConnectionRequest};
use service_kit::status::status_reason;
use simulator::Rotation;
use tokio::task::JoinSet;

use crate::{
    processes::Process,
    world::{World, import, name},
};

/// Seed and number of kills of the short form.
const SEED: u64 = 20_261_121;
const KILLS: u64 = 6;
/// Within this time after the first refresh the process is killed.
const LONGEST_LIFE_MILLIS: u64 = 150;

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
}

/// Refreshes without a pause until the process is gone.
async fn rotate(process: &Process, id: String) {
    let mut connections = process.connections.clone();
    while connections.refresh_connection(RefreshConnectionRequest { name: name(&id) }).await.is_ok() {}
}

async fn kill_again_and_again(rotation: Rotation, offset: u64) {
    let (seed, kills) = (setting("SLUICE_CHAOS_SEED", SEED), setting("SLUICE_CHAOS_KILLS", KILLS));
    println!("replay with SLUICE_CHAOS_SEED={seed} SLUICE_CHAOS_KILLS={kills}");
    let mut random = Random(seed.wrapping_add(offset));
    let world = World::new().await;
    world.sim.switch(|switches| switches.tokens.rotation = rotation);
    let database = format!("sqlite:{}", world.database_path().display());
    for kill in 0..kills {
        let mut process = Process::start(&world, &database).await;
        let id = format!("c{kill}");
        process.connections.create_connection(import(&id, world.refresh_token())).await.unwrap();
        let life = Duration::from_millis(random.below(LONGEST_LIFE_MILLIS));
        // What ends is the life, in the middle of whatever it does.
        drop(tokio::time::timeout(life, rotate(&process, id)).await);
        process.kill().await;
    }

    let process = Process::start(&world, &database).await;
    let mut checks = JoinSet::new();
    for kill in 0..kills {
        let mut connections = process.connections.clone();
        let name = name(&format!("c{kill}"));
        checks.spawn(async move {
            let request = RefreshConnectionRequest { name: name.clone() };
            let Err(status) = connections.refresh_connection(request).await else { return None };
            assert_eq!(status_reason(&status).as_deref(), Some("NEEDS_REAUTH"), "{status}");
            let request = GetConnectionRequest { name };
            let found = connections.get_connection(request).await.unwrap().into_inner().connection.unwrap();
            assert_eq!(found.state(), ConnectionState::NeedsReauth);
            Some(found.state_cause)
        });
    }
    let lost: Vec<String> = checks.join_all().await.into_iter().flatten().collect();
    println!("{} of {kills} connections need a sign-in", lost.len());
    for cause in &lost {
        // The provider had answered, and the process was gone before it could store what came.
        assert_eq!(rotation, Rotation::Strict, "lost although the old token was still good: {cause}");
        assert!(cause.contains("after an answer was lost"), "lost without a word: {cause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_connection_with_a_provider_that_keeps_old_tokens() {
    kill_again_and_again(Rotation::Entra, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_connection_with_a_provider_that_forgives() {
    kill_again_and_again(Rotation::Grace, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_with_a_strict_provider_lose_only_what_cannot_be_known_and_say_so() {
    kill_again_and_again(Rotation::Strict, 2).await;
}
