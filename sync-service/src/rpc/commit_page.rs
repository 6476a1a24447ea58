//! `WorkerService.CommitPage`.

use proto::sync::v1 as pb;
use service_kit::{clock::Timestamp, status::Violations};
use tonic::{Response, Status};

use super::{Answer, parse, status::status};
use crate::{
    domain::{
        change::{Facet, ListedItem},
        cursor::Cursor,
        names::RunName,
    },
    ops::{
        Ctx,
        commit_page::{self, Reading},
    },
};

/// Most items on a page.
const MAX_ITEMS: usize = 5000;

/// Longest link, in bytes; the provider's are far shorter.
const MAX_LINK_BYTES: usize = 32 * 1024;

/// Name of the special folder that is a Personal Vault.
const VAULT: &str = "vault";

/// Longest id or name of an item, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

pub(super) async fn answer(ctx: &Ctx, request: pb::CommitPageRequest) -> Answer<pb::CommitPageResponse> {
    let (epoch, folds_names) = (request.epoch, request.destination_folds_names);
    let (name, read_with, reading) = parse_request(request)?;
    let position = commit_page::commit_page(ctx, &name, epoch, &read_with, reading, folds_names)
        .await
        .map_err(status)?;
    let (cursor, listing_complete) = (position.cursor, position.listing_complete);
    Ok(Response::new(pb::CommitPageResponse { cursor, listing_complete }))
}

pub(super) fn parse_request(request: pb::CommitPageRequest) -> Result<(RunName, String, Reading), Status> {
    let mut bad = Violations::new();
    let name = bad.check("run", RunName::parse(&request.run));
    let reading = match request.result {
        Some(pb::commit_page_request::Result::Page(page)) => Some(parse_page(&mut bad, page)),
        Some(pb::commit_page_request::Result::ResyncRequired(_)) => Some(Reading::ResyncRequired),
        None => {
            bad.add("result", "is required");
            None
        }
    };
    bad.finish()?;
    let (Some(name), Some(reading)) = (name, reading) else { return Err(parse::broken()) };
    Ok((name, request.read_with, reading))
}

fn parse_page(bad: &mut Violations, page: pb::DeltaPage) -> Reading {
    let leads_to = match page.link {
        Some(pb::delta_page::Link::NextLink(link)) => Cursor::Page(link),
        Some(pb::delta_page::Link::DeltaLink(link)) => Cursor::CaughtUp(link),
        None => Cursor::Start,
    };
    if leads_to.link().is_empty() || leads_to.link().len() > MAX_LINK_BYTES {
        bad.add("page.link", format!("is required, of at most {MAX_LINK_BYTES} bytes"));
    }
    if page.items.len() > MAX_ITEMS {
        bad.add("page.items", format!("holds more than {MAX_ITEMS}"));
    }
    for (index, item) in page.items.iter().enumerate() {
        if item.id.is_empty()
            || [&item.id, &item.parent_id, &item.name].iter().any(|text| text.len() > MAX_TEXT_BYTES)
        {
            bad.add(&format!("page.items[{index}]"), "has no id, or a text that is too long");
        }
    }
    let items = page.items.into_iter().map(listed).collect();
    Reading::Page { items, leads_to }
}

fn listed(item: pb::DriveItem) -> ListedItem {
    let facet = match item.kind() {
        _ if item.special_folder.eq_ignore_ascii_case(VAULT) => Facet::Vault,
        pb::DriveItemKind::File => Facet::File,
        pb::DriveItemKind::Folder => Facet::Folder,
        pb::DriveItemKind::Root => Facet::Root,
        pb::DriveItemKind::Package | pb::DriveItemKind::Remote | pb::DriveItemKind::Unspecified => {
            Facet::Other
        }
    };
    ListedItem {
        modified: item.modified_time.as_ref().and_then(Timestamp::from_proto),
        id: item.id,
        parent_id: item.parent_id,
        name: item.name,
        facet,
        deleted: item.deleted,
        size: item.size.max(0),
        e_tag: item.e_tag,
        c_tag: item.c_tag,
        hash: item.quick_xor_hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_exactly_one_link() {
        let request = pb::CommitPageRequest {
            run: "tenants/a/sources/b/runs/c".into(),
            result: Some(pb::commit_page_request::Result::Page(pb::DeltaPage::default())),
            ..Default::default()
        };
        let status = parse_request(request).unwrap_err();
        assert_eq!(service_kit::status::status_violations(&status)[0].0, "page.link");
    }
}
