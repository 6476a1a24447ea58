//! `m365-sim`: the simulator as a program, for demos and for clients in other languages.

mod arguments;

use std::process::ExitCode;

use clap::Parser as _;
use simulator::{DriveHandle, ScenarioError, Simulator, SpecError, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::arguments::{ArgumentError, Arguments};

/// Exit code for an address that cannot be listened on (sysexits EX_UNAVAILABLE).
const EXIT_UNAVAILABLE: u8 = 69;
/// Exit code for a wrong flag or a drive that cannot be created as asked (sysexits EX_USAGE).
const EXIT_USAGE: u8 = 64;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the first drive cannot be created")]
    Drive(#[from] SpecError),
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error("cannot wait for signals")]
    Signal(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            complain(&format!("{}; --help lists the flags", line.strip_prefix("error: ").unwrap_or(line)));
            return ExitCode::from(EXIT_USAGE);
        }
        Err(help) => {
            announce(help.to_string().trim_end());
            return ExitCode::SUCCESS;
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&chain(&failure));
            ExitCode::from(match failure {
                Failure::Start(StartError::Bind { .. }) | Failure::Signal(_) => EXIT_UNAVAILABLE,
                Failure::Arguments(_)
                | Failure::Drive(_)
                | Failure::Scenario(_)
                | Failure::Start(StartError::Tls(_) | StartError::Setup(_)) => EXIT_USAGE,
            })
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = arguments.config()?;
    let scenario = arguments.scenario()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut simulator = Simulator::start(config).await?;
    match scenario {
        Some(scenario) => drop(simulator.play(scenario)?),
        None => drop(simulator.create_drive(&arguments.first_drive())?),
    }
    let drives = simulator.drives();
    announce(&format!(
        "authority {}\ngraph     {}\ncontrol   {}\ndrive     {}\nclient-id {}\ntenant    {}",
        simulator.authority(),
        simulator.graph(),
        simulator.control(),
        drives.first().map_or("none", DriveHandle::id),
        simulator::PUBLIC_CLIENT_ID,
        simulator::TENANT_ID,
    ));
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the one place where the program tells its addresses")]
fn announce(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the one place where the program says why it ends")]
fn complain(text: &str) {
    eprintln!("m365-sim: {text}");
}

fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
