//! Nothing waits for the database without an end: a connection whose other end vanished without a word would be waited at for a
//! quarter of an hour, until the system gives it up.
//!
//! An operation that is cut off may have happened all the same, a commit too: whoever repeats it compares generations or owners. The
//! connection goes back to the pool, which takes it again only when it answers and is in no transaction
//! (see [`service_kit::database::connect`]).

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement,
};
use service_kit::database;

/// A database, or a transaction in it, that is waited for no longer than `patience` at a time.
pub(super) struct Bounded<C> {
    pub(super) inner: C,
    pub(super) patience: Duration,
}

async fn within<T>(
    patience: Duration,
    operation: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let ended = tokio::time::timeout(patience, operation).await;
    ended.unwrap_or_else(|late| Err(DbErr::Conn(RuntimeErr::Internal(late.to_string()))))
}

impl Bounded<DatabaseConnection> {
    pub(super) async fn begin_write(&self) -> Result<Bounded<DatabaseTransaction>, DbErr> {
        let inner = within(self.patience, database::begin_write(&self.inner)).await?;
        Ok(Bounded { inner, patience: self.patience })
    }
}

impl Bounded<DatabaseTransaction> {
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        within(self.patience, self.inner.commit()).await
    }
}

#[async_trait::async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Bounded<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        within(self.patience, self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        within(self.patience, self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        within(self.patience, self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        within(self.patience, self.inner.query_all_raw(statement)).await
    }
}
