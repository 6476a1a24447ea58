//! The command for people: connects accounts, keeps sources, watches runs, and runs everything on one machine.
//!
//! In reading order: what can be typed ([`cli`]), one file for each command ([`commands`]), how services are reached
//! ([`client`], [`follow`]), what is shown ([`view`], [`output`], [`progress`]), how it ends ([`failure`]), and everything in one
//! process ([`embedded`]).

use clap::{CommandFactory as _, Parser as _};
use service_kit::exit::Exit;

pub mod cli;
pub mod client;
pub mod commands;
pub mod embedded;
pub mod failure;
pub mod follow;
pub mod output;
pub mod progress;
pub mod view;

mod names;

/// Runs the command that the process was started with and says how it ended.
pub async fn main() -> Exit {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = Exit::from_clap(&error);
            return if error.print().is_ok() { exit } else { Exit::Io };
        }
    };
    let output = output::Output::new(cli.global.json);
    match commands::run(cli, &output).await {
        Ok(exit) => exit,
        Err(failure) => output.failure(&failure),
    }
}

/// The whole command line, for completions and for tests of its help.
pub fn command_line() -> clap::Command {
    cli::Cli::command()
}
