//! `sluice up` as a process: what it leaves on disk, and how it ends.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use simulator::{FIRST_USER, PUBLIC_CLIENT_ID};

use crate::world::{LIMIT, Up, up, world};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_on_disk_is_for_its_owner_alone() {
    let (simulator, folder) = world().await;
    let data = folder.path().join("nested/data");
    let _up = Up::start(&simulator, &data);
    assert_eq!(mode(&data), 0o700);
    for file in ["token.db", "sync.db", "keyring.toml", "lock"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_in_good_order_and_it_starts_again() {
    let (simulator, folder) = world().await;
    let data = folder.path().join("data");
    let keyring = data.join("keyring.toml");

    let first = Up::start(&simulator, &data);
    assert_eq!(first.call(&["status"]).code, 0);
    let made = fs::read(&keyring).unwrap();
    let (code, log) = first.terminate().await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("the workers have stopped") && log.contains("the services have stopped"), "{log}");

    let second = Up::start(&simulator, &data);
    assert_eq!(second.call(&["status"]).code, 0);
    assert_eq!(fs::read(&keyring).unwrap(), made, "the keyring was made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_on_the_same_folder_is_refused() {
    let (simulator, folder) = world().await;
    let data = folder.path().join("data");
    let _first = Up::start(&simulator, &data);
    let second = up(&simulator, &data).output().unwrap();
    assert_eq!(second.status.code(), Some(78));
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert!(stderr.contains("another `sluice up` uses") && stderr.lines().count() == 1, "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_endpoints_are_told_and_what_they_did_not_take_is_listed() {
    let (simulator, folder) = world().await;
    let (data, file) = (folder.path().join("data"), folder.path().join("webhooks.toml"));
    fs::write(folder.path().join("hook.secret"), "whsec_c2x1aWNlLXdlYmhvb2stdGVzdC1zZWNyZXQh\n").unwrap();
    let endpoint = "[[endpoints]]\nid = \"hook\"\nurl = \"http://127.0.0.1:9/nobody-listens\"\nsecret_file = \"hook.secret\"\n";
    fs::write(&file, endpoint).unwrap();
    let mut command = up(&simulator, &data);
    command.args(["--webhooks", file.to_str().unwrap()]);
    let up = Up::running(command);
    let told = up.call(&["webhooks", "--json"]);
    assert_eq!((told.code, told.json()["deliveries"].as_array().unwrap().len()), (0, 0));

    let waited = tokio::time::timeout(LIMIT, async {
        // An endpoint is told from the moment it is known, which is shortly after the start.
        for number in 0.. {
            let token = simulator
                .issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER)
                .unwrap();
            let token_file = folder.path().join("token");
            fs::write(&token_file, token).unwrap();
            let name = format!("tenants/acme/connections/c{number}");
            let import = token_file.to_str().unwrap();
            let made = up.call(&["connect", &name, "--import", import, "--scope", "Files.Read.All"]);
            assert_eq!(made.code, 0, "{made:?}");
            let listed = up.call(&["webhooks", "--state", "pending", "--json"]).json();
            if let Some(delivery) = listed["deliveries"].as_array().unwrap().first() {
                assert_eq!(
                    (&delivery["endpoint"], &delivery["event_type"]),
                    (&"hook".into(), &"connection.active".into())
                );
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("nothing is listed");
}
