//! `sluice source`: which drive goes to which folder, how often.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use proto::sync::v1::{
    CreateSourceRequest, DeleteSourceRequest, Filter as ProtoFilter, ListSourcesRequest, LocalFolder,
    Source as ProtoSource, SourceState, UpdateSourceRequest, source::Destination,
};
use serde::Serialize;
use service_kit::{clock::duration_to_proto, exit::Exit};

use crate::{
    client::{Endpoints, MAX_ROWS, all_pages, call},
    failure::Failure,
    names::{self, ConnectionName, SourceName, TenantName},
    output::{Output, details, table},
    view::{Source, in_words},
};

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Adds a source; its first run is due at once.
    Add(Add),
    /// Lists sources.
    List(Filter),
    /// Changes a source; what is not named stays as it is. A new filter replaces the old one.
    Update(Update),
    /// Forgets a source; the files at its destination stay.
    Remove {
        /// For example tenants/acme/sources/docs.
        #[arg(value_parser = SourceName::parse)]
        name: SourceName,
    },
}

#[derive(Args, Debug)]
struct Add {
    /// The new source, for example tenants/acme/sources/docs.
    #[arg(value_parser = SourceName::parse)]
    name: SourceName,
    /// The connection whose account reads the drive, of the same tenant.
    #[arg(long, value_parser = ConnectionName::parse)]
    connection: ConnectionName,
    /// The drive as Graph addresses it: me/drive, drives/{id}, users/{id}/drive, groups/{id}/drive or sites/{id}/drive.
    #[arg(long)]
    drive: String,
    /// The folder that the drive is mirrored to, on the machine of the worker; a relative path starts here.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// Time between two runs, for example 15m or 6h [default: 15m].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    interval: Option<Duration>,
    /// Time between full comparisons with the drive, for example 1d [default: the service's own, 7 days].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    full_listing: Option<Duration>,
    #[command(flatten)]
    patterns: Patterns,
    /// Text for people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    display_name: String,
    /// Starts no run until `sluice source update --resume`; `sluice sync --plan` shows what it would do.
    #[arg(long)]
    suspend: bool,
}

/// What of a drive is mirrored.
#[derive(Args, Clone, Debug)]
struct Patterns {
    /// Mirror only what matches, for example '*.pdf' or 'Reports/2026'; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what matches, for example '*.tmp' or 'Archive'; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Leave out files larger than this many bytes.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(i64).range(1..))]
    max_size: Option<i64>,
}

impl Patterns {
    fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty() && self.max_size.is_none()
    }

    fn message(self) -> ProtoFilter {
        ProtoFilter {
            include: self.include,
            exclude: self.exclude,
            max_file_bytes: self.max_size.unwrap_or_default(),
        }
    }
}

#[derive(Args, Debug)]
#[group(id = "change", required = true, multiple = true, args = ["interval", "full_listing", "display_name", "include", "exclude", "max_size", "no_filter", "suspend", "resume"])]
struct Update {
    /// For example tenants/acme/sources/docs.
    #[arg(value_parser = SourceName::parse)]
    name: SourceName,
    /// Time between two runs, for example 15m or 6h.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    interval: Option<Duration>,
    /// Time between full comparisons with the drive, for example 1d.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    full_listing: Option<Duration>,
    #[command(flatten)]
    patterns: Patterns,
    /// Mirror everything again.
    #[arg(long, conflicts_with_all = ["include", "exclude", "max_size"])]
    no_filter: bool,
    /// Text for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Starts no more runs.
    #[arg(long, conflicts_with = "resume")]
    suspend: bool,
    /// Starts runs again.
    #[arg(long)]
    resume: bool,
}

#[derive(Args, Debug)]
struct Filter {
    /// Only of this tenant.
    #[arg(long, value_parser = names::tenant)]
    tenant: Option<TenantName>,
    /// Only in this state.
    #[arg(long)]
    state: Option<State>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Idle,
    Running,
    Failing,
    NeedsPerson,
    Suspended,
}

#[derive(Serialize)]
struct List {
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Removed {
    removed: String,
}

/// Does what was asked.
///
/// # Errors
/// The service is not there or refuses.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    match arguments.action {
        Action::Add(add) => self::add(add, endpoints, output).await,
        Action::List(filter) => list(&filter, endpoints, output).await,
        Action::Update(update) => self::update(update, endpoints, output).await,
        Action::Remove { name } => remove(&name, endpoints, output).await,
    }
}

async fn add(add: Add, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let path = absolute(&add.to)?;
    let request = CreateSourceRequest {
        parent: format!("tenants/{}", add.name.tenant()),
        source_id: add.name.source().to_string(),
        source: Some(ProtoSource {
            display_name: add.display_name,
            connection: add.connection.to_string(),
            drive: add.drive,
            destination: Some(Destination::LocalFolder(LocalFolder { path })),
            interval: add.interval.map(duration_to_proto),
            full_listing_interval: add.full_listing.map(duration_to_proto),
            filter: Some(add.patterns.message()),
            suspended: add.suspend,
            ..ProtoSource::default()
        }),
    };
    let answer = endpoints
        .sources()
        .await?
        .create_source(call(request))
        .await
        .map_err(|status| Failure::from_status(&format!("add {}", add.name), &status))?;
    let source = Source::from(answer.into_inner().source.unwrap_or_default());
    output.result(&source, text)?;
    Ok(Exit::Done)
}

