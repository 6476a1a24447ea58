//! Webhook endpoints: who is told of state changes, and one signed request to one of them.
//!
//! `endpoint` reads who is to be told; `signature` signs as Standard Webhooks 1.0.0 says; `sender` sends one request, within
//! bounds. This folder and `provider` are the only ones that know the HTTP client.

mod endpoint;
mod sender;
mod signature;

pub use endpoint::{WebhookConfigError, WebhookEndpoint, read_endpoints};
pub use sender::{Message, SendFailure, Sender, SenderError};
pub use signature::{SigningSecrets, SigningSecretsError};
