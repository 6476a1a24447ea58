//! `GetAccessToken` from memory beside a bare tonic service, in turns: what the machine does meanwhile hits both.

use std::{fs, sync::Arc, time::Duration};

use clap::Args;
use service_kit::{exit::Exit, process::Failure};

use crate::{
    cli::DatabaseArgs,
    latency::Latencies,
    load::{self, Callers},
    machine::Machine,
    part::Part,
    report::{Figure, Report, Target, note, number},
    setting::{Setting, ask_for_all},
};

/// Least share of the bare service's requests per second.
const LEAST_SHARE: f64 = 0.85;

#[derive(Args)]
pub(crate) struct Options {
    /// HTTP/2 connections of the callers.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Callers on each connection, each with one request at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    callers: u16,
    /// Connected accounts that are asked for in turn.
    #[arg(long, default_value_t = 1000)]
    accounts: u32,
    /// Rounds, each once with the bare service and once with Sluice.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Seconds of a round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What one of the two did over all rounds.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    latencies: Latencies,
    processor: Duration,
}

impl Side {
    async fn round(&mut self, part: &Part, callers: &Callers, span: Duration) -> Result<(), Failure> {
        let before = part.processor_time()?;
        let (rate, latencies) = callers.run_for(span).await?;
        self.processor += part.processor_time()?.saturating_sub(before);
        self.rates.push(rate);
        self.latencies.append(latencies);
        Ok(())
    }

    /// Requests per second: the median of the rounds.
    fn rate(&self) -> f64 {
        median(&self.rates)
    }

    /// Microseconds of processor time that the server needs for a request.
    fn processor(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / number(self.latencies.len())
    }
}

pub(crate) async fn run(machine: Machine, options: Options) -> Result<Report, Failure> {
    let setting = Setting::new(&options.database).await?;
    let tokens = setting.token_service().await?;
    let names = setting.connect(&tokens, usize::try_from(options.accounts).unwrap_or(1)).await?;
    ask_for_all(&tokens, &names).await?;
    let bare = start_bare(&setting, &tokens, names.first().map_or("", String::as_str)).await?;

    let callers = |part: &Part| Callers {
        address: part.address(),
        connections: options.connections.into(),
        per_connection: options.callers.into(),
        pause: Duration::ZERO,
        names: Arc::clone(&names),
    };
    let span = Duration::try_from_secs_f64(options.seconds).unwrap_or(Duration::from_secs(3));
    let (on_bare, on_tokens) = (callers(&bare), callers(&tokens));
    on_bare.run_for(span / 2).await?;
    on_tokens.run_for(span / 2).await?;
    let (mut baseline, mut sluice) = (Side::default(), Side::default());
    for round in 1..=options.rounds {
        baseline.round(&bare, &on_bare, span).await?;
        sluice.round(&tokens, &on_tokens, span).await?;
        note(&format!(
            "round {round}: {:.0} and {:.0} requests per second",
            baseline.rates.last().unwrap_or(&0.0),
            sluice.rates.last().unwrap_or(&0.0)
        ));
    }
    bare.stop().await?;
    tokens.stop().await?;

    let setting = format!(
        "{} rounds of {:.1} s each in turns; {} callers on {} connections, {} accounts in memory; servers and callers in processes of their own",
        options.rounds,
        options.seconds,
        options.callers * options.connections,
        options.connections,
        options.accounts
    );
    Ok(Report::new("cached-token", machine, setting, figures(&mut baseline, &mut sluice)))
}

/// The bare service, with the very answer that Sluice gives.
async fn start_bare(setting: &Setting, tokens: &Part, name: &str) -> Result<Part, Failure> {
    let answer = load::ask(&mut load::client(tokens.address()).await?, name).await?;
    let mut lines = vec![answer.access_token, answer.token_type];
    lines.extend(answer.scopes);
    let file = setting.folder.path().join("answer");
    fs::write(&file, lines.join("\n")).map_err(|error| Failure::new(Exit::Io, error))?;
    let arguments = ["bare".to_owned(), file.display().to_string()];
    Part::start(&arguments, setting.folder.path().join("bare.log")).await
}

fn figures(baseline: &mut Side, sluice: &mut Side) -> Vec<Figure> {
    let shares: Vec<f64> =
        sluice.rates.iter().zip(&baseline.rates).map(|(sluice, bare)| sluice / bare).collect();
    vec![
        Figure::new("bare tonic", baseline.rate(), "requests/s"),
        Figure::new("bare tonic, half within", baseline.latencies.permille_ms(500), "ms"),
        Figure::new("bare tonic, 99 of 100 within", baseline.latencies.permille_ms(990), "ms"),
        Figure::new("bare tonic, processor time of the server", baseline.processor(), "µs/request"),
        Figure::new("sluice", sluice.rate(), "requests/s"),
        Figure::new("sluice, half within", sluice.latencies.permille_ms(500), "ms"),
        Figure::new("sluice, 99 of 100 within", sluice.latencies.permille_ms(990), "ms"),
        Figure::new("sluice, processor time of the server", sluice.processor(), "µs/request"),
        Figure::new("sluice / bare tonic, requests per second, median of the rounds", median(&shares), "")
            .target(Target::AtLeast(LEAST_SHARE)),
    ]
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        middle(half)
    } else {
        f64::midpoint(middle(half), middle(half.saturating_sub(1)))
    }
}
