//! The benchmarks as a user starts them.

use std::process::Command;

use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice-bench"))
        .args(["--json", "--allow-dev-build"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(report: &Value, name: &str) -> f64 {
    let figures = report["figures"].as_array().unwrap();
    let figure = figures.iter().find(|figure| figure["name"] == name);
    figure.and_then(|figure| figure["value"].as_f64()).unwrap_or_else(|| panic!("no {name:?} in {report:#}"))
}

#[test]
fn cached_token_measures_both_sides() {
    let report = bench(&["cached-token", "--accounts", "3", "--rounds", "2", "--seconds", "0.2"]);
    assert!(figure(&report, "bare tonic") > 0.0 && figure(&report, "sluice") > 0.0);
}

#[test]
fn held_connections_asks_for_each_and_no_provider_is_needed() {
    let report = bench(&["held-connections", "--connections", "20"]);
    assert!(figure(&report, "process with all in memory") > 0.0);
    assert!(figure(&report, "requests to the provider meanwhile").abs() < 0.5);
}

#[test]
fn refresh_ahead_refreshes_all() {
    let report = bench(&["refresh-ahead", "--connections", "8", "--latency", "0", "--within", "120"]);
    assert!(figure(&report, "refreshed ahead") >= 8.0);
    assert!(figure(&report, "calls that waited for a refresh").abs() < 0.5);
}

#[test]
fn list_items_lists_all_and_then_asks_once() {
    let report = bench(&["list-items", "--items", "400"]);
    assert!(figure(&report, "items listed") >= 400.0);
    assert!(figure(&report, "worker at most") > 0.0 && figure(&report, "sync-service at most") > 0.0);
    assert!((figure(&report, "nothing to do: requests") - 1.0).abs() < 0.5);
}

#[test]
fn first_mirror_transfers_each_file_and_a_renamed_folder_none() {
    let report = bench(&["first-mirror", "--files", "200", "--latency", "0"]);
    assert!((figure(&report, "files mirrored") - 200.0).abs() < 0.5);
    assert!((1.0..1.05).contains(&figure(&report, "requests per file")));
    assert!((figure(&report, "renamed: items moved") - 1.0).abs() < 0.5);
    assert!(figure(&report, "renamed: files transferred").abs() < 0.5);
}

#[cfg(debug_assertions)]
#[test]
fn a_development_build_is_not_measured_unless_asked_to() {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice-bench"))
        .args(["held-connections", "--connections", "1"])
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-dev-build"));
}
