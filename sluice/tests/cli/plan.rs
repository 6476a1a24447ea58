//! What would be done is shown, and not done.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::Value;
use simulator::{Change, DriveSpec, FIRST_USER, PUBLIC_CLIENT_ID, Simulator};

use crate::world::{Up, world};

pub(crate) const MAIL: &str = "tenants/acme/connections/mail";
pub(crate) const DOCS: &str = "tenants/acme/sources/docs";

/// Connects the first user's account.
pub(crate) fn connect(simulator: &Simulator, up: &Up) {
    let scopes = "Files.Read.All offline_access";
    let token = simulator.issue_refresh_token(PUBLIC_CLIENT_ID, scopes, FIRST_USER).unwrap();
    let mut command = up.command(&["connect", MAIL, "--import", "-", "--scope", "Files.Read.All"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_a_plan_before_anything_is_done() {
    let (simulator, folder) = world().await;
    let spec = DriveSpec { files: 5, folders: 0, max_file_bytes: 10, ..DriveSpec::default() };
    let drive = simulator.create_drive(&spec).unwrap();
    drive.apply(&Change::CreateFile { parent: "/".into(), name: "big.bin".into(), size: 2048 }).unwrap();
    let up = Up::start(&simulator, &folder.path().join("data"));
    connect(&simulator, &up);
    let mirror = folder.path().join("mirror");
    let to = mirror.to_str().unwrap();
    let added = up.call(&[
        "source",
        "add",
        DOCS,
        "--connection",
        MAIL,
        "--drive",
        "me/drive",
        "--to",
        to,
        "--suspend",
    ]);
    assert_eq!(added.code, 0, "{added:?}");

    let shown = up.call(&["sync", DOCS, "--plan"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("plan: nothing is changed"), "{shown:?}");
    assert!(shown.stdout.contains("6 items, 2."), "{shown:?}");
    assert!(shown.stdout.lines().any(|line| line == "transfer        2.00 KiB  big.bin"), "{shown:?}");
    assert!(!mirror.exists());

    let plan = up.call(&["sync", DOCS, "--plan", "--json"]).json();
    assert_eq!(
        (plan["run"]["kind"].as_str(), plan["run"]["state"].as_str()),
        (Some("PLAN"), Some("SUCCEEDED"))
    );
    let findings = plan["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 6);
    assert!(findings.iter().any(|found| found["path"] == "big.bin" && found["size"] == 2048), "{plan}");
    assert_eq!(plan["run"]["finding_counts"][0]["items"], 6);
    let again = up.call(&["runs", "findings", plan["run"]["name"].as_str().unwrap(), "--json"]).json();
    assert_eq!(again, plan);

    assert_eq!(up.call(&["source", "update", DOCS, "--resume"]).code, 0);
    assert_eq!(up.call(&["sync", DOCS]).code, 0);
    let nothing = up.call(&["sync", DOCS, "--plan", "--json"]).json();
    assert_eq!(nothing["findings"], Value::Array(Vec::new()));

    // All gone but one: that waits for somebody, and so says the plan.
    for entry in drive.walk().into_iter().filter(|entry| entry.path != ["big.bin"]) {
        drive.apply(&Change::Delete { item: entry.id }).unwrap();
    }
    drive.apply(&Change::Delete { item: "/big.bin".into() }).unwrap();
    let held = up.call(&["sync", DOCS, "--plan"]);
    assert_eq!(held.code, 77, "{held:?}");
    assert!(held.stdout.contains("big.bin  (deletion held: "), "{held:?}");
    assert_eq!(fs::read_dir(&mirror).unwrap().count(), 7, "and Sluice's own folder");
}
