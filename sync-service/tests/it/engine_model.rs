//! The engine against a model: whatever happens to a drive, however its feed is cut, repeated and shuffled, and wherever a worker
//! dies, after every run the destination equals the drive.
//!
//! The index is a real SQLite database, the destination a real folder; the drive is a model whose feed shows what graph-behaviour §2
//! says a feed may show.

mod drive;
mod heal;
mod meddler;
mod mirror;
mod owner;

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use service_kit::database::DatabaseUrl;
use sync_service::domain::filter::{Filter, Pattern};
use tempfile::TempDir;

use self::{
    drive::{Drive, Op},
    meddler::meddling,
    mirror::{Crash, Mirror},
    owner::{LocalChange, Owner},
};

/// One run: what happens to the drive before it, and how it is disturbed.
#[derive(Clone, Debug)]
struct Round {
    /// The filter changes to this one.
    filter: Option<usize>,
    ops: Vec<Op>,
    feed_seed: u64,
    resync: bool,
    /// Where workers die, and what happens to the drive before the next one comes.
    crashes: Vec<(Crash, Vec<Op>)>,
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<u16>();
    prop_oneof![
        3 => (any, 0_u8..6).prop_map(|(parent, name)| Op::CreateFile { parent, name }),
        2 => (any, 0_u8..6).prop_map(|(parent, name)| Op::CreateFolder { parent, name }),
        2 => any.prop_map(|file| Op::Edit { file }),
        2 => (any, 0_u8..6).prop_map(|(item, name)| Op::Rename { item, name }),
        3 => (any, any).prop_map(|(item, parent)| Op::Move { item, parent }),
        1 => (any, any).prop_map(|(left, right)| Op::SwapNames { left, right }),
        1 => any.prop_map(|folder| Op::TurnInsideOut { folder }),
        2 => any.prop_map(|item| Op::Delete { item }),
        1 => any.prop_map(|item| Op::Recreate { item }),
        2 => any.prop_map(|item| Op::Restore { item }),
    ]
}

fn round() -> impl Strategy<Value = Round> {
    let crash = prop_oneof![
        (0_u8..4).prop_map(Crash::AfterPages),
        (0_u8..12).prop_map(Crash::AfterActions),
        (0_u8..12).prop_map(Crash::BeforeReport),
    ];
    (
        proptest::option::weighted(0.2, 0..filters().len()),
        proptest::collection::vec(op(), 0..12),
        any::<u64>(),
        proptest::bool::weighted(0.15),
        proptest::collection::vec((crash, proptest::collection::vec(op(), 0..4)), 0..3),
    )
        .prop_map(|(filter, ops, feed_seed, resync, crashes)| Round {
            filter,
            ops,
            feed_seed,
            resync,
            crashes,
        })
}