async fn update(update: Update, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let named = [
        ("interval", update.interval.is_some()),
        ("full_listing_interval", update.full_listing.is_some()),
        ("display_name", update.display_name.is_some()),
        ("filter", update.no_filter || !update.patterns.is_empty()),
        ("suspended", update.suspend || update.resume),
    ];
    let paths = named.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
    let request = UpdateSourceRequest {
        source: Some(ProtoSource {
            name: update.name.to_string(),
            interval: update.interval.map(duration_to_proto),
            full_listing_interval: update.full_listing.map(duration_to_proto),
            filter: Some(update.patterns.message()),
            display_name: update.display_name.unwrap_or_default(),
            suspended: update.suspend,
            ..ProtoSource::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths }),
    };
    let answer = endpoints
        .sources()
        .await?
        .update_source(call(request))
        .await
        .map_err(|status| Failure::from_status(&format!("update {}", update.name), &status))?;
    let source = Source::from(answer.into_inner().source.unwrap_or_default());
    output.result(&source, text)?;
    Ok(Exit::Done)
}

/// The path as the worker needs it: absolute, whatever folder this command was started in.
fn absolute(path: &std::path::Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| {
        Failure::from_error(Exit::Usage, &format!("cannot make --to {} absolute", path.display()), &error)
    })?;
    absolute.into_os_string().into_string().map_err(|path| {
        Failure::new(Exit::Usage, format!("--to {} is not UTF-8; choose another folder", path.display()))
    })
}

fn text(source: &Source) -> String {
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    details(&[
        ("name", &source.name),
        ("text", &source.display_name),
        ("state", &in_words(&source.state)),
        ("connection", &source.connection),
        ("drive", &source.drive),
        ("folder", &optional(&source.local_folder)),
        ("every", &interval(source)),
        ("full comparison every", &span(source.full_listing_interval_seconds)),
        ("only", &source.include.join(" ")),
        ("without", &source.exclude.join(" ")),
        ("files up to", &source.max_file_bytes.map(|most| format!("{most} bytes")).unwrap_or_default()),
        ("next run", &optional(&source.next_run_time)),
    ])
}

fn interval(source: &Source) -> String {
    span(source.interval_seconds)
}

fn span(seconds: Option<u64>) -> String {
    let span = seconds.map(Duration::from_secs);
    span.map(|span| humantime::format_duration(span).to_string()).unwrap_or_default()
}

async fn list(filter: &Filter, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let state = match filter.state {
        None => SourceState::Unspecified,
        Some(State::Idle) => SourceState::Idle,
        Some(State::Running) => SourceState::Running,
        Some(State::Failing) => SourceState::Failing,
        Some(State::NeedsPerson) => SourceState::NeedsPerson,
        Some(State::Suspended) => SourceState::Suspended,
    };
    let sources = fetch(filter.tenant.as_ref(), state, endpoints).await?;
    if sources.is_empty() {
        output.note("no sources; `sluice source add` adds one");
    }
    output.result(&List { sources }, |list| {
        let rows = list.sources.iter().map(|source| {
            vec![
                source.name.clone(),
                in_words(&source.state),
                source.drive.clone(),
                source.local_folder.clone().unwrap_or_default(),
                interval(source),
                source.next_run_time.clone().unwrap_or_default(),
            ]
        });
        table(&["NAME", "STATE", "DRIVE", "FOLDER", "EVERY", "NEXT RUN"], rows)
    })?;
    Ok(Exit::Done)
}

/// Every source of a tenant, or of all, that is in a state, or in any.
pub(super) async fn fetch(
    tenant: Option<&TenantName>,
    state: SourceState,
    endpoints: &Endpoints,
) -> Result<Vec<Source>, Failure> {
    let client = endpoints.sources().await?;
    let parent = tenant.map(ToString::to_string).unwrap_or_default();
    all_pages("list sources", MAX_ROWS, async |page_token, page_size| {
        let request =
            ListSourcesRequest { parent: parent.clone(), page_size, page_token, state: state.into() };
        let page = client.clone().list_sources(call(request)).await?.into_inner();
        Ok((page.sources, page.next_page_token))
    })
    .await
}

async fn remove(name: &SourceName, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let mut client = endpoints.sources().await?;
    client
        .delete_source(call(DeleteSourceRequest { name: name.to_string() }))
        .await
        .map_err(|status| Failure::from_status(&format!("remove {name}"), &status))?;
    output.result(&Removed { removed: name.to_string() }, |removed| {
        format!("removed {}; its files stay where they are", removed.removed)
    })?;
    Ok(Exit::Done)
}
