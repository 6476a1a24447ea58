//! Webhooks: signed, at least once, in order, and never at the cost of a caller.

use std::time::Duration;

use proto::token::v1::{
    ConnectionState, DeleteConnectionRequest, ListWebhookDeliveriesRequest, RefreshConnectionRequest,
    WebhookDelivery, WebhookDeliveryState, webhook_service_client::WebhookServiceClient,
};
use sea_orm::{ConnectionTrait as _, Statement};
use service_kit::{database::DatabaseUrl, exit::Exit, status::status_violations};
use simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use token_service::Config;

use crate::{
    receiver::{Answer, LONG_WAIT, Receiver, write_file},
    test_database::TestDatabase,
    world::{Service, World, ask, eventually, name},
};

const HOURS: Duration = Duration::from_hours(2);

fn telling(world: &World, url: &str) -> Config {
    let mut config = world.config();
    config.webhooks = Some(write_file(world.folder.path(), url));
    config
}

async fn start(world: &World, url: &str) -> Service {
    let service = world.start_with(telling(world, url)).await.unwrap();
    // From its first claim on, the endpoint is told.
    eventually("the endpoint is known", async || count(world, "webhook_endpoints").await == 1).await;
    service
}

async fn count(world: &World, table: &str) -> i64 {
    let database = world.open_database().await;
    let statement =
        Statement::from_string(database.get_database_backend(), format!("SELECT count(*) FROM {table}"));
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    let counted = row.try_get_by_index(0).unwrap();
    database.close().await.unwrap();
    counted
}

/// Breaks every connection's sign-in and lets the service find out. Gives the fault that does it.
async fn break_sign_in(world: &World, service: &Service, id: &str) -> u64 {
    let (suberror, claims, retry_after) = (None, None, None::<RetryAfter>);
    let error = "invalid_grant".to_owned();
    let kind = FaultKind::Oauth { status: 400, error, aadsts: 50_173, suberror, claims, retry_after };
    let fault = world.sim.faults().add(Fault::new(kind).on(Endpoint::Token));
    world.advance(HOURS);
    service.token(ask(id)).await.unwrap_err();
    assert_eq!(service.connection(&name(id)).await.state(), ConnectionState::NeedsReauth);
    fault
}

