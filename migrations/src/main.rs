//! `sluice-migrate`: applies, reverts or lists the migrations of one database.

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use migrations::{MigrationState, Schema, SchemaError};

mod connect;

use connect::{ConnectError, connect};

const EXIT_FAILURE: u8 = 1;
const EXIT_USAGE: u8 = 64;
const EXIT_UNAVAILABLE: u8 = 69;
const EXIT_TRY_AGAIN: u8 = 75;
const EXIT_CONFIGURATION: u8 = 78;

/// Applies, reverts or lists the migrations of a Sluice database.
#[derive(Parser)]
#[command(name = "sluice-migrate", version, arg_required_else_help = true)]
struct Arguments {
    /// Which schema.
    schema: SchemaArgument,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, ValueEnum)]
enum SchemaArgument {
    /// The token service's.
    Token,
    /// The sync service's.
    Sync,
}

#[derive(Subcommand)]
enum Action {
    /// Applies every pending migration, all or none.
    Up(Place),
    /// Reverts migrations, newest first; what they held is lost.
    Down {
        #[command(flatten)]
        place: Place,
        /// How many migrations to revert.
        #[arg(long, required_unless_present = "all")]
        steps: Option<u32>,
        /// Reverts everything.
        #[arg(long, conflicts_with = "steps")]
        all: bool,
    },
    /// Lists the migrations; exits with 75 when some are pending and 78 when some are unknown here.
    Status(Place),
}

/// Where the database is.
#[derive(clap::Args)]
struct Place {
    /// `sqlite:/path/to/file.db` or `postgres://user@host:port/database`, without a password.
    #[arg(long, env = "SLUICE_DATABASE", value_name = "URL")]
    database: String,
    /// File with PostgreSQL's password on one line.
    #[arg(long, env = "SLUICE_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    database_password_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let usage = error.use_stderr();
            return match error.print() {
                Ok(()) if usage => ExitCode::from(EXIT_USAGE),
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(EXIT_FAILURE),
            };
        }
    };
    match run(arguments).await {
        Ok(code) => code,
        Err(failure) => {
            report(&failure);
            failure.exit_code()
        }
    }
}

/// One variant for each thing that can go wrong here.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Connect(ConnectError::Server { .. }) => EXIT_UNAVAILABLE,
            Self::Connect(_) | Self::Schema(SchemaError::Ahead { .. } | SchemaError::Behind { .. }) => {
                EXIT_CONFIGURATION
            }
            Self::Schema(_) => EXIT_FAILURE,
        })
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let schema = match arguments.schema {
        SchemaArgument::Token => Schema::Token,
        SchemaArgument::Sync => Schema::Sync,
    };
    match arguments.action {
        Action::Up(place) => {
            migrations::up(&open(&place).await?, schema).await?;
            Ok(ExitCode::SUCCESS)
        }
        // Clap lets through exactly one of `--steps` and `--all`.
        Action::Down { place, steps, all: _ } => {
            migrations::down(&open(&place).await?, schema, steps).await?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Status(place) => Ok(list(&migrations::status(&open(&place).await?, schema).await?)),
    }
}

async fn open(place: &Place) -> Result<sea_orm::DatabaseConnection, ConnectError> {
    connect(&place.database, place.database_password_file.as_deref()).await
}

#[expect(clippy::print_stdout, reason = "the list is the command's result")]
fn list(all: &[migrations::Migration]) -> ExitCode {
    for migration in all {
        let state = match migration.state {
            MigrationState::Pending => "pending",
            MigrationState::Applied => "applied",
            MigrationState::Unknown => "unknown",
        };
        println!("{state}\t{}", migration.name);
    }
    let any = |state| all.iter().any(|migration| migration.state == state);
    if any(MigrationState::Unknown) {
        ExitCode::from(EXIT_CONFIGURATION)
    } else if any(MigrationState::Pending) {
        ExitCode::from(EXIT_TRY_AGAIN)
    } else {
        ExitCode::SUCCESS
    }
}

#[expect(clippy::print_stderr, reason = "the one place that reports a failure")]
fn report(failure: &Failure) {
    let mut line = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        let text = error.to_string().replace('\n', " ");
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        source = error.source();
    }
    eprintln!("sluice-migrate: {line}");
}
