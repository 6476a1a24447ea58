//! What one worker leaves to the next: changes that it announced and perhaps made, and did not live to report.

use proto::sync::v1::{self as pb, action::Kind};
use service_kit::{clock::Timestamp, error_chain::ErrorChain};
use tonic::Code;

use super::{
    WorkerError,
    file_state::{expected, found},
    service::SyncService,
    transfer::is_rewritten,
};
use crate::destination::{Change, Destination, Intent, Made};

/// Outcomes in one report at most.
const MAX_REPORT: usize = 250;

/// Reports what an earlier worker made and did not report. To be done before anything is listed or changed: the service must
/// know what the destination has before it hears what the drive says next.
pub(super) async fn report_made(
    service: &SyncService,
    destination: &dyn Destination,
    lease: &pb::Lease,
) -> Result<(), WorkerError> {
    let made = destination.made().await?;
    if !made.is_empty() {
        tracing::info!(run = %lease.run, changes = made.len(), "reporting what an earlier worker did");
    }
    for chunk in made.chunks(MAX_REPORT) {
        let request = pb::ReportOutcomesRequest {
            run: lease.run.clone(),
            epoch: lease.epoch,
            outcomes: chunk.iter().map(outcome).collect(),
        };
        match service.report(request).await {
            Err(WorkerError::Service(status)) if status.code() == Code::InvalidArgument => {
                // Tokens of another version: never better by trying again.
                tracing::error!(run = %lease.run, error = %ErrorChain(&*status), "what an earlier worker did is not understood");
            }
            other => other?,
        }
    }
    Ok(destination.announce(&[]).await?)
}

/// What an action is about to change; nothing for one that this version does not know.
pub(super) fn intent(action: &pb::Action) -> Option<Intent> {
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(Timestamp::from_proto);
    let change = match action.kind.as_ref()? {
        Kind::MakeFolder(_) => Change::MakeFolder,
        Kind::Move(from) => Change::Move { from: from.from.clone() },
        Kind::PutContent(put) => {
            let comparable = !put.quick_xor_hash.is_empty() && !is_rewritten(&action.path);
            Change::put_content(
                put.size,
                comparable.then(|| put.quick_xor_hash.clone()),
                time(&put.modified_time),
                expected(put.expected.as_ref()),
            )
        }
        Kind::SetTimes(times) => Change::SetTimes { modified: time(&times.modified_time)?.as_millis() },
        Kind::DeleteFile(_) | Kind::DeleteFolder(_) => Change::Delete,
    };
    Some(Intent {
        item_id: action.item_id.clone(),
        token: action.token.clone(),
        path: action.path.clone(),
        change,
    })
}

fn outcome(made: &Made) -> pb::Outcome {
    let bytes = match made.intent.change {
        Change::PutContent { size, .. } => size,
        Change::MakeFolder | Change::Move { .. } | Change::SetTimes { .. } | Change::Delete => 0,
    };
    let file = made.file.clone();
    let done = pb::Done {
        bytes,
        quick_xor_hash: file.as_ref().and_then(|file| file.hash.clone()).unwrap_or_default(),
        file: file.map(found),
    };
    pb::Outcome {
        item_id: made.intent.item_id.clone(),
        token: made.intent.token.clone(),
        result: Some(pb::outcome::Result::Done(done)),
        notices: Vec::new(),
    }
}
