//! A page of the delta feed.

use serde::Deserialize;

use super::drive_item::{DriveItem, WireItem};
use super::lenient::{maybe, text};
use crate::config::Base;
use crate::error::GraphError;
use crate::link::DeltaLink;

/// Most items in one page. The service is asked for fewer, and repeats ancestors on top of that.
pub const MAX_PAGE_ITEMS: usize = 5_000;

/// A page of the delta feed.
#[derive(Clone, Debug)]
pub struct DeltaPage {
    /// The items in the order they came: an id may repeat, and its last occurrence counts.
    pub items: Vec<DriveItem>,
    /// Where the feed goes on.
    pub link: PageLink,
}

/// The link at the end of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageLink {
    /// More pages follow.
    Next(DeltaLink),
    /// The listing is complete; changes after it start here.
    Delta(DeltaLink),
}

#[derive(Deserialize)]
pub(crate) struct WirePage {
    /// Not tolerant: a page whose items cannot be read is no empty page.
    value: Vec<WireItem>,
    #[serde(rename = "@odata.nextLink", default, deserialize_with = "maybe")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink", default, deserialize_with = "maybe")]
    delta: Option<String>,
}

impl WirePage {
    pub(crate) fn into_page(self, base: &Base) -> Result<DeltaPage, GraphError> {
        if self.value.len() > MAX_PAGE_ITEMS {
            return Err(GraphError::Malformed { what: "a page of too many items" });
        }
        let link = match (text(self.next), text(self.delta)) {
            (Some(next), None) => PageLink::Next(DeltaLink::parse(base, &next)?),
            (None, Some(delta)) => PageLink::Delta(DeltaLink::parse(base, &delta)?),
            (Some(_), Some(_)) => return Err(GraphError::Malformed { what: "a page with two links" }),
            (None, None) => return Err(GraphError::Malformed { what: "a page without a link" }),
        };
        let items = self.value.into_iter().map(DriveItem::try_from).collect::<Result<_, _>>()?;
        Ok(DeltaPage { items, link })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use url::Url;

    use super::*;

    fn page(value: Value) -> Result<DeltaPage, GraphError> {
        let base = Base::parse(&Url::parse("https://graph.microsoft.com/").unwrap()).unwrap();
        serde_json::from_value::<WirePage>(value).unwrap().into_page(&base)
    }

    #[test]
    fn a_page_with_more_to_come() {
        let page = page(json!({
            "@odata.context": "x",
            "value": [{"id": "01ROOT", "root": {}, "folder": {}}, {"id": "01A"}, {"id": "01A"}],
            "@odata.nextLink": "https://graph.microsoft.com/v1.0/drives/b!x/root/delta?token=1"
        }))
        .unwrap();
        let ids: Vec<_> = page.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["01ROOT", "01A", "01A"]);
        assert!(matches!(page.link, PageLink::Next(_)));
    }

    #[test]
    fn an_empty_page_may_end_the_feed_or_not() {
        let link = "https://graph.microsoft.com/v1.0/d?token=2";
        for (key, ends) in [("@odata.nextLink", false), ("@odata.deltaLink", true)] {
            let page = page(json!({"value": [], key: link})).unwrap();
            assert_eq!(matches!(page.link, PageLink::Delta(_)), ends);
            assert!(page.items.is_empty());
        }
    }

    #[test]
    fn exactly_one_link() {
        let link = "https://graph.microsoft.com/v1.0/d?token=2";
        for value in [
            json!({"value": []}),
            json!({"value": [], "@odata.nextLink": ""}),
            json!({"value": [], "@odata.nextLink": null, "@odata.deltaLink": 5}),
            json!({"value": [], "@odata.nextLink": link, "@odata.deltaLink": link}),
        ] {
            assert!(matches!(page(value), Err(GraphError::Malformed { .. })));
        }
    }

    #[test]
    fn a_link_to_elsewhere_is_refused() {
        let value = json!({"value": [], "@odata.nextLink": "https://evil.test/v1.0/d?token=2"});
        assert!(matches!(page(value), Err(GraphError::ForeignLink)));
    }

    #[test]
    fn a_page_is_bounded() {
        let items: Vec<_> = (0..=MAX_PAGE_ITEMS).map(|id| json!({"id": id.to_string()})).collect();
        let value = json!({"value": items, "@odata.nextLink": "https://graph.microsoft.com/v1.0/d"});
        assert!(matches!(page(value), Err(GraphError::Malformed { .. })));
    }

    #[test]
    fn a_page_without_readable_items_is_no_page() {
        for value in [json!({}), json!({"value": null}), json!({"value": [5]}), json!([])] {
            assert!(serde_json::from_value::<WirePage>(value).is_err());
        }
    }
}
