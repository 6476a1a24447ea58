//! Callers that do not read what is streamed to them. tonic stops asking a stream for more once the HTTP/2 window is full, in the
//! middle of whatever the stream is at: nothing may be held there that others wait for.

use proto::sync::v1::{self as pb, worker_service_client::WorkerServiceClient};
use tonic::Code;

use crate::world::{World, empty_drive};

/// More than the pool has connections.
const READERS: usize = 12;
/// Bytes of a stream that a reader takes before it reads them: the least that HTTP/2 starts with.
const WINDOW: u32 = 65_535;
/// Folders to make, and the length of their names: two pages of actions that are far larger than the window, and one behind them that
/// is so small that tonic asks for more before it sends it.
const FOLDERS: usize = 2 * 500 + 10;
const NAME_CHARS: usize = 200;

fn page_of_folders(lease: &pb::Lease) -> pb::CommitPageRequest {
    let folder = |number: usize| pb::DriveItem {
        id: format!("folder-{number}"),
        parent_id: "root".into(),
        name: format!("{number:0NAME_CHARS$}"),
        kind: pb::DriveItemKind::Folder.into(),
        ..Default::default()
    };
    let root =
        pb::DriveItem { id: "root".into(), kind: pb::DriveItemKind::Root.into(), ..Default::default() };
    let items = std::iter::once(root).chain((0..FOLDERS).map(folder)).collect();
    let link = pb::delta_page::Link::NextLink("n".into());
    pb::CommitPageRequest {
        run: lease.run.clone(),
        epoch: lease.epoch,
        result: Some(pb::commit_page_request::Result::Page(pb::DeltaPage { items, link: Some(link) })),
        ..Default::default()
    }
}

#[tokio::test]
async fn actions_that_nobody_reads_hold_up_nobody() {
    let world = World::new(&empty_drive()).await;
    let mut client = world.workers().await;
    let lease = world.lease().await;
    client.commit_page(page_of_folders(&lease)).await.unwrap();
    let (run, epoch) = (lease.run.clone(), lease.epoch);
    let listing = pb::ListActionsRequest { run: run.clone(), epoch, while_listing: true };
    let mut unread = Vec::new();
    for _ in 0..READERS {
        let channel =
            World::endpoint(world.sync_address).initial_stream_window_size(WINDOW).connect().await.unwrap();
        let mut reader = WorkerServiceClient::new(channel);
        let mut actions = reader.list_actions(listing.clone()).await.unwrap().into_inner();
        // The first page has come; those behind it fill the window.
        assert!(!actions.message().await.unwrap().unwrap().actions.is_empty());
        unread.push(actions);
        let renewal = pb::RenewLeaseRequest { run: run.clone(), epoch, ..Default::default() };
        client.renew_lease(renewal).await.unwrap();
    }
    // Whoever reads on gets the rest.
    let mut given = 0;
    while let Some(page) = unread[0].message().await.unwrap() {
        given += page.actions.len();
    }
    assert!(given > 0);
    drop(unread);
    let missing = pb::ListActionsRequest { run: format!("{run}x"), ..listing };
    let answer = client.list_actions(missing).await.unwrap().into_inner().message().await;
    assert_eq!(answer.unwrap_err().code(), Code::Aborted);
    world.end().await;
}
