//! A token that a caller says was rejected: it stays with the others until the provider refuses the connection, too.

use std::time::Duration;

use proto::token::v1::{GetAccessTokenRequest, RefreshConnectionRequest};
use service_kit::{database::DatabaseUrl, status::status_reason};
use sha2::{Digest as _, Sha256};
use simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use tonic::Status;

use crate::{
    test_database::TestDatabase,
    world::{Service, World, ask, eventually, name},
};

/// Two replicas, both with the same two tokens of one connection in memory.
struct Scene {
    world: World,
    services: [Service; 2],
    /// The token that will be rejected.
    token: String,
    /// The one of other scopes.
    other: String,
}

impl Scene {
    async fn prepare(database: Option<&TestDatabase>) -> Self {
        let world = World::new().await;
        let config = || {
            let mut config = world.config();
            if let Some(database) = database {
                config.database = DatabaseUrl::parse(&database.url()).unwrap();
            }
            config
        };
        let mut services =
            [world.start_with(config()).await.unwrap(), world.start_with(config()).await.unwrap()];
        services[0].connect(&world, "mail").await;
        let token = services[0].token(ask("mail")).await.unwrap().access_token;
        let other = services[0].token(other_scopes()).await.unwrap().access_token;
        let scene = Self { world, services, token, other };
        assert!(scene.is_served_everywhere().await);
        scene.others_are_served().await;
        scene
    }

    /// A caller says that the token was rejected.
    async fn reject(&self, replica: usize) -> Status {
        let hash = Sha256::digest(self.token.as_bytes()).to_vec();
        let request = GetAccessTokenRequest { rejected_token_sha256: hash, ..ask("mail") };
        self.services[replica].token(request).await.unwrap_err()
    }

    /// Whether a caller who says nothing is given the token.
    async fn is_served(&self, replica: usize) -> bool {
        match self.services[replica].token(ask("mail")).await {
            Ok(answer) => {
                assert_eq!(answer.access_token, self.token);
                true
            }
            Err(status) => {
                assert!(is_final(&status), "{status:?}");
                false
            }
        }
    }

    async fn is_served_everywhere(&self) -> bool {
        self.is_served(0).await && self.is_served(1).await
    }

    async fn others_are_served(&self) {
        for service in &self.services {
            assert_eq!(service.token(other_scopes()).await.unwrap().access_token, self.other);
        }
    }

    /// Nobody is given the token any more: at once where it was rejected, and soon everywhere. The other one stays, and whoever mends
    /// the connection gets a new one.
    async fn is_let_go_of_at(&self, replica: usize) {
        assert!(!self.is_served(replica).await);
        eventually("the other replica lets go of it", async || !self.is_served(1 - replica).await).await;
        self.others_are_served().await;
        let mut connections = self.services[0].connections.clone();
        connections.refresh_connection(RefreshConnectionRequest { name: name("mail") }).await.unwrap();
        let new = self.services[0].token(ask("mail")).await.unwrap().access_token;
        assert_ne!(new, self.token);
        eventually("the other replica has the new one", async || {
            self.services[1].token(ask("mail")).await.is_ok_and(|answer| answer.access_token == new)
        })
        .await;
        self.others_are_served().await;
    }

    async fn end(self) {
        for service in self.services {
            service.stop().await;
        }
    }
}

fn other_scopes() -> GetAccessTokenRequest {
    GetAccessTokenRequest { scopes: vec!["User.Read".to_owned()], ..ask("mail") }
}

fn refusal(status: u16, error: &str, aadsts: u32) -> Fault {
    let (suberror, claims, retry_after) = (None, None, None::<RetryAfter>);
    let kind = FaultKind::Oauth { status, error: error.to_owned(), aadsts, suberror, claims, retry_after };
    Fault::new(kind).on(Endpoint::Token)
}

/// The provider refuses the next refresh for good.
fn refuse(scene: &Scene) {
    scene.world.sim.faults().add(refusal(400, "invalid_grant", 50_057).times(1));
}

fn is_final(status: &Status) -> bool {
    matches!(status_reason(status).as_deref(), Some("NEEDS_REAUTH" | "CONNECTION_BLOCKED"))
}

async fn rejected_and_then_refused(database: Option<&TestDatabase>) {
    let scene = Scene::prepare(database).await;
    refuse(&scene);
    assert!(is_final(&scene.reject(0).await));
    scene.is_let_go_of_at(0).await;
    scene.end().await;
}

async fn refused_and_then_rejected(database: Option<&TestDatabase>) {
    let scene = Scene::prepare(database).await;
    refuse(&scene);
    let mut connections = scene.services[0].connections.clone();
    let refresh = RefreshConnectionRequest { name: name("mail") };
    assert!(is_final(&connections.refresh_connection(refresh).await.unwrap_err()));
    // Without anybody's rejection it is served until it ends, at both.
    assert!(scene.is_served_everywhere().await);
    let asked = scene.world.sim.counters().of(Endpoint::Token);
    assert!(is_final(&scene.reject(1).await));
    assert_eq!(scene.world.sim.counters().of(Endpoint::Token), asked, "the provider is not asked for that");
    scene.is_let_go_of_at(1).await;
    scene.end().await;
}

#[tokio::test]
async fn a_token_that_was_rejected_is_let_go_of_once_the_provider_refuses_the_connection() {
    rejected_and_then_refused(None).await;
}

#[tokio::test]
async fn a_token_of_a_refused_connection_is_let_go_of_once_it_is_rejected() {
    refused_and_then_rejected(None).await;
}

#[tokio::test]
async fn on_postgresql_a_token_that_was_rejected_and_refused_is_let_go_of_in_either_order() {
    let Some(database) = TestDatabase::create().await else { return };
    rejected_and_then_refused(Some(&database)).await;
    database.drop().await;
    let database = TestDatabase::create().await.unwrap();
    refused_and_then_rejected(Some(&database)).await;
    database.drop().await;
}

#[tokio::test]
async fn one_callers_word_takes_no_token_from_the_others() {
    let scene = Scene::prepare(None).await;
    let faults = scene.world.sim.faults();
    let silence = faults.add(refusal(503, "temporarily_unavailable", 0));
    assert!(!is_final(&scene.reject(0).await));
    faults.remove(silence);
    assert!(scene.is_served_everywhere().await);
    // A refusal that is about a request of the caller's own is not about the connection.
    scene.world.advance(Duration::from_mins(1));
    faults.add(refusal(400, "interaction_required", 50_076).times(1));
    let hash = Sha256::digest(scene.token.as_bytes()).to_vec();
    let claims = r#"{"access_token":{}}"#.to_owned();
    let request = GetAccessTokenRequest { claims, rejected_token_sha256: hash, ..ask("mail") };
    assert!(is_final(&scene.services[0].token(request).await.unwrap_err()));
    assert!(scene.is_served_everywhere().await);
    scene.others_are_served().await;
    scene.end().await;
}
