//! Planning without a worker, on SQLite and PostgreSQL.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use service_kit::{
    clock::SystemClock,
    database::{self, DatabaseUrl, PoolOptions},
};
use sync_service::{
    domain::{
        activity::Activity,
        change::{Facet, ListedItem},
        cursor::Cursor,
        finding::FindingKind,
        run::{Effort, FinishState, RunKind},
    },
    ops::{
        Ctx,
        commit_page::{Reading, commit_page},
        finish_run::{Finish, finish_run},
        lease_run::{Leased, lease_run},
        plan_run::{Planned, Rehearsal},
        report_findings::report_findings,
        runs, sources,
        start_run::start_run,
    },
    store::Store,
};
use tempfile::TempDir;

/// The operations alone, on any database.
pub(crate) async fn live_on(url: &DatabaseUrl) {
    let connection = database::connect(url, &PoolOptions::default()).await.unwrap();
    let ctx = Ctx::new(Store::new(connection), Arc::new(SystemClock));
    let spec = crate::postgres::spec(0);
    sources::create(&ctx, &spec).await.unwrap();
    let leased = lease_run(&ctx, "w", None, &[RunKind::Plan], Duration::ZERO).await.unwrap().unwrap();
    let epoch = leased.source.lease.epoch;
    let reading = Reading::Page { items: listed(&["a", "b"]), leads_to: Cursor::CaughtUp("1".into()) };
    commit_page(&ctx, &leased.run, epoch, "", reading, false).await.unwrap();
    finish_run(&ctx, &leased.run, epoch, &finish(FinishState::Failed)).await.unwrap();

    let asked = start_run(&ctx, &spec.name, RunKind::Plan).await.unwrap();
    let Leased { run, kind, source, .. } =
        lease_run(&ctx, "w", None, &[RunKind::Plan], Duration::ZERO).await.unwrap().unwrap();
    assert_eq!((&run, kind), (&asked.name, RunKind::Plan));
    let epoch = source.lease.epoch;
    let (rehearsal, at) = Rehearsal::begin(ctx.clone(), run.clone(), epoch).await.unwrap();
    assert_eq!(at.cursor, "1");
    let reading = Reading::Page { items: listed(&["c"]), leads_to: Cursor::CaughtUp("2".into()) };
    assert!(rehearsal.commit("1", reading, false).await.unwrap().listing_complete);
    let planned: Vec<Planned> = rehearsal.plan().try_concat().await.unwrap();
    let found: Vec<_> = planned.into_iter().map(|planned| planned.finding).collect();
    assert_eq!(
        found.iter().map(|it| (it.kind, it.path.as_str())).collect::<Vec<_>>(),
        [(FindingKind::Transfer, "a"), (FindingKind::Transfer, "b"), (FindingKind::Transfer, "c")]
    );
    report_findings(&ctx, &run, epoch, 0, &found).await.unwrap();
    report_findings(&ctx, &run, epoch, 0, &found).await.unwrap();
    finish_run(&ctx, &run, epoch, &finish(FinishState::Completed)).await.unwrap();
    assert_eq!(runs::findings(&ctx, &run, 0, 10).await.unwrap(), found);
    assert_eq!(runs::findings(&ctx, &run, 2, 10).await.unwrap(), found[2..]);
    assert_eq!(runs::get(&ctx, &run).await.unwrap().run.findings.items(), 3);
    assert_eq!(sources::get(&ctx, &spec.name).await.unwrap().cursor, Cursor::CaughtUp("1".into()));
    sources::delete(&ctx, &spec.name).await.unwrap();
}

#[tokio::test]
async fn a_rehearsal_on_sqlite() {
    let home = tempfile::tempdir().unwrap();
    live_on(&sqlite(&home).await).await;
}

/// A database with the schema, in this folder.
pub(crate) async fn sqlite(home: &TempDir) -> DatabaseUrl {
    let url = DatabaseUrl::sqlite(home.path().join("sync.db"));
    let connection = database::connect(&url, &PoolOptions::default()).await.unwrap();
    migrations::up(&connection, migrations::Schema::Sync).await.unwrap();
    connection.close().await.unwrap();
    url
}

pub(crate) fn finish(state: FinishState) -> Finish {
    Finish {
        state,
        reason: "TEST".into(),
        detail: String::new(),
        effort: Effort::default(),
        retry_after: None,
        activity: Activity::default(),
    }
}

pub(crate) fn listed(names: &[&str]) -> Vec<ListedItem> {
    let item = |id: &str, facet, parent: &str| ListedItem {
        id: id.into(),
        parent_id: parent.into(),
        name: id.into(),
        facet,
        deleted: false,
        size: 3,
        e_tag: "e".into(),
        c_tag: String::new(),
        hash: String::new(),
        modified: None,
    };
    let root = std::iter::once(item("root", Facet::Root, ""));
    root.chain(names.iter().map(|name| item(name, Facet::File, "root"))).collect()
}
