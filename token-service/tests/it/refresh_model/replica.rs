//! One process of the token service: its operations as they are, on a runtime of its own whose time stands still until the model
//! moves it. Dropped, it is killed: whatever it did ends where it waits.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    SqlxSqliteConnector,
    sqlx::{
        AssertSqlSafe, ConnectOptions as _, Executor as _, query_scalar,
        sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
    },
};
use service_kit::{
    clock::{Clock, Timestamp},
    lifecycle::Lifecycle,
};
use token_service::{
    crypto::FileKeyring,
    domain::{scopes::ScopeSet, token::AccessToken},
    ops::{self, Context, OpError, Parts, RefreshTimes},
    store::Store,
};
use tokio::runtime::{Builder, Runtime};

use super::{
    provider::{Provider, Sender},
    turnstile::{DistantKeys, Pass, Turnstile},
};

/// Most connections of a replica to the database: more than it ever has statements waiting side by side.
const POOL: u32 = 100;
/// Connections that are open before anything happens that may need them. Opening one takes real time, in which something else of the
/// same replica could go on; and whoever gives up a wait for the database closes one.
const OPEN: usize = 12;
/// Longer than any run. A connection that is opened again is there after some real time, which must not matter here; that the
/// database fails is for the model to say.
pub(super) const NEVER: Duration = Duration::from_hours(24);
/// How long a replica waits for the provider.
pub(super) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(3);
/// Looks that must find a replica at rest before it counts as such.
const CALM: u32 = 3;
/// Most tasks that a replica runs in one go; more than there ever are.
const ALL_TASKS: u32 = 100_000;

/// The time of the model, as one of its parts sees it.
#[derive(Clone)]
pub(super) struct ModelClock {
    pub(super) time: Arc<AtomicI64>,
    /// By how many milliseconds it is ahead.
    pub(super) skew: i64,
}

impl Clock for ModelClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::SeqCst) + self.skew)
    }
}

/// What a caller got.
pub(super) type Answer = Result<Option<Arc<AccessToken>>, Arc<OpError>>;
/// Where the answer of a call will be.
pub(super) type Slot = Arc<Mutex<Option<Answer>>>;

/// What all replicas share.
pub(super) struct Ground<'a> {
    pub(super) folder: &'a Path,
    pub(super) clock: ModelClock,
    pub(super) provider: &'a Provider,
    pub(super) scopes: &'a ScopeSet,
    /// Whether tokens are refreshed before somebody asks.
    pub(super) is_ahead: bool,
}

/// A process. Its runtime is dropped first.
pub(super) struct Replica {
    runtime: Runtime,
    pub(super) context: Arc<Context>,
    pool: SqlitePool,
    /// Whether connections are being opened, which takes no turn.
    is_opening: Arc<AtomicBool>,
    pub(super) database: Turnstile,
    pub(super) keys: Turnstile,
    pub(super) sender: Sender,
    /// How much time passed while it stood still.
    behind: Duration,
    pub(super) is_paused: bool,
    pub(super) is_cut_off: bool,
}

impl Replica {
    pub(super) fn start(ground: &Ground<'_>, sender: Sender, skew: i64) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .event_interval(ALL_TASKS)
            // What wakes from outside never overtakes, however often the model had to look.
            .global_queue_interval(u32::MAX)
            .build()
            .unwrap();
        let (database, keys) = (Turnstile::default(), Turnstile::default());
        let is_opening = Arc::new(AtomicBool::new(false));
        // While the clock stands still nothing may park the runtime: it would take that for the end of all waiting.
        let pool = runtime
            .block_on(async { pool(&ground.folder.join("token.db"), &database, Arc::clone(&is_opening)) });
        let clock = ModelClock { skew, ..ground.clock.clone() };
        let lifecycle = Lifecycle::new();
        let keyring = FileKeyring::read(&ground.folder.join("keyring.toml")).unwrap();
        let context = Context::new(Parts {
            store: Store::new(
                SqlxSqliteConnector::from_sqlx_sqlite_pool(pool.clone()),
                // Who gives up a wait for the database closes its connection, and another is opened, in real time.
                NEVER,
                Arc::new(ground.clock.clone()),
            ),
            keys: Arc::new(DistantKeys { keyring, turnstile: keys.clone() }),
            provider: Arc::new(ground.provider.seen_by(sender)),
            clock: Arc::new(clock),
            lifecycle: lifecycle.clone(),
            default_scopes: ground.scopes.clone(),
            refresh_times: RefreshTimes { provider_timeout: PROVIDER_TIMEOUT },
        });
        let replica = Self {
            runtime,
            context,
            pool,
            is_opening,
            database,
            keys,
            sender,
            behind: Duration::ZERO,
            is_paused: false,
            is_cut_off: false,
        };
        replica.open_connections();
        replica.runtime.block_on(async {
            let context = &replica.context;
            lifecycle.spawn("change feed", ops::change_feed::follow(Arc::clone(context)));
            if ground.is_ahead {
                lifecycle.spawn("refresh ahead", ops::refresh_ahead::run(Arc::clone(context)));
            }
        });
        replica
    }

