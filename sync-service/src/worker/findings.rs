//! Hands in what a run found that only looks.

use proto::sync::v1 as pb;

use super::{WorkerError, service::SyncService};

/// Findings in one report at most.
const MAX_REPORT: usize = 500;

/// The findings of one run, in the order they are found.
pub(super) struct Findings<'a> {
    service: &'a SyncService,
    lease: &'a pb::Lease,
    reported: i64,
}

impl<'a> Findings<'a> {
    pub(super) fn new(service: &'a SyncService, lease: &'a pb::Lease) -> Self {
        Self { service, lease, reported: 0 }
    }

    pub(super) async fn report(&mut self, findings: Vec<pb::Finding>) -> Result<(), WorkerError> {
        for chunk in findings.chunks(MAX_REPORT) {
            let request = pb::ReportFindingsRequest {
                run: self.lease.run.clone(),
                epoch: self.lease.epoch,
                first_number: self.reported,
                findings: chunk.to_vec(),
            };
            self.service.report_findings(request).await?;
            self.reported += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        }
        Ok(())
    }
}
