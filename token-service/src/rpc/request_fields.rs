//! Fields that several requests have.

use service_kit::{
    resource_name::{NameError, ResourceId},
    status::{ApiError, Violations},
};

use crate::domain::{connection::MAX_DISPLAY_NAME_CHARS, names::TenantName, scopes::ScopeSet};

/// Every tenant (AIP-159).
const ALL_TENANTS: &str = "tenants/-";

/// Scopes; none is fine.
pub(super) fn scopes(violations: &mut Violations, scopes: &[String]) -> Option<ScopeSet> {
    violations.check("scopes", ScopeSet::parse(scopes))
}

/// Text for people: short, and without characters that would play tricks on a terminal.
pub(super) fn display_name(violations: &mut Violations, text: String) -> Option<String> {
    let checked = if text.chars().count() > MAX_DISPLAY_NAME_CHARS {
        Err(format!("has more than {MAX_DISPLAY_NAME_CHARS} characters"))
    } else if text.chars().any(char::is_control) {
        Err("contains a control character".to_owned())
    } else {
        Ok(text)
    };
    violations.check("display_name", checked)
}

/// The tenant in the field `parent`; nothing for all of them.
pub(super) fn tenant(parent: &str) -> Result<Option<ResourceId>, NameError> {
    match parent {
        "" | ALL_TENANTS => Ok(None),
        parent => TenantName::parse(parent).map(|name| Some(name.tenant().clone())),
    }
}

/// A resource name in the field `name`.
pub(super) fn name<T>(name: Result<T, NameError>) -> Result<T, ApiError> {
    let mut violations = Violations::new();
    let parsed = violations.check("name", name);
    complete(violations, parsed)
}

/// A request of which nothing was bad; otherwise everything that was.
pub(super) fn complete<T>(violations: Violations, parsed: Option<T>) -> Result<T, ApiError> {
    violations.finish()?;
    parsed.ok_or_else(|| ApiError::internal(&Incomplete))
}

/// A field was dropped without a word: a bug of this folder.
#[derive(Debug, thiserror::Error)]
#[error("a request was refused without a bad field")]
struct Incomplete;
