//! Where and how this was measured: a figure without it is none.

use std::fs;

use serde::Serialize;
use service_kit::{exit::Exit, process::Failure};

/// What a reader has to know of the machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    profile: &'static str,
    load_before: f64,
}

impl Machine {
    /// This machine, unless the build is not one to measure.
    pub(crate) fn here(allow_dev_build: bool) -> Result<Self, Failure> {
        let is_dev = cfg!(debug_assertions);
        if is_dev && !allow_dev_build {
            return Err(Failure::new(
                Exit::Usage,
                "figures of a development build mean nothing: use `cargo run --release -p bench`, or give --allow-dev-build",
            ));
        }
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor().unwrap_or_else(|| "unknown".to_owned()),
            profile: if is_dev { "dev: means nothing" } else { "release" },
            load_before: load().unwrap_or(f64::NAN),
        })
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores ({}), {} build, load {:.1} before the run",
            self.cores, self.processor, self.profile, self.load_before
        )
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Mean number of runnable tasks in the last minute: others who use the machine.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
