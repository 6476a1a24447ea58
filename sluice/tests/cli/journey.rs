//! From nothing to a mirrored drive, as a person does it, and the same for programs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::Stdio,
};

use serde_json::Value;
use simulator::{DriveSpec, FIRST_USER, PUBLIC_CLIENT_ID};

use crate::world::{Up, world};

const MAIL: &str = "tenants/acme/connections/mail";
const DOCS: &str = "tenants/acme/sources/docs";

fn files_below(folder: &Path) -> usize {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| if entry.file_type().unwrap().is_dir() { files_below(&entry.path()) } else { 1 })
        .sum()
}

fn strings<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_adds_a_source_and_syncs() {
    let (simulator, folder) = world().await;
    simulator.create_drive(&DriveSpec { seed: 7, files: 30, folders: 4, ..DriveSpec::default() }).unwrap();
    let up = Up::start(&simulator, &folder.path().join("data"));

    // Signs in with the code that the terminal shows.
    let mut child = up.command(&["connect", MAIL]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut prompt = String::new();
    while !prompt.contains("Waiting for the sign-in") {
        assert_ne!(stderr.read_line(&mut prompt).unwrap(), 0, "{prompt}");
    }
    let pending = simulator.pending_device_codes();
    let [code] = pending.as_slice() else { panic!("{} codes are pending", pending.len()) };
    assert!(prompt.contains(&code.user_code), "{prompt}");
    simulator.approve(&code.user_code).unwrap();
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(shown.contains("active") && shown.contains(FIRST_USER), "{shown}");

    let connections = up.call(&["connections"]);
    assert!(connections.stdout.contains(MAIL) && connections.stdout.contains("active"), "{connections:?}");

    // Adds a source with a relative folder, which becomes absolute here.
    let mut add =
        up.command(&["source", "add", DOCS, "--connection", MAIL, "--drive", "me/drive", "--to", "mirror"]);
    assert!(add.current_dir(folder.path()).status().unwrap().success());
    let mirror = folder.path().join("mirror");
    let sources = up.call(&["source", "list", "--json"]).json();
    assert_eq!(strings(&sources["sources"], "local_folder"), [mirror.to_str().unwrap()]);

    let synced = up.call(&["sync", DOCS]);
    assert_eq!(synced.code, 0, "{synced:?}");
    assert!(synced.stdout.contains("succeeded"), "{synced:?}");
    assert!(synced.stderr.contains("listing: ") || synced.stderr.contains("transferring: "), "{synced:?}");
    assert!(files_below(&mirror) >= 30);

    let runs = up.call(&["runs", DOCS, "--json"]).json();
    assert!(strings(&runs["runs"], "state").contains(&"SUCCEEDED"), "{runs}");
    let newest = strings(&runs["runs"], "name")[0].to_owned();
    let shown = up.call(&["runs", "show", &newest]);
    assert!(shown.stdout.contains("Graph requests"), "{shown:?}");

    let status = up.call(&["status", "--json"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert_eq!(status.json()["connections"]["ACTIVE"], 1);

    assert_eq!(up.call(&["source", "remove", DOCS]).code, 0);
    assert_eq!(up.call(&["connections", "remove", MAIL]).code, 0);
    assert!(files_below(&mirror) >= 30, "removing a source touched its files");
    let empty = up.call(&["connections", "--json"]);
    assert_eq!((empty.json(), empty.stderr.as_str()), (serde_json::json!({"connections": []}), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_taken_over_from_stdin_and_not_shown() {
    let (simulator, folder) = world().await;
    let up = Up::start(&simulator, &folder.path().join("data"));
    let token =
        simulator.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER).unwrap();
    let mut child = up
        .command(&["connect", MAIL, "--import", "-", "--scope", "Files.Read.All", "--json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{stderr}");
    let connection: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((connection["name"].as_str(), connection["state"].as_str()), (Some(MAIL), Some("ACTIVE")));
    assert!(!format!("{stdout}{stderr}").contains(&token));

    let again = up.call(&["connections", "--tenant", "other", "--json"]);
    assert_eq!(again.json(), serde_json::json!({"connections": []}));
    let (_, log) = up.terminate().await;
    assert!(!log.contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_sign_in_needs_a_person() {
    let (simulator, folder) = world().await;
    let up = Up::start(&simulator, &folder.path().join("data"));
    let mut child = up.command(&["connect", MAIL, "--json"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("Waiting for the sign-in") {
        assert_ne!(stderr.read_line(&mut text).unwrap(), 0, "{text}");
    }
    for code in simulator.pending_device_codes() {
        simulator.decline(&code.user_code).unwrap();
    }
    stderr.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(77), "{text}");
    assert!(text.contains("the sign-in was declined"), "{text}");
}
