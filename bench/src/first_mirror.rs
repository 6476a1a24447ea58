//! The first mirror of many small files from far away, and what renaming a folder above all of them costs then.

use std::time::Duration;

use clap::Args;
use service_kit::{exit::Exit, process::Failure};
use simulator::{Change, DriveSpec, Endpoint, Fault, FaultKind};

use crate::{
    cli::DatabaseArgs,
    machine::Machine,
    mirror::Mirror,
    report::{Figure, Report, Target, mebibytes, note, number, seconds},
};

/// Most requests for each file: its content, and its part of a page.
const MOST_PER_FILE: f64 = 1.05;
/// Fewest downloads that are under way at once on average: "dozens".
const FEWEST_UNDER_WAY: f64 = 16.0;
/// Name of the folder above everything.
const ABOVE: &str = "above";
/// One folder for so many files.
const FILES_IN_FOLDER: u32 = 50;

#[derive(Args)]
pub(crate) struct Options {
    /// Files of the drive, of up to 2 kB.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    files: u32,
    /// Milliseconds by which answers with contents are held back.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    latency: u64,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(machine: Machine, options: Options) -> Result<Report, Failure> {
    let folders = options.files / FILES_IN_FOLDER;
    let spec = DriveSpec { files: options.files, folders, max_file_bytes: 2048, ..DriveSpec::default() };
    note("making the drive");
    let mut mirror = Mirror::new(&spec, &options.database, None).await?;
    put_all_below(&mirror)?;
    let latency = FaultKind::HeaderStall { milliseconds: options.latency };
    mirror.setting.simulator.faults().add(Fault::new(latency).on(Endpoint::Download));
    note("mirroring it");
    let mut worker = mirror.worker().await?;
    let first = mirror.run(&mut worker).await?;
    let peak = worker.peak_bytes()?;
    note("renaming the folder above");
    let rename = Change::Rename { item: format!("/{ABOVE}"), name: "renamed".to_owned() };
    mirror.drive.apply(&rename).map_err(|error| Failure::new(Exit::Failure, error))?;
    let renamed = mirror.run(&mut worker).await?;
    worker.stop().await?;

    let files = f64::from(options.files);
    let count = |number: i64| crate::report::number(usize::try_from(number).unwrap_or_default());
    let requests = number(usize::try_from(first.requests).unwrap_or(usize::MAX));
    let under_way = files * seconds(Duration::from_millis(options.latency)) / seconds(first.took);
    let figures = vec![
        Figure::new("files mirrored", count(first.stats.files_transferred), "")
            .target(Target::AtLeast(files)),
        Figure::new("in", seconds(first.took), "s"),
        Figure::new("files per second", files / seconds(first.took), ""),
        Figure::new("requests per file", requests / files, "").target(Target::AtMost(MOST_PER_FILE)),
        Figure::new("downloads under way on average", under_way, "")
            .target(Target::AtLeast(FEWEST_UNDER_WAY)),
        Figure::new("worker at most", mebibytes(peak), "MiB"),
        Figure::new("folder renamed in", seconds(renamed.took), "s"),
        Figure::new("renamed: items moved", count(renamed.stats.items_moved), "").target(Target::AtMost(1.0)),
        Figure::new("renamed: files transferred", count(renamed.stats.files_transferred), "")
            .target(Target::AtMost(0.0)),
        Figure::new("renamed: requests", number(usize::try_from(renamed.requests).unwrap_or(usize::MAX)), "")
            .target(Target::AtMost(1.0)),
    ];
    let words = format!(
        "{} files of up to 2 kB in {folders} folders, contents after {} ms; {}",
        options.files,
        options.latency,
        mirror.database()
    );
    Ok(Report::new("first-mirror", machine, words, figures))
}

/// Moves everything at the drive's top into one folder.
fn put_all_below(mirror: &Mirror) -> Result<(), Failure> {
    let failed = |error: simulator::ChangeError| Failure::new(Exit::Failure, error);
    let top: Vec<String> =
        mirror.drive.walk().into_iter().filter(|entry| entry.path.len() == 1).map(|entry| entry.id).collect();
    let folder = Change::Mkdir { parent: "/".to_owned(), name: ABOVE.to_owned() };
    mirror.drive.apply(&folder).map_err(failed)?;
    for item in top {
        let below = Change::Move { item, parent: format!("/{ABOVE}"), name: None };
        mirror.drive.apply(&below).map_err(failed)?;
    }
    Ok(())
}