    /// Starts a call.
    pub(super) fn call<F>(&self, work: F) -> Slot
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let slot = Slot::default();
        let filled = Arc::clone(&slot);
        self.runtime.spawn(async move {
            let answer = work.await;
            *filled.lock().unwrap() = Some(answer);
        });
        slot
    }

    /// Lets everything run that can, until all of it waits for the model.
    pub(super) fn settle(&self) {
        if self.is_paused {
            return;
        }
        let mut calm = 0;
        while calm < CALM {
            self.runtime.block_on(tokio::task::yield_now());
            if self.is_in_database() {
                calm = 0;
                std::thread::yield_now();
            } else {
                calm += 1;
            }
        }
        if self.pool.num_idle() < OPEN {
            self.open_connections();
        }
    }

    /// Opens what is missing while everything else of the replica waits.
    fn open_connections(&self) {
        self.is_opening.store(true, Ordering::SeqCst);
        let pool = self.pool.clone();
        let opened = self.runtime.spawn(async move {
            // Those that are open come first.
            let mut open = Vec::new();
            while open.len() < OPEN {
                open.push(pool.acquire().await.unwrap());
            }
        });
        while !opened.is_finished() || self.pool.num_idle() < OPEN {
            self.runtime.block_on(tokio::task::yield_now());
        }
        self.is_opening.store(false, Ordering::SeqCst);
    }

    /// Whether a statement is under way, which the model must see the end of before anything else happens.
    pub(super) fn is_in_database(&self) -> bool {
        let in_use = usize::try_from(self.pool.size()).unwrap().saturating_sub(self.pool.num_idle());
        in_use > self.database.waiting().len()
    }

    /// Lets time pass. A replica that is paused finds out later.
    pub(super) fn pass(&mut self, span: Duration) {
        if self.is_paused {
            self.behind += span;
        } else {
            self.runtime.block_on(tokio::time::advance(span));
            self.settle();
        }
    }

    /// Lets a replica that was paused go on.
    pub(super) fn resume(&mut self) {
        self.is_paused = false;
        let behind = std::mem::take(&mut self.behind);
        self.pass(behind);
    }
}

/// Hides every table behind an empty one of the same name.
async fn hide_tables(connection: &mut SqliteConnection) {
    for table in tables(connection, "main").await {
        connection.execute(AssertSqlSafe(format!("CREATE TEMP TABLE {table} (hidden)"))).await.unwrap();
    }
}

/// Brings them back in sight.
async fn show_tables(connection: &mut SqliteConnection) {
    for table in tables(connection, "temp").await {
        connection.execute(AssertSqlSafe(format!("DROP TABLE temp.{table}"))).await.unwrap();
    }
}

async fn tables(connection: &mut SqliteConnection, schema: &str) -> Vec<String> {
    let tables =
        format!("SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    query_scalar(AssertSqlSafe(tables)).fetch_all(connection).await.unwrap()
}

/// Connections that wait for their turn, and find no table when they are to fail.
fn pool(path: &Path, turnstile: &Turnstile, is_opening: Arc<AtomicBool>) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Off)
        .foreign_keys(true)
        .disable_statement_logging();
    let is_failing = Arc::new(AtomicBool::new(false));
    let (turnstile, before) = (turnstile.clone(), Arc::clone(&is_failing));
    SqlitePoolOptions::new()
        .max_connections(POOL)
        .acquire_timeout(NEVER)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(move |connection, _| {
            let (turnstile, is_failing) = (turnstile.clone(), Arc::clone(&before));
            let is_opening = Arc::clone(&is_opening);
            Box::pin(async move {
                if !is_opening.load(Ordering::SeqCst) && turnstile.pass().await == Pass::Failing {
                    is_failing.store(true, Ordering::SeqCst);
                    hide_tables(connection).await;
                }
                Ok(true)
            })
        })
        .after_release(move |connection, _| {
            let is_failing = Arc::clone(&is_failing);
            Box::pin(async move {
                // One statement runs at a time, in all the world.
                if is_failing.swap(false, Ordering::SeqCst) {
                    show_tables(connection).await;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}
