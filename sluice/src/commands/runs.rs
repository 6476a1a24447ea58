//! `sluice runs`: what was done and what went wrong, and steering what is under way.

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{HumanBytes, HumanCount};
use proto::sync::v1::{
    ApproveDeletionsRequest, CancelRunRequest, GetRunRequest, ListRunsRequest, Run as ProtoRun, RunState,
};
use serde::Serialize;
use service_kit::exit::Exit;

use crate::{
    client::{Endpoints, all_pages, call},
    commands::findings,
    failure::Failure,
    names::{self, RunName, SourceName, TenantName},
    output::{Output, details, table},
    view::{Run, count, counted, in_words, listed},
};

/// What can be asked for.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists runs, as without a subcommand.
    List(Filter),
    /// Shows everything about one run, with what could not be finished.
    Show(Named),
    /// Shows a run that was asked for, such as a plan, and everything that it found.
    Findings(Named),
    /// Asks a run to stop; what is done stays done.
    Cancel(Named),
    /// Lets the deletions happen that a run held back.
    Approve {
        #[command(flatten)]
        run: Named,
        /// Most deletions that may happen, as `sluice runs show` says.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        max_deletions: i64,
    },
}

#[derive(Args, Debug)]
struct Named {
    /// For example tenants/acme/sources/docs/runs/run-1.
    #[arg(value_parser = RunName::parse)]
    name: RunName,
}

#[derive(Args, Debug)]
struct Filter {
    /// Only of this source, for example tenants/acme/sources/docs.
    #[arg(value_parser = SourceName::parse)]
    source: Option<SourceName>,
    /// Only of this source, as the argument.
    #[arg(long = "source", value_name = "NAME", value_parser = SourceName::parse, conflicts_with = "source")]
    source_option: Option<SourceName>,
    /// Only of this tenant.
    #[arg(long, value_parser = names::tenant, conflicts_with_all = ["source", "source_option"])]
    tenant: Option<TenantName>,
    /// Only in this state.
    #[arg(long)]
    state: Option<State>,
    /// At most this many, newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Running,
    Succeeded,
    Partial,
    Failed,
    NeedsPerson,
    Cancelled,
}

#[derive(Serialize)]
struct List {
    runs: Vec<Run>,
}

/// Does what was asked.
///
/// # Errors
/// The service is not there or refuses.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    match arguments.action.unwrap_or(Action::List(arguments.filter)) {
        Action::List(filter) => return list(filter, endpoints, output).await,
        Action::Show(run) => show(&get(&run.name, endpoints).await?, output)?,
        Action::Findings(run) => findings::show(get(&run.name, endpoints).await?, endpoints, output).await?,
        Action::Cancel(run) => show(&cancel(&run.name, endpoints).await?, output)?,
        Action::Approve { run, max_deletions } => {
            show(&approve(&run.name, max_deletions, endpoints).await?, output)?;
        }
    }
    Ok(Exit::Done)
}

async fn list(filter: Filter, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let state = match filter.state {
        None => RunState::Unspecified,
        Some(State::Running) => RunState::Running,
        Some(State::Succeeded) => RunState::Succeeded,
        Some(State::Partial) => RunState::Partial,
        Some(State::Failed) => RunState::Failed,
        Some(State::NeedsPerson) => RunState::NeedsPerson,
        Some(State::Cancelled) => RunState::Cancelled,
    };
    let parent = match (filter.source.or(filter.source_option), filter.tenant) {
        (Some(source), _) => source.to_string(),
        (None, Some(tenant)) => format!("{tenant}/sources/-"),
        (None, None) => String::new(),
    };
    let client = endpoints.runs().await?;
    let most = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let runs: Vec<Run> = all_pages("list runs", most, async |page_token, page_size| {
        let request = ListRunsRequest { parent: parent.clone(), page_size, page_token, state: state.into() };
        let page = client.clone().list_runs(call(request)).await?.into_inner();
        Ok((page.runs, page.next_page_token))
    })
    .await?;
    if runs.is_empty() {
        output.note("no runs");
    }
    output.result(&List { runs }, |list| {
        let header =
            ["NAME", "STATE", "STARTED", "SECONDS", "FILES", "BYTES", "DELETED", "FAILED", "REQUESTS"];
        table(&header, list.runs.iter().map(row))
    })?;
    Ok(Exit::Done)
}

fn row(run: &Run) -> Vec<String> {
    vec![
        run.name.clone(),
        in_words(run.reason.as_ref().unwrap_or(&run.state)),
        run.create_time.clone().unwrap_or_default(),
        run.duration_seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default(),
        number(run.stats.files_transferred),
        HumanBytes(count(run.stats.bytes_transferred)).to_string(),
        number(run.stats.items_deleted),
        number(run.stats.items_failed),
        number(run.stats.graph_requests),
    ]
}

async fn get(name: &RunName, endpoints: &Endpoints) -> Result<Run, Failure> {
    let answer = endpoints.runs().await?.get_run(call(GetRunRequest { name: name.to_string() })).await;
    let run =
        answer.map_err(|status| Failure::from_status(&format!("show {name}"), &status))?.into_inner().run;
    Ok(view(run))
}

