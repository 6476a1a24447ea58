//! `RunService.ListRuns`.

use proto::sync::v1 as pb;
use service_kit::{
    paging::{self, PageRequest},
    resource_name::ResourceId,
    status::Violations,
};
use tonic::{Response, Status};

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::{run::RunState, source::RunKey},
    ops::{
        Ctx,
        runs::{self, Scope},
    },
};

struct Query {
    scope: Scope,
    state: Option<RunState>,
    list: String,
    size: usize,
    before: Option<RunKey>,
}

pub(super) async fn answer(ctx: &Ctx, request: pb::ListRunsRequest) -> Answer<pb::ListRunsResponse> {
    let Query { scope, state, list, size, before } = parse_request(&request)?;
    let limit = u64::try_from(size).unwrap_or_default() + 1;
    let mut found = runs::list(ctx, scope, state, before, limit).await.map_err(status)?;
    let more = found.len() > size;
    found.truncate(size);
    let next_page_token = match found.last() {
        Some(last) if more => paging::next_page_token(&list, &[&last.run.key.0.to_string()]),
        _ => String::new(),
    };
    let runs = found.iter().map(|run| messages::run(run, &[], Vec::new())).collect();
    Ok(Response::new(pb::ListRunsResponse { runs, next_page_token }))
}

fn parse_request(request: &pb::ListRunsRequest) -> Result<Query, Status> {
    let mut bad = Violations::new();
    let scope = parse_scope(&mut bad, &request.parent);
    let state = match pb::RunState::try_from(request.state) {
        Ok(pb::RunState::Unspecified) => None,
        Ok(pb::RunState::Running) => Some(RunState::Running),
        Ok(pb::RunState::Succeeded) => Some(RunState::Succeeded),
        Ok(pb::RunState::Partial) => Some(RunState::Partial),
        Ok(pb::RunState::Failed) => Some(RunState::Failed),
        Ok(pb::RunState::NeedsPerson) => Some(RunState::NeedsPerson),
        Ok(pb::RunState::Cancelled) => Some(RunState::Cancelled),
        Err(_) => {
            bad.add("state", "is no state of a run");
            None
        }
    };
    let list = format!("runs of {} in state {}", request.parent, request.state);
    let page = PageRequest::parse(request.page_size, &request.page_token, &list, 1, &mut bad);
    let before = page.as_ref().and_then(|page| page.after.as_ref()?.first()?.parse().ok()).map(RunKey);
    bad.finish()?;
    let size = usize::try_from(page.ok_or_else(parse::broken)?.size).unwrap_or_default();
    Ok(Query { scope, state, list, size, before })
}

fn parse_scope(bad: &mut Violations, parent: &str) -> Scope {
    let mut id = |text: &str| if text == "-" { None } else { bad.check("parent", ResourceId::parse(text)) };
    match parent.split('/').collect::<Vec<_>>().as_slice() {
        [""] => Scope::default(),
        ["tenants", tenant] => Scope { tenant: id(tenant), source: None },
        ["tenants", tenant, "sources", source] => Scope { tenant: id(tenant), source: id(source) },
        _ => {
            bad.add("parent", "must be tenants/{tenant}/sources/{source}, where - stands for any");
            Scope::default()
        }
    }
}
