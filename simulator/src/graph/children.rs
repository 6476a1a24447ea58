//! `GET …/items/{id}/children` (graph-behaviour §2.4, §3).

mod arrangement;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use self::arrangement::Arrangement;
use super::Call;
use super::error::GraphError;
use super::item_json::{Writer, Written};
use super::items::find;
use super::route::ItemRef;
use crate::drive::Drive;
use crate::drive::item::{Slot, Snapshot};
use crate::json;

/// Items of a page when nothing else is asked for.
const DEFAULT_PAGE: usize = 200;
/// Most items of a page.
const MAX_PAGE: usize = 1_000;

/// Lists a folder, a page at a time. As at the real service, a listing while others write can miss items.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
) -> Result<Response, GraphError> {
    if call.query.get("skip").is_some() {
        return Err(GraphError::invalid_request(
            "$skip is not supported on this API. Only URLs returned by the API can be used to page.",
        ));
    }
    let from = call.query.get("skipToken").map_or(Some(0), |token| token.parse::<usize>().ok());
    let from = from.ok_or_else(|| GraphError::invalid_request("The skip token is not valid."))?;
    let top = call.query.top(DEFAULT_PAGE, MAX_PAGE);
    let (folder, path) = find(call, drive, wanted)?;
    super::items::check_open(&folder)?;
    let hidden = super::items::hides_shortcuts(call);
    let arrangement = Arrangement::read(&call.query, drive.ids.kind())?;
    let (page, total) = page(drive, folder.slot, &arrangement, (from, top, hidden));
    let page = drive.hashed(page).await;
    let select = call.query.get("select");
    let writer = Writer::new(call, drive, select);
    let next = from.saturating_add(top);
    let base = &call.world.bases.graph;
    let id = drive.ids.drive();
    let listing = Listing {
        context: format!("{base}/v1.0/$metadata#drives('{id}')/items"),
        count: total,
        value: page.iter().map(|item| writer.item(item, &path)).collect(),
        next_link: (next < total).then(|| {
            let mut link = format!(
                "{base}/v1.0/drives/{id}/items/{}/children?$top={top}&$skiptoken={next}",
                drive.ids.item(folder.slot)
            );
            for name in ["select", "orderby", "filter"] {
                if let Some(kept) = call.query.get(name) {
                    link = format!("{link}&${name}={}", utf8_percent_encode(kept, NON_ALPHANUMERIC));
                }
            }
            link
        }),
    };
    Ok(json::response(StatusCode::OK, &listing))
}

#[derive(Serialize)]
struct Listing<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    #[serde(rename = "@odata.count")]
    count: usize,
    value: Vec<Written<'a>>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

fn page(
    drive: &Drive,
    folder: Slot,
    arrangement: &Arrangement,
    span: (usize, usize, bool),
) -> (Vec<Snapshot>, usize) {
    let tree = drive.tree();
    let mut children = tree.children(folder).to_vec();
    if span.2 {
        children.retain(|slot| !tree.snapshot(*slot).is_some_and(|item| super::items::is_shortcut(&item)));
    }
    arrangement.apply(&tree, &mut children);
    let items = children.iter().skip(span.0).take(span.1).filter_map(|slot| tree.snapshot(*slot)).collect();
    (items, children.len())
}