/// Filters that take and leave out some of the model's names, at some places.
fn filters() -> Vec<Filter> {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    let filter = |include: &[&str], exclude: &[&str], max_file_bytes| Filter {
        include: patterns(include),
        exclude: patterns(exclude),
        max_file_bytes,
    };
    vec![
        Filter::default(),
        filter(&[], &["a"], None),
        filter(&["b"], &[], None),
        filter(&["a/**/c", "/b"], &["c/a"], None),
        filter(&["?"], &["**/b/b"], Some(1)),
        filter(&[], &[], Some(1)),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn after_every_run_the_destination_equals_the_drive(rounds in proptest::collection::vec(round(), 1..6)) {
        runtime().block_on(async {
            let mut drive = Drive::default();
            let mirror = Mirror::new().await;
            let mut filter = Filter::default();
            for round in rounds {
                if let Some(index) = round.filter {
                    filter = filters().remove(index);
                    mirror.set_filter(&filter).await;
                }
                for op in &round.ops {
                    drive.apply(op);
                }
                mirror.sync(&mut drive, round.feed_seed, round.resync, &round.crashes).await;
                prop_assert_eq!(mirror.tree(), drive.tree(&filter));
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn names_that_a_destination_takes_for_one_never_meet_there(
        before in proptest::collection::vec(round(), 0..2),
        rounds in proptest::collection::vec(round(), 1..5),
    ) {
        runtime().block_on(async {
            let mut drive = Drive::default();
            let mut mirror = Mirror::new().await;
            for round in &before {
                for op in &round.ops {
                    drive.apply(op);
                }
                mirror.sync(&mut drive, round.feed_seed, round.resync, &round.crashes).await;
            }
            // The mirror is moved to another file system, which is played by the same one: files of names that meet stay as strangers.
            let moved = !mirror.tree().is_empty();
            mirror.fold_names(!moved);
            for round in rounds {
                for op in &round.ops {
                    drive.apply(op);
                }
                mirror.sync(&mut drive, round.feed_seed, round.resync, &round.crashes).await;
                let (mut found, wanted) = (mirror.entries(), drive.tree(&Filter::default()));
                found.sort();
                if moved {
                    let lacks = wanted.into_iter().find(|entry| !found.contains(entry));
                    prop_assert_eq!(lacks, None, "{:?}", found);
                } else {
                    prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

/// What somebody writes into the mirror. Numbers pick among what there is.
fn local_change() -> impl Strategy<Value = LocalChange> {
    prop_oneof![
        any::<u16>().prop_map(LocalChange::Edit),
        (any::<u16>(), 0_u8..6).prop_map(|(folder, name)| LocalChange::Plant { folder, name }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_somebody_writes_into_the_mirror_is_never_lost(
        rounds in proptest::collection::vec((round(), proptest::collection::vec(local_change(), 0..4)), 1..5)
    ) {
        runtime().block_on(async {
            let mut drive = Drive::default();
            let mirror = Mirror::new().await;
            let mut owner = Owner::default();
            for (round, changes) in rounds {
                for op in &round.ops {
                    drive.apply(op);
                }
                for change in &changes {
                    owner.apply(&mirror, change);
                }
                mirror.sync(&mut drive, round.feed_seed, round.resync, &round.crashes).await;
                owner.check(&mirror.tree(), &drive.tree(&Filter::default()))?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_somebody_does_in_the_mirror_is_healed_and_nothing_of_theirs_is_lost(
        rounds in proptest::collection::vec((
            round(),
            proptest::collection::vec(meddling(), 0..4),
            proptest::collection::vec((0_u8..8, meddling()), 0..4),
        ), 1..5)
    ) {
        runtime().block_on(async {
            let mut drive = Drive::default();
            let mut mirror = Mirror::new().await;
            mirror.let_meddle();
            let mut filter = Filter::default();
            for (round, before, during) in &rounds {
                if let Some(index) = round.filter {
                    filter = filters().remove(index);
                    mirror.set_filter(&filter).await;
                }
                for op in &round.ops {
                    drive.apply(op);
                }
                for meddling in before {
                    mirror.meddler().meddle(meddling);
                }
                mirror.meddler().plan(during.iter().cloned());
                mirror.sync(&mut drive, round.feed_seed, round.resync, &round.crashes).await;
            }
            // From here on it is quiet.
            mirror.meddler().stop();
            mirror.heal(&mut drive, rounds[0].0.feed_seed).await;
            mirror.meddler().check(&drive.tree(&filter))?;
            Ok::<(), TestCaseError>(())
        })?;
    }
}

/// Histories on PostgreSQL; fewer, since they differ in the statements only.
const POSTGRES_CASES: u32 = 12;

/// Lives through a few histories on a migrated database.
pub(crate) async fn live_on(url: &DatabaseUrl) {
    let mut runner = TestRunner::deterministic();
    for case in 0..POSTGRES_CASES {
        let rounds = proptest::collection::vec(round(), 1..6).new_tree(&mut runner).unwrap().current();
        let mut drive = Drive::default();
        let mut mirror = Mirror::on(url, &format!("case-{case}"), TempDir::new().unwrap()).await;
        if case % 2 == 1 {
            mirror.fold_names(true);
        }
        let mut filter = Filter::default();
        for round in &rounds {
            if let Some(index) = round.filter {
                filter = filters().remove(index);
                mirror.set_filter(&filter).await;
            }
            for op in &round.ops {
                drive.apply(op);
            }
            mirror.sync(&mut drive, round.feed_seed, round.resync, &round.crashes).await;
            let (mut found, wanted) = (mirror.entries(), drive.tree(&filter));
            found.sort();
            assert_eq!(found, wanted.into_iter().collect::<Vec<_>>(), "{rounds:?}");
        }
    }
}
