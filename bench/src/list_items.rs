//! Memory and time of listing a big drive into the index, and of a run that then finds nothing to do.

use clap::Args;
use proto::sync::v1 as pb;
use service_kit::process::Failure;
use simulator::DriveSpec;

use crate::{
    cli::DatabaseArgs,
    machine::Machine,
    mirror::Mirror,
    report::{Figure, Report, Target, mebibytes, note, number, seconds},
};

/// Most memory of a worker that lists, in MiB.
const MOST_WORKER_MIB: f64 = 200.0;
/// Most memory of the sync service that is listed to, in MiB.
const MOST_SERVICE_MIB: f64 = 300.0;
/// Most memory of a worker that finds nothing to do, in MiB.
const MOST_IDLE_MIB: f64 = 50.0;
/// One item in so many is a folder.
const FOLDER_EVERY: u32 = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// Items of the drive.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(20..=5_000_000))]
    items: u32,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(machine: Machine, options: Options) -> Result<Report, Failure> {
    let folders = options.items / FOLDER_EVERY;
    // Names of files have a dot, those of folders have none.
    let spec = DriveSpec { files: options.items - folders, folders, ..DriveSpec::default() };
    let filter = pb::Filter { exclude: vec!["*.*".to_owned()], ..Default::default() };
    note("making the drive");
    let mut mirror = Mirror::new(&spec, &options.database, Some(filter)).await?;
    note("listing it");
    let mut worker = mirror.worker().await?;
    let listed = mirror.run(&mut worker).await?;
    let (worker_peak, service_peak) = (worker.peak_bytes()?, mirror.sync_service.peak_bytes()?);
    worker.stop().await?;
    let mut worker = mirror.worker().await?;
    let idle = mirror.run(&mut worker).await?;
    let idle_peak = worker.peak_bytes()?;
    worker.stop().await?;

    let items = number(usize::try_from(listed.stats.items_listed).unwrap_or_default());
    let figures = vec![
        Figure::new("items listed", items, "").target(Target::AtLeast(f64::from(options.items))),
        Figure::new("in", seconds(listed.took), "s"),
        Figure::new("items per second", items / seconds(listed.took), ""),
        Figure::new("worker at most", mebibytes(worker_peak), "MiB").target(Target::AtMost(MOST_WORKER_MIB)),
        Figure::new("sync-service at most", mebibytes(service_peak), "MiB")
            .target(Target::AtMost(MOST_SERVICE_MIB)),
        Figure::new("nothing to do: requests", requests(idle.requests), "").target(Target::AtMost(1.0)),
        Figure::new("nothing to do: in", seconds(idle.took), "s"),
        Figure::new("nothing to do: worker at most", mebibytes(idle_peak), "MiB")
            .target(Target::AtMost(MOST_IDLE_MIB)),
    ];
    let words = format!(
        "{} items, {folders} of them folders that are made; contents are left out by a filter; {}",
        options.items,
        mirror.database()
    );
    Ok(Report::new("list-items", machine, words, figures))
}

fn requests(count: u64) -> f64 {
    number(usize::try_from(count).unwrap_or(usize::MAX))
}
