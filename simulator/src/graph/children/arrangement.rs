//! `$orderby` and `$filter` of a folder's listing. Business drives and libraries know only `name` and `url` there (graph-behaviour §3);
//! which other properties personal ones know, and which filters there are, is an assumption.

use super::super::error::GraphError;
use super::super::query::Query;
use crate::drive::item::Slot;
use crate::drive::spec::DriveKind;
use crate::drive::tree::Tree;

/// In which order, and which of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    order: Option<(Property, bool)>,
    filter: Option<Filter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    /// Also `url`: within a folder the order is the same.
    Name,
    Size,
    Modified,
}

/// Names, in lower case.
#[derive(Debug, PartialEq, Eq)]
enum Filter {
    Equals(String),
    Begins(String),
}

impl Arrangement {
    /// Reads a query.
    pub(super) fn read(query: &Query, kind: DriveKind) -> Result<Self, GraphError> {
        let order = query.get("orderby").map(|text| order(text, kind).ok_or_else(|| refused("$orderby")));
        let filter = query.get("filter").map(|text| filter(text).ok_or_else(|| refused("$filter")));
        Ok(Self { order: order.transpose()?, filter: filter.transpose()? })
    }

    /// Leaves out what is not wanted, and orders the rest.
    pub(super) fn apply(&self, tree: &Tree, children: &mut Vec<Slot>) {
        let name = |slot: &Slot| tree.get(*slot).map(|item| item.name.to_lowercase()).unwrap_or_default();
        match &self.filter {
            Some(Filter::Equals(wanted)) => children.retain(|slot| name(slot) == *wanted),
            Some(Filter::Begins(wanted)) => children.retain(|slot| name(slot).starts_with(wanted)),
            None => {}
        }
        let Some((property, descending)) = self.order else { return };
        match property {
            Property::Name => children.sort_by_cached_key(name),
            Property::Size => children.sort_by_key(|slot| tree.get(*slot).map(|item| item.size)),
            Property::Modified => children.sort_by_key(|slot| tree.get(*slot).map(|item| item.modified)),
        }
        if descending {
            children.reverse();
        }
    }
}

fn refused(option: &str) -> GraphError {
    GraphError::invalid_request(&format!("{option} is not supported with this property."))
}

fn order(text: &str, kind: DriveKind) -> Option<(Property, bool)> {
    let mut words = text.split_whitespace();
    let (property, direction) = (words.next()?, words.next());
    let property = match (property, kind) {
        ("name" | "url", _) => Property::Name,
        ("size", DriveKind::Personal) => Property::Size,
        ("lastModifiedDateTime", DriveKind::Personal) => Property::Modified,
        _ => return None,
    };
    match (direction, words.next()) {
        (None | Some("asc"), None) => Some((property, false)),
        (Some("desc"), None) => Some((property, true)),
        _ => None,
    }
}

fn filter(text: &str) -> Option<Filter> {
    let text = text.trim();
    let quoted = |text: &str| {
        let text = text.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        Some(text.replace("''", "'").to_lowercase())
    };
    if let Some(name) = text.strip_prefix("name eq ") {
        return Some(Filter::Equals(quoted(name)?));
    }
    let arguments = text.strip_prefix("startswith(")?.strip_suffix(')')?;
    let (property, name) = arguments.split_once(',')?;
    (property.trim() == "name").then_some(Filter::Begins(quoted(name)?))
}
