//! Packages and what comes out of them, and Personal Vaults: nothing is concluded from what they do not show.

use futures_util::StreamExt as _;
use proto::sync::v1 as pb;
use simulator::{Change, DriveKind, DriveSpec};

use crate::world::{World, empty_drive, read_tree};

/// A run by hand: one page of items, then every action reported as done. Gives the actions, as verb and path.
async fn run_by_hand(world: &World, items: Vec<pb::DriveItem>) -> Vec<String> {
    let mut client = world.workers().await;
    let lease = world.lease().await;
    let (run, epoch) = (lease.run.clone(), lease.epoch);
    let link = pb::delta_page::Link::DeltaLink(format!("after {}", lease.cursor));
    let page = pb::DeltaPage { items, link: Some(link) };
    let result = Some(pb::commit_page_request::Result::Page(page));
    let request = pb::CommitPageRequest {
        run: run.clone(),
        epoch,
        read_with: lease.cursor,
        result,
        ..Default::default()
    };
    client.commit_page(request).await.unwrap();
    let mut done = Vec::new();
    loop {
        let request = pb::ListActionsRequest { run: run.clone(), epoch, while_listing: false };
        let pages: Vec<_> = client.list_actions(request).await.unwrap().into_inner().collect().await;
        let actions: Vec<pb::Action> = pages.into_iter().flat_map(|page| page.unwrap().actions).collect();
        if actions.is_empty() {
            break;
        }
        done.extend(actions.iter().map(told));
        let outcomes = actions.into_iter().map(|action| pb::Outcome {
            item_id: action.item_id,
            token: action.token,
            result: Some(pb::outcome::Result::Done(pb::Done::default())),
            notices: Vec::new(),
        });
        let report = pb::ReportOutcomesRequest { run: run.clone(), epoch, outcomes: outcomes.collect() };
        client.report_outcomes(report).await.unwrap();
    }
    let state = pb::FinishState::Completed.into();
    client.finish_run(pb::FinishRunRequest { run, epoch, state, ..Default::default() }).await.unwrap();
    done
}

fn told(action: &pb::Action) -> String {
    let verb = match action.kind.as_ref().unwrap() {
        pb::action::Kind::MakeFolder(_) => "make",
        pb::action::Kind::Move(_) => "move",
        pb::action::Kind::PutContent(_) => "put",
        pb::action::Kind::SetTimes(_) => "time",
        pb::action::Kind::DeleteFile(_) | pb::action::Kind::DeleteFolder(_) => "delete",
    };
    format!("{verb} {}", action.path.join("/"))
}

fn item(id: &str, parent: &str, kind: pb::DriveItemKind) -> pb::DriveItem {
    pb::DriveItem {
        id: id.into(),
        parent_id: parent.into(),
        name: id.into(),
        kind: kind.into(),
        ..Default::default()
    }
}

fn root() -> pb::DriveItem {
    item("root", "", pb::DriveItemKind::Root)
}

fn folder(id: &str, parent: &str) -> pb::DriveItem {
    item(id, parent, pb::DriveItemKind::Folder)
}

fn file(id: &str, parent: &str) -> pb::DriveItem {
    item(id, parent, pb::DriveItemKind::File)
}

#[tokio::test]
async fn what_moves_out_of_a_package_is_mirrored_and_what_moves_in_is_not() {
    let world = World::new(&empty_drive()).await;
    let package = || item("package", "root", pb::DriveItemKind::Package);
    // Children come before their parents, as a feed may have them.
    let first =
        vec![file("deep", "inner"), folder("inner", "outer"), folder("outer", "package"), package(), root()];
    assert_eq!(run_by_hand(&world, [first, vec![file("kept", "root")]].concat()).await, ["put kept"]);
    let out = run_by_hand(&world, vec![root(), package(), folder("outer", "root")]).await;
    assert_eq!(out, ["make outer", "make outer/inner", "put outer/inner/deep"]);
    let back = run_by_hand(&world, vec![root(), package(), folder("outer", "package")]).await;
    assert_eq!(back, ["delete outer/inner/deep", "delete outer/inner", "delete outer"]);
    world.end().await;
}

#[tokio::test]
async fn abraunegg_3158_a_package_is_opaque_and_its_folder_stays() {
    let world = World::new(&empty_drive()).await;
    world.drive.apply(&Change::Mkdir { parent: "/".into(), name: "notes".into() }).unwrap();
    let package =
        Change::Package { parent: "/notes".into(), name: "Notebook".into(), kind: "oneNote".into() };
    world.drive.apply(&package).unwrap();
    world.run_to_end().await;
    assert!(world.mirror().join("notes").is_dir());
    world.drive.apply(&Change::Mkdir { parent: "/notes".into(), name: "more".into() }).unwrap();
    world.drive.expire_delta_links();
    let run = world.run_to_end().await;
    assert_eq!(run.stats.unwrap().items_deleted, 0);
    assert_eq!(read_tree(&world.mirror()).len(), 2);
    world.end().await;
}

/// A vault with one file in it, beside one other file.
async fn with_vault() -> (World, String) {
    let world = World::new(&DriveSpec { kind: DriveKind::Personal, ..empty_drive() }).await;
    let vault = world.drive.apply(&Change::Vault { name: "Personal Vault".into() }).unwrap();
    let create =
        |parent: &str, name: &str| Change::CreateFile { parent: parent.into(), name: name.into(), size: 5 };
    world.drive.apply(&create(&vault, "passport.txt")).unwrap();
    world.drive.apply(&create("/", "other.txt")).unwrap();
    (world, vault)
}

#[tokio::test]
async fn rclone_8736_a_personal_vault_is_left_out_open_or_locked() {
    let (world, vault) = with_vault().await;
    world.run_to_end().await;
    let alone = read_tree(&world.mirror());
    assert_eq!(alone.keys().collect::<Vec<_>>(), ["other.txt"]);
    for locked in [true, false, true] {
        world.drive.apply(&Change::LockVault { item: vault.clone(), locked }).unwrap();
        let run = world.run_to_end().await;
        assert_eq!((run.state(), run.stats.unwrap().items_deleted), (pb::RunState::Succeeded, 0));
        world.drive.expire_delta_links();
        world.run_to_end().await;
        assert_eq!(read_tree(&world.mirror()), alone);
    }
    world.end().await;
}

#[tokio::test]
async fn a_folder_that_turns_out_to_be_a_vault_keeps_what_is_mirrored() {
    let world = World::new(&empty_drive()).await;
    let vault = || pb::DriveItem { special_folder: "vault".into(), ..folder("safe", "root") };
    let gone = |id: &str| pb::DriveItem { deleted: true, ..file(id, "safe") };
    let first =
        vec![root(), folder("safe", "root"), file("one", "safe"), file("two", "safe"), file("other", "root")];
    assert_eq!(run_by_hand(&world, first).await, ["make safe", "put safe/one", "put other", "put safe/two"]);
    assert!(run_by_hand(&world, vec![root(), vault()]).await.is_empty());
    assert!(run_by_hand(&world, vec![root(), gone("one"), gone("two"), gone("safe")]).await.is_empty());
    let moved_in = run_by_hand(&world, vec![root(), vault(), file("other", "safe")]).await;
    assert_eq!(moved_in, ["delete other"], "what is moved into the vault leaves the mirror");
    let moved_out = run_by_hand(&world, vec![root(), file("one", "root")]).await;
    assert_eq!(moved_out, ["move one"]);
    world.end().await;
}
