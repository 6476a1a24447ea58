//! `m365-sim`: the simulator as a program, for demos and for clients in other languages.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use simulator::{Config, DriveKind, DriveSpec, Listen, NameStyle, Simulator, SpecError, StartError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for an address that cannot be listened on (sysexits EX_UNAVAILABLE).
const EXIT_UNAVAILABLE: u8 = 69;
/// Exit code for a wrong flag or a drive that cannot be created as asked (sysexits EX_USAGE).
const EXIT_USAGE: u8 = 64;

/// A stand-in for Microsoft Entra and Microsoft Graph drives.
#[derive(Debug, Parser)]
#[command(name = "m365-sim", version)]
struct Arguments {
    /// Where Entra listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_authority: SocketAddr,
    /// Where Graph and the download links listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_graph: SocketAddr,
    /// Where the control interface listens
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_control: SocketAddr,
    /// Host name in download links; `localhost` when Graph listens on 127.0.0.1
    #[arg(long, value_name = "HOST")]
    download_host: Option<String>,
    /// Everything random follows from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Files of the first drive
    #[arg(long, default_value_t = 1_500)]
    files: u32,
    /// Folders of the first drive
    #[arg(long, default_value_t = 60)]
    folders: u32,
    /// Largest of these files, in bytes
    #[arg(long, default_value_t = 65_536)]
    max_file_bytes: u64,
    /// A further file of this size, in bytes; may be given again
    #[arg(long = "big-file", value_name = "BYTES")]
    big_files: Vec<u64>,
    /// Plain names instead of everything real drives hold
    #[arg(long)]
    plain_names: bool,
    /// Approve every sign-in at its n-th poll instead of waiting for a person
    #[arg(long, value_name = "N")]
    approve_after_polls: Option<u32>,
}

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the first drive cannot be created")]
    Drive(#[from] SpecError),
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
                Failure::Start(_) | Failure::Signal(_) => EXIT_UNAVAILABLE,
                Failure::Drive(_) => EXIT_USAGE,
            })
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut config = Config { seed: arguments.seed, ..Config::default() };
    config.listen = Listen {
        authority: arguments.listen_authority,
        graph: arguments.listen_graph,
        control: arguments.listen_control,
    };
    config.download_host = arguments.download_host;
    config.switches.device.approve_after_polls = arguments.approve_after_polls;
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(config).await?;
    let spec = DriveSpec {
        seed: arguments.seed,
        kind: DriveKind::Business,
        owner: None,
        files: arguments.files,
        folders: arguments.folders,
        max_file_bytes: arguments.max_file_bytes,
        big_files: arguments.big_files,
        names: if arguments.plain_names { NameStyle::Plain } else { NameStyle::Varied },
    };
    let drive = simulator.create_drive(&spec)?;
    announce(&format!(
        "authority {}\ngraph     {}\ncontrol   {}\ndrive     {}\nclient-id {}\ntenant    {}",
        simulator.authority(),
        simulator.graph(),
        simulator.control(),
        drive.id(),
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
