//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use service_kit::{database::DatabaseUrl, exit::Exit, lifecycle::terminate_signal, process::Failure};

use crate::{
    cached_token, first_mirror, held_connections, list_items,
    machine::Machine,
    part::{bare, sync_service, token_service, worker},
    refresh_ahead,
    report::Report,
};

/// Measures Sluice. Everything runs on this machine, against a simulated Microsoft 365, in processes of its own.
#[derive(Parser)]
#[command(name = "sluice-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Args)]
pub(crate) struct Global {
    /// The result as one JSON document.
    #[arg(long, global = true)]
    json: bool,
    /// Measures although this is a development build, whose figures mean nothing.
    #[arg(long, global = true)]
    allow_dev_build: bool,
}

/// Where the service that is measured keeps its data.
#[derive(Args, Clone)]
pub(crate) struct DatabaseArgs {
    /// A PostgreSQL database made for this, postgres://user@host/database; its schema is applied, and what is put in stays.
    /// Without it, SQLite in a temporary folder.
    #[arg(long)]
    pub(crate) database: Option<DatabaseUrl>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Measure(Benchmark),
    /// A process that is measured. Started by the others; ends when its standard input does.
    #[command(subcommand, hide = true)]
    Part(Part),
}

#[derive(Subcommand)]
enum Benchmark {
    /// Requests per second of GetAccessToken from memory, beside a bare tonic service that returns the same answer.
    CachedToken(cached_token::Options),
    /// Memory of a token service that holds the tokens of many connections.
    HeldConnections(held_connections::Options),
    /// Connections in use that are all due to be refreshed at once: whether callers ever wait for it.
    RefreshAhead(refresh_ahead::Options),
    /// Memory and time of listing a big drive into the index, and of a run that then finds nothing to do.
    ListItems(list_items::Options),
    /// The first mirror of many small files from far away, and what renaming a folder above all of them costs then.
    FirstMirror(first_mirror::Options),
}

#[derive(Subcommand)]
enum Part {
    Bare { answer: PathBuf },
    TokenService(token_service::Options),
    SyncService(sync_service::Options),
    Worker(Box<worker::Options>),
}

pub(crate) async fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Part(Part::Bare { answer }) => bare::serve(&answer).await,
        Command::Part(Part::TokenService(options)) => token_service::serve(options).await,
        Command::Part(Part::SyncService(options)) => sync_service::serve(options).await,
        Command::Part(Part::Worker(options)) => worker::serve(*options).await,
        Command::Measure(benchmark) => {
            let machine = Machine::here(cli.global.allow_dev_build)?;
            tokio::select! {
                report = measure(machine, benchmark) => report?.print(cli.global.json)?,
                () = terminate_signal() => return Err(Failure::new(Exit::TryAgain, "interrupted")),
            }
            Ok(Exit::Done)
        }
    }
}

async fn measure(machine: Machine, benchmark: Benchmark) -> Result<Report, Failure> {
    match benchmark {
        Benchmark::CachedToken(options) => cached_token::run(machine, options).await,
        Benchmark::HeldConnections(options) => held_connections::run(machine, options).await,
        Benchmark::RefreshAhead(options) => refresh_ahead::run(machine, options).await,
        Benchmark::ListItems(options) => list_items::run(machine, options).await,
        Benchmark::FirstMirror(options) => first_mirror::run(machine, options).await,
    }
}
