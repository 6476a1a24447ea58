//! Bad input is answered with one line that says what, where and what to do, an exit code, and nothing half done.

use std::{fs, net::TcpListener};

use crate::world::{Up, call, up, world};

/// A port where nothing listens: it was free a moment ago.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_wrong_command_line_is_usage() {
    for (arguments, expected) in [
        (["frobnicate"].as_slice(), "frobnicate"),
        (&["sync"], "<NAME>"),
        (&["sync", "docs"], "tenants/{tenant}/sources/{source}"),
        (&["sync", "tenants/Acme/sources/docs"], "contains 'A'"),
        (&["connect", "tenants/acme/connections/-mail"], "begins with \"-\""),
        (&["connections", "--state", "sleepy"], "needs-reauth"),
        (&["connections", "--tenant", "a b"], "contains ' '"),
        (&["runs", "show", "tenants/acme/sources/docs"], "runs/{run}"),
        (&["runs", "--limit", "0"], "--limit"),
        (&["runs", "approve", "tenants/a/sources/b/runs/c", "--max-deletions", "0"], "--max-deletions"),
        (&["status", "--token-service", "127.0.0.1:7401"], "http://127.0.0.1:7401"),
        (&["status", "--sync-service", "https://example.test:7402"], "TLS"),
        (&["completions", "tcsh"], "bash"),
        (&["up", "--client-id", "x"], "--data-dir"),
    ] {
        let ended = call(arguments);
        assert_eq!(ended.code, 64, "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_service_that_is_not_there_is_named_with_what_to_do() {
    let nobody = nobody();
    for (arguments, flag) in [
        (["connections"].as_slice(), "--token-service"),
        (&["connect", "tenants/acme/connections/mail"], "--token-service"),
        (&["source", "list"], "--sync-service"),
        (&["sync", "tenants/acme/sources/docs"], "--sync-service"),
        (&["runs"], "--sync-service"),
    ] {
        let ended = call(&[arguments, &["--token-service", &nobody, "--sync-service", &nobody]].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (69, ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(
            ended.stderr.starts_with("sluice: the ") && ended.stderr.contains(&nobody),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("start it with `sluice up`") && ended.stderr.contains(flag));
    }
    let status = call(&["status", "--json", "--token-service", &nobody, "--sync-service", &nobody]);
    assert_eq!(status.code, 69);
    assert_eq!(status.json()["services"][0]["up"], false);
    assert_eq!(status.json()["connections"], serde_json::Value::Null);
}

#[test]
fn a_refresh_token_is_not_sent_over_a_network_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary-refresh-token").unwrap();
    let file = file.to_str().unwrap();
    let ended = call(&[
        "connect",
        "tenants/acme/connections/mail",
        "--import",
        file,
        "--token-service",
        "http://192.0.2.1:7401",
    ]);
    assert_eq!(ended.code, 78);
    assert!(ended.stderr.contains("in clear") && !ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_services_refuse_is_one_line() {
    let (simulator, folder) = world().await;
    let up = Up::start(&simulator, &folder.path().join("data"));
    let token = folder.path().join("token");
    fs::write(&token, "canary-not-a-token").unwrap();
    let token = token.to_str().unwrap();
    let mail = "tenants/acme/connections/mail";
    let wrong_source = [
        "source",
        "add",
        "tenants/acme/sources/docs",
        "--connection",
        "tenants/other/connections/mail",
        "--drive",
        "everything",
        "--to",
        "mirror",
        "--interval",
        "1s",
    ];
    for (arguments, code, expected) in [
        (["connections", "show", mail].as_slice(), 1, "`sluice connections` lists what there is"),
        (&["connections", "remove", mail], 1, "cannot remove tenants/acme/connections/mail"),
        (&["sync", "tenants/acme/sources/docs"], 1, "`sluice source list` lists what there is"),
        (&["source", "remove", "tenants/acme/sources/docs"], 1, "cannot remove tenants/acme/sources/docs"),
        (&["runs", "show", "tenants/acme/sources/docs/runs/r"], 1, "`sluice runs` lists what there is"),
        (&["connect", mail, "--import", token], 64, "cannot import tenants/acme/connections/mail"),
        (&["connect", mail, "--import", "/nonexistent"], 74, "/nonexistent"),
        (&wrong_source, 64, "source.drive: "),
    ] {
        let ended = up.call(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("canary"));
    }
    let all = up.call(&wrong_source);
    for field in ["source.connection: ", "source.drive: ", "source.interval: "] {
        assert!(all.stderr.contains(field), "{}", all.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_told_from_a_fault_of_the_service() {
    let (simulator, folder) = world().await;
    let up = Up::start(&simulator, &folder.path().join("data"));
    // The other service, and something that speaks no gRPC.
    for (address, expected) in [
        (up.sync_service.as_str(), "what answers there does not know this call"),
        (&simulator.control(), "the answer cannot be read"),
    ] {
        let ended = call(&["connections", "--token-service", address]);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(
            ended.stderr.contains(expected) && ended.stderr.contains("--token-service"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_refuses_before_it_makes_anything() {
    let (simulator, folder) = world().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = folder.path().join("data");
    for (extra, code, expected) in [
        (["--listen-sync", taken.as_str()], 69, "the port is in use"),
        (["--listen-token", "0.0.0.0:7401"], 78, "only loopback addresses"),
        (["--client-secret-file", "/nonexistent"], 78, "/nonexistent"),
        (["--graph", "http://graph.example.test"], 78, "https"),
        (["--log", "a=b=c"], 64, "log filter"),
    ] {
        let output = up(&simulator, &data).args(extra).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{extra:?}: {stderr}");
        assert!(stderr.contains(expected), "{extra:?}: {stderr}");
        assert!(!data.exists(), "{extra:?} left something behind");
    }
    let output = up(&simulator, &file.join("below")).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot use --data-dir"));
}
