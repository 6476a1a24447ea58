//! The same calls against the simulator, which was written from the specification alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use graph_client::quick_xor::QuickXor;
use graph_client::{
    AccessToken, ByteSpan, DeltaLink, DownloadLink, DriveItem, DrivePath, DriveType, GraphClient,
    GraphConfig, GraphError, ItemKind, PageLink, Retry, TokenError, TokenSource,
};
use simulator::{
    Change, Config, DriveHandle, DriveKind, DriveSpec, Endpoint, EntryKind, FIRST_USER, Fault, FaultKind,
    NameStyle, PUBLIC_CLIENT_ID, RetryAfter, Simulator,
};
use url::Url;

/// A simulator with one drive, and a client that may read it.
struct World {
    sim: Simulator,
    drive: DriveHandle,
    path: DrivePath,
    client: GraphClient,
    tokens: SimTokens,
}

impl World {
    async fn start() -> Self {
        let sim = Simulator::start_strict(Config::default()).await.unwrap();
        let drive = sim
            .create_drive(&DriveSpec {
                seed: 11,
                files: 120,
                folders: 20,
                max_file_bytes: 5_000,
                big_files: vec![300_000],
                names: NameStyle::Varied,
                kind: DriveKind::Business,
                owner: None,
            })
            .unwrap();
        let mut config = GraphConfig::new(Url::parse(&sim.graph()).unwrap());
        config.page_size = 50;
        config.retries.backoff_base = Duration::from_millis(1);
        let client = GraphClient::new(&config).unwrap();
        let tokens = SimTokens {
            address: format!("{}/common/oauth2/v2.0/token", sim.authority()),
            refresh_token: sim
                .issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER)
                .unwrap(),
            current: Mutex::default(),
            claims: Mutex::default(),
        };
        let path = DrivePath::parse(&format!("drives/{}", drive.id())).unwrap();
        Self { sim, drive, path, client, tokens }
    }

    /// Follows the feed to its end: the newest state of each item, and where changes start.
    async fn follow(
        &self,
        mut cursor: Option<DeltaLink>,
    ) -> Result<(BTreeMap<String, DriveItem>, DeltaLink), GraphError> {
        let mut items = BTreeMap::new();
        loop {
            let page = self.client.delta_page(&self.tokens, &self.path, cursor.as_ref()).await?;
            items.extend(page.items.into_iter().map(|item| (item.id.clone(), item)));
            match page.link {
                PageLink::Next(link) => cursor = Some(link),
                PageLink::Delta(link) => return Ok((items, link)),
            }
        }
    }

    async fn item(&self, path: &str) -> DriveItem {
        let id = self.drive.lookup(path).unwrap().id;
        self.client.item(&self.tokens, &self.path, &id).await.unwrap()
    }

    /// The content behind a link, and where it began.
    async fn fetch(&self, link: &DownloadLink, span: ByteSpan) -> Result<(u64, Vec<u8>), GraphError> {
        let mut download = self.client.download(link, span).await?;
        let mut content = Vec::new();
        while let Some(piece) = download.chunk().await? {
            content.extend_from_slice(&piece);
        }
        Ok((download.offset(), content))
    }

    fn create(&self, name: &str, size: u64) -> String {
        let change = Change::CreateFile { parent: "/".to_owned(), name: name.to_owned(), size };
        self.drive.apply(&change).unwrap();
        format!("/{name}")
    }

    fn content(&self, path: &str) -> Vec<u8> {
        let reader = self.drive.content_reader(path).unwrap();
        let mut content = vec![0; usize::try_from(reader.size()).unwrap()];
        assert_eq!(reader.read_at(0, &mut content), content.len());
        content
    }
}

/// Refreshes whenever it has nothing to hand out.
struct SimTokens {
    address: String,
    refresh_token: String,
    current: Mutex<Option<Arc<AccessToken>>>,
    claims: Mutex<Vec<Option<String>>>,
}

