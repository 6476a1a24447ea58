//! As much of JSON Schema (2020-12) as the OpenAPI file uses. A keyword that is not understood here is an error, so that nothing in the
//! file goes unchecked.

use serde_json::Value;

/// Keywords that say nothing about what fits.
const ANNOTATIONS: [&str; 6] = ["description", "title", "examples", "example", "format", "$ref"];

/// What is wrong with a value, as far as a schema of the document says; empty when it fits.
pub(crate) fn misfits(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema_members = schema.as_object().unwrap_or_else(|| panic!("{at}: not a schema: {schema}"));
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(reference.trim_start_matches('#'));
        check(document, target.unwrap_or_else(|| panic!("{reference}")), value, at, found);
    }
    let mut wrong = |what: &str| found.push(format!("{at}: {what}: {value}"));
    let mut deeper: Vec<(&Value, &Value, String)> = Vec::new();
    for (keyword, wanted) in schema_members {
        match keyword.as_str() {
            "type" if !is_one_of(value, wanted) => wrong(&format!("not of type {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(value) => wrong("none of the known words"),
            "const" if wanted != value => wrong("not the word"),
            "minimum" | "maximum" | "minItems" | "maxItems" => {
                if exceeds(keyword, wanted, value) {
                    wrong(&format!("beyond {keyword} {wanted}"));
                }
            }
            "required" => {
                for name in wanted.as_array().unwrap().iter().filter_map(Value::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        wrong(&format!("lacks {name}"));
                    }
                }
            }
            "properties" => {
                let known = wanted.as_object().unwrap().iter();
                let present = known.filter_map(|(name, schema)| Some((schema, value.get(name)?, name)));
                deeper.extend(present.map(|(schema, member, name)| (schema, member, format!("{at}/{name}"))));
            }
            "additionalProperties" => {
                let known =
                    |name: &str| schema.get("properties").is_some_and(|known| known.get(name).is_some());
                let others = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
                for (name, member) in others {
                    if wanted.is_object() {
                        deeper.push((wanted, member, format!("{at}/{name}")));
                    } else if *wanted == false {
                        wrong(&format!("nobody knows {name}"));
                    }
                }
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                deeper.extend(items.map(|(index, item)| (wanted, item, format!("{at}/{index}"))));
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                    if !misfits(document, wanted, &Value::from(name.as_str())).is_empty() {
                        wrong(&format!("no member is called {name}"));
                    }
                }
            }
            "oneOf" => {
                let branches = wanted.as_array().unwrap().iter();
                let fitting = branches.filter(|branch| misfits(document, branch, value).is_empty()).count();
                if fitting != 1 {
                    wrong(&format!("fits {fitting} of the branches"));
                }
            }
            "type" | "enum" | "const" => {}
            known if ANNOTATIONS.contains(&known) => {}
            unknown => panic!("{at}: the keyword {unknown} is not understood here"),
        }
    }
    for (schema, value, at) in deeper {
        check(document, schema, value, &at, found);
    }
}

fn length(items: &[Value]) -> f64 {
    f64::from(u32::try_from(items.len()).unwrap())
}

fn exceeds(keyword: &str, bound: &Value, value: &Value) -> bool {
    let bound = bound.as_f64().unwrap();
    match keyword {
        "minimum" => value.as_f64().is_some_and(|value| value < bound),
        "maximum" => value.as_f64().is_some_and(|value| value > bound),
        "minItems" => value.as_array().is_some_and(|items| length(items) < bound),
        _ => value.as_array().is_some_and(|items| length(items) > bound),
    }
}

fn is_one_of(value: &Value, names: &Value) -> bool {
    let one = std::slice::from_ref(names);
    names.as_array().map_or(one, Vec::as_slice).iter().any(|name| is_a(value, name.as_str().unwrap()))
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("no type is called {unknown}"),
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let document = serde_json::json!({"a": {"type": "object", "properties": {"n": {"type": ["integer", "null"], "minimum": 1}},
        "required": ["n"], "additionalProperties": false}});
    let schema = serde_json::json!({"oneOf": [{"$ref": "#/a"}, {"const": "x"}]});
    for (value, fits) in [
        (serde_json::json!({"n": 1}), true),
        (serde_json::json!({"n": null}), true),
        (serde_json::json!("x"), true),
        (serde_json::json!({"n": 0}), false),
        (serde_json::json!({"n": "1"}), false),
        (serde_json::json!({}), false),
        (serde_json::json!({"n": 1, "m": 1}), false),
        (serde_json::json!("y"), false),
    ] {
        assert_eq!(misfits(&document, &schema, &value).is_empty(), fits, "{value}");
    }
}
