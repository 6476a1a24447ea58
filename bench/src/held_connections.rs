//! What the token of a connection costs in memory.

use clap::Args;
use service_kit::process::Failure;

use crate::{
    cli::DatabaseArgs,
    machine::Machine,
    report::{Figure, Report, Target, mebibytes, note, number},
    setting::{Setting, ask_for_all},
};

/// Most bytes a connection may cost, its token of 1.4 kB included.
const MOST_BYTES: f64 = 2048.0;
/// Connections asked for before memory is measured first: by then the process has what it needs for any.
const WARM_UP: usize = 500;

#[derive(Args)]
pub(crate) struct Options {
    /// Connections held.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(machine: Machine, options: Options) -> Result<Report, Failure> {
    let count = usize::try_from(options.connections).unwrap_or(usize::MAX);
    let setting = Setting::new(&options.database).await?;
    let first = setting.token_service().await?;
    note(&format!("connecting {count} accounts"));
    let names = setting.connect(&first, count + WARM_UP).await?;
    first.stop().await?;

    // A new process: what connecting them left behind in memory is not what holding them costs.
    let service = setting.token_service().await?;
    let (warm_up, measured) = names.split_at(WARM_UP.min(names.len()));
    ask_for_all(&service, warm_up).await?;
    let before = service.resident_bytes()?;
    note("asking for each of them");
    ask_for_all(&service, measured).await?;
    let after = service.resident_bytes()?;
    let refreshes = setting.simulator.counters().refreshes;
    ask_for_all(&service, measured).await?;
    let again = service.resident_bytes()?;
    let asked = setting.simulator.counters().refreshes - refreshes;
    service.stop().await?;

    let per_connection = |after: u64| mebibytes(after.saturating_sub(before)) * 1_048_576.0 / number(count);
    let figures = vec![
        Figure::new("process before", mebibytes(before), "MiB"),
        Figure::new("process with all in memory", mebibytes(after), "MiB"),
        Figure::new("per connection", per_connection(after), "bytes").target(Target::AtMost(MOST_BYTES)),
        Figure::new("per connection, all asked for once more", per_connection(again), "bytes"),
        Figure::new(
            "requests to the provider meanwhile",
            f64::from(u32::try_from(asked).unwrap_or(u32::MAX)),
            "",
        ),
    ];
    let words = format!(
        "{count} connections on {}, tokens of 1.4 kB; resident memory of the process",
        setting.database()
    );
    Ok(Report::new("held-connections", machine, words, figures))
}
