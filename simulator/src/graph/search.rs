//! `GET …/root/search(q='…')` (graph-behaviour §3). That names are searched and contents are not, without regard to case, is an
//! assumption; so is the order, which is that of the tree.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Call;
use super::error::GraphError;
use super::item_json::Writer;
use super::items::{check_open, find};
use super::route::ItemRef;
use crate::drive::Drive;
use crate::drive::item::{Slot, Snapshot};
use crate::json;

/// Items of a page when nothing else is asked for.
const DEFAULT_PAGE: usize = 200;
/// Most items of a page.
const MAX_PAGE: usize = 1_000;

/// Lists what is below a folder and has the text in its name.
pub(super) async fn answer(
    call: &Call<'_>,
    drive: &Arc<Drive>,
    wanted: &ItemRef,
    text: &str,
) -> Result<Response, GraphError> {
    let (folder, _) = find(call, drive, wanted)?;
    check_open(&folder)?;
    let from = call.query.get("skipToken").map_or(Some(0), |token| token.parse::<usize>().ok());
    let from = from.ok_or_else(|| GraphError::invalid_request("The skip token is not valid."))?;
    let top = call.query.top(DEFAULT_PAGE, MAX_PAGE);
    let (page, more) = page(drive, folder.slot, &text.to_lowercase(), (from, top));
    let page = drive.hashed(page).await;
    let writer = Writer::new(call, drive, call.query.get("select"));
    let written = |item: &Snapshot| {
        let above = drive.tree().path(item.parent);
        Value::from(writer.item(item, &above).into_members())
    };
    let mut body = Map::new();
    body.insert("value".to_owned(), page.iter().map(written).collect());
    if more {
        let link = format!(
            "{}/v1.0/drives/{}/items/{}/search(q='{}')?$top={top}&$skiptoken={}",
            call.world.bases.graph,
            drive.ids.drive(),
            drive.ids.item(folder.slot),
            utf8_percent_encode(&text.replace('\'', "''"), NON_ALPHANUMERIC),
            from.saturating_add(top),
        );
        body.insert("@odata.nextLink".to_owned(), Value::from(link));
    }
    Ok(json::response(StatusCode::OK, &json!(body)))
}

/// A page, and whether there are more.
fn page(drive: &Drive, folder: Slot, text: &str, span: (usize, usize)) -> (Vec<Snapshot>, bool) {
    let tree = drive.tree();
    let below = tree.subtree(folder).into_iter().skip(1);
    let mut found = below
        .filter(|slot| !tree.is_locked_away(*slot))
        .filter_map(|slot| tree.snapshot(slot))
        .filter(|item| item.name.to_lowercase().contains(text))
        .skip(span.0);
    let page = found.by_ref().take(span.1).collect();
    (page, found.next().is_some())
}
