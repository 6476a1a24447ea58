//! Connections in use whose callers would all begin to wait within one minute: they are refreshed before that, or they are not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use service_kit::process::Failure;
use tokio::time::Instant;

use crate::{
    cli::DatabaseArgs,
    load::Callers,
    machine::Machine,
    part::{Part, token_service},
    report::{Figure, Report, Target, note, number},
    setting::{Setting, ask_for_all},
};

/// Life of the simulator's access tokens.
const LIFE: Duration = Duration::from_secs(3599);
/// Life that a caller wants a token to have who names none: with less left, callers wait for a refresh.
const LEAST_LIFE: Duration = Duration::from_mins(5);
/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// HTTP/2 connections of the callers.
const CONNECTIONS: usize = 4;
/// Callers on each.
const PER_CONNECTION: usize = 16;

#[derive(Args)]
pub(crate) struct Options {
    /// Connections in use.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,
    /// Milliseconds by which the provider's answers are held back.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    latency: u64,
    /// Seconds from the moment at which all are due to that at which the first caller would wait.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    within: u64,
    /// Requests per second of all callers together.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(machine: Machine, options: Options) -> Result<Report, Failure> {
    let count = usize::try_from(options.connections).unwrap_or(usize::MAX);
    let setting = Setting::new(&options.database).await?;
    let latency = options.latency;
    setting.simulator.switch(|switches| switches.network.latency_milliseconds = [latency, latency]);
    let mut service = setting.token_service().await?;
    note(&format!("connecting {count} accounts"));
    let first = Instant::now();
    let names = setting.connect(&service, count).await?;
    let spread = first.elapsed();
    ask_for_all(&service, &names).await?;

    let callers = Callers {
        address: service.address(),
        connections: CONNECTIONS,
        per_connection: PER_CONNECTION,
        pause: Duration::from_secs(1) * u32::try_from(CONNECTIONS * PER_CONNECTION).unwrap_or(1)
            / options.rate,
        names,
    };
    let stop = Arc::new(AtomicBool::new(false));
    setting.simulator.reset_counters();
    let within = Duration::from_secs(options.within);
    let observed = async {
        let observed = observe(&setting, &mut service, Plan { count, first, within }).await;
        stop.store(true, Ordering::Relaxed);
        observed
    };
    let (latencies, observed) = tokio::join!(callers.until(&stop), observed);
    let (mut latencies, refreshed) = (latencies?, observed?);
    let waited = service.log_lines(token_service::WAITING)?;
    service.stop().await?;

    let took = refreshed.took.map_or(f64::INFINITY, |took| took.as_secs_f64());
    let figures = vec![
        Figure::new("refreshed ahead", number(refreshed.count), "connections")
            .target(Target::AtLeast(number(count))),
        Figure::new("all of them after", took, "s").target(Target::AtMost(within.as_secs_f64())),
        Figure::new("calls meanwhile", number(latencies.len()), ""),
        Figure::new("calls that waited for a refresh", number(waited), "").target(Target::AtMost(0.0)),
        Figure::new("half of the calls within", latencies.permille_ms(500), "ms"),
        Figure::new("99 of 100 calls within", latencies.permille_ms(990), "ms"),
        Figure::new("slowest call", latencies.permille_ms(1000), "ms"),
    ];
    let words = format!(
        "{count} connections on {}, all due at once; callers would wait from {} s after that on, the last {:.0} s later; provider answers after {latency} ms",
        setting.database(),
        options.within,
        spread.as_secs_f64(),
    );
    Ok(Report::new("refresh-ahead", machine, words, figures))
}

struct Plan {
    count: usize,
    /// When the first connection was made.
    first: Instant,
    within: Duration,
}

struct Refreshed {
    count: usize,
    /// Until all were; nothing when time ran out.
    took: Option<Duration>,
}

/// Moves the service's clock to when all are due, and waits until all are refreshed, or until callers would long wait.
async fn observe(setting: &Setting, service: &mut Part, plan: Plan) -> Result<Refreshed, Failure> {
    let until_callers_wait = LIFE.saturating_sub(LEAST_LIFE);
    let ahead = until_callers_wait.saturating_sub(plan.within).saturating_sub(plan.first.elapsed());
    service.order(&format!("{}{}", token_service::ADVANCE, ahead.as_millis()))?;
    note("all are due now");
    let begin = Instant::now();
    loop {
        let count = usize::try_from(setting.simulator.counters().refreshes).unwrap_or(usize::MAX);
        if count >= plan.count {
            // The last answers still have to be stored and met by a caller.
            let took = begin.elapsed();
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Ok(Refreshed { count, took: Some(took) });
        }
        if begin.elapsed() > plan.within * 2 {
            return Ok(Refreshed { count, took: None });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
