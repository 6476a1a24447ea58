//! Resource names of the sync contract (AIP-122).

use service_kit::resource_name;

resource_name! {
    /// A source, `tenants/{tenant}/sources/{source}`.
    pub struct SourceName { tenant: "tenants", source: "sources" }
}

resource_name! {
    /// A run of a source, `tenants/{tenant}/sources/{source}/runs/{run}`.
    pub struct RunName { tenant: "tenants", source: "sources", run: "runs" }
}

resource_name! {
    /// A connection of the token service, `tenants/{tenant}/connections/{connection}`.
    pub struct ConnectionName { tenant: "tenants", connection: "connections" }
}

resource_name! {
    /// A customer of whoever runs Sluice, `tenants/{tenant}`.
    pub struct TenantName { tenant: "tenants" }
}
