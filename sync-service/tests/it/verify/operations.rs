//! What the destination has, folder by folder and page by page, on SQLite and PostgreSQL.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use service_kit::{
    clock::SystemClock,
    database::{self, DatabaseUrl, PoolOptions},
};
use sync_service::{
    domain::{
        action::Step,
        baseline::Baseline,
        cursor::Cursor,
        drift::Drift,
        names::{RunName, SourceName},
        run::{FinishState, RunKind, RunPhase},
    },
    ops::{
        Ctx, OpError,
        commit_page::{Reading, commit_page},
        finish_run::finish_run,
        lease_run::lease_run,
        list_actions::{Extent, list_actions},
        list_applied::{Wanted, list_applied},
        report_drift::report_drift,
        report_outcomes::{Outcome, OutcomeResult, report_outcomes},
        runs, sources,
        start_run::start_run,
    },
    store::Store,
};

use crate::plans::operations::{finish, listed, sqlite};

/// Files in one folder: more than two pages.
const FILES: usize = 1_203;

/// The operations alone, on any database.
pub(crate) async fn live_on(url: &DatabaseUrl) {
    let connection = database::connect(url, &PoolOptions::default()).await.unwrap();
    let ctx = Ctx::new(Store::new(connection), Arc::new(SystemClock));
    let (spec, other) = (crate::postgres::spec(0), crate::postgres::spec(1));
    sources::create(&ctx, &spec).await.unwrap();
    mirror(&ctx).await;

    // A worker that cannot verify is not kept from plans.
    sources::create(&ctx, &other).await.unwrap();
    let asked = start_run(&ctx, &spec.name, RunKind::Verify).await.unwrap();
    let plan = start_run(&ctx, &other.name, RunKind::Plan).await.unwrap();
    let lease =
        async |kinds: &[RunKind]| lease_run(&ctx, "w", None, kinds, Duration::ZERO).await.unwrap().unwrap();
    let leased = lease(&[RunKind::Plan]).await;
    assert_eq!((&leased.run, leased.kind), (&plan.name, RunKind::Plan));
    finish_run(&ctx, &leased.run, leased.source.lease.epoch, &finish(FinishState::Completed)).await.unwrap();
    let leased = lease(&[RunKind::Plan, RunKind::Verify]).await;
    assert_eq!((&leased.run, leased.kind), (&asked.name, RunKind::Verify));
    let (run, epoch) = (leased.run, leased.source.lease.epoch);
    assert_eq!(runs::get(&ctx, &run).await.unwrap().run.phase, RunPhase::Verifying);

    let mut names = Vec::new();
    let mut wanted = Wanted { folder: String::new(), folders_only: false, after: Default::default() };
    loop {
        let page = list_applied(&ctx, &run, epoch, &wanted).await.unwrap();
        let totals = page.totals.map(|totals| (totals.files, totals.bytes));
        let of_first = (i64::try_from(FILES).unwrap(), 3 * i64::try_from(FILES).unwrap());
        assert_eq!(totals, names.is_empty().then_some(of_first));
        names.extend(page.items.into_iter().map(|item| item.applied.unwrap().name));
        let Some(after) = page.next else { break };
        wanted.after = after;
    }
    assert_eq!(names, self::names());
    for nothing in [
        Wanted { folder: String::new(), folders_only: true, after: Default::default() },
        Wanted { folder: "#staging".into(), folders_only: false, after: Default::default() },
        Wanted { folder: "unknown".into(), folders_only: false, after: Default::default() },
    ] {
        let page = list_applied(&ctx, &run, epoch, &nothing).await.unwrap();
        assert!(page.items.is_empty() && page.next.is_none() && page.totals.is_none(), "{nothing:?}");
    }
    let late = list_applied(&ctx, &run, epoch - 1, &wanted).await;
    assert!(matches!(late, Err(OpError::LeaseLost(_))));
    finish_run(&ctx, &run, epoch, &finish(FinishState::Completed)).await.unwrap();
    heal(&ctx, &spec.name).await;
    for name in [&spec.name, &other.name] {
        sources::delete(&ctx, name).await.unwrap();
    }
}

/// One file is gone, and one has other bytes: those two are to be put there again.
async fn heal(ctx: &Ctx, source: &SourceName) {
    start_run(ctx, source, RunKind::Heal).await.unwrap();
    let leased = lease_run(ctx, "w", None, &[RunKind::Heal], Duration::ZERO).await.unwrap().unwrap();
    let (run, epoch) = (leased.run, leased.source.lease.epoch);
    let names = names();
    let drift = [
        (names[3].clone(), Drift::Gone),
        (names[700].clone(), Drift::Changed),
        ("unknown".into(), Drift::Gone),
    ];
    for _ in 0..2 {
        report_drift(ctx, &run, epoch, &drift).await.unwrap();
    }
    let reading = Reading::Page { items: Vec::new(), leads_to: Cursor::CaughtUp("2".into()) };
    commit_page(ctx, &run, epoch, "1", reading, false).await.unwrap();
    let late = report_drift(ctx, &run, epoch, &drift).await;
    assert!(matches!(late, Err(OpError::NotHealing(_))));
    let pages: Vec<_> =
        list_actions(ctx.clone(), run.clone(), epoch, Extent::Everything).try_collect().await.unwrap();
    let actions: Vec<(String, Option<Baseline>)> = pages
        .into_iter()
        .flatten()
        .map(|action| {
            let Step::PutContent { expected, .. } = action.step else { panic!("{action:?}") };
            (action.item_id, expected)
        })
        .collect();
    let bytes_only = Baseline { size: Some(3), modified: None, hash: Some("h".into()) };
    assert_eq!(actions, [(names[3].clone(), None), (names[700].clone(), Some(bytes_only))]);
    finish_run(ctx, &run, epoch, &finish(FinishState::Failed)).await.unwrap();
}

/// Sorted.
fn names() -> Vec<String> {
    (0..FILES).map(|number| format!("f{number:05}")).collect()
}

/// Lists files, and answers every action with success.
async fn mirror(ctx: &Ctx) {
    let leased = lease_run(ctx, "w", None, &[], Duration::ZERO).await.unwrap().unwrap();
    let (run, epoch): (&RunName, i64) = (&leased.run, leased.source.lease.epoch);
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let reading = Reading::Page { items: listed(&names), leads_to: Cursor::CaughtUp("1".into()) };
    commit_page(ctx, run, epoch, "", reading, false).await.unwrap();
    let pages: Vec<_> =
        list_actions(ctx.clone(), run.clone(), epoch, Extent::Everything).try_collect().await.unwrap();
    for page in pages {
        let file = Baseline { size: Some(3), modified: Some(ctx.now()), hash: Some("h".into()) };
        let outcomes: Vec<Outcome> = page
            .into_iter()
            .map(|action| Outcome {
                item_id: action.item_id,
                token: action.token.encode().unwrap(),
                result: OutcomeResult::Done { bytes: 3, file: Some(file.clone()) },
                notices: Vec::new(),
            })
            .collect();
        report_outcomes(ctx, run, epoch, &outcomes).await.unwrap();
    }
    finish_run(ctx, run, epoch, &finish(FinishState::Completed)).await.unwrap();
}

#[tokio::test]
async fn what_lies_where_on_sqlite() {
    let home = tempfile::tempdir().unwrap();
    live_on(&sqlite(&home).await).await;
}
