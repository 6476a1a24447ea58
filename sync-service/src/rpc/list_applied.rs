//! `WorkerService.ListApplied`.

use proto::sync::v1 as pb;
use service_kit::{
    paging::{self, PageRequest},
    status::Violations,
};
use tonic::Response;

use super::{Answer, messages, parse, status::status};
use crate::{
    domain::names::RunName,
    ops::{
        Ctx,
        list_applied::{self, Wanted},
    },
};

pub(super) async fn answer(ctx: &Ctx, request: pb::ListAppliedRequest) -> Answer<pb::ListAppliedResponse> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    let pb::ListAppliedRequest { run, epoch, folder_id, page_token, folders_only } = request;
    let list = format!("folder {folder_id} of {run}, {folders_only}");
    let page = PageRequest::parse(0, &page_token, &list, 2, &mut bad);
    bad.finish()?;
    let (Some(name), Some(page)) = (name, page) else { return Err(parse::broken()) };
    let mut after = page.after.unwrap_or_default().into_iter();
    let after = (after.next().unwrap_or_default(), after.next().unwrap_or_default());
    let wanted = Wanted { folder: folder_id, folders_only, after };
    let page = list_applied::list_applied(ctx, &name, epoch, &wanted).await.map_err(status)?;
    let totals = page.totals.unwrap_or_default();
    Ok(Response::new(pb::ListAppliedResponse {
        items: page.items.into_iter().filter_map(messages::applied_item).collect(),
        next_page_token: page
            .next
            .map(|(name, id)| paging::next_page_token(&list, &[&name, &id]))
            .unwrap_or_default(),
        total_files: totals.files,
        total_bytes: totals.bytes,
    }))
}