impl SimTokens {
    async fn refresh(&self) -> Arc<AccessToken> {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", PUBLIC_CLIENT_ID),
            ("refresh_token", &self.refresh_token),
            ("scope", "https://graph.microsoft.com/Files.Read.All offline_access"),
        ];
        let answer = http.post(&self.address).form(&form).send().await.unwrap().text().await.unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let token = Arc::new(AccessToken::new(answer["access_token"].as_str().unwrap().to_owned(), 0));
        *self.current.lock().unwrap() = Some(Arc::clone(&token));
        token
    }
}

#[async_trait]
impl TokenSource for SimTokens {
    async fn token(&self) -> Result<Arc<AccessToken>, TokenError> {
        let current = self.current.lock().unwrap().clone();
        match current {
            Some(token) => Ok(token),
            None => Ok(self.refresh().await),
        }
    }

    async fn rejected(
        &self,
        _token: &AccessToken,
        claims: Option<String>,
    ) -> Result<Arc<AccessToken>, TokenError> {
        self.claims.lock().unwrap().push(claims);
        Ok(self.refresh().await)
    }
}

#[tokio::test]
async fn a_drive_is_read_whole_and_nothing_twice() {
    let world = World::start().await;
    let drive = world.client.drive(&world.tokens, &DrivePath::Me).await.unwrap();
    assert_eq!((drive.id.as_str(), drive.drive_type), (world.drive.id(), DriveType::Business));

    let (mut items, link) = world.follow(None).await.unwrap();
    let mut files = 0;
    for entry in world.drive.walk() {
        let item = items.remove(&entry.id).unwrap();
        assert_eq!(item.name.as_ref(), entry.path.last());
        match entry.kind {
            EntryKind::Folder => assert_eq!(item.kind, ItemKind::Folder),
            EntryKind::File => {
                files += 1;
                assert_eq!(item.kind, ItemKind::File);
                assert_eq!(item.size, Some(i64::try_from(entry.size).unwrap()));
                assert_eq!(item.modified_unix_ms, Some(i64::from(entry.modified_seconds) * 1000));
                assert_eq!(item.quick_xor_hash, entry.quick_xor);
                let (_, content) = world.fetch(&item.download_link.unwrap(), ByteSpan::Whole).await.unwrap();
                let mut hash = QuickXor::new();
                hash.update(&content);
                assert_eq!(hash.length(), entry.size);
                assert_eq!(hash.base64(), entry.quick_xor.unwrap_or_else(|| QuickXor::new().base64()));
            }
        }
    }
    assert_eq!(files, 121);
    let rest: Vec<_> = items.into_values().map(|item| item.kind).collect();
    assert_eq!(rest, [ItemKind::Root]);

    let before = world.client.requests_sent();
    let stored = world.client.delta_link(link.as_str()).unwrap();
    world.follow(Some(stored)).await.unwrap();
    assert_eq!(world.client.requests_sent() - before, 1, "a feed with nothing new costs one request");
    let counts = world.sim.counters();
    assert_eq!(world.client.requests_sent(), counts.graph_requests + counts.of(Endpoint::Download));
    assert_eq!(world.sim.violations().len(), 0, "{:?}", world.sim.violations());
}

#[tokio::test]
async fn changes_come_with_the_delta_link() {
    let world = World::start().await;
    let edited = world.create("edited.txt", 10);
    let deleted = world.create("deleted.txt", 10);
    let deleted_id = world.drive.lookup(&deleted).unwrap().id;
    let (_, link) = world.follow(None).await.unwrap();
    world.drive.apply(&Change::Edit { item: edited.clone(), size: Some(77) }).unwrap();
    world.drive.apply(&Change::Delete { item: deleted }).unwrap();

    let (items, _) = world.follow(Some(link)).await.unwrap();
    assert_eq!(items[&world.drive.lookup(&edited).unwrap().id].size, Some(77));
    let tombstone = &items[&deleted_id];
    assert!(tombstone.deleted && tombstone.name.is_none());
}

