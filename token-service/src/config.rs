//! What the service is configured with. Secrets come as parsed values, never as text of a command line.

use std::path::PathBuf;

use service_kit::{
    database::{DatabaseUrl, PoolOptions},
    secret::SecretString,
    server::ServerLimits,
};
use url::Url;

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
    /// Bounds of the gRPC server.
    pub limits: ServerLimits,
}

/// The identity provider and the app registration.
#[derive(Debug)]
pub struct ProviderConfig {
    /// Client id of the app registration.
    pub client_id: String,
    /// Its secret, for a confidential client.
    pub client_secret: Option<SecretString>,
    /// Base address, see [`DEFAULT_AUTHORITY`].
    pub authority: Url,
    /// Directory, see [`DEFAULT_DIRECTORY`].
    pub directory: String,
    /// Scopes of connections whose maker names none; empty means [`DEFAULT_SCOPES`].
    pub default_scopes: Vec<String>,
}
