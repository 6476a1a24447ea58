//! Scenario files.

use std::time::Duration;

use simulator::{Clock, Config, DriveHandle, Scenario, ScenarioError, Simulator};

/// Longest an event that is due may take to be seen.
const LIMIT: Duration = Duration::from_secs(20);

async fn play(text: &str) -> (Simulator, Vec<DriveHandle>) {
    let clock = Clock::stopped(Duration::from_hours(500_000));
    let mut simulator = Simulator::start_strict(Config { clock, ..Config::default() }).await.unwrap();
    let drives = simulator.play(Scenario::parse(text).unwrap()).unwrap();
    (simulator, drives)
}

async fn until(happened: impl Fn() -> bool + Send + Sync) {
    let wait = async {
        while !happened() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap();
}

#[tokio::test]
async fn drives_have_their_history_and_switches_are_set_before_the_first_request() {
    let (simulator, drives) = play(
        r#"
        [switches]
        resource_units_per_minute = 1250
        [switches.tokens]
        rotation = "strict"

        [[drives]]
        spec = { seed = 7, files = 5, folders = 1 }
        changes = [{ op = "mkdir", parent = "/", name = "old" },
                   { op = "create_file", parent = "/old", name = "a.txt", size = 3 }]

        [[drives]]
        spec = { files = 0, folders = 0, kind = "documentLibrary" }
        random = { seed = 1, count = 30 }
        "#,
    )
    .await;
    assert_eq!(simulator.switches().resource_units_per_minute, Some(1_250));
    assert_eq!(drives[0].lookup("/old/a.txt").unwrap().size, 3);
    assert!(drives[1].item_count() > 0);
    assert_eq!(simulator.drives().len(), 2);
}

#[tokio::test]
async fn events_happen_in_order_of_their_time_and_as_often_as_told() {
    let (simulator, drives) = play(
        r#"
        [[drives]]
        spec = { files = 0, folders = 0 }

        [[events]]
        at_milliseconds = 20
        changes = [{ op = "rename", item = "/first", name = "second" }]
        faults = [{ fault = "status", status = 503, on = "delta", times = 2, retry_after = { seconds = 1 } }]

        [[events]]
        at_milliseconds = 1
        changes = [{ op = "mkdir", parent = "/", name = "first" }]

        [[events]]
        at_milliseconds = 2
        times = 5
        faults = [{ fault = "transient_404", times = 1 }]
        random = { seed = 3, count = 1 }
        "#,
    )
    .await;
    until(|| drives[0].lookup("/second").is_some()).await;
    // Five of one event, one of the other.
    until(|| simulator.faults().list().len() == 6).await;
}

#[tokio::test]
async fn an_event_that_cannot_happen_does_not_stop_the_others() {
    let (_simulator, drives) = play(
        r#"
        [[drives]]
        spec = { files = 0, folders = 0 }
        [[events]]
        at_milliseconds = 0
        changes = [{ op = "delete", item = "/nothing" }, { op = "mkdir", parent = "/", name = "yes" }]
        "#,
    )
    .await;
    until(|| drives[0].lookup("/yes").is_some()).await;
}

#[test]
fn what_is_no_scenario_is_refused_with_the_place() {
    let wrong = |text: &str| Scenario::parse(text).unwrap_err().to_string();
    assert!(wrong("[[drives]]\nspec = { fils = 3 }\n").starts_with("line 2: unknown field `fils`"));
    assert!(wrong("drives = []").contains("at least one drive"));
    assert!(wrong("[[drives]]\n[[events]]\nat_milliseconds = 1\ndrive = 1\n").contains("no such drive"));
    let long = "#".repeat(simulator::MAX_SCENARIO_BYTES + 1);
    assert!(matches!(Scenario::parse(&long), Err(ScenarioError::TooLong)));
}

#[tokio::test]
async fn a_history_that_is_not_possible_is_refused() {
    let mut simulator = Simulator::start_strict(Config::default()).await.unwrap();
    let scenario =
        Scenario::parse("[[drives]]\nchanges = [{ op = \"delete\", item = \"/nothing\" }]\n").unwrap();
    assert!(matches!(simulator.play(scenario), Err(ScenarioError::History { drive: 0, change: 0, .. })));
}

/// The README's example is one, as it stands there.
#[tokio::test]
async fn the_example_of_the_readme_can_be_played() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## Scenario files").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    ")).collect::<Vec<_>>();
    assert!(lines.len() > 10);
    let scenario = Scenario::parse(&lines.join("\n")).unwrap();
    let mut simulator = Simulator::start_strict(Config::default()).await.unwrap();
    let drives = simulator.play(scenario).unwrap();
    assert!(drives[0].item_count() > 200);
    assert_eq!(simulator.switches().resource_units_per_minute, Some(1_250));
}
