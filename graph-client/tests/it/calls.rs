//! What goes over the wire, and what is made of the answers.

use graph_client::{
    ConfigError, DrivePath, DriveType, GraphClient, GraphConfig, GraphError, ItemKind, PageLink,
};
use url::Url;

use crate::server::{Reply, Server, Tokens, item, json, page, raw, reply};

#[tokio::test]
async fn a_drive() {
    let body = r#"{"id":"b!x","driveType":"business","name":"OneDrive","owner":{"user":{"displayName":"A. User"}},
                   "quota":{"used":627776,"state":"normal"}}"#;
    let server = Server::start([json(200, body)]).await;
    let drive =
        server.client().drive(&Tokens::default(), &DrivePath::parse("drives/b!x").unwrap()).await.unwrap();
    assert_eq!((drive.id.as_str(), drive.drive_type), ("b!x", DriveType::Business));
    assert_eq!((drive.name.as_deref(), drive.owner.as_deref()), (Some("OneDrive"), Some("A. User")));
    assert_eq!(drive.used_bytes, Some(627_776));
    assert_eq!(server.requests()[0].target, "/v1.0/drives/b!x");
}

#[tokio::test]
async fn a_drive_that_says_little() {
    let server =
        Server::start([json(200, r#"{"id":"1","driveType":"new","quota":null}"#), json(200, "{}")]).await;
    let client = server.client();
    let drive = client.drive(&Tokens::default(), &DrivePath::Me).await.unwrap();
    assert_eq!((drive.drive_type, drive.used_bytes), (DriveType::Unknown, None));
    let nameless = client.drive(&Tokens::default(), &DrivePath::Me).await;
    assert!(matches!(nameless, Err(GraphError::Malformed { .. })));
}

#[tokio::test]
async fn requests_carry_what_graph_wants_to_know() {
    let server = Server::start([json(200, r#"{"id":"1"}"#), json(200, r#"{"id":"1"}"#)]).await;
    let client = server.client();
    item(&client).await.unwrap();
    item(&client).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), Some("Bearer token-0"));
    assert_eq!(requests[0].header("accept"), Some("application/json"));
    let agent = requests[0].header("user-agent").unwrap();
    assert!(agent.starts_with("NONISV|Sluice|Sluice/"), "{agent}");
    let ids: Vec<_> = requests.iter().map(|request| request.header("client-request-id").unwrap()).collect();
    assert_eq!(ids[0].len(), 36);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(client.requests_sent(), 2);
}

#[tokio::test]
async fn ids_are_encoded_into_one_segment() {
    let server = Server::start([json(200, r#"{"id":"1"}"#)]).await;
    let client = server.client();
    let site = DrivePath::parse("sites/contoso.sharepoint.com,2C71,9f/drive").unwrap();
    client.item(&Tokens::default(), &site, "A!1é\"").await.unwrap();
    assert_eq!(
        server.requests()[0].target,
        "/v1.0/sites/contoso.sharepoint.com,2C71,9f/drive/items/A!1%C3%A9%22"
    );
    for id in ["", "..", "a/b", "a?b"] {
        let refused = client.item(&Tokens::default(), &site, id).await;
        assert!(matches!(refused, Err(GraphError::Id(_))), "{id:?}");
    }
    assert_eq!(client.requests_sent(), 1);
}

#[tokio::test]
async fn the_feed_is_followed_byte_for_byte() {
    let server = Server::start([]).await;
    let next = format!("{}/v1.0/me/drive/root/delta(token='a%20b~')?x=%7e&$skiptoken=/+=", server.address);
    let delta = format!("{}/v1.0/me/drive/root/delta?token=2", server.address);
    server.then(json(200, &format!(r#"{{"value":[{{"id":"r","root":{{}}}}],"@odata.nextLink":"{next}"}}"#)));
    server.then(json(200, &format!(r#"{{"value":[],"@odata.deltaLink":"{delta}"}}"#)));
    let client = server.client();
    let first = page(&client).await.unwrap();
    assert_eq!(first.items[0].kind, ItemKind::Root);
    let PageLink::Next(link) = first.link else { panic!("no next link") };
    assert_eq!(link.as_str(), next);

    let stored = client.delta_link(link.as_str()).unwrap();
    let second = client.delta_page(&Tokens::default(), &DrivePath::Me, Some(&stored)).await.unwrap();
    assert_eq!(second.link, PageLink::Delta(client.delta_link(&delta).unwrap()));
    let targets: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets[0], "/v1.0/me/drive/root/delta?%24top=1000");
    assert_eq!(targets[1], next.strip_prefix(&server.address).unwrap());
}

#[tokio::test]
async fn a_feed_that_leads_elsewhere_is_not_followed() {
    let elsewhere = Server::start([]).await;
    let body = format!(r#"{{"value":[],"@odata.nextLink":"{}/v1.0/x"}}"#, elsewhere.address);
    let server = Server::start([json(200, &body)]).await;
    let client = server.client();
    assert!(matches!(page(&client).await, Err(GraphError::ForeignLink)));
    assert!(matches!(client.delta_link(&elsewhere.address), Err(GraphError::ForeignLink)));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn every_form_of_a_lost_cursor_is_told_apart_from_other_errors() {
    let gone = r#"{"error":{"code":"resyncRequired","innerError":{"code":"resyncChangesApplyDifferences"}}}"#;
    let server = Server::start([
        json(410, gone),
        reply(410, &[], ""),
        json(404, r#"{"error":{"code":"itemNotFound"}}"#),
    ])
    .await;
    let client = server.client();
    for resync in [true, true, false] {
        assert_eq!(page(&client).await.unwrap_err().is_resync(), resync);
    }
    assert_eq!(client.requests_sent(), 3);
}

#[tokio::test]
async fn answers_that_are_not_graphs_are_refused() {
    let html = [("content-type", "text/html; charset=utf-8")];
    let script = (0..3).map(|_| reply(200, &html, "<html>Sign in to the network</html>"));
    let server = Server::start(script).await;
    assert!(matches!(item(&server.client()).await, Err(GraphError::NotJson { status: 200 })));

    let server =
        Server::start([reply(200, &[], r#"{"id":"1"}"#), json(200, "[]"), json(200, "{\"id\":")]).await;
    let mut config = server.config();
    config.retries.max_retries = 0;
    let client = GraphClient::new(&config).unwrap();
    assert!(matches!(item(&client).await, Err(GraphError::NotJson { .. })));
    assert!(matches!(item(&client).await, Err(GraphError::Malformed { .. })));
    assert!(matches!(item(&client).await, Err(GraphError::Malformed { .. })));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let head = raw("HTTP/1.1 200 OK\ncontent-type: application/json\nconnection: close\n\n");
    let server = Server::start([Reply::Flood(head)]).await;
    let client = server.client();
    assert!(matches!(page(&client).await, Err(GraphError::TooLarge { .. })));
    assert_eq!(client.requests_sent(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([]).await;
    let server = Server::start([reply(302, &[("location", &elsewhere.address)], "")]).await;
    assert!(matches!(item(&server.client()).await, Err(GraphError::Redirected { status: 302 })));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let config = |base: &str| GraphConfig::new(Url::parse(base).unwrap());
    assert!(matches!(
        GraphClient::new(&config("http://graph.microsoft.com/")),
        Err(ConfigError::PlainHttp { .. })
    ));
    assert!(matches!(GraphClient::new(&config("file:///graph")), Err(ConfigError::Base)));
    let mut odd = config("http://127.0.0.1/");
    odd.user_agent = "a\nb".to_owned();
    assert!(matches!(GraphClient::new(&odd), Err(ConfigError::UserAgent)));
    let mut odd = config("http://127.0.0.1/");
    odd.page_size = 0;
    assert!(matches!(GraphClient::new(&odd), Err(ConfigError::PageSize)));
}
