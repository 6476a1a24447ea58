//! What every test stands on: a simulator, an HTTP client, and somebody signed in.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use simulator::{
    Clock, Config, DriveHandle, DriveKind, DriveSpec, FIRST_USER, PUBLIC_CLIENT_ID, Simulator, TENANT_ID,
    ViolationKind,
};

/// Longest any single answer may take before the test fails.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) sim: Simulator,
    pub(crate) http: reqwest::Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text<'a>(&'a self, pointer: &str) -> &'a str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.body))
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        // Time stands still unless a test moves it, so that no test depends on how fast the machine is.
        let clock = Clock::stopped(Duration::from_hours(500_000));
        Self::with(Config { clock, ..Config::default() }).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let http = client();
        Self { sim: Simulator::start_strict(config).await.unwrap(), http }
    }

    /// A simulator with one drive, and an access token of its owner.
    pub(crate) async fn with_drive(spec: &DriveSpec) -> (Self, DriveHandle, String) {
        let bench = Self::new().await;
        let drive = bench.sim.create_drive(spec).unwrap();
        let token = bench.token().await;
        (bench, drive, token)
    }

    /// What the test made a client do wrong, on purpose, since the last such question.
    pub(crate) fn provoked(&self) -> Vec<ViolationKind> {
        self.sim.take_violations().into_iter().map(|violation| violation.kind).collect()
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.http.post(format!("{}/{path}", self.sim.authority())).form(fields)).await
    }

    pub(crate) async fn token_request(&self, fields: &[(&str, &str)]) -> Answer {
        self.form(&format!("{TENANT_ID}/oauth2/v2.0/token"), fields).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.token_request(&[
            ("client_id", PUBLIC_CLIENT_ID),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ])
        .await
    }

    /// An access token of the first user.
    pub(crate) async fn token(&self) -> String {
        self.token_of(FIRST_USER, "Files.Read.All offline_access").await
    }

    pub(crate) async fn token_of(&self, user: &str, scope: &str) -> String {
        let refresh = self.sim.issue_refresh_token(PUBLIC_CLIENT_ID, scope, user).unwrap();
        let answer = self.refresh(&refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("/access_token").to_owned()
    }

    pub(crate) fn address(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("{}/v1.0/{path}", self.sim.graph()) }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(self.http.get(self.address(path)).bearer_auth(token)).await
    }

    /// An access token of the first user that allows writing.
    pub(crate) async fn writer(&self) -> String {
        self.token_of(FIRST_USER, "Files.ReadWrite.All offline_access").await
    }

    /// A simulator with one empty drive, and an access token that allows writing.
    pub(crate) async fn writable(kind: DriveKind) -> (Self, DriveHandle, String) {
        let bench = Self::new().await;
        let drive = bench.sim.create_drive(&DriveSpec { kind, ..plain(0, 0) }).unwrap();
        let token = bench.writer().await;
        (bench, drive, token)
    }

    /// A call to Graph with a JSON body.
    pub(crate) async fn call(&self, method: &str, token: &str, path: &str, body: &Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.send(self.http.request(method, self.address(path)).bearer_auth(token).json(body)).await
    }

    /// A simple upload.
    pub(crate) async fn put(&self, token: &str, path: &str, content: &[u8]) -> Answer {
        self.send(self.http.put(self.address(path)).bearer_auth(token).body(content.to_vec())).await
    }

    /// Reads a content through its link.
    pub(crate) async fn content(&self, token: &str, item: &str) -> Vec<u8> {
        let found = self.get(token, &format!("me/drive/items/{item}")).await;
        let link = found.text("/@microsoft.graph.downloadUrl").to_owned();
        self.http.get(link).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// Follows a feed to its end; returns the pages and the delta link.
    pub(crate) async fn drain(&self, token: &str, start: &str) -> (Vec<Vec<Value>>, String) {
        let mut pages = Vec::new();
        let mut next = start.to_owned();
        loop {
            let answer = self.get(token, &next).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            pages.push(answer.body["value"].as_array().unwrap().clone());
            match (answer.body.get("@odata.nextLink"), answer.body.get("@odata.deltaLink")) {
                (Some(link), None) => link.as_str().unwrap().clone_into(&mut next),
                (None, Some(link)) => return (pages, link.as_str().unwrap().to_owned()),
                _ => panic!("a page has exactly one link"),
            }
            assert!(pages.len() < 10_000, "the feed does not end");
        }
    }
}

/// A client that follows nothing and keeps no connection, so that every request stands for itself.
pub(crate) fn client() -> reqwest::Client {
    // Only the first installation succeeds, and one is enough.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT)
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .unwrap()
}

pub(crate) async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).as_ref()));
    Answer { status, headers, body }
}

/// What a client that keeps items by id would have after these pages: the last occurrence wins, tombstones remove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) items: BTreeMap<String, Value>,
}

impl Mirror {
    pub(crate) fn apply(&mut self, pages: &[Vec<Value>]) {
        for item in pages.iter().flatten() {
            let id = item["id"].as_str().unwrap().to_owned();
            if item.get("deleted").is_some() {
                self.items.remove(&id);
            } else {
                self.items.insert(id, item.clone());
            }
        }
    }

    fn path(&self, id: &str) -> String {
        let item = &self.items[id];
        if item.get("root").is_some() {
            return String::new();
        }
        let parent = item["parentReference"]["id"].as_str().unwrap();
        format!("{}/{}", self.path(parent), item["name"].as_str().unwrap())
    }

    /// Path, id, size and hash of everything but the root.
    pub(crate) fn entries(&self) -> Vec<(String, String, u64, Option<String>)> {
        let below = self.items.iter().filter(|(_, item)| item.get("root").is_none());
        let mut entries: Vec<_> = below
            .map(|(id, item)| {
                let hash =
                    item.pointer("/file/hashes/quickXorHash").and_then(Value::as_str).map(str::to_owned);
                let size = if item.get("file").is_some() { item["size"].as_u64().unwrap() } else { 0 };
                (self.path(id), id.clone(), size, hash)
            })
            .collect();
        entries.sort();
        entries
    }
}

/// The same of the drive itself.
pub(crate) fn truth(drive: &DriveHandle) -> Vec<(String, String, u64, Option<String>)> {
    let entries = drive.walk().into_iter();
    let mut entries: Vec<_> = entries
        .map(|entry| (format!("/{}", entry.path.join("/")), entry.id, entry.size, entry.quick_xor))
        .collect();
    entries.sort();
    entries
}

pub(crate) fn plain(files: u32, folders: u32) -> DriveSpec {
    DriveSpec { seed: 11, files, folders, max_file_bytes: 4_096, ..DriveSpec::default() }
}

pub(crate) fn is_redirect(status: u16) -> bool {
    status == StatusCode::FOUND.as_u16()
}
