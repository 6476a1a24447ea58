//! No secret in a log line, an error, or in clear in a database.

use std::{
    fs, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::token::v1::{AuthorizationState, GetAuthorizationRequest, StartDeviceAuthorizationRequest};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use service_kit::{
    database::DatabaseUrl,
    telemetry::{self, LogFormat},
};
use simulator::{CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, Endpoint, FIRST_USER, Fault, FaultKind};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    test_database::TestDatabase,
    world::{SCOPES, World, ask, eventually, import, name},
};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What must never be seen: the simulator's tokens and codes all begin like this.
const CANARIES: [&str; 3] = ["sim-at-", "sim-rt-", "sim-dc-"];

fn find(place: &str, haystack: &[u8], secrets: &[String]) {
    for secret in secrets {
        let found = haystack.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{place} holds {}…", secret.chars().take(8).collect::<String>());
    }
}

#[tokio::test]
async fn a_whole_life_leaves_no_secret_anywhere() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = telemetry::layer(LogFormat::Json, "trace", move || writer.clone()).unwrap();
    // For the whole process: beside other tests, a subscriber of one thread may miss what is logged first.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let world = World::new().await;
    let mut service = world.start_with(world.confidential(CONFIDENTIAL_CLIENT_SECRET)).await.unwrap();
    let token = world.sim.issue_refresh_token(CONFIDENTIAL_CLIENT_ID, SCOPES, FIRST_USER).unwrap();
    let mut texts = Vec::new();
    service.connections.create_connection(import("imported", token)).await.unwrap();
    let refused = service.connections.create_connection(import("bad", "sim-rt-made-up".to_owned())).await;
    texts.push(format!("{:?}", refused.unwrap_err()));

    let request = StartDeviceAuthorizationRequest { connection: name("signed-in"), ..Default::default() };
    let started = service.authorizations.start_device_authorization(request).await.unwrap().into_inner();
    let user_code = started.user_code.clone();
    let authorization = started.authorization.clone().unwrap().name;
    texts.push(format!("{started:?}"));
    let mut secrets: Vec<String> = CANARIES.map(str::to_owned).to_vec();
    secrets.extend([user_code.clone(), CONFIDENTIAL_CLIENT_SECRET.to_owned()]);
    search_database(&world, &secrets);

    world.sim.approve(&user_code).unwrap();
    eventually("the sign-in", async || {
        world.advance(Duration::from_secs(1));
        let request = GetAuthorizationRequest { name: authorization.clone() };
        let answer = service.authorizations.get_authorization(request).await.unwrap().into_inner();
        answer.authorization.unwrap().state() == AuthorizationState::Completed
    })
    .await;
    for _ in 0..2 {
        world.advance(Duration::from_hours(2));
        for id in ["imported", "signed-in"] {
            texts.push(format!("{:?}", service.token(ask(id)).await.unwrap()));
        }
    }
    world.sim.faults().add(Fault::new(FaultKind::TruncatedBody).on(Endpoint::Token).times(1));
    world.advance(Duration::from_hours(2));
    texts.push(format!("{:?}", service.token(ask("imported")).await));
    world.sim.revoke(FIRST_USER, 50_173);
    world.advance(Duration::from_hours(2));
    texts.push(format!("{:?}", service.token(ask("signed-in")).await.unwrap_err()));
    search_database(&world, &secrets);
    service.stop().await;
    search_database(&world, &secrets);

    let logged = lines.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&logged).contains("connection made"), "nothing was captured");
    find("the log", &logged, &secrets);
    find("an answer's text", texts.join("\n").as_bytes(), &secrets);
}

fn search_database(world: &World, secrets: &[String]) {
    let mut searched = 0;
    for entry in fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = match fs::read(&path) {
            // SQLite removes the files beside the database when it closes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.unwrap(),
        };
        find(&path.display().to_string(), &bytes, secrets);
        searched += bytes.len();
    }
    assert!(searched > 10_000);
}

/// Every table that the catalogue knows, so that a new one is looked through as well.
#[tokio::test]
async fn no_table_of_postgresql_holds_a_secret_in_clear() {
    let Some(database) = TestDatabase::create().await else { return };
    let world = World::new().await;
    let mut config = world.config();
    config.database = DatabaseUrl::parse(&database.url()).unwrap();
    let mut service = world.start_with(config).await.unwrap();
    service.connect(&world, "mail").await;
    world.advance(Duration::from_hours(2));
    service.token(ask("mail")).await.unwrap();
    let request = StartDeviceAuthorizationRequest { connection: name("signed-in"), ..Default::default() };
    let started = service.authorizations.start_device_authorization(request).await.unwrap().into_inner();
    let mut secrets: Vec<String> = CANARIES.map(str::to_owned).to_vec();
    secrets.push(started.user_code);
    // Bytes are shown in hexadecimal.
    let hexadecimal =
        |text: &String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    secrets.extend(secrets.clone().iter().map(hexadecimal));

    let connection = Database::connect(database.url()).await.unwrap();
    let query = async |sql: String| {
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let rows = connection.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect::<Vec<_>>()
    };
    let tables =
        query("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()".to_owned()).await;
    assert!(tables.contains(&"authorizations".to_owned()), "{tables:?}");
    let mut searched = 0;
    for table in tables {
        let rows = query(format!("SELECT row_to_json(t)::text FROM {table} t")).await.join("\n");
        find(&table, rows.as_bytes(), &secrets);
        searched += rows.len();
    }
    assert!(searched > 1000);
    connection.close().await.unwrap();
    service.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn a_ciphertext_copied_to_another_row_does_not_open() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mine").await;
    service.connect(&world, "theirs").await;
    service.stop().await;

    let database = world.open_database().await;
    let swap = "UPDATE connections SET \
                (refresh_token, refresh_token_generation, data_key, data_key_version) = \
                (SELECT refresh_token, refresh_token_generation, data_key, data_key_version \
                 FROM connections WHERE name = 'tenants/acme/connections/theirs') \
                WHERE name = 'tenants/acme/connections/mine'";
    let changed = database.execute_unprepared(swap).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    database.close().await.unwrap();

    let service = world.start().await.unwrap();
    world.advance(Duration::from_hours(2));
    let before = world.sim.counters().of(Endpoint::Token);
    let status = service.token(ask("mine")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
    assert!(status.message().starts_with("internal error"), "{}", status.message());
    assert_eq!(world.sim.counters().of(Endpoint::Token), before, "somebody else's refresh token was used");
    service.token(ask("theirs")).await.unwrap();
    service.stop().await;
}
