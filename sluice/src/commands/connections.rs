//! `sluice connections`: what is connected, and what state it is in.

use clap::{Args, Subcommand, ValueEnum};
use proto::token::v1::{
    ConnectionState, DeleteConnectionRequest, GetConnectionRequest, ListConnectionsRequest,
};
use serde::Serialize;
use service_kit::exit::Exit;

use crate::{
    client::{Endpoints, MAX_ROWS, all_pages, call},
    failure::Failure,
    names::{self, ConnectionName, TenantName},
    output::{Output, details, table},
    view::{Connection, in_words},
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
    /// Lists connections, as without a subcommand.
    List(Filter),
    /// Shows everything about one connection.
    Show {
        /// For example tenants/acme/connections/mail.
        #[arg(value_parser = ConnectionName::parse)]
        name: ConnectionName,
    },
    /// Forgets a connection and destroys its keys and tokens.
    Remove {
        /// For example tenants/acme/connections/mail.
        #[arg(value_parser = ConnectionName::parse)]
        name: ConnectionName,
    },
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
    Active,
    NeedsReauth,
    Blocked,
    Revoked,
}

#[derive(Serialize)]
struct List {
    connections: Vec<Connection>,
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
    match arguments.action.unwrap_or(Action::List(arguments.filter)) {
        Action::List(filter) => list(&filter, endpoints, output).await,
        Action::Show { name } => show(&name, endpoints, output).await,
        Action::Remove { name } => remove(&name, endpoints, output).await,
    }
}

async fn list(filter: &Filter, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let state = match filter.state {
        None => ConnectionState::Unspecified,
        Some(State::Active) => ConnectionState::Active,
        Some(State::NeedsReauth) => ConnectionState::NeedsReauth,
        Some(State::Blocked) => ConnectionState::Blocked,
        Some(State::Revoked) => ConnectionState::Revoked,
    };
    let connections = fetch(filter.tenant.as_ref(), state, endpoints).await?;
    if connections.is_empty() {
        output.note("no connections; `sluice connect tenants/…/connections/…` makes one");
    }
    output.result(&List { connections }, |list| {
        let rows = list.connections.iter().map(|connection| {
            vec![
                connection.name.clone(),
                in_words(&connection.state),
                connection.username.clone().unwrap_or_default(),
                connection.state_cause.clone().unwrap_or_default(),
                connection.refresh_time.clone().unwrap_or_default(),
            ]
        });
        table(&["NAME", "STATE", "ACCOUNT", "CAUSE", "LAST REFRESH"], rows)
    })?;
    Ok(Exit::Done)
}

/// Every connection of a tenant, or of all, that is in a state, or in any.
pub(super) async fn fetch(
    tenant: Option<&TenantName>,
    state: ConnectionState,
    endpoints: &Endpoints,
) -> Result<Vec<Connection>, Failure> {
    let client = endpoints.connections().await?;
    let parent = tenant.map(ToString::to_string).unwrap_or_default();
    all_pages("list connections", MAX_ROWS, async |page_token, page_size| {
        let request =
            ListConnectionsRequest { parent: parent.clone(), page_size, page_token, state: state.into() };
        let page = client.clone().list_connections(call(request)).await?.into_inner();
        Ok((page.connections, page.next_page_token))
    })
    .await
}

async fn show(name: &ConnectionName, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let mut client = endpoints.connections().await?;
    let answer = client
        .get_connection(call(GetConnectionRequest { name: name.to_string() }))
        .await
        .map_err(|status| Failure::from_status(&format!("show {name}"), &status))?;
    let connection = Connection::from(answer.into_inner().connection.unwrap_or_default());
    output.result(&connection, text)?;
    Ok(Exit::Done)
}

/// Everything about one connection, for people.
pub(super) fn text(connection: &Connection) -> String {
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    details(&[
        ("name", &connection.name),
        ("text", &connection.display_name),
        ("state", &in_words(&connection.state)),
        ("cause", &optional(&connection.state_cause)),
        ("since", &optional(&connection.state_time)),
        ("account", &optional(&connection.username)),
        ("directory", &optional(&connection.directory_id)),
        ("provider", &connection.provider),
        ("client id", &connection.client_id),
        ("app", &in_words(&optional(&connection.app_health))),
        ("scopes", &connection.scopes.join(" ")),
        ("made", &optional(&connection.create_time)),
        ("last refresh", &optional(&connection.refresh_time)),
        ("its outcome", &in_words(&optional(&connection.refresh_outcome))),
    ])
}

async fn remove(name: &ConnectionName, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let mut client = endpoints.connections().await?;
    client
        .delete_connection(call(DeleteConnectionRequest { name: name.to_string() }))
        .await
        .map_err(|status| Failure::from_status(&format!("remove {name}"), &status))?;
    output
        .result(&Removed { removed: name.to_string() }, |removed| format!("removed {}", removed.removed))?;
    Ok(Exit::Done)
}