/// nango#7202: failure was told, recovery was not. nango#2323: recovery was told that was none.
#[tokio::test]
async fn nango_7202_2323_failure_and_recovery_are_told_in_order_and_nothing_else() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let mut service = start(&world, &receiver.url).await;
    service.connect(&world, "mail").await;
    let fault = break_sign_in(&world, &service, "mail").await;
    // Asking again changes nothing, so nothing is told.
    service.token(ask("mail")).await.unwrap_err();
    let refresh = || RefreshConnectionRequest { name: name("mail") };
    service.connections.refresh_connection(refresh()).await.unwrap_err();
    world.sim.faults().remove(fault);
    service.connections.refresh_connection(refresh()).await.unwrap();
    service.connections.refresh_connection(refresh()).await.unwrap();
    service.connections.delete_connection(DeleteConnectionRequest { name: name("mail") }).await.unwrap();
    let expected = [
        "connection.active mail",
        "connection.needs_reauth mail",
        "connection.active mail",
        "connection.deleted mail",
    ];
    eventually("everything is told", async || receiver.accepted().len() == expected.len()).await;
    assert_eq!(receiver.told(), expected);
    let messages = receiver.accepted();
    assert_eq!(messages[1].body["data"]["cause"], "invalid_grant AADSTS50173");
    assert!(messages[1].body["data"]["since"].as_str().unwrap().ends_with('Z'));
    assert!(messages.iter().all(|message| message.timestamp > 1_700_000_000));
    let mut ids: Vec<_> = messages.iter().map(|message| &message.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), expected.len());
    eventually("nothing waits", async || count(&world, "webhook_deliveries").await == 0).await;
    service.stop().await;
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again_under_the_same_id() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let thief = Receiver::start().await;
    let mut service = start(&world, &receiver.url).await;
    receiver.answer_next([
        Answer::Status(500),
        Answer::RedirectTo(thief.url.clone()),
        Answer::Silence,
        Answer::Status(410),
    ]);
    service.connect(&world, "mail").await;
    for attempts in 1..=5 {
        eventually("an attempt", async || receiver.attempts().len() == attempts).await;
        // The silence ends after ten seconds.
        eventually("what became of it is stored", async || {
            count(&world, &format!("webhook_deliveries WHERE attempts = {attempts}")).await == 1
                || count(&world, "webhook_deliveries").await == 0
        })
        .await;
        world.advance(LONG_WAIT);
    }
    eventually("it is taken", async || receiver.told() == ["connection.active mail"]).await;
    let attempts = receiver.attempts();
    assert!(attempts.iter().all(|attempt| attempt.id == attempts[0].id && attempt.body == attempts[0].body));
    assert!(attempts.is_sorted_by_key(|attempt| attempt.timestamp));
    assert!(thief.attempts().is_empty(), "a redirect was followed");
    service.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_costs_no_caller_anything_and_is_told_after_a_restart() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let (url, address) = (receiver.url.clone(), receiver.url.split('/').nth(2).unwrap().to_owned());
    drop(receiver);
    let mut service = start(&world, &url).await;
    service.connect(&world, "mail").await;
    service.token(ask("mail")).await.unwrap();
    break_sign_in(&world, &service, "mail").await;
    service.stop().await;
    let receiver = Receiver::start_on(&address).await;
    let service = world.start_with(telling(&world, &url)).await.unwrap();
    world.advance(LONG_WAIT);
    eventually("both are told", async || {
        receiver.told() == ["connection.active mail", "connection.needs_reauth mail"]
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn a_message_that_is_refused_holds_up_its_own_connection_only() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let mut service = start(&world, &receiver.url).await;
    receiver.refuse(Some("bad"));
    service.connect(&world, "bad").await;
    service.connections.delete_connection(DeleteConnectionRequest { name: name("bad") }).await.unwrap();
    for id in ["one", "two", "three"] {
        service.connect(&world, id).await;
    }
    eventually("the others are told", async || {
        world.advance(Duration::from_secs(10));
        receiver.accepted().len() == 3
    })
    .await;
    receiver.refuse(None);
    world.advance(LONG_WAIT);
    eventually("and then the one", async || receiver.accepted().len() == 5).await;
    let told = receiver.told();
    let of_bad: Vec<_> = told.iter().filter(|told| told.ends_with(" bad")).collect();
    assert_eq!(of_bad, ["connection.active bad", "connection.deleted bad"], "out of order");
    service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_delivered_for_days_is_given_up_and_later_changes_are_told() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let mut service = start(&world, &receiver.url).await;
    receiver.refuse(Some("mail"));
    service.connect(&world, "mail").await;
    eventually("an attempt", async || count(&world, "webhook_deliveries WHERE attempts = 1").await == 1)
        .await;
    world.advance(Duration::from_hours(3 * 24));
    let given_up = "webhook_deliveries WHERE give_up_time IS NOT NULL AND last_failure = 'HTTP 400'";
    eventually("it is given up", async || count(&world, given_up).await == 1).await;
    let listed = undelivered(&service, WebhookDeliveryState::GivenUp).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(
        (listed[0].connection.as_str(), listed[0].event_type.as_str()),
        (&*name("mail"), "connection.active")
    );
    assert_eq!((listed[0].endpoint.as_str(), listed[0].last_failure.as_str()), ("test", "HTTP 400"));
    assert!(listed[0].webhook_id.starts_with("msg_1_") && listed[0].attempts >= 2, "{listed:?}");
    assert!(listed[0].give_up_time.is_some() && listed[0].next_attempt_time.is_none(), "{listed:?}");
    assert!(undelivered(&service, WebhookDeliveryState::Pending).await.is_empty());
    receiver.refuse(None);
    service.connections.delete_connection(DeleteConnectionRequest { name: name("mail") }).await.unwrap();
    world.advance(LONG_WAIT);
    eventually("the next change is told", async || receiver.told() == ["connection.deleted mail"]).await;
    world.advance(Duration::from_hours(8 * 24));
    eventually("it is cleared away", async || count(&world, "webhook_deliveries").await == 0).await;
    service.stop().await;
}

/// What endpoints do not know, row by row.
async fn undelivered(service: &Service, state: WebhookDeliveryState) -> Vec<WebhookDelivery> {
    let mut webhooks = WebhookServiceClient::new(service.channel.clone());
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    loop {
        let state = state.into();
        let request = ListWebhookDeliveriesRequest {
            page_size: 1,
            page_token,
            state,
            parent: "tenants/acme".to_owned(),
        };
        let page = webhooks.list_webhook_deliveries(request).await.unwrap().into_inner();
        rows.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            return rows;
        }
        page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn what_waits_is_listed_page_by_page_and_bad_fields_are_all_named() {
    let world = World::new().await;
    let mut service = start(&world, "http://127.0.0.1:9/nobody-listens").await;
    for id in ["a", "b", "c"] {
        service.connect(&world, id).await;
    }
    eventually("all wait", async || count(&world, "webhook_deliveries").await == 3).await;
    let listed = undelivered(&service, WebhookDeliveryState::Pending).await;
    let names: Vec<_> = listed.iter().map(|delivery| delivery.connection.clone()).collect();
    assert_eq!(names, ["a", "b", "c"].map(name));
    assert!(listed.iter().all(|delivery| delivery.next_attempt_time.is_some()), "{listed:?}");
    assert!(undelivered(&service, WebhookDeliveryState::GivenUp).await.is_empty());

    let request = ListWebhookDeliveriesRequest {
        parent: "acme".to_owned(),
        page_size: -1,
        page_token: "made up".to_owned(),
        state: 99,
    };
    let status = WebhookServiceClient::new(service.channel.clone())
        .list_webhook_deliveries(request)
        .await
        .unwrap_err();
    let mut fields: Vec<String> = status_violations(&status).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    assert_eq!(fields, ["page_size", "page_token", "parent", "state"]);
    service.stop().await;
}

async fn one_of_three_replicas_tells(database: Option<&TestDatabase>) {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let mut services = Vec::new();
    for _ in 0..3 {
        let mut config = telling(&world, &receiver.url);
        if let Some(database) = database {
            config.database = DatabaseUrl::parse(&database.url()).unwrap();
        }
        services.push(world.start_with(config).await.unwrap());
    }
    // The first message shows that the endpoint is claimed.
    let mut first = 0;
    eventually("the endpoint is told", async || {
        services[0].connect(&world, &format!("first-{first}")).await;
        first += 1;
        !receiver.accepted().is_empty()
    })
    .await;
    for number in 0..20 {
        services[number % 3].connect(&world, &format!("c{number}")).await;
    }
    let of_these = || receiver.told().into_iter().filter(|told| told.contains(" c")).collect::<Vec<_>>();
    eventually("all are told", async || of_these().len() >= 20).await;
    // Each replica stops in turn, whoever holds the endpoint: the last one goes on.
    while services.len() > 1 {
        services.remove(0).stop().await;
        let id = format!("c-{}", services.len());
        services[0].connect(&world, &id).await;
        eventually("the next replica tells", async || {
            receiver.told().contains(&format!("connection.active {id}"))
        })
        .await;
    }
    let mut told = of_these();
    assert_eq!(told.len(), 22, "{told:?}");
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 22, "something was told twice");
    for service in services {
        service.stop().await;
    }
}

#[tokio::test]
async fn one_of_three_replicas_tells_each_change_once() {
    one_of_three_replicas_tells(None).await;
}

#[tokio::test]
async fn one_of_three_replicas_on_postgresql_tells_each_change_once() {
    let Some(database) = TestDatabase::create().await else { return };
    one_of_three_replicas_tells(Some(&database)).await;
    database.drop().await;
}

#[tokio::test]
async fn endpoints_that_must_not_be_told_are_refused_at_the_start() {
    let world = World::new().await;
    let error = world.start_with(telling(&world, "http://hooks.example/canary")).await.err().unwrap();
    let text = service_kit::error_chain::ErrorChain(&error).to_string();
    assert!(text.contains("https") && !text.contains("canary"), "{text}");
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(!world.database_path().exists());
}
