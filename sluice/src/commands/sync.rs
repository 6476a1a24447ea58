//! `sluice sync`: makes a source due and watches the run that a worker makes of it.

use std::time::Duration;

use clap::Args;
use proto::sync::v1::{
    GetRunRequest, GetSourceRequest, Run as ProtoRun, RunKind, RunState, Source as ProtoSource,
    SyncSourceRequest, WatchRunRequest,
};
use service_kit::exit::Exit;
use tokio::time::Instant;

use crate::{
    client::{Endpoints, call},
    commands::{
        asked::{self, Answer, Wish},
        findings,
        runs::show,
    },
    failure::Failure,
    follow::{Broken, follow},
    names::SourceName,
    output::Output,
    progress::RunProgress,
    view::{Run, Source},
};

/// How often to look whether a worker has taken the source.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
/// After how long to say that none has yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The source, for example tenants/acme/sources/docs.
    #[arg(value_parser = SourceName::parse)]
    name: SourceName,
    /// Watches the run to its end; the exit code says how it went. This is the default.
    #[arg(long, overrides_with = "no_watch")]
    watch: bool,
    /// Changes nothing and shows what would be done: folders made, files and folders moved, contents transferred, times set, what is
    /// deleted, what of your own would be kept under another name, and what would be left as it is and why. Works on a suspended
    /// source as well. Exit code 77 when deletions would wait for approval.
    #[arg(long)]
    plan: bool,
    /// Makes the source due, or asks for the plan, and returns at once.
    #[arg(long, overrides_with = "watch")]
    no_watch: bool,
}

/// Does what was asked.
///
/// # Errors
/// The service is not there or refuses.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let name = arguments.name;
    if arguments.plan {
        return plan(&name, arguments.no_watch, endpoints, output).await;
    }
    let before = get_source(&name, endpoints).await?;
    let running = running(&before, endpoints).await?;
    let due = endpoints
        .sources()
        .await?
        .sync_source(call(SyncSourceRequest { name: name.to_string() }))
        .await
        .map_err(|status| Failure::from_status(&format!("sync {name}"), &status))?
        .into_inner()
        .source
        .unwrap_or_default();
    if arguments.no_watch {
        output.result(&Source::from(due), |source| format!("{} is due now", source.name))?;
        return Ok(Exit::Done);
    }
    let watched = async {
        let run = match running {
            Some(run) => run,
            None => next_run(&name, &before.latest_run, endpoints, output).await?,
        };
        watch(&run, endpoints, output).await
    };
    tokio::select! {
        ended = watched => {
            let ended = ended?;
            let exit = exit_of(ended.state());
            show(&Run::from(ended), output)?;
            Ok(exit)
        }
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Failure::from_error(Exit::Failure, "cannot listen for ctrl-c", &error))?;
            output.prompt(&format!("\nthe run goes on without being watched; `sluice runs {name}` shows it"));
            Ok(Exit::TryAgain)
        }
    }
}

/// Asks for a plan, and shows it when a worker has made it.
async fn plan(
    name: &SourceName,
    no_watch: bool,
    endpoints: &Endpoints,
    output: Output,
) -> Result<Exit, Failure> {
    let wish = Wish { name, kind: RunKind::Plan, verb: "plan", no_watch };
    match asked::ask(wish, endpoints, output).await? {
        Answer::Unwatched(exit) => Ok(exit),
        Answer::Ended(made) => {
            let held = made.stats.is_some_and(|stats| stats.deletions_held > 0);
            let exit = if held { Exit::NeedsPerson } else { exit_of(made.state()) };
            findings::show(Run::from(*made), endpoints, output).await?;
            Ok(exit)
        }
    }
}

async fn get_source(name: &SourceName, endpoints: &Endpoints) -> Result<ProtoSource, Failure> {
    let answer =
        endpoints.sources().await?.get_source(call(GetSourceRequest { name: name.to_string() })).await;
    let answer = answer.map_err(|status| Failure::from_status(&format!("sync {name}"), &status))?;
    Ok(answer.into_inner().source.unwrap_or_default())
}

/// The source's newest run if it is still under way: that is the one to watch.
async fn running(source: &ProtoSource, endpoints: &Endpoints) -> Result<Option<String>, Failure> {
    if source.latest_run.is_empty() {
        return Ok(None);
    }
    let name = source.latest_run.clone();
    let answer = endpoints.runs().await?.get_run(call(GetRunRequest { name: name.clone() })).await;
    let run =
        answer.map_err(|status| Failure::from_status(&format!("show {name}"), &status))?.into_inner().run;
    Ok(run.filter(|run| run.state() == RunState::Running).map(|_| name))
}

/// Waits until a worker has made the next run.
pub(super) async fn next_run(
    name: &SourceName,
    before: &str,
    endpoints: &Endpoints,
    output: Output,
) -> Result<String, Failure> {
    let since = Instant::now();
    let mut remarked = false;
    loop {
        let source = follow(&format!("sync {name}"), async || {
            let mut client = endpoints.sources().await.map_err(Broken::Gone)?;
            let answer = client.get_source(call(GetSourceRequest { name: name.to_string() })).await?;
            Ok(answer.into_inner().source.unwrap_or_default())
        })
        .await?;
        if source.latest_run != before && !source.latest_run.is_empty() {
            return Ok(source.latest_run);
        }
        if !remarked && since.elapsed() >= PATIENCE {
            remarked = true;
            output.note("waiting for a worker; `sluice up` runs one, as does `sync-worker serve`");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Follows a run to its end, through restarts of the service.
pub(super) async fn watch(name: &str, endpoints: &Endpoints, output: Output) -> Result<ProtoRun, Failure> {
    let mut progress = RunProgress::new(output);
    let ended = follow(&format!("watch {name}"), async || {
        let mut client = endpoints.runs().await.map_err(Broken::Gone)?;
        let mut stream = client.watch_run(WatchRunRequest { name: name.to_owned() }).await?.into_inner();
        while let Some(message) = stream.message().await? {
            let run = message.run.unwrap_or_default();
            progress.update(&run);
            if !matches!(run.state(), RunState::Running | RunState::Unspecified) {
                return Ok(run);
            }
        }
        Err(Broken::ended())
    })
    .await;
    progress.finish();
    ended
}

/// The exit code of a command that did this run.
pub(super) fn exit_of(state: RunState) -> Exit {
    match state {
        RunState::Succeeded => Exit::Done,
        RunState::NeedsPerson => Exit::NeedsPerson,
        RunState::Unspecified
        | RunState::Running
        | RunState::Partial
        | RunState::Failed
        | RunState::Cancelled => Exit::TryAgain,
    }
}
