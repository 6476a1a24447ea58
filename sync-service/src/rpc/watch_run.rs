//! `RunService.WatchRun`.

use std::time::Duration;

use futures_util::stream;
use proto::sync::v1 as pb;
use service_kit::server::{Streamed, streamed};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::{
    Answer, messages, parse,
    status::{shutting_down, status},
};
use crate::{
    domain::names::RunName,
    ops::{
        Ctx, OpError,
        runs::{self, NamedRun},
    },
};

/// How often a watched run is looked at. Looking works whichever replica the worker talks to.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

struct Watch {
    ctx: Ctx,
    name: RunName,
    last: Option<NamedRun>,
    shutdown: CancellationToken,
}

pub(super) async fn answer(
    ctx: &Ctx,
    shutdown: &CancellationToken,
    request: pb::WatchRunRequest,
) -> Answer<Streamed<pb::WatchRunResponse>> {
    let name = parse::run_name("name", &request.name)?;
    // A run that is not there is an error of the call, not of the stream.
    runs::get(ctx, &name).await.map_err(status)?;
    let watch = Watch { ctx: ctx.clone(), name, last: None, shutdown: shutdown.clone() };
    let changes = stream::try_unfold(watch, |mut watch| async move {
        Ok(watch.next_change().await?.map(|message| (message, watch)))
    });
    Ok(Response::new(streamed(changes)))
}

impl Watch {
    /// The next change; `None` after the run has ended.
    async fn next_change(&mut self) -> Result<Option<pb::WatchRunResponse>, Status> {
        if self.last.as_ref().is_some_and(|last| last.run.end_time.is_some()) {
            return Ok(None);
        }
        loop {
            if self.shutdown.is_cancelled() {
                return Err(shutting_down());
            }
            let run = match runs::get(&self.ctx, &self.name).await {
                Err(OpError::RunNotFound(_)) if self.last.is_some() => return Ok(None),
                other => other.map_err(status)?,
            };
            if self.last.as_ref() != Some(&run) {
                let issues = runs::issues(&self.ctx, &run).await.map_err(status)?;
                let notices = runs::notices(&self.ctx, &run).await.map_err(status)?;
                let message = messages::run(&run, &issues, notices);
                self.last = Some(run);
                return Ok(Some(pb::WatchRunResponse { run: Some(message) }));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }
}
