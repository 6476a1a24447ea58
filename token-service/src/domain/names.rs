//! Resource names of the token service (AIP-122).

use service_kit::resource_name;

resource_name! {
    /// A customer of whoever runs Sluice: `tenants/{tenant}`.
    pub struct TenantName { tenant: "tenants" }
}

resource_name! {
    /// A connected account: `tenants/{tenant}/connections/{connection}`.
    pub struct ConnectionName { tenant: "tenants", connection: "connections" }
}

resource_name! {
    /// A sign-in under way or ended: `tenants/{tenant}/authorizations/{authorization}`.
    pub struct AuthorizationName { tenant: "tenants", authorization: "authorizations" }
}
