//! `sluice demo`: the main job on made-up data, as a person would do it, through the public gRPC API only.
//!
//! The simulator stands in for Microsoft 365; everything else is what runs in earnest.

mod changes;
mod compare;
mod stage;

use std::{path::PathBuf, pin::pin};

use clap::Args;
use proto::sync::v1::{
    CreateSourceRequest, LocalFolder, Run as ProtoRun, RunState, Source as ProtoSource, SyncSourceRequest,
    source::Destination,
};
use serde::Serialize;
use service_kit::{clock::Timestamp, exit::Exit, lifecycle::terminate_signal};

use self::{changes::Changes, stage::Stage};
use crate::{
    client::call,
    commands::{
        connect,
        sync::{next_run, watch},
    },
    failure::Failure,
    names::{ConnectionName, SourceName},
    output::{Output, table},
};

const CONNECTION: &str = "tenants/acme/connections/mail";
const SOURCE: &str = "tenants/acme/sources/docs";

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Folder for the databases and the mirror; must not exist or be empty, and stays. Default: a temporary one that goes.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Files of the drive, besides one of 64 MB: 100 to 1,000,000.
    #[arg(long, value_name = "NUMBER", default_value_t = 1600, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    files: u32,
    /// Leaves everything running at the end and prints commands to try.
    #[arg(long)]
    keep: bool,
}

/// What the demo found out.
#[derive(Serialize)]
struct Report {
    runs: Vec<Row>,
    equal: bool,
    mirror: String,
}

/// One run.
#[derive(Serialize)]
struct Row {
    run: &'static str,
    files: i64,
    bytes: i64,
    folders_made: i64,
    moved: i64,
    deleted: i64,
    graph_requests: i64,
    seconds: f64,
}

/// Shows the main job.
///
/// # Errors
/// Something could not start, or the mirror differs from the drive.
pub async fn run(arguments: Arguments, output: Output) -> Result<Exit, Failure> {
    let stage = Stage::set(arguments.dir.as_deref(), arguments.files).await?;
    // One listener for both waits: no signal is lost between them, and one that comes after the end is not taken for one before it.
    let mut stopped = pin!(terminate_signal());
    let result = tokio::select! {
        result = play(&stage, output) => result,
        () = &mut stopped => Err(Failure::new(Exit::TryAgain, "stopped before the end")),
    };
    if result.is_ok() && arguments.keep {
        output.prompt(&stage.things_to_try());
        stopped.await;
    }
    stage.strike().await;
    result
}

async fn play(stage: &Stage, output: Output) -> Result<Exit, Failure> {
    let drive = &stage.drive;
    output.note(&format!(
        "A made-up Microsoft 365 with a drive of {} items, {} MB.\n\n1. Connect the account",
        drive.item_count(),
        drive.total_bytes() / 1_000_000
    ));
    sign_in(stage, output).await?;

    output.note("\n2. Mirror the drive");
    let source = create_source(stage).await?;
    let first = next_run(&source, "", &stage.endpoints, output).await?;
    let first = watch(&first, &stage.endpoints, output).await?;
    let mut rows = vec![row("first mirror", &first)?];

    let changes = Changes::make(drive)?;
    output.note(&format!("\n3. Follow changes: {changes}"));
    let second = sync_again(&source, &first, stage, output).await?;
    rows.push(row("changes", &second)?);
    Changes::check(&second)?;

    output.note("\n4. Look again, with nothing to do");
    let third = sync_again(&source, &second, stage, output).await?;
    rows.push(row("nothing to do", &third)?);
    expect(
        "a run with nothing to do is one Graph request",
        rows.last().is_some_and(|row| row.graph_requests == 1),
    )?;

    output.note("\n5. Compare the mirror with the drive, byte for byte");
    let compared = compare::compare(drive, &stage.mirror)?;
    stage.assert_well_behaved()?;
    let report = Report { runs: rows, equal: true, mirror: stage.mirror.display().to_string() };
    output.result(&report, |report| text(report, &compared))?;
    Ok(Exit::Done)
}

