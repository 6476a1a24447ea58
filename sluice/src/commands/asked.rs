//! Runs that are asked for by kind: the request, the wait for a worker, the run to its end.

use std::time::Duration;

use proto::sync::v1::{GetRunRequest, Run as ProtoRun, RunKind, RunPhase, RunState, StartRunRequest};
use service_kit::exit::Exit;
use tokio::time::Instant;

use crate::{
    client::{Endpoints, call},
    commands::{runs::show, sync::watch},
    failure::Failure,
    follow::{Broken, follow},
    names::SourceName,
    output::Output,
    view::Run,
};

/// How often to look whether a worker has taken the run.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
/// After how long to say that none has yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked for.
pub(super) struct Wish<'a> {
    /// Of which source.
    pub(super) name: &'a SourceName,
    /// What the run is to do.
    pub(super) kind: RunKind,
    /// Completes "cannot …": `plan`.
    pub(super) verb: &'a str,
    /// Whether to return as soon as the run waits for a worker.
    pub(super) no_watch: bool,
}

/// How it went.
pub(super) enum Answer {
    /// The run has ended.
    Ended(Box<ProtoRun>),
    /// It goes on unwatched, and the command ends with this code.
    Unwatched(Exit),
}

/// Asks for a run and watches it to its end.
///
/// # Errors
/// The service is not there or refuses.
pub(super) async fn ask(wish: Wish<'_>, endpoints: &Endpoints, output: Output) -> Result<Answer, Failure> {
    let Wish { name, kind, verb, no_watch } = wish;
    let request = StartRunRequest { name: name.to_string(), kind: kind.into() };
    let answer = endpoints.sources().await?.start_run(call(request)).await;
    let asked = answer.map_err(|status| Failure::from_status(&format!("{verb} {name}"), &status))?;
    let asked = asked.into_inner().run.unwrap_or_default();
    if no_watch {
        show(&Run::from(asked), output)?;
        return Ok(Answer::Unwatched(Exit::Done));
    }
    let done = async {
        wait_for_worker(&asked.name, endpoints, output).await?;
        watch(&asked.name, endpoints, output).await
    };
    tokio::select! {
        ended = done => Ok(Answer::Ended(Box::new(ended?))),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Failure::from_error(Exit::Failure, "cannot listen for ctrl-c", &error))?;
            output.prompt(&format!("\nthe run goes on without being watched; `sluice runs findings {}` shows it", asked.name));
            Ok(Answer::Unwatched(Exit::TryAgain))
        }
    }
}

/// Waits until a worker has taken the run.
async fn wait_for_worker(name: &str, endpoints: &Endpoints, output: Output) -> Result<(), Failure> {
    let since = Instant::now();
    let mut remarked = false;
    loop {
        let run = follow(&format!("watch {name}"), async || {
            let mut client = endpoints.runs().await.map_err(Broken::Gone)?;
            let answer = client.get_run(call(GetRunRequest { name: name.to_owned() })).await?;
            Ok(answer.into_inner().run.unwrap_or_default())
        })
        .await?;
        if run.phase() != RunPhase::Waiting || run.state() != RunState::Running {
            return Ok(());
        }
        if !remarked && since.elapsed() >= PATIENCE {
            remarked = true;
            output.note(
                "waiting for a worker that is free; `sluice up` runs some, as does `sync-worker serve`",
            );
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
