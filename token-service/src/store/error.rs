//! How the database fails, as far as callers act on it.

use sea_orm::{DbErr, SqlErr};

/// A failed database operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row is not at the generation the write was based on: somebody else changed it.
    #[error("the row was changed by somebody else")]
    Conflict,
    /// There is no such row.
    #[error("there is no such row")]
    NotFound,
    /// There is such a row already.
    #[error("there is such a row already")]
    AlreadyExists,
    /// A row holds what no version of this program writes.
    #[error("row {row} of {table} is inconsistent: {problem}")]
    Inconsistent {
        /// Table.
        table: &'static str,
        /// Row.
        row: String,
        /// What is wrong, without the value.
        problem: &'static str,
    },
    /// The database did not do it.
    #[error("the token database did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::AlreadyExists,
            _ => Self::Unavailable(Box::new(error)),
        }
    }
}

/// A compare-and-set touched one row, or somebody else was there first.
pub(super) fn require_one_row(rows_affected: u64) -> Result<(), StoreError> {
    if rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}
