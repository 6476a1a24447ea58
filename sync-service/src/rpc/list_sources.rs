//! `SourceService.ListSources`.

use proto::sync::v1 as pb;
use service_kit::{
    clock::Timestamp,
    paging::{self, PageRequest},
    status::Violations,
};
use tonic::{Response, Status};

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::source::Health,
    ops::{Ctx, sources},
    store::sources::SourceFilter,
};

struct Query {
    filter: SourceFilter,
    list: String,
    size: usize,
    after: Option<(String, String)>,
}

pub(super) async fn answer(ctx: &Ctx, request: pb::ListSourcesRequest) -> Answer<pb::ListSourcesResponse> {
    let now = ctx.now();
    let Query { filter, list, size, after } = parse_request(&request, now)?;
    let limit = u64::try_from(size).unwrap_or_default() + 1;
    let mut found = sources::list(ctx, &filter, after.as_ref(), limit).await.map_err(status)?;
    let more = found.len() > size;
    found.truncate(size);
    let next_page_token = match found.last().map(|last| &last.spec.name) {
        Some(last) if more => {
            paging::next_page_token(&list, &[last.tenant().as_str(), last.source().as_str()])
        }
        _ => String::new(),
    };
    let sources = found.iter().map(|source| messages::source(source, now)).collect();
    Ok(Response::new(pb::ListSourcesResponse { sources, next_page_token }))
}

fn parse_request(request: &pb::ListSourcesRequest, now: Timestamp) -> Result<Query, Status> {
    let mut bad = Violations::new();
    let mut filter = SourceFilter {
        tenant: parse::any_tenant(&mut bad, "parent", &request.parent),
        ..SourceFilter::default()
    };
    let idle = |health| SourceFilter {
        health: Some(health),
        suspended: Some(false),
        leased: Some((false, now)),
        tenant: None,
    };
    let by_state = match pb::SourceState::try_from(request.state) {
        Ok(pb::SourceState::Unspecified) => SourceFilter::default(),
        Ok(pb::SourceState::Running) => SourceFilter { leased: Some((true, now)), ..SourceFilter::default() },
        Ok(pb::SourceState::Suspended) => {
            SourceFilter { suspended: Some(true), leased: Some((false, now)), ..SourceFilter::default() }
        }
        Ok(pb::SourceState::Idle) => idle(Health::Good),
        Ok(pb::SourceState::Failing) => idle(Health::Failing),
        Ok(pb::SourceState::NeedsPerson) => idle(Health::NeedsPerson),
        Err(_) => {
            bad.add("state", "is no state of a source");
            SourceFilter::default()
        }
    };
    filter = SourceFilter { tenant: filter.tenant, ..by_state };
    let list = format!("sources of {} in state {}", request.parent, request.state);
    let page = PageRequest::parse(request.page_size, &request.page_token, &list, 2, &mut bad);
    bad.finish()?;
    let page = page.ok_or_else(parse::broken)?;
    let after = page.after.and_then(|key| <[String; 2]>::try_from(key).ok()).map(Into::into);
    Ok(Query { filter, list, size: usize::try_from(page.size).unwrap_or_default(), after })
}
