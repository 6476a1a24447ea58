//! The OpenAPI file of the control interface says what the control interface does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{
    BodyForm, Change, Endpoint, Fault, FaultKind, PUBLIC_CLIENT_ID, ResetMoment, ResyncBody, ResyncInner,
    ResyncLocation, RetryAfter, Switches,
};

use crate::bench::{Bench, plain};
use crate::json_schema::misfits;
use crate::subscriptions::Receiver;

const SOURCE: &str = include_str!("../../src/control.rs");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).unwrap()
}

/// Method and path of every operation of the document.
fn documented() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
    });
    operations.collect()
}

/// Method and path of every route in the source.
fn routed() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for route in SOURCE.split(".route(").skip(1) {
        let route = route.split(".fallback").next().unwrap();
        let path = route.split('"').nth(1).unwrap();
        for method in METHODS {
            if route.contains(&format!("{method}(")) {
                found.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_route_is_in_the_document_and_nothing_else_is() {
    assert!(routed().len() > 15, "the routes are looked for in the wrong way");
    assert_eq!(routed(), documented());
}

#[tokio::test]
async fn every_documented_operation_is_served() {
    let bench = Bench::new().await;
    for (method, path) in documented() {
        let address = format!("{}{}", bench.sim.control(), path.replace("{id}", "7"));
        let request =
            bench.http.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), address);
        let answer = bench.send(request).await;
        assert_ne!(answer.status, 405, "{method} {path}");
        assert!(!answer.body.to_string().contains("no such control address"), "{method} {path}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let bench = Bench::new().await;
    let address = format!("{}/control/openapi.json", bench.sim.control());
    let answer = bench.send(bench.http.get(address)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body, document());
}

#[test]
fn it_names_every_group_of_switches() {
    let switches = serde_json::to_value(Switches::default()).unwrap();
    let names: BTreeSet<_> = switches.as_object().unwrap().keys().cloned().collect();
    let document = document();
    let properties = document["components"]["schemas"]["Switches"]["properties"].as_object().unwrap();
    assert_eq!(names, properties.keys().cloned().collect());
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

/// The schema of a request or of an answer of an operation.
fn schema<'a>(document: &'a Value, operation: &'a Value, status: Option<u16>) -> Option<&'a Value> {
    let part = match status {
        None => operation.get("requestBody")?,
        Some(status) => operation["responses"].get(status.to_string())?,
    };
    let part = match part.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#'))?,
        None => part,
    };
    part.pointer("/content/application~1json/schema")
}

#[test]
fn the_document_is_openapi_3_1() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path} {method}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path} {method}");
            assert!(operation["summary"].is_string(), "{path} {method}");
            let named = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
            for name in named {
                let parameters = operation["parameters"].as_array().unwrap().iter();
                let mut fitting = parameters
                    .filter(|one| one["name"] == name && one["in"] == "path" && one["required"] == true);
                assert!(fitting.next().is_some(), "{path} {method} {name}");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(status.parse::<u16>().is_ok());
                assert!(response.get("$ref").is_some() || response["description"].is_string());
            }
            assert!(schema(&document, operation, Some(200)).is_some(), "{path} {method}");
        }
    }
}

