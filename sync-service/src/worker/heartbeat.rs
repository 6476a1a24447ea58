//! Keeps a lease while the work goes on, and hands in progress.

use std::time::Duration;

use proto::sync::v1 as pb;
use service_kit::clock::duration_from_proto;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{WorkerError, meter::Spent, service::SyncService};

/// How often progress is handed in, so that people see it move. A lease lives far longer.
const RHYTHM: Duration = Duration::from_secs(1);

/// Without progress, a lease is renewed this often, and at least three times in its life; also the longest time until a run without progress hears that it is
/// cancelled.
const QUIET_RHYTHM: Duration = Duration::from_secs(5);

/// Renews until the lease is lost; cancels `cancelled` when the service says stop. Ends only with an error.
///
/// A lease whose renewal could not be told for its whole life counts as lost: by then another worker may have it.
pub(super) async fn keep(
    service: &SyncService,
    lease: &pb::Lease,
    spent: &Spent,
    cancelled: &CancellationToken,
) -> WorkerError {
    let ttl = lease.ttl.as_ref().and_then(duration_from_proto).unwrap_or(crate::ops::LEASE_TTL);
    let (rhythm, quiet_rhythm) = (RHYTHM.min(ttl / 4), QUIET_RHYTHM.min(ttl / 3));
    let mut renewed = Instant::now();
    let mut told = (0, 0, 0, false);
    loop {
        tokio::time::sleep(rhythm).await;
        let activity = spent.activity();
        let now = (
            spent.graph_requests(),
            spent.bytes_received(),
            spent.bytes_verified(),
            activity.throttled_for.is_some(),
        );
        if now == told && renewed.elapsed() < quiet_rhythm {
            continue;
        }
        let request = pb::RenewLeaseRequest {
            run: lease.run.clone(),
            epoch: lease.epoch,
            graph_requests: now.0,
            bytes_received: now.1,
            activity: Some(activity),
        };
        let asked = Instant::now();
        // Not waited for beyond the lease's life: by then another worker may have the run.
        let Ok(answer) = timeout_at(renewed + ttl, service.renew(request)).await else {
            return WorkerError::LeaseLost;
        };
        match answer {
            Ok(response) => {
                (renewed, told) = (asked, now);
                if response.stop {
                    cancelled.cancel();
                }
            }
            Err(WorkerError::LeaseLost) => return WorkerError::LeaseLost,
            Err(error) => {
                tracing::warn!(%error, run = %lease.run, "the lease could not be renewed");
                if renewed.elapsed() >= ttl {
                    return WorkerError::LeaseLost;
                }
            }
        }
    }
}
