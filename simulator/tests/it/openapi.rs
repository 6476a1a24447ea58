//! The OpenAPI file of the control interface says what the control interface does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use simulator::Switches;

use crate::bench::Bench;

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
