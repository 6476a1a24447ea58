//! Keyring files, good and bad.

use std::{sync::Barrier, thread};

use super::*;

const PLACE: Place<'static> = Place { table: "t", column: "c", row: "r", generation: 1 };

fn written(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

fn key_text(byte: u8) -> String {
    STANDARD.encode([byte; envelope::KEY_BYTES])
}

#[tokio::test]
async fn a_new_keyring_is_for_its_owner_only_and_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let made = FileKeyring::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left behind");
    let sealed = made.wrap(made.primary(), &SecretBytes::new(b"key".to_vec()), &PLACE).await.unwrap();
    let read = FileKeyring::read(&path).unwrap();
    assert_eq!(read.unwrap(&sealed, &PLACE).await.unwrap().expose(), b"key");
    // Creating again reads what is there.
    assert_eq!(FileKeyring::create(&path).unwrap().primary(), made.primary());
}

#[test]
fn of_many_starters_at_once_all_get_the_same_keyring() {
    const STARTERS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let barrier = Barrier::new(STARTERS);
    let mut primaries: Vec<KeyId> = thread::scope(|scope| {
        let starters: Vec<_> = (0..STARTERS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    FileKeyring::create(&path).unwrap().primary().clone()
                })
            })
            .collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).collect()
    });
    primaries.dedup();
    assert_eq!(primaries.len(), 1);
}

#[tokio::test]
async fn old_keys_still_unwrap_and_the_primary_wraps() {
    let (one, two) = (key_text(1), key_text(2));
    let (_folder, path) = written(&format!("primary = \"one\"\n[keys]\none = \"{one}\"\n"), 0o600);
    let before = FileKeyring::read(&path).unwrap();
    let sealed = before.wrap(before.primary(), &SecretBytes::new(b"key".to_vec()), &PLACE).await.unwrap();

    let rotated = format!("primary = \"two\"\n[keys]\none = \"{one}\"\ntwo = \"{two}\"\n");
    let (_folder, path) = written(&rotated, 0o640);
    let after = FileKeyring::read(&path).unwrap();
    assert_eq!(after.unwrap(&sealed, &PLACE).await.unwrap().expose(), b"key");
    assert_eq!(after.primary().as_str(), "two");
    assert!(matches!(
        before.wrap(after.primary(), &SecretBytes::new(Vec::new()), &PLACE).await,
        Err(CryptoError::Seal)
    ));
}

#[test]
fn bad_keyrings_are_refused_in_one_line_that_shows_no_key() {
    let key = key_text(1);
    let long = "#".repeat(70_000);
    let many: Vec<String> = (0..65).map(|n| format!("k{n} = \"{key}\"")).collect();
    let many = many.join("\n");
    let cases = [
        ("nonsense".to_owned(), "malformed"),
        (format!("primary = \"k\"\nkeys = \"{key}"), "malformed"),
        (format!("primary = \"k\"\n[keys]\nk = \"{key}\"\n[extra]\n"), "unknown field"),
        (format!("primary = \"other\"\n[keys]\nk = \"{key}\"\n"), "does not name a key"),
        (format!("primary = \"k\"\n[keys]\nK = \"{key}\"\n"), "key id"),
        ("primary = \"k\"\n[keys]\nk = \"c2hvcnQ=\"\n".to_owned(), "not the base64 of 32 bytes"),
        ("primary = \"k\"\n[keys]\nk = \"%%%\"\n".to_owned(), "not the base64 of 32 bytes"),
        (format!("primary = \"k0\"\n[keys]\n{many}"), "more than 64 keys"),
        (long, "longer than"),
    ];
    for (text, expected) in cases {
        let (_folder, path) = written(&text, 0o600);
        let refused = FileKeyring::read(&path).err().map(|error| error.to_string()).unwrap();
        assert!(refused.contains(expected), "{refused}");
        assert!(refused.contains(&path.display().to_string()) && refused.lines().count() == 1, "{refused}");
        assert!(!refused.contains(&key) && !refused.contains("c2hvcnQ"), "{refused}");
    }
}

#[test]
fn a_keyring_that_others_can_read_is_refused() {
    for mode in [0o604, 0o602, 0o601, 0o644, 0o666] {
        let (_folder, path) = written("", mode);
        let refused = FileKeyring::read(&path).err().unwrap();
        assert!(matches!(refused, KeyringError::TooOpen { .. }), "{refused}");
        assert!(refused.to_string().contains("chmod o="), "{refused}");
    }
}

#[test]
fn a_keyring_that_cannot_be_made_leaves_nothing_behind() {
    let refused = FileKeyring::create(Path::new("/nonexistent/keyring.toml")).err().unwrap();
    assert!(matches!(refused, KeyringError::Create { .. }), "{refused}");
    assert!(matches!(
        FileKeyring::read(Path::new("/nonexistent/keyring.toml")),
        Err(KeyringError::Missing { .. })
    ));
}
