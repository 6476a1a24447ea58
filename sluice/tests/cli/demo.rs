//! The demo, for somebody who keeps it and stops it.

use std::{
    io::{BufRead as _, BufReader},
    process::Command,
};

use serde_json::Value;

use crate::world::{LIMIT, sluice};

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_kept_ends_well_when_it_is_told_to() {
    let mut child = sluice().args(["demo", "--keep", "--files", "100", "--json"]).spawn().unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("ctrl-c ends it")), "the demo ended by itself");
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let log: Vec<String> = lines.collect();
        (child.wait_with_output().unwrap(), log)
    });
    let (output, log) = tokio::time::timeout(LIMIT, ended).await.expect("the demo did not end").unwrap();
    assert_eq!(output.status.code(), Some(0), "{log:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["equal"], true);
}
