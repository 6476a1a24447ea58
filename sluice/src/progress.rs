//! How far a run is, as it happens: bars on a terminal, a plain line now and then otherwise, nothing for programs.
//!
//! Driven by what `WatchRun` streams; knows nothing about where the messages come from.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use proto::sync::v1::{Run, RunPhase, RunState, RunStats, Verification};
use service_kit::clock::duration_from_proto;
use tokio::time::Instant;

use crate::{
    output::Output,
    view::{count, listed},
};

/// Least time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// How often the spinner moves while nothing arrives.
const TICK: Duration = Duration::from_millis(120);
const LISTING: &str = "  listing       {spinner} {msg}";
const TRANSFERRING: &str =
    "  transferring  [{bar:30}] {msg} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
const VERIFYING: &str = "  verifying     [{bar:30}] {msg} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
const CURRENT: &str = "  {wide_msg}";
/// Files that are shown while they are transferred.
const FILES_SHOWN: usize = 3;

/// The display of one run.
pub struct RunProgress {
    output: Output,
    form: Form,
}

enum Form {
    Bars(Box<Bars>),
    Lines(Lines),
    Silent,
}

struct Bars {
    all: MultiProgress,
    /// Of a run that verifies.
    verifying: Option<ProgressBar>,
    listing: ProgressBar,
    transferring: ProgressBar,
    current: ProgressBar,
}

#[derive(Default)]
struct Lines {
    last: Option<(Instant, String)>,
}

impl RunProgress {
    /// A display that suits who watches.
    pub fn new(output: Output) -> Self {
        let form = if output.is_json() {
            Form::Silent
        } else if output.is_watched() {
            Form::Bars(Box::new(Bars::new()))
        } else {
            Form::Lines(Lines::default())
        };
        Self { output, form }
    }

    /// Shows the run as it is now.
    pub fn update(&mut self, run: &Run) {
        let stats = run.stats.unwrap_or_default();
        match &mut self.form {
            Form::Bars(bars) => bars.update(run, &stats),
            Form::Lines(lines) => {
                if let Some(line) = lines.next(run, &stats) {
                    self.output.note(&line);
                }
            }
            Form::Silent => {}
        }
    }

    /// Says something in between without breaking the bars.
    pub fn note(&self, text: &str) {
        match &self.form {
            Form::Bars(bars) => bars.listing.suspend(|| self.output.note(text)),
            Form::Lines(_) | Form::Silent => self.output.note(text),
        }
    }

    /// Ends the display; bars stay on the screen as they are.
    pub fn finish(self) {
        if let Form::Bars(bars) = self.form {
            if let Some(verifying) = &bars.verifying {
                verifying.abandon();
            }
            bars.listing.abandon();
            bars.transferring.abandon();
            bars.current.finish_and_clear();
        }
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let listing = all.add(ProgressBar::new_spinner().with_style(style(LISTING)));
        let transferring = all.add(ProgressBar::new(0).with_style(style(TRANSFERRING)));
        let current = all.add(ProgressBar::new_spinner().with_style(style(CURRENT)));
        listing.enable_steady_tick(TICK);
        Self { all, verifying: None, listing, transferring, current }
    }