#[tokio::test]
async fn a_lost_cursor_is_a_resync_and_a_fresh_listing_works() {
    let world = World::start().await;
    let (listed, link) = world.follow(None).await.unwrap();
    world.drive.expire_delta_links();
    assert!(world.follow(Some(link)).await.unwrap_err().is_resync());
    let (again, _) = world.follow(None).await.unwrap();
    assert!(again.keys().eq(listed.keys()));
}

#[tokio::test]
async fn faults_that_pass_go_unnoticed() {
    let world = World::start().await;
    world.sim.faults().add(Fault::status(503, None).on(Endpoint::Delta).times(1));
    world.sim.faults().add(Fault::new(FaultKind::TruncatedBody).on(Endpoint::Delta).skip(1).times(1));
    world.sim.faults().add(Fault::throttle(Endpoint::Delta, 1, Some(RetryAfter::Seconds(1))));
    let (items, _) = world.follow(None).await.unwrap();
    assert_eq!(items.len(), world.drive.walk().len() + 1);
    assert_eq!(world.sim.violations().len(), 0, "{:?}", world.sim.violations());
    let pages = world.sim.counters().of(Endpoint::Delta);
    assert!(pages >= 6, "three pages and three repetitions: {pages}");
}

#[tokio::test]
async fn a_claims_challenge_is_answered() {
    let world = World::start().await;
    world.sim.faults().add(Fault::new(FaultKind::Cae401).times(1));
    world.client.drive(&world.tokens, &world.path).await.unwrap();
    let claims = world.tokens.claims.lock().unwrap().clone();
    assert!(claims[0].as_ref().is_some_and(|claims| claims.contains("access_token")), "{claims:?}");
}

#[tokio::test]
async fn an_expired_link_is_replaced_by_the_item() {
    let world = World::start().await;
    let path = world.create("late.bin", 1000);
    let link = world.item(&path).await.download_link.unwrap();
    let lifetime = world.sim.switches().download_link_seconds;
    world.sim.clock().advance(Duration::from_secs(lifetime + 60));
    assert!(world.fetch(&link, ByteSpan::Whole).await.unwrap_err().is_link_expired());
    *world.tokens.current.lock().unwrap() = None;
    let link = world.item(&path).await.download_link.unwrap();
    assert_eq!(world.fetch(&link, ByteSpan::Whole).await.unwrap(), (0, world.content(&path)));
}

#[tokio::test]
async fn parts_make_up_the_whole() {
    let world = World::start().await;
    let path = world.create("parts.bin", 10_000);
    let link = world.item(&path).await.download_link.unwrap();
    let (_, mut content) = world.fetch(&link, ByteSpan::Within(0..4_000)).await.unwrap();
    let (offset, rest) = world.fetch(&link, ByteSpan::From(4_000)).await.unwrap();
    assert_eq!(offset, 4_000);
    content.extend(rest);
    assert!(content == world.content(&path));
    assert!(matches!(world.fetch(&link, ByteSpan::From(10_000)).await, Err(GraphError::OutOfRange)));

    world.sim.faults().add(Fault::new(FaultKind::RangeIgnored).times(1));
    let (offset, all) = world.fetch(&link, ByteSpan::From(4_000)).await.unwrap();
    assert_eq!((offset, all.len()), (0, 10_000));
}

#[tokio::test]
async fn a_content_that_broke_off_is_resumed() {
    let world = World::start().await;
    let path = world.create("cut.bin", 200_000);
    let link = world.item(&path).await.download_link.unwrap();
    world.sim.faults().add(Fault::new(FaultKind::TruncatedBody).on(Endpoint::Download).times(1));
    let mut content = Vec::new();
    while content.len() < 200_000 {
        let start = u64::try_from(content.len()).unwrap();
        let mut download = world.client.download(&link, ByteSpan::From(start)).await.unwrap();
        assert_eq!(download.offset(), start);
        loop {
            match download.chunk().await {
                Ok(Some(piece)) => content.extend_from_slice(&piece),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(error.retry(), Retry::Backoff, "{error:?}");
                    break;
                }
            }
        }
    }
    assert_eq!(world.sim.counters().faults, 1);
    assert!(content == world.content(&path));
}
