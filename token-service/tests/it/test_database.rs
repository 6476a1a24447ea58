//! A PostgreSQL database for one test, cloned from a migrated template, where `TEST_DATABASE_URL` names a server that lets us
//! create databases.

use std::{
    env,
    sync::atomic::{AtomicU32, Ordering},
};

use migrations::Schema;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};
use tokio::sync::OnceCell;

/// Key of the advisory lock under which runs of the tests make the template: "tsvc" in ASCII.
const LOCK: i64 = 0x7473_7663;
const TEMPLATE: &str = "sluice_token_service_template";

static TEMPLATE_MADE: OnceCell<()> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of one's own.
pub(crate) struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// A migrated database; nothing, and a line that says so, where there is no server.
    pub(crate) async fn create() -> Option<Self> {
        let server = server()?;
        TEMPLATE_MADE.get_or_init(|| make_template(&server)).await;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice_token_service_{}_{number}", std::process::id());
        let database = Self { server, name };
        database.run(&format!("CREATE DATABASE {} TEMPLATE {TEMPLATE}", database.name)).await;
        Some(database)
    }

    /// An empty database.
    pub(crate) async fn create_empty() -> Option<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sluice_token_service_{}_{number}", std::process::id());
        let database = Self { server: server()?, name };
        database.run(&format!("CREATE DATABASE {}", database.name)).await;
        Some(database)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        sibling(&self.server, &self.name)
    }

    /// Drops it, whoever is still connected.
    pub(crate) async fn drop(self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    async fn run(&self, sql: &str) {
        let maintenance = connect(&self.server).await;
        maintenance.execute_unprepared(sql).await.unwrap();
        maintenance.close().await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line to take its server from")]
fn server() -> Option<String> {
    let server = env::var("TEST_DATABASE_URL").ok();
    if server.is_none() {
        println!("TEST_DATABASE_URL is not set: PostgreSQL is not tested");
    }
    server
}

fn sibling(server: &str, name: &str) -> String {
    let (head, _) = server.rsplit_once('/').unwrap();
    format!("{head}/{name}")
}

/// One connection, so that a session's lock is one.
async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn make_template(server: &str) {
    let maintenance = connect(server).await;
    maintenance.execute_unprepared(&format!("SELECT pg_advisory_lock({LOCK})")).await.unwrap();
    maintenance
        .execute_unprepared(&format!("DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)"))
        .await
        .unwrap();
    maintenance.execute_unprepared(&format!("CREATE DATABASE {TEMPLATE}")).await.unwrap();
    let template = connect(&sibling(server, TEMPLATE)).await;
    migrations::up(&template, Schema::Token).await.unwrap();
    template.close().await.unwrap();
    maintenance.execute_unprepared(&format!("SELECT pg_advisory_unlock({LOCK})")).await.unwrap();
    maintenance.close().await.unwrap();
}
