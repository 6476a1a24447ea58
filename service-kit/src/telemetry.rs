//! Where log lines go: to stderr, as text for people or JSON for collectors.
//!
//! Libraries that log what they send (HTTP headers, addresses, SQL) never get below `warn`, whatever the filter says: at
//! `trace` some of them would write tokens and download links.

use std::{io, str::FromStr};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// The filter when nothing else is asked for.
pub const DEFAULT_FILTER: &str = "info";

/// Crates (with everything below them) whose finer log lines may contain secrets.
const CAPPED: [&str; 13] = [
    "axum",
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "log",
    "reqwest",
    "rustls",
    "sea_orm",
    "sea_orm_migration",
    "sqlx",
    "tonic",
    "tower",
];

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line for each event.
    Text,
    /// One JSON object for each event.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("the log filter {filter:?} is not of the form \"info\" or \"warn,token_service=debug\"")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a subscriber already.
    #[error("logging was set up already")]
    AlreadySet,
}

/// Sets up the process's logging to stderr. `filter` has `RUST_LOG`'s form.
///
/// # Errors
/// The filter is malformed, or logging was set up already (and stays as it was).
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let subscriber = tracing_subscriber::registry().with(layer(format, filter, io::stderr)?);
    subscriber.try_init().or(Err(TelemetryError::AlreadySet))
}

/// The layer that [`init`] installs, for a subscriber of one's own: a test that captures every line gives it a writer.
///
/// # Errors
/// The filter is malformed.
pub fn layer<S, W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<impl Layer<S> + use<S, W>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::from_str(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?
        .and(filter_fn(is_harmless));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
    .with_filter(filter))
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || {
        let root = metadata.target().split("::").next().unwrap_or_default();
        !CAPPED.contains(&root)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn captured(format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::registry().with(layer(format, filter, move || writer.clone()).unwrap());
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn libraries_that_log_what_they_send_are_capped_even_when_asked_for() {
        let text = captured(LogFormat::Text, "trace,h2::codec=trace,sqlx=debug", || {
            tracing::trace!(target: "h2::codec::framed_write", "canary");
            tracing::debug!(target: "sqlx::query", "canary");
            tracing::info!(target: "hyper_util::client", "canary");
            tracing::warn!(target: "h2::proto", "a library's warning");
            tracing::trace!(target: "token_service::ops", "our own line");
        });
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("a library's warning") && text.contains("our own line"), "{text}");
    }

    #[test]
    fn json_lines_are_json() {
        let text = captured(LogFormat::Json, "info", || {
            tracing::info!(connection.id = "mail", "refreshed");
            tracing::debug!("too fine");
        });
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.contains(r#""connection.id":"mail""#) && text.contains(r#""message":"refreshed""#),
            "{text}"
        );
    }

    #[test]
    fn a_bad_filter_and_a_second_call_are_errors() {
        assert!(matches!(init(LogFormat::Text, "a=b=c"), Err(TelemetryError::Filter { .. })));
        let first = init(LogFormat::Text, "off");
        assert!(first.is_ok());
        assert!(matches!(init(LogFormat::Json, "off"), Err(TelemetryError::AlreadySet)));
    }
}