#[test]
fn every_switch_change_and_fault_fits_its_schema() {
    let document = document();
    let fits = |name: &str, value: Value| {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(misfits(&document, schema, &value), Vec::<String>::new(), "{value}");
    };
    let full = |name: &str, value: &Value| {
        let known = document["components"]["schemas"][name]["properties"].as_object().unwrap();
        assert!(known.keys().eq(value.as_object().unwrap().keys()), "{name}");
    };
    let mut switches = Switches::default();
    switches.network.bytes_per_second = Some([1, 2]);
    let value = serde_json::to_value(&switches).unwrap();
    for (name, group) in [
        ("TokenSwitches", "tokens"),
        ("DeviceSwitches", "device"),
        ("SignInSwitches", "sign_in"),
        ("DeltaSwitches", "delta"),
        ("GraphSwitches", "graph"),
        ("UploadSwitches", "uploads"),
        ("LimitSwitches", "limits"),
        ("SubscriptionSwitches", "subscriptions"),
        ("NetworkSwitches", "network"),
    ] {
        full(name, &value[group]);
    }
    full("Switches", &value);
    fits("Switches", value);
    fits("Switches", serde_json::to_value(Switches::default()).unwrap());
    let mut ops = BTreeSet::new();
    for change in changes() {
        let value = serde_json::to_value(&change).unwrap();
        ops.insert(value["op"].as_str().unwrap().to_owned());
        fits("Change", value);
    }
    assert_eq!(ops, branches(&document, "Change", "op"));
    let mut kinds = BTreeSet::new();
    for kind in faults() {
        let value = serde_json::to_value(Fault::new(kind)).unwrap();
        kinds.insert(value["fault"].as_str().unwrap().to_owned());
        fits("Fault", value);
    }
    assert_eq!(kinds, branches(&document, "Fault", "fault"));
}

/// The words by which the branches of a schema are told apart.
fn branches(document: &Value, name: &str, word: &str) -> BTreeSet<String> {
    let branches = document["components"]["schemas"][name]["oneOf"].as_array().unwrap().iter();
    branches.map(|branch| branch["properties"][word]["const"].as_str().unwrap().to_owned()).collect()
}

fn changes() -> Vec<Change> {
    let text = || "/a".to_owned();
    vec![
        Change::CreateFile { parent: text(), name: text(), size: 1 },
        Change::Mkdir { parent: text(), name: text() },
        Change::Edit { item: text(), size: None },
        Change::Edit { item: text(), size: Some(1) },
        Change::Rename { item: text(), name: text() },
        Change::Move { item: text(), parent: text(), name: None },
        Change::Move { item: text(), parent: text(), name: Some(text()) },
        Change::Delete { item: text() },
        Change::SwapNames { left: text(), right: text() },
        Change::Package { parent: text(), name: text(), kind: text() },
        Change::Shortcut { parent: text(), name: text(), drive: text(), target: text() },
        Change::Vault { name: text() },
        Change::LockVault { item: text(), locked: true },
        Change::Infect { item: text() },
        Change::Share { item: text() },
    ]
}

fn faults() -> Vec<FaultKind> {
    let retry_after = Some(RetryAfter::HttpDate(1));
    let text = || Some("text".to_owned());
    let entra = Fault::entra("AADSTS53003").unwrap().kind;
    let status = |code, inner, retry_after| FaultKind::Status {
        status: 503,
        code,
        inner,
        body: BodyForm::Html,
        retry_after,
    };
    vec![
        status(None, None, None),
        status(text(), text(), retry_after),
        FaultKind::Oauth {
            status: 400,
            error: "invalid_grant".to_owned(),
            aadsts: 70_000,
            suberror: text(),
            claims: None,
            retry_after: Some(RetryAfter::Seconds(1)),
        },
        entra,
        FaultKind::Resync {
            inner: ResyncInner::Upload,
            location: ResyncLocation::Broken,
            body: ResyncBody::Text,
        },
        FaultKind::TruncatedBody,
        FaultKind::ConnReset { moment: ResetMoment::After },
        FaultKind::HeaderStall { milliseconds: 1 },
        FaultKind::RangeIgnored,
        FaultKind::ErrorFile,
        FaultKind::MissingHash,
        FaultKind::WrongHash,
        FaultKind::WrongListedSize,
        FaultKind::DownloadUrlFirst401,
        FaultKind::Cae401,
        FaultKind::TokenEarlyExpiry,
        FaultKind::EmptyPageWithNextlink,
        FaultKind::NextlinkLoop,
        FaultKind::LostTombstone,
        FaultKind::InvalidTimestamps,
        FaultKind::Locked,
        FaultKind::SiteLocked,
        FaultKind::UploadFinal409,
        FaultKind::NotificationMissing,
        FaultKind::Transient404,
    ]
}

