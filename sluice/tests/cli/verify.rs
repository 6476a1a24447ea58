//! A mirror is verified, and the exit code tells.

use std::fs;

use simulator::DriveSpec;

use crate::{
    plan::{DOCS, MAIL, connect},
    world::{Up, world},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_is_not_as_it_was_put_there() {
    let (simulator, folder) = world().await;
    let spec = DriveSpec { files: 5, folders: 0, max_file_bytes: 10, ..DriveSpec::default() };
    let drive = simulator.create_drive(&spec).unwrap();
    let up = Up::start(&simulator, &folder.path().join("data"));
    connect(&simulator, &up);
    let mirror = folder.path().join("mirror");
    let to = mirror.to_str().unwrap();
    let added = up.call(&["source", "add", DOCS, "--connection", MAIL, "--drive", "me/drive", "--to", to]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(up.call(&["sync", DOCS]).code, 0);

    fs::write(mirror.join("mine"), "mine").unwrap();
    let sound = up.call(&["verify", DOCS]);
    assert_eq!(sound.code, 0, "what is not the drive's is no fault: {sound:?}");
    assert!(sound.stdout.contains("verification: nothing is changed"), "{sound:?}");
    assert!(sound.stdout.contains("5 of 5 files"), "{sound:?}");
    assert!(
        sound.stdout.lines().any(|line| line.starts_with("extra ") && line.ends_with(" mine")),
        "{sound:?}"
    );

    let gone = drive.walk().into_iter().next().unwrap().path.join("/");
    fs::remove_file(mirror.join(&gone)).unwrap();
    let drifted = up.call(&["verify", DOCS, "--json"]);
    assert_eq!(drifted.code, 65, "{drifted:?}");
    let found = drifted.json();
    assert_eq!(
        (found["run"]["kind"].as_str(), found["run"]["state"].as_str()),
        (Some("VERIFY"), Some("SUCCEEDED"))
    );
    assert_eq!(found["run"]["verification"]["files"], 5);
    let missing =
        found["findings"].as_array().unwrap().iter().find(|found| found["kind"] == "MISSING").unwrap();
    assert_eq!(missing["path"].as_str(), Some(gone.as_str()));

    let healed = up.call(&["verify", DOCS, "--heal"]);
    assert_eq!(healed.code, 0, "{healed:?}");
    assert!(healed.stdout.contains("healing") && healed.stdout.contains("1 file, "), "{healed:?}");
    assert!(mirror.join(&gone).exists() && mirror.join("mine").exists());

    let asked = up.call(&["verify", DOCS, "--no-watch", "--json"]);
    assert_eq!((asked.code, asked.json()["kind"].as_str()), (0, Some("VERIFY")));
}
