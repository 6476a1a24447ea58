//! The `sluice` command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::tls::install_crypto_provider();
    sluice::main().await.into()
}
