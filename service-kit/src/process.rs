//! The frame of every binary: read the command line, do it, say why not in one line, and end with a code that means something.

use std::{error::Error, process::ExitCode, sync::OnceLock, time::Duration};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::{
    error_chain::ErrorChain,
    exit::Exit,
    lifecycle::{Lifecycle, terminate_signal},
    server::BindError,
    tls,
};

/// How long work under way may take to end after SIGTERM. Shorter than the 30 seconds that Kubernetes grants.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// Why a command did not do what it was asked, and the code to end with.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// Why.
    pub error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// A failure that ends the process with `exit`.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into() }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let exit = match error {
            BindError::NotLoopback(_) | BindError::Denied(_) => Exit::Configuration,
            BindError::InUse(_) | BindError::Other { .. } => Exit::Unavailable,
        };
        Self::new(exit, error)
    }
}

/// Runs a binary: parses its command line and does what it says. `name` goes in front of a failure's line on stderr.
pub async fn run<C: Parser, F>(name: &str, command: impl FnOnce(C) -> F) -> ExitCode
where
    F: Future<Output = Result<Exit, Failure>>,
{
    tls::install_crypto_provider();
    listen_for_signals();
    let cli = match C::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return Exit::from_clap(&error).into();
        }
    };
    match command(cli).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report(name, &*failure.error);
            failure.exit.into()
        }
    }
}

/// Makes SIGTERM and ctrl-c something to wait for before anything else happens: a signal that comes while a service starts would
/// otherwise kill it in the middle.
fn listen_for_signals() {
    let told = CancellationToken::new();
    if TOLD.set(told.clone()).is_ok() {
        let signal = terminate_signal();
        #[expect(clippy::disallowed_methods, reason = "ends with the process, and belongs to no lifecycle")]
        tokio::spawn(async move {
            signal.await;
            told.cancel();
        });
    }
}

/// Cancelled by the first signal since [`run`] began.
static TOLD: OnceLock<CancellationToken> = OnceLock::new();

/// Waits for SIGTERM or ctrl-c, then drains. A lifecycle that ends by itself before that has failed.
///
/// # Errors
/// When nobody asked it to stop.
pub async fn serve_until_told(lifecycle: &Lifecycle) -> Result<Exit, Failure> {
    let stopped = lifecycle.shutdown_token();
    let was_told = tokio::select! {
        () = told() => true,
        () = stopped.cancelled() => false,
    };
    let drain = lifecycle.shut_down(DRAIN_DEADLINE).await;
    tracing::info!(?drain, "stopped");
    if was_told {
        Ok(Exit::Done)
    } else {
        Err(Failure::new(Exit::Failure, "the server failed; the log says why"))
    }
}

async fn told() {
    match TOLD.get() {
        Some(told) => told.cancelled().await,
        None => terminate_signal().await,
    }
}

#[expect(clippy::print_stderr, reason = "why a command was not done, for whoever gave it")]
fn report(name: &str, error: &dyn Error) {
    eprintln!("{name}: {}", ErrorChain(error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_stops_by_itself_has_failed() {
        let lifecycle = Lifecycle::new();
        lifecycle.request_shutdown();
        let failure = serve_until_told(&lifecycle).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Failure);
    }

    #[test]
    fn a_port_in_use_may_be_free_later_and_a_wrong_address_is_configuration() {
        let address = "192.0.2.1:7401".parse().unwrap();
        assert_eq!(Failure::from(BindError::InUse(address)).exit, Exit::Unavailable);
        assert_eq!(Failure::from(BindError::NotLoopback(address)).exit, Exit::Configuration);
    }
}
