//! `WorkerService.ReportThrottle`.

use proto::sync::v1 as pb;
use service_kit::{clock::duration_from_proto, status::Violations};
use tonic::Response;

use super::{Answer, parse, status::status};
use crate::ops::{Ctx, throttle};

pub(super) async fn answer(
    ctx: &Ctx,
    request: pb::ReportThrottleRequest,
) -> Answer<pb::ReportThrottleResponse> {
    let mut violations = Violations::new();
    let budget = violations.check("budget", parse::budget(&request.budget));
    let wait = request.wait.as_ref().and_then(duration_from_proto).ok_or("is missing or negative");
    let wait = violations.check("wait", wait);
    violations.finish()?;
    if let (Some(budget), Some(wait)) = (budget, wait) {
        let units = Some(request.units_per_minute).filter(|units| *units > 0);
        throttle::report(ctx, budget, wait, units).await.map_err(status)?;
    }
    Ok(Response::new(pb::ReportThrottleResponse {}))
}
