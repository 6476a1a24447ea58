//! The only place that prints: one table for people, or one JSON document.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use comfy_table::{Table, presets};
use serde::Serialize;
use service_kit::{exit::Exit, process::Failure};

use crate::machine::Machine;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What it should be, where the project has set itself a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub(crate) fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, target: None }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn row(&self) -> [String; 3] {
        let value = if self.value.abs() < 100.0 {
            format!("{:.3}", self.value).trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            format!("{:.0}", self.value)
        };
        let target = match self.target {
            None => String::new(),
            Some(Target::AtLeast(least)) => verdict(self.value >= least, "at least", least),
            Some(Target::AtMost(most)) => verdict(self.value <= most, "at most", most),
        };
        [self.name.to_owned(), format!("{value} {}", self.unit).trim_end().to_owned(), target]
    }
}

fn verdict(holds: bool, words: &str, bound: f64) -> String {
    format!("{} ({words} {bound})", if holds { "holds" } else { "MISSED" })
}

/// What a benchmark found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    benchmark: &'static str,
    machine: Machine,
    /// How it was set up, in words.
    setting: String,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(
        benchmark: &'static str,
        machine: Machine,
        setting: String,
        figures: Vec<Figure>,
    ) -> Self {
        Self { benchmark, machine, setting, figures }
    }

    /// Writes it to stdout.
    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        let text = if json {
            serde_json::to_string_pretty(self).map_err(|error| Failure::new(Exit::Failure, error))?
        } else {
            let mut table = Table::new();
            table.load_preset(presets::NOTHING);
            for figure in &self.figures {
                table.add_row(figure.row());
            }
            format!("{}\n{}\n{}\n\n{table}", self.benchmark, self.machine.line(), self.setting)
        };
        writeln!(io::stdout().lock(), "{text}").map_err(|error| Failure::new(Exit::Io, error))
    }
}

/// A remark on the way, on stderr.
pub(crate) fn note(text: &str) {
    // Nobody can be told that stderr is gone.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// A count as a figure.
pub(crate) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Bytes as a figure in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

/// A span as a figure in seconds, never nothing.
pub(crate) fn seconds(span: Duration) -> f64 {
    span.as_secs_f64().max(f64::MIN_POSITIVE)
}
