//! One file for each command: its options, what it asks of the services, what it shows.

use service_kit::exit::Exit;

use crate::{
    cli::{Cli, Command},
    failure::Failure,
    output::Output,
};

mod asked;
pub mod completions;
pub mod connect;
pub mod connections;
pub mod demo;
mod findings;
pub mod runs;
pub mod source;
pub mod status;
pub mod sync;
pub mod up;
pub mod verify;
pub mod webhooks;

/// Runs one command.
///
/// # Errors
/// Why it did not do what was asked.
pub async fn run(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let endpoints = &cli.global.endpoints;
    match cli.command {
        // These two hold whole services, too large to lie on the stack of every other command.
        Command::Demo(arguments) => Box::pin(demo::run(arguments, *output)).await,
        Command::Up(arguments) => Box::pin(up::run(*arguments, *output)).await,
        Command::Connect(arguments) => connect::run(arguments, endpoints, *output).await,
        Command::Connections(arguments) => connections::run(arguments, endpoints, *output).await,
        Command::Source(arguments) => source::run(arguments, endpoints, *output).await,
        Command::Sync(arguments) => sync::run(arguments, endpoints, *output).await,
        Command::Verify(arguments) => verify::run(arguments, endpoints, *output).await,
        Command::Runs(arguments) => runs::run(arguments, endpoints, *output).await,
        Command::Webhooks(arguments) => webhooks::run(arguments, endpoints, *output).await,
        Command::Status(arguments) => status::run(arguments, endpoints, *output).await,
        Command::Completions(arguments) => completions::run(&arguments, *output),
    }
}