/// The person types the code at the provider's page; here the simulator is told that somebody did.
async fn sign_in(stage: &Stage, output: Output) -> Result<(), Failure> {
    let name = ConnectionName::parse(CONNECTION)
        .map_err(|error| Failure::from_error(Exit::Failure, "connect", &error))?;
    let arguments =
        connect::Arguments { name, display_name: "Demo".to_owned(), scopes: Vec::new(), import: None };
    let signing_in = connect::sign_in(arguments, &stage.endpoints, output);
    let ((), connection) = tokio::join!(stage.approve_sign_in(), signing_in);
    let connection = connection?.ok_or_else(|| Failure::new(Exit::TryAgain, "nobody signed in"))?;
    let username = connection.account.map(|account| account.username).unwrap_or_default();
    output.note(&format!("{CONNECTION} is connected as {username}"));
    Ok(())
}

async fn create_source(stage: &Stage) -> Result<SourceName, Failure> {
    let name = SourceName::parse(SOURCE)
        .map_err(|error| Failure::from_error(Exit::Failure, "add a source", &error))?;
    let path = stage.mirror.to_string_lossy().into_owned();
    let request = CreateSourceRequest {
        parent: format!("tenants/{}", name.tenant()),
        source_id: name.source().to_string(),
        source: Some(ProtoSource {
            connection: CONNECTION.to_owned(),
            drive: "me/drive".to_owned(),
            destination: Some(Destination::LocalFolder(LocalFolder { path })),
            ..ProtoSource::default()
        }),
    };
    let answer = stage.endpoints.sources().await?.create_source(call(request)).await;
    answer.map_err(|status| Failure::from_status(&format!("add {SOURCE}"), &status))?;
    Ok(name)
}

async fn sync_again(
    source: &SourceName,
    before: &ProtoRun,
    stage: &Stage,
    output: Output,
) -> Result<ProtoRun, Failure> {
    let request = SyncSourceRequest { name: source.to_string() };
    let answer = stage.endpoints.sources().await?.sync_source(call(request)).await;
    answer.map_err(|status| Failure::from_status(&format!("sync {source}"), &status))?;
    let run = next_run(source, &before.name, &stage.endpoints, output).await?;
    watch(&run, &stage.endpoints, output).await
}

fn row(run: &'static str, ended: &ProtoRun) -> Result<Row, Failure> {
    let stats = ended.stats.unwrap_or_default();
    if ended.state() != RunState::Succeeded {
        let line = format!("the run \"{run}\" did not succeed: {} {}", ended.reason, ended.detail);
        return Err(Failure::new(Exit::Failure, line));
    }
    let time = |time: Option<&prost_types::Timestamp>| time.and_then(Timestamp::from_proto);
    let took = match (time(ended.create_time.as_ref()), time(ended.end_time.as_ref())) {
        (Some(start), Some(end)) => end.duration_since(start),
        _ => std::time::Duration::ZERO,
    };
    Ok(Row {
        run,
        files: stats.files_transferred,
        bytes: stats.bytes_transferred,
        folders_made: stats.folders_made,
        moved: stats.items_moved,
        deleted: stats.items_deleted,
        graph_requests: stats.graph_requests,
        seconds: took.as_secs_f64(),
    })
}

fn text(report: &Report, compared: &compare::Compared) -> String {
    let header = ["RUN", "FILES", "BYTES", "FOLDERS MADE", "MOVED", "DELETED", "GRAPH REQUESTS", "SECONDS"];
    let rows = report.runs.iter().map(|row| {
        vec![
            row.run.to_owned(),
            row.files.to_string(),
            row.bytes.to_string(),
            row.folders_made.to_string(),
            row.moved.to_string(),
            row.deleted.to_string(),
            row.graph_requests.to_string(),
            format!("{:.2}", row.seconds),
        ]
    });
    format!("\n{}\n\nThe mirror equals the drive: {compared}.", table(&header, rows))
}

fn expect(what: &str, holds: bool) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(Exit::Failure, format!("not so: {what}"))) }
}
