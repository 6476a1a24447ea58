//! The control interface does over HTTP what the library does in process.

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{FIRST_USER, PUBLIC_CLIENT_ID};

use crate::bench::{Answer, Bench, plain};

async fn call(bench: &Bench, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = bench.http.request(method, format!("{}/control/{path}", bench.sim.control()));
    bench
        .send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
}

#[tokio::test]
async fn drives_are_created_listed_changed_and_looked_at() {
    let bench = Bench::new().await;
    let spec = json!({"seed": 3, "kind": "business", "files": 10, "folders": 2, "max_file_bytes": 100,
                      "big_files": [5000], "names": "varied"});
    let made = call(&bench, Method::POST, "drives", Some(spec)).await;
    assert_eq!((made.status, &made.body["items"]), (200, &json!(13)));
    let id = made.text("/id").to_owned();
    let changes = json!({"changes": [
        {"op": "mkdir", "parent": "/", "name": "n"},
        {"op": "create_file", "parent": "/n", "name": "x", "size": 7},
        {"op": "create_file", "parent": "/n", "name": "y", "size": 8},
        {"op": "swap_names", "left": "/n/x", "right": "/n/y"},
        {"op": "edit", "item": "/n/x", "size": 9},
        {"op": "rename", "item": "/n/y", "name": "z"},
        {"op": "move", "item": "/n/z", "parent": "/"},
        {"op": "delete", "item": "/n/x"}],
        "random": {"seed": 5, "count": 3}});
    let made = call(&bench, Method::POST, &format!("drives/{id}/changes"), Some(changes)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["items"].as_array().unwrap().len(), 8);
    assert_eq!(made.body["random"].as_array().unwrap().len(), 3);
    let entries = call(&bench, Method::GET, &format!("drives/{id}/entries"), None).await;
    let listed = call(&bench, Method::GET, "drives", None).await;
    let count = entries.body["entries"].as_array().unwrap().len();
    assert_eq!(listed.body["drives"][0]["items"], json!(count));
    assert_eq!(bench.sim.drive(&id).unwrap().walk().len(), count);
}

#[tokio::test]
async fn faults_switches_counters_and_the_clock() {
    let bench = Bench::new().await;
    let fault = json!({"fault": "status", "status": 429, "on": "delta", "times": 2,
                       "retry_after": {"seconds": 3}});
    let set = call(&bench, Method::POST, "faults", Some(fault)).await;
    let listed = call(&bench, Method::GET, "faults", None).await;
    assert_eq!(listed.body["faults"][0]["fault"]["retry_after"], json!({"seconds": 3}));
    let one = format!("faults/{}", set.body["id"]);
    assert_eq!(call(&bench, Method::DELETE, &one, None).await.status, 200);
    assert_eq!(call(&bench, Method::DELETE, &one, None).await.status, 404);
    let switched = json!({"tokens": {"rotation": "strict"}, "delta": {"tombstone_page_size": 7}});
    let switched = call(&bench, Method::PUT, "switches", Some(switched)).await;
    assert_eq!(switched.body["tokens"]["access_seconds"], 3_599);
    assert_eq!(bench.sim.switches().delta.tombstone_page_size, Some(7));
    bench.token().await;
    let counted = call(&bench, Method::POST, "counters/reset", None).await;
    assert_eq!(counted.body["refreshes"], 1);
    assert_eq!(call(&bench, Method::GET, "counters", None).await.body["refreshes"], 0);
    let advanced = call(&bench, Method::POST, "clock/advance", Some(json!({"seconds": 60}))).await;
    assert_eq!(advanced.status, 200);
}

#[tokio::test]
async fn every_fault_is_set_by_its_name() {
    let bench = Bench::new().await;
    let plain = [
        "truncated_body",
        "conn_reset",
        "range_ignored",
        "missing_hash",
        "wrong_hash",
        "wrong_listed_size",
        "download_url_first_401",
        "cae_401",
        "token_early_expiry",
        "empty_page_with_nextlink",
        "nextlink_loop",
        "lost_tombstone",
        "transient_404",
        "resync_410",
    ];
    let mut faults: Vec<Value> = plain.iter().map(|name| json!({"fault": name})).collect();
    faults.push(json!({"fault": "header_stall", "milliseconds": 5}));
    faults.push(json!({"fault": "oauth", "status": 400, "error": "invalid_grant", "aadsts": 70_008}));
    faults.push(
        json!({"fault": "resync_410", "inner": "none", "location": "broken", "body": "text", "times": 1}),
    );
    faults.push(json!({"fault": "status", "status": 503, "body": "html", "retry_after": {"http_date": 9}}));
    for fault in faults {
        let answer = call(&bench, Method::POST, "faults", Some(fault.clone())).await;
        assert_eq!(answer.status, 200, "{fault}: {}", answer.body);
    }
}

#[tokio::test]
async fn people_and_their_tokens() {
    let bench = Bench::new().await;
    let issued = json!({"client_id": PUBLIC_CLIENT_ID, "scope": "Files.Read", "user": FIRST_USER});
    let issued = call(&bench, Method::POST, "refresh-tokens", Some(issued)).await;
    let refresh = issued.text("/refresh_token").to_owned();
    assert_eq!(bench.refresh(&refresh).await.status, 200);
    let revoked = json!({"user": FIRST_USER, "aadsts": 70_043});
    assert_eq!(call(&bench, Method::POST, "users/revoke", Some(revoked)).await.status, 200);
    assert_eq!(bench.refresh(&refresh).await.body["error_codes"][0], 70_043);
    let fields = [("client_id", PUBLIC_CLIENT_ID), ("scope", "Files.Read")];
    bench.form("common/oauth2/v2.0/devicecode", &fields).await;
    let pending = call(&bench, Method::GET, "device-codes", None).await;
    let code = json!({"user_code": pending.text("/pending/0/user_code")});
    assert_eq!(call(&bench, Method::POST, "device-codes/decline", Some(code.clone())).await.status, 200);
    assert_eq!(call(&bench, Method::POST, "device-codes/approve", Some(code)).await.status, 400);
    bench.sim.create_drive(&plain(1, 0)).unwrap();
    bench.get("sim-at-x", "me/drive").await;
    assert_eq!(call(&bench, Method::GET, "violations", None).await.body["violations"], json!([]));
}

#[tokio::test]
async fn mistakes_are_named() {
    let bench = Bench::new().await;
    for (path, body, part) in [
        ("drives", json!({"fils": 3}), "fils"),
        ("drives", json!({"files": 6_000_000}), "5000000"),
        ("drives", json!({"owner": "nobody"}), "nobody"),
        ("faults", json!({"fault": "earthquake"}), "earthquake"),
        ("faults", json!({"fault": "range_ignored", "tmes": 2}), "tmes"),
        ("device-codes/approve", json!({"user_code": "AAAA-BBBB"}), "AAAA-BBBB"),
    ] {
        let answer = call(&bench, Method::POST, path, Some(body)).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text("/error").contains(part), "{}", answer.body);
    }
    assert_eq!(call(&bench, Method::GET, "nonsense", None).await.status, 404);
}

#[tokio::test]
async fn the_control_interface_is_on_no_other_listener() {
    let bench = Bench::new().await;
    for base in [bench.sim.authority(), bench.sim.graph()] {
        let answer = bench.send(bench.http.get(format!("{base}/control/drives"))).await;
        assert!(answer.status >= 400, "{base}");
    }
}
