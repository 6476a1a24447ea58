//! What the service is configured with. Secrets come as parsed values, never as text of a command line.

use std::{path::PathBuf, time::Duration};

use service_kit::{
    database::{DatabaseUrl, PoolOptions},
    server::ServerLimits,
};
use url::Url;

use crate::provider::ClientSecret;

/// Base address of Entra's global cloud.
pub const DEFAULT_AUTHORITY: &str = "https://login.microsoftonline.com/";
/// Directory that accepts work, school and personal accounts.
pub const DEFAULT_DIRECTORY: &str = "common";
/// Scopes of connections whose maker names none: read files, know who signed in, stay connected.
pub const DEFAULT_SCOPES: [&str; 5] = [
    "https://graph.microsoft.com/Files.Read.All",
    "https://graph.microsoft.com/User.Read",
    "offline_access",
    "openid",
    "profile",
];

/// Configuration of the token service.
#[derive(Debug)]
pub struct Config {
    /// The token database.
    pub database: DatabaseUrl,
    /// Bounds of its pool of connections.
    pub pool: PoolOptions,
    /// The keyring file.
    pub keyring: PathBuf,
    /// Whether to make the keyring if it is not there and nothing was ever sealed in the database.
    pub create_keyring: bool,
    /// The identity provider and the app registration.
    pub provider: ProviderConfig,
    /// File that names who is told of state changes, see [`crate::webhook::read_endpoints`].
    pub webhooks: Option<PathBuf>,
    /// Bounds of the gRPC server.
    pub limits: ServerLimits,
}

/// The identity provider and the app registration.
#[derive(Debug)]
pub struct ProviderConfig {
    /// Client id of the app registration.
    pub client_id: String,
    /// Its secret, for a confidential client.
    pub client_secret: Option<ClientSecret>,
    /// Base address, see [`DEFAULT_AUTHORITY`].
    pub authority: Url,
    /// Directory, see [`DEFAULT_DIRECTORY`].
    pub directory: String,
    /// Scopes of connections whose maker names none; empty means [`DEFAULT_SCOPES`].
    pub default_scopes: Vec<String>,
}

/// Longest wait for the provider's answer to a refresh, unless configured otherwise.
pub const DEFAULT_PROVIDER_TIMEOUT: Duration = Duration::from_secs(20);

/// What operators may tune and hardly ever need to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Longest wait for the provider's answer to a refresh. The lease that keeps other replicas from asking meanwhile lasts a
    /// little longer, and so do callers' waits after a replica vanished in the middle of a refresh.
    pub provider_timeout: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { provider_timeout: DEFAULT_PROVIDER_TIMEOUT }
    }
}
