//! `RunService.ListFindings`.

use proto::sync::v1 as pb;
use service_kit::{
    paging::{self, PageRequest},
    status::Violations,
};
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::names::RunName,
    ops::{Ctx, runs},
};

pub(super) async fn answer(ctx: &Ctx, request: pb::ListFindingsRequest) -> Answer<pb::ListFindingsResponse> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    let list = format!("findings of {}", request.run);
    let page = PageRequest::parse(request.page_size, &request.page_token, &list, 1, &mut bad);
    bad.finish()?;
    let (Some(name), Some(page)) = (name, page) else { return Err(parse::broken()) };
    let from: i64 = page.after.and_then(|after| after.first()?.parse().ok()).unwrap_or_default();
    let size = usize::try_from(page.size).unwrap_or_default();
    let mut found = runs::findings(ctx, &name, from, u64::from(page.size) + 1).await.map_err(status)?;
    let more = found.len() > size;
    found.truncate(size);
    let next = from.saturating_add(i64::from(page.size));
    let next_page_token =
        if more { paging::next_page_token(&list, &[&next.to_string()]) } else { String::new() };
    let findings = found.into_iter().map(messages::finding).collect();
    Ok(Response::new(pb::ListFindingsResponse { findings, next_page_token }))
}
