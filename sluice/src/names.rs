//! Resource names as typed: checked before anything is sent.

service_kit::resource_name! {
    /// A tenant.
    pub(crate) struct TenantName { tenant: "tenants" }
}

service_kit::resource_name! {
    /// A connected account.
    pub(crate) struct ConnectionName { tenant: "tenants", connection: "connections" }
}

service_kit::resource_name! {
    /// A drive and where it goes.
    pub(crate) struct SourceName { tenant: "tenants", source: "sources" }
}

service_kit::resource_name! {
    /// One pass over a source.
    pub(crate) struct RunName { tenant: "tenants", source: "sources", run: "runs" }
}

/// A tenant as people type it: `acme` or `tenants/acme`.
pub(crate) fn tenant(text: &str) -> Result<TenantName, service_kit::resource_name::NameError> {
    if text.contains('/') {
        TenantName::parse(text)
    } else {
        service_kit::resource_name::ResourceId::parse(text).map(TenantName::new)
    }
}
