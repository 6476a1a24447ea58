//! Tokens in use are replaced before anybody must wait; connections that nobody uses are kept alive.

use std::time::Duration;

use simulator::Endpoint;

use crate::world::{World, ask, eventually, name};

#[tokio::test]
async fn spire_4829_a_connection_in_use_is_refreshed_before_its_callers_would_wait() {
    let (world, mut service) = World::with_service().await;
    world.sim.switch(|switches| switches.tokens.access_seconds = 3600);
    service.connect(&world, "used").await;
    service.connect(&world, "unused").await;
    let first = service.token(ask("used")).await.unwrap().access_token;
    world.advance(Duration::from_mins(20));
    assert_eq!(service.token(ask("used")).await.unwrap().access_token, first);
    world.sim.reset_counters();
    world.advance(Duration::from_mins(31));
    // With nine minutes to live no caller makes it refresh.
    eventually("it is replaced although nobody must wait for it", async || {
        service.token(ask("used")).await.unwrap().access_token != first
    })
    .await;
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1, "the unused one costs nothing");
    service.stop().await;
}

/// airweave#1797: an expired stored token was never refreshed again.
#[tokio::test]
async fn airweave_1797_an_idle_connection_is_kept_alive_before_the_provider_ends_it() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    service.stop().await;
    for _ in 0..3 {
        world.advance(Duration::from_hours(50 * 24));
        world.sim.reset_counters();
        let service = world.start().await.unwrap();
        eventually("it is kept alive", async || world.sim.counters().refreshes == 1).await;
        eventually("that is stored", async || {
            let refreshed = service.connection(&name("mail")).await.refresh_time.unwrap().seconds;
            let now = service_kit::clock::Clock::now(&*world.clock).to_proto().seconds;
            now - refreshed < 3600
        })
        .await;
        service.stop().await;
    }
}

#[tokio::test]
async fn a_long_lived_token_is_replaced_when_the_provider_advises_it() {
    let (world, mut service) = World::with_service().await;
    // With such a life the answer holds `refresh_in`: half of it.
    world.sim.switch(|switches| switches.tokens.access_seconds = 24 * 3600);
    service.connect(&world, "mail").await;
    let first = service.token(ask("mail")).await.unwrap().access_token;
    world.advance(Duration::from_hours(9));
    assert_eq!(service.token(ask("mail")).await.unwrap().access_token, first);
    world.sim.reset_counters();
    world.advance(Duration::from_hours(3));
    eventually("it is replaced although it has half a day to live", async || {
        service.token(ask("mail")).await.unwrap().access_token != first
    })
    .await;
    assert_eq!(world.sim.counters().of(Endpoint::Token), 1);
    service.stop().await;
}
