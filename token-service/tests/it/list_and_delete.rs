//! `ListConnections`, `DeleteConnection`, and what is not supported yet.

use proto::token::v1::{
    self as wire, ConnectionState, CreateConnectionRequest, DeleteConnectionRequest, GetConnectionRequest,
    ListAuditEventsRequest, ListConnectionsRequest, ListKeysRequest, StartCodeAuthorizationRequest,
    audit_service_client::AuditServiceClient, key_service_client::KeyServiceClient,
};
use service_kit::status::{status_reason, status_violations};
use simulator::FIRST_USER;
use tonic::Code;

use crate::world::{Service, World, ask, eventually, import, name};

impl Service {
    async fn list(&self, request: ListConnectionsRequest) -> (Vec<String>, String) {
        let answer = self.connections.clone().list_connections(request).await.unwrap().into_inner();
        (answer.connections.into_iter().map(|connection| connection.name).collect(), answer.next_page_token)
    }
}

#[tokio::test]
async fn lists_are_paged_in_order_and_filtered_by_tenant_and_state() {
    let (world, mut service) = World::with_service().await;
    for (tenant, id) in [("acme", "b"), ("acme", "a"), ("acme", "c"), ("beta", "a"), ("acme-2", "z")] {
        let parent = format!("tenants/{tenant}");
        let request = CreateConnectionRequest { parent, ..import(id, world.refresh_token()) };
        service.connections.create_connection(request).await.unwrap();
    }
    let mut paged = Vec::new();
    let mut request = ListConnectionsRequest { page_size: 2, ..Default::default() };
    loop {
        let (names, next) = service.list(request.clone()).await;
        assert!(names.len() <= 2 && !names.is_empty());
        paged.extend(names);
        if next.is_empty() {
            break;
        }
        request.page_token = next;
    }
    let (all, next) =
        service.list(ListConnectionsRequest { parent: "tenants/-".into(), ..Default::default() }).await;
    assert_eq!((&paged, next.as_str()), (&all, ""));
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted());

    let acme = ListConnectionsRequest { parent: "tenants/acme".to_owned(), ..Default::default() };
    assert_eq!(service.list(acme.clone()).await.0, [name("a"), name("b"), name("c")]);
    world.sim.revoke(FIRST_USER, 50_173);
    world.advance(std::time::Duration::from_hours(2));
    service.token(ask("b")).await.unwrap_err();
    let broken = ListConnectionsRequest { state: ConnectionState::NeedsReauth.into(), ..acme.clone() };
    assert_eq!(service.list(broken).await.0, [name("b")]);
    let active = ListConnectionsRequest { state: ConnectionState::Active.into(), ..acme };
    assert_eq!(service.list(active).await.0, [name("a"), name("c")]);
    service.stop().await;
}

#[tokio::test]
async fn bad_lists_name_every_bad_field() {
    let (_world, mut service) = World::with_service().await;
    let request = ListConnectionsRequest {
        parent: "tenants/Acme".to_owned(),
        page_size: 1001,
        page_token: "made up".to_owned(),
        state: 99,
    };
    let status = service.connections.list_connections(request).await.unwrap_err();
    let mut fields: Vec<String> = status_violations(&status).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    assert_eq!(fields, ["page_size", "page_token", "parent", "state"]);
    service.stop().await;
}

#[tokio::test]
async fn a_deleted_connection_is_gone_from_memory_and_database_and_its_name_is_free() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    let token = service.token(ask("mail")).await.unwrap().access_token;
    let delete = || DeleteConnectionRequest { name: name("mail") };
    service.connections.delete_connection(delete()).await.unwrap();
    for status in [
        service.token(ask("mail")).await.unwrap_err(),
        service.connections.get_connection(GetConnectionRequest { name: name("mail") }).await.unwrap_err(),
        service.connections.delete_connection(delete()).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status_reason(&status).as_deref(), Some("CONNECTION_NOT_FOUND"));
    }
    service.connect(&world, "mail").await;
    assert_ne!(service.token(ask("mail")).await.unwrap().access_token, token);
    service.stop().await;
}

#[tokio::test]
async fn what_this_version_does_not_have_says_so() {
    let (_world, mut service) = World::with_service().await;
    let statuses = [
        KeyServiceClient::new(service.channel.clone()).list_keys(ListKeysRequest::default()).await.err(),
        AuditServiceClient::new(service.channel.clone())
            .list_audit_events(ListAuditEventsRequest::default())
            .await
            .err(),
        service.authorizations.start_code_authorization(StartCodeAuthorizationRequest::default()).await.err(),
        service
            .authorizations
            .complete_code_authorization(wire::CompleteCodeAuthorizationRequest::default())
            .await
            .err(),
    ];
    for status in statuses {
        assert_eq!(status.unwrap().code(), Code::Unimplemented);
    }
    service.stop().await;
}

#[tokio::test]
async fn a_connection_that_another_replica_deleted_does_not_live_on_in_memory() {
    let (world, mut first) = World::with_service().await;
    let second = world.start().await.unwrap();
    first.connect(&world, "mail").await;
    second.token(ask("mail")).await.unwrap();
    first.connections.delete_connection(DeleteConnectionRequest { name: name("mail") }).await.unwrap();
    eventually("the other replica hears of it", async || {
        second.token(ask("mail")).await.is_err_and(|status| status.code() == Code::NotFound)
    })
    .await;
    first.stop().await;
    second.stop().await;
}