/// Every operation once, with the example of the document for a body where that can be carried out as it is.
#[tokio::test]
async fn real_answers_fit_their_schemas() {
    let (bench, drive, token) = Bench::with_drive(&plain(3, 1)).await;
    let id = drive.apply(&Change::CreateFile { parent: "/".into(), name: "x".into(), size: 1 }).unwrap();
    bench.get(&token, &format!("me/drive/items/{id}")).await;
    let receiver = Receiver::default();
    let hook = receiver.listen().await;
    let resource = format!("drives/{}/root", drive.id());
    let body = json!({"changeType": "updated", "notificationUrl": hook, "lifecycleNotificationUrl": hook,
        "resource": resource, "expirationDateTime": "2027-01-16T08:00:00Z", "clientState": "state"});
    let subscribed = bench.call("POST", &token, "subscriptions", &body).await;
    assert_eq!(subscribed.status, 201, "{}", subscribed.body);
    let fault = bench.sim.faults().add(Fault::throttle(Endpoint::Delta, 1, None));
    let mut codes = Vec::new();
    for _ in 0..3 {
        let fields = [("client_id", PUBLIC_CLIENT_ID), ("scope", "Files.Read")];
        codes.push(bench.form("common/oauth2/v2.0/devicecode", &fields).await.text("/user_code").to_owned());
    }
    let document = document();
    for (method, path) in documented() {
        let operation = &document["paths"][&path][&method];
        let wanted = match path.as_str() {
            "/control/faults/{id}" => fault.to_string(),
            path if path.starts_with("/control/subscriptions") => subscribed.text("/id").to_owned(),
            _ => drive.id().to_owned(),
        };
        let mut body = operation.pointer("/requestBody/content/application~1json/example").cloned();
        if let (true, Some(body)) = (path.starts_with("/control/device-codes/"), &mut body) {
            body["user_code"] = codes.pop().unwrap().into();
        }
        if path == "/control/clock/advance" {
            // An hour would end what the operations after it need.
            body = Some(json!({"seconds": 1}));
        }
        if let Some(body) = &body {
            let schema = schema(&document, operation, None).unwrap();
            assert_eq!(misfits(&document, schema, body), Vec::<String>::new(), "{method} {path}");
        }
        let address = format!("{}{}", bench.sim.control(), path.replace("{id}", &wanted));
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut request = bench.http.request(method.clone(), address);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = bench.send(request).await;
        if method == Method::DELETE && path == "/control/faults/{id}" && answer.status == 404 {
            // All faults were removed before.
            continue;
        }
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        let schema = schema(&document, operation, Some(200)).unwrap();
        assert_eq!(misfits(&document, schema, &answer.body), Vec::<String>::new(), "{method} {path}");
    }
}

#[tokio::test]
async fn real_refusals_fit_their_schemas_and_are_documented() {
    let bench = Bench::new().await;
    let document = document();
    let mut refused = 0;
    for (method, path) in documented() {
        let operation = &document["paths"][&path][&method];
        if !path.contains("{id}") && operation.get("requestBody").is_none() {
            continue;
        }
        let address = format!("{}{}", bench.sim.control(), path.replace("{id}", "7"));
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = bench.http.request(method.clone(), address).json(&json!({"nobody_knows_this": 1}));
        let answer = bench.send(request).await;
        assert!(matches!(answer.status, 400 | 404), "{method} {path}: {}", answer.status);
        let schema = schema(&document, operation, Some(answer.status));
        let schema = schema.unwrap_or_else(|| panic!("{method} {path}: {} is not documented", answer.status));
        assert_eq!(misfits(&document, schema, &answer.body), Vec::<String>::new(), "{method} {path}");
        refused += 1;
    }
    assert!(refused > 10);
}
