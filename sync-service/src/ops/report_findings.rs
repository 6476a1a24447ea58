//! Stores what a run found that only looks.

use super::{
    Ctx, OpError,
    leased::leased,
    report_outcomes::{MAX_PATH, cut},
};
use crate::{
    domain::{
        finding::{Finding, FindingKind},
        names::RunName,
    },
    store::{findings, runs},
};

/// Reason of a deletion that the brake holds back.
pub const DELETION_HELD: &str = "DELETION_HELD";

/// Stores findings, of which the first has this number. Those that are stored already change nothing.
///
/// # Errors
/// [`OpError::LeaseLost`]; [`OpError::FindingsMissing`] when the ones before are not stored.
pub async fn report_findings(
    ctx: &Ctx,
    name: &RunName,
    epoch: i64,
    first_number: i64,
    found: &[Finding],
) -> Result<(), OpError> {
    let txn = ctx.store.begin().await?;
    let (_, mut run) = leased(txn.conn(), name, epoch).await?;
    let stored = run.findings.items();
    let Ok(known) = usize::try_from(stored - first_number) else {
        return Err(OpError::FindingsMissing(name.clone()));
    };
    let new: Vec<Finding> = found.iter().skip(known).map(shortened).collect();
    for finding in &new {
        run.findings.add(finding);
        run.counts.deletions_held +=
            i64::from(finding.kind == FindingKind::Leave && finding.reason == DELETION_HELD);
    }
    findings::insert(txn.conn(), run.key, stored, &new).await?;
    runs::update(txn.conn(), &run).await?;
    txn.commit().await?;
    Ok(())
}

fn shortened(finding: &Finding) -> Finding {
    let path = |path: &str| path.chars().take(MAX_PATH).collect();
    Finding {
        path: path(&finding.path),
        from_path: path(&finding.from_path),
        reason: cut(&finding.reason),
        detail: cut(&finding.detail),
        ..*finding
    }
}
