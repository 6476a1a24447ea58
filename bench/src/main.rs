//! Benchmarks of Sluice that anyone can run, each with its baseline in the same run. Figures and how to read them: README.md.
//!
//! In reading order: what can be typed ([`cli`]), the benchmarks ([`cached_token`], [`held_connections`], [`refresh_ahead`],
//! [`list_items`], [`first_mirror`]), what they are made of ([`setting`], [`mirror`], [`load`], [`latency`]), the processes that are measured ([`part`]), and what is shown
//! ([`machine`], [`report`]).

mod cached_token;
mod cli;
mod first_mirror;
mod held_connections;
mod latency;
mod list_items;
mod load;
mod machine;
mod mirror;
mod part;
mod refresh_ahead;
mod report;
mod setting;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::process::run("sluice-bench", cli::run).await
}
