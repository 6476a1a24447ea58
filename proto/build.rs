//! Compiles the `.proto` files with protox, so that a build needs no protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// Messages that carry a secret get their `Debug` from `src/redact.rs`.
const SECRET_MESSAGES: [&str; 5] = [
    "sluice.token.v1.GetAccessTokenResponse",
    "sluice.token.v1.RefreshTokenCredential",
    "sluice.token.v1.CompleteCodeAuthorizationRequest",
    "sluice.token.v1.StartDeviceAuthorizationResponse",
    "sluice.token.v1.StartCodeAuthorizationResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "sluice/token/v1/token_service.proto",
        "sluice/token/v1/connection_service.proto",
        "sluice/token/v1/authorization_service.proto",
        "sluice/token/v1/key_service.proto",
        "sluice/token/v1/audit_service.proto",
        "sluice/token/v1/webhook_service.proto",
        "sluice/sync/v1/source_service.proto",
        "sluice/sync/v1/run_service.proto",
        "sluice/sync/v1/worker_service.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["."])?;

    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or("cargo sets OUT_DIR for build scripts")?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure().skip_debug(SECRET_MESSAGES).compile_fds(descriptors)?;
    Ok(())
}