    fn update(&mut self, run: &Run, stats: &RunStats) {
        if let Some(verified) = verification(run) {
            let bar = self
                .verifying
                .get_or_insert_with(|| self.all.insert(0, ProgressBar::new(0).with_style(style(VERIFYING))));
            bar.set_length(count(verified.bytes));
            bar.set_position(count(verified.bytes_done));
            bar.set_message(format!(
                "{}/{} files,",
                HumanCount(count(verified.files_done)),
                HumanCount(count(verified.files))
            ));
        }
        self.current.set_message(at_hand(run).unwrap_or_default());
        self.listing.set_message(listed(stats.items_listed, stats.pages));
        self.transferring.set_length(count(stats.bytes_planned));
        self.transferring.set_position(count(stats.bytes_received));
        self.transferring.set_message(format!(
            "{}/{} files,",
            HumanCount(count(stats.files_transferred)),
            HumanCount(count(stats.files_planned))
        ));
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; a bar in the default style is no reason to fail a run.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Lines {
    /// The line to print now, if any: a new phase at once, otherwise not too often and never the same twice.
    fn next(&mut self, run: &Run, stats: &RunStats) -> Option<String> {
        let line = line(run, stats);
        let now = Instant::now();
        let ended = !matches!(run.state(), RunState::Running | RunState::Unspecified);
        let due = match &self.last {
            // Nothing has happened yet that is worth a line.
            None => ended || stats.pages > 0 || verification(run).is_some(),
            Some((at, last)) => *last != line && (ended || now.duration_since(*at) >= LINE_INTERVAL),
        };
        due.then(|| {
            self.last = Some((now, line.clone()));
            line
        })
    }
}

/// What the worker waits for, or which files it is at.
fn at_hand(run: &Run) -> Option<String> {
    let activity = run.activity.as_ref()?;
    if let Some(waits) = throttled(run) {
        return Some(waits);
    }
    let names = activity.current_files.iter().take(FILES_SHOWN).map(|file| file.path.as_str());
    let shown = names.collect::<Vec<_>>().join(", ");
    let more = activity.current_files.len().saturating_sub(FILES_SHOWN);
    (!shown.is_empty()).then(|| if more == 0 { shown } else { format!("{shown} and more") })
}

fn throttled(run: &Run) -> Option<String> {
    let wait = run.activity.as_ref()?.throttled_for.as_ref().and_then(duration_from_proto)?;
    Some(format!("Microsoft asks to wait {}", HumanDuration(wait)))
}

fn line(run: &Run, stats: &RunStats) -> String {
    let line = progress(run, stats);
    throttled(run).map_or(line.clone(), |waits| format!("{line}; {waits}"))
}

fn verification(run: &Run) -> Option<&Verification> {
    run.activity.as_ref()?.verification.as_ref()
}

fn progress(run: &Run, stats: &RunStats) -> String {
    if run.phase() == RunPhase::Verifying
        && let Some(verified) = verification(run)
    {
        return format!(
            "verifying: {} of {} files, {} of {}",
            HumanCount(count(verified.files_done)),
            HumanCount(count(verified.files)),
            HumanBytes(count(verified.bytes_done)),
            HumanBytes(count(verified.bytes))
        );
    }
    if run.phase() == RunPhase::Listing || stats.files_planned == 0 {
        return format!("listing: {}", listed(stats.items_listed, stats.pages));
    }
    format!(
        "transferring: {} of {} files, {} of {}",
        HumanCount(count(stats.files_transferred)),
        HumanCount(count(stats.files_planned)),
        HumanBytes(count(stats.bytes_received)),
        HumanBytes(count(stats.bytes_planned))
    )
}

#[cfg(test)]
mod tests {
    use proto::sync::v1::{CurrentFile, RunActivity};

    use super::*;

    fn run(phase: RunPhase, state: RunState, did: RunStats) -> Run {
        Run { phase: phase.into(), state: state.into(), stats: Some(did), ..Run::default() }
    }

    fn next(lines: &mut Lines, run: &Run) -> Option<String> {
        lines.next(run, &run.stats.unwrap_or_default())
    }

    #[test]
    fn plain_lines_come_at_once_then_seldom_then_at_the_end() {
        let mut lines = Lines::default();
        assert_eq!(next(&mut lines, &run(RunPhase::Listing, RunState::Running, RunStats::default())), None);
        let listing = RunStats { items_listed: 1200, pages: 6, ..RunStats::default() };
        let applying = RunStats {
            files_planned: 10,
            files_transferred: 3,
            bytes_planned: 2048,
            bytes_received: 1024,
            ..listing
        };
        assert_eq!(
            next(&mut lines, &run(RunPhase::Listing, RunState::Running, listing)).as_deref(),
            Some("listing: 1,200 items on 6 pages")
        );
        let transferring = run(RunPhase::Applying, RunState::Running, applying);
        assert_eq!(next(&mut lines, &transferring), None, "too soon");
        let ended = run(RunPhase::Applying, RunState::Succeeded, applying);
        assert_eq!(
            next(&mut lines, &ended).as_deref(),
            Some("transferring: 3 of 10 files, 1.00 KiB of 2.00 KiB")
        );
        assert_eq!(next(&mut lines, &ended), None, "said already");
    }

    #[test]
    fn what_is_at_hand_is_the_wait_or_the_files() {
        let file = |path: &str| CurrentFile { path: path.into(), ..CurrentFile::default() };
        let mut activity =
            RunActivity { current_files: ["a", "b", "c", "d"].map(file).to_vec(), ..RunActivity::default() };
        let mut run = run(RunPhase::Applying, RunState::Running, RunStats::default());
        assert_eq!(at_hand(&run), None);
        run.activity = Some(activity.clone());
        assert_eq!(at_hand(&run).as_deref(), Some("a, b, c and more"));
        activity.throttled_for = Some(prost_types::Duration { seconds: 90, nanos: 0 });
        run.activity = Some(activity);
        assert_eq!(at_hand(&run).as_deref(), Some("Microsoft asks to wait 2 minutes"));
        assert!(line(&run, &RunStats::default()).ends_with("; Microsoft asks to wait 2 minutes"));
    }

    #[test]
    fn a_verification_says_how_far_it_is() {
        let verification = Verification { files_done: 3, bytes_done: 1024, files: 10, bytes: 2048 };
        let activity = RunActivity { verification: Some(verification), ..RunActivity::default() };
        let verifying = Run {
            activity: Some(activity),
            ..run(RunPhase::Verifying, RunState::Running, RunStats::default())
        };
        let mut lines = Lines::default();
        assert_eq!(
            next(&mut lines, &verifying).as_deref(),
            Some("verifying: 3 of 10 files, 1.00 KiB of 2.00 KiB")
        );
    }

    #[test]
    fn templates_are_ones() {
        for template in [LISTING, TRANSFERRING, VERIFYING, CURRENT] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
