//! What version 1 of the stored form ever wrote must open for ever: these files are never made again.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use token_service::{
    crypto::{CryptoError, DataKey, FileKeyring, KeyId, KeySource as _, Place, check_canary},
    domain::sealed::Sealed,
};

const ROW: &str = "tenants/acme/connections/mail";
const DATA_KEY: Place<'static> = Place { table: "connections", column: "data_key", row: ROW, generation: 1 };
const REFRESH_TOKEN: Place<'static> =
    Place { table: "connections", column: "refresh_token", row: ROW, generation: 7 };
const ACCESS_TOKEN: Place<'static> = Place {
    table: "access_tokens",
    column: "access_token",
    row: "tenants/acme/connections/mail s",
    generation: 7,
};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/envelope_v1");
    fs::read(folder.join(name)).unwrap()
}

fn sealed(name: &str) -> Sealed {
    Sealed::from_bytes(fixture(name))
}

/// The fixtures' keyring, with the permissions that a checkout does not keep.
fn keyring() -> FileKeyring {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    fs::write(&path, fixture("keyring.toml")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    FileKeyring::read(&path).unwrap()
}

#[tokio::test]
async fn a_wrapped_data_key_and_what_it_sealed_open() {
    let keys = keyring();
    let data_key = DataKey::unwrap(&keys, 1, &sealed("data_key.bin"), &DATA_KEY).await.unwrap();
    let refresh_token = data_key.open(&REFRESH_TOKEN, &sealed("refresh_token.bin")).unwrap();
    assert_eq!(refresh_token.expose(), "a refresh token of version 1");
    let access_token = data_key.open(&ACCESS_TOKEN, &sealed("access_token.bin")).unwrap();
    assert_eq!(access_token.expose(), "an access token of version 1");
}

#[tokio::test]
async fn a_canary_opens_with_the_key_it_names() {
    let id = KeyId::parse("fixture-2").unwrap();
    check_canary(&keyring(), &id, &sealed("canary.bin")).await.unwrap();
}

#[tokio::test]
async fn nothing_opens_elsewhere_or_with_another_key() {
    let keys = keyring();
    let elsewhere = Place { generation: 2, ..DATA_KEY };
    assert!(matches!(keys.unwrap(&sealed("data_key.bin"), &elsewhere).await, Err(CryptoError::Open)));
    let data_key = DataKey::unwrap(&keys, 1, &sealed("data_key.bin"), &DATA_KEY).await.unwrap();
    let older = Place { generation: 6, ..REFRESH_TOKEN };
    assert!(matches!(data_key.open(&older, &sealed("refresh_token.bin")), Err(CryptoError::Open)));
    assert!(matches!(data_key.open(&REFRESH_TOKEN, &sealed("access_token.bin")), Err(CryptoError::Open)));
}

#[test]
fn the_stored_form_is_the_documented_one() {
    for (name, key_id, text_length) in [
        ("data_key.bin", "fixture-1", 32),
        ("refresh_token.bin", "data-1", 28),
        ("canary.bin", "fixture-2", 23),
    ] {
        let bytes = fixture(name);
        assert_eq!(bytes[0], 1, "version");
        assert_eq!(usize::from(bytes[1]), key_id.len());
        assert_eq!(&bytes[2..2 + key_id.len()], key_id.as_bytes());
        assert_eq!(bytes.len(), 2 + key_id.len() + 12 + text_length + 16);
    }
}
