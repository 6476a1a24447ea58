//! `POST /$batch` (graph-behaviour §7.1).

use std::collections::{HashMap, HashSet};

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::GraphError;
use super::{Asked, Call};
use crate::json;
use crate::transport::Peer;

/// Most requests of a batch.
const MAX_REQUESTS: usize = 20;
/// Largest answer within a batch, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
struct Batch {
    requests: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
}

/// Answers every request of a batch; each is limited, counted and struck by faults as if it had come alone.
pub(super) async fn answer(call: &Call<'_>, peer: &Peer) -> Result<Response, GraphError> {
    if call.method != Method::POST {
        return Err(GraphError::not_supported());
    }
    let batch: Batch = call.json()?;
    check(&batch)?;
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses = Vec::with_capacity(batch.requests.len());
    for one in &batch.requests {
        let failed = one.depends_on.iter().any(|id| statuses.get(id).is_none_or(|status| *status >= 400));
        let (status, headers, body) = if failed {
            let error = json!({"error": {"code": "FailedDependency", "message": "A dependency failed."}});
            (424, Map::new(), error)
        } else {
            collect(super::nested(call.world, peer, asked(call, one)?).await).await
        };
        statuses.insert(one.id.clone(), status);
        responses.push(json!({"id": one.id, "status": status, "headers": headers, "body": body}));
    }
    // The order is not promised, so nobody may rely on it.
    responses.reverse();
    Ok(json::response(StatusCode::OK, &json!({"responses": responses})))
}

fn check(batch: &Batch) -> Result<(), GraphError> {
    let count = batch.requests.len();
    if count == 0 || count > MAX_REQUESTS {
        let message =
            format!("The number of batch requests is {count}; it has to be between 1 and {MAX_REQUESTS}.");
        return Err(GraphError::invalid_request(&message));
    }
    let mut known = HashSet::new();
    for one in &batch.requests {
        if one.depends_on.iter().any(|id| !known.contains(id.as_str())) {
            return Err(GraphError::invalid_request("A request depends on one that does not precede it."));
        }
        if !known.insert(one.id.as_str()) {
            return Err(GraphError::invalid_request("Request ids have to be unique within a batch."));
        }
        if one.url.contains("$batch") {
            return Err(GraphError::invalid_request("Batches cannot be nested."));
        }
    }
    Ok(())
}

fn asked(call: &Call<'_>, one: &One) -> Result<Asked, GraphError> {
    let method = Method::from_bytes(one.method.to_ascii_uppercase().as_bytes());
    let method =
        method.ok().ok_or_else(|| GraphError::invalid_request("The method of a request is not valid."))?;
    let url = one.url.strip_prefix("/v1.0").unwrap_or(&one.url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut headers: axum::http::HeaderMap = one
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::try_from(value).ok()?))
        })
        .collect();
    if let Some(token) =
        call.headers.get(header::AUTHORIZATION).filter(|_| !headers.contains_key(header::AUTHORIZATION))
    {
        headers.insert(header::AUTHORIZATION, token.clone());
    }
    let body = match &one.body {
        None => Bytes::new(),
        // What is no JSON is sent as base64.
        Some(Value::String(text)) => {
            STANDARD.decode(text).unwrap_or_else(|_| text.clone().into_bytes()).into()
        }
        Some(value) => value.to_string().into(),
    };
    Ok(Asked {
        method,
        path: format!("/v1.0/{}", path.trim_start_matches('/')),
        query: query.to_owned(),
        headers,
        body,
    })
}

/// An answer as a batch tells it.
async fn collect(response: Response) -> (u16, Map<String, Value>, Value) {
    let (parts, body) = response.into_parts();
    let told = [header::CONTENT_TYPE, header::LOCATION, header::RETRY_AFTER, header::ETAG];
    let headers = told.into_iter().filter_map(|name| {
        let value = parts.headers.get(&name)?.to_str().ok()?;
        Some((title(name.as_str()), Value::from(value)))
    });
    let headers = headers.collect();
    let Ok(bytes) = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await else {
        return (StatusCode::BAD_GATEWAY.as_u16(), headers, Value::Null);
    };
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        if bytes.is_empty() { Value::Null } else { Value::from(STANDARD.encode(&bytes)) }
    });
    (parts.status.as_u16(), headers, body)
}

/// `retry-after` as `Retry-After`: a batch writes names as people do.
fn title(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}