async fn cancel(name: &RunName, endpoints: &Endpoints) -> Result<Run, Failure> {
    let answer = endpoints.runs().await?.cancel_run(call(CancelRunRequest { name: name.to_string() })).await;
    let run =
        answer.map_err(|status| Failure::from_status(&format!("cancel {name}"), &status))?.into_inner().run;
    Ok(view(run))
}

async fn approve(name: &RunName, max_deletions: i64, endpoints: &Endpoints) -> Result<Run, Failure> {
    let request = ApproveDeletionsRequest { name: name.to_string(), max_deletions };
    let answer = endpoints.runs().await?.approve_deletions(call(request)).await;
    let what = format!("approve the deletions of {name}");
    Ok(view(answer.map_err(|status| Failure::from_status(&what, &status))?.into_inner().run))
}

fn view(run: Option<ProtoRun>) -> Run {
    Run::from(run.unwrap_or_default())
}

/// Shows one run.
///
/// # Errors
/// Stdout cannot be written.
pub(super) fn show(run: &Run, output: Output) -> Result<(), Failure> {
    output.result(run, text)
}

fn text(run: &Run) -> String {
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    let stats = &run.stats;
    let some = |number: i64| if number == 0 { String::new() } else { self::number(number) };
    let kind = match run.kind.as_str() {
        "PLAN" => "plan: nothing is changed",
        "VERIFY" => "verification: nothing is changed",
        "HEAL" => "healing",
        _ => "",
    };
    let looks_only = matches!(run.kind.as_str(), "PLAN" | "VERIFY");
    let verified = run.verification.as_ref().map(|verified| {
        let (done, all) = (number(verified.files_done), counted(verified.files, "file"));
        format!("{done} of {all}, {}", HumanBytes(count(verified.bytes_done)))
    });
    let listed = listed(stats.items_listed, stats.pages);
    let mut text = details(&[
        ("run", &run.name),
        ("kind", kind),
        ("state", &in_words(&run.state)),
        ("reason", &optional(&run.reason)),
        ("detail", &optional(&run.detail)),
        ("started", &optional(&run.create_time)),
        ("ended", &optional(&run.end_time)),
        ("verified", &optional(&verified)),
        ("listed", if run.kind == "VERIFY" { "" } else { &listed }),
        ("because", &optional(&run.listing_cause.as_deref().and_then(listing_cause).map(str::to_owned))),
        ("transferred", &if looks_only { String::new() } else { transferred(run) }),
        ("folders made", &some(stats.folders_made)),
        ("moved", &some(stats.items_moved)),
        ("deleted", &some(stats.items_deleted)),
        ("deletions held", &some(stats.deletions_held)),
        ("failed", &some(stats.items_failed)),
        ("kept, not the drive's", &some(stats.local_kept)),
        ("Graph requests", &number(stats.graph_requests)),
    ]);
    let counts: Vec<_> =
        run.finding_counts.iter().map(|found| (in_words(&found.kind), findings::counted(found))).collect();
    if !counts.is_empty() {
        let rows: Vec<_> = counts.iter().map(|(kind, found)| (kind.as_str(), found.as_str())).collect();
        text.push_str("\n\n");
        text.push_str(&details(&rows));
    }
    if !run.issues.is_empty() {
        let rows = run.issues.iter().map(|issue| {
            // RFC 3339 in UTC sorts as text. What is due before this run's end, the next run tries.
            let later = issue.next_attempt_time.clone().filter(|next| Some(next) > run.end_time.as_ref());
            let next = later.unwrap_or_else(|| "next run".to_owned());
            vec![in_words(&issue.reason), issue.path.clone(), issue.detail.clone(), next]
        });
        text.push_str("\n\n");
        text.push_str(&table(&["NOT FINISHED", "PATH", "DETAIL", "TRIED AGAIN"], rows));
    }
    if !run.notices.is_empty() {
        let rows = run
            .notices
            .iter()
            .map(|notice| vec![in_words(&notice.reason), notice.path.clone(), notice.detail.clone()]);
        text.push_str("\n\n");
        text.push_str(&table(&["KEPT", "AT THE DESTINATION", "DETAIL"], rows));
    }
    if !run.slowest_items.is_empty() {
        let rows = run.slowest_items.iter().map(|item| {
            let size = HumanBytes(count(item.bytes_received)).to_string();
            vec![format!("{:.1} s", item.seconds), size, item.path.clone()]
        });
        text.push_str("\n\n");
        text.push_str(&table(&["SLOWEST", "RECEIVED", "PATH"], rows));
    }
    text
}

/// Why a run listed the whole drive, in words; nothing for one that only looked for changes.
fn listing_cause(cause: &str) -> Option<&'static str> {
    match cause {
        "FIRST" => Some("first listing of the drive"),
        "PERIODIC" => Some("full comparison, due from time to time"),
        "LINK_EXPIRED" => Some("the provider asked for a full listing"),
        "LINK_UNUSABLE" => Some("the feed failed in run after run, so it was begun anew"),
        _ => None,
    }
}

fn transferred(run: &Run) -> String {
    let stats = &run.stats;
    format!("{}, {}", counted(stats.files_transferred, "file"), HumanBytes(count(stats.bytes_transferred)))
}

fn number(number: i64) -> String {
    HumanCount(count(number)).to_string()
}
