//! What the benchmarks of the token service are set in: a simulated Entra, a token service in a process of its own, and connections.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::token::v1::{
    CreateConnectionRequest, RefreshTokenCredential, connection_service_client::ConnectionServiceClient,
    create_connection_request::Credential,
};
use service_kit::{database::DatabaseUrl, exit::Exit, process::Failure, resource_name::ResourceId};
use simulator::{FIRST_USER, PUBLIC_CLIENT_ID, Simulator};
use tempfile::TempDir;
use tonic::transport::Endpoint;

use crate::{
    cli::DatabaseArgs,
    load,
    part::{Part, token_service},
    report::note,
};

/// Connections after which it is said how far connecting is: a service asks a directory at most 300 times a second.
const NOTE_EVERY: usize = 10_000;
/// Connections made, or asked for, at once.
const AT_ONCE: usize = 64;
/// Bytes of an access token: with its scopes, an answer has about 1.5 kB, as Entra's have.
const TOKEN_BYTES: usize = 1400;

/// A simulated Entra and where the token service keeps its data.
pub(crate) struct Setting {
    pub(crate) simulator: Simulator,
    pub(crate) folder: TempDir,
    database: DatabaseUrl,
    tenant: ResourceId,
}

impl Setting {
    pub(crate) async fn new(database: &DatabaseArgs) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::new(Exit::Io, error))?;
        let simulator = Simulator::start(simulator::Config::default()).await;
        let simulator = simulator.map_err(|error| Failure::new(Exit::Unavailable, error))?;
        simulator.switch(|switches| switches.tokens.access_bytes = TOKEN_BYTES);
        let own = || DatabaseUrl::sqlite(folder.path().join("token.db"));
        let database = database.database.clone().unwrap_or_else(own);
        Ok(Self { simulator, folder, database, tenant: ResourceId::new_random("bench") })
    }

    /// The kind of database, in words.
    pub(crate) fn database(&self) -> &'static str {
        if self.database.is_sqlite() { "SQLite" } else { "PostgreSQL" }
    }

    /// Starts a token service; again on the same data, as often as wanted.
    pub(crate) async fn token_service(&self) -> Result<Part, Failure> {
        let keyring = self.folder.path().join("keyring.toml");
        let arguments = token_service::Options::arguments(
            &self.database,
            &keyring.display().to_string(),
            &self.simulator.authority(),
        );
        Part::start(&arguments, self.folder.path().join("token-service.log")).await
    }

    /// Connects so many accounts and gives their names.
    pub(crate) async fn connect(&self, service: &Part, count: usize) -> Result<Arc<[String]>, Failure> {
        let address = format!("http://{}", service.address());
        let failed = |error: tonic::transport::Error| Failure::new(Exit::Unavailable, error);
        let channel = Endpoint::from_shared(address).map_err(failed)?.connect().await.map_err(failed)?;
        let client = ConnectionServiceClient::new(channel);
        let names = (0..count).map(|number| {
            let mut client = client.clone();
            async move {
                let request = self.import(number)?;
                let name = format!("{}/connections/{}", request.parent, request.connection_id);
                let answer = client.create_connection(request).await;
                answer.map_err(|status| {
                    Failure::new(Exit::Failure, format!("cannot connect: {}", status.message()))
                })?;
                Ok::<_, Failure>(name)
            }
        });
        let made = stream::iter(names).buffer_unordered(AT_ONCE).enumerate().map(|(before, name)| {
            if (before + 1) % NOTE_EVERY == 0 {
                note(&format!("{} of {count} connected", before + 1));
            }
            name
        });
        let names: Vec<String> = made.try_collect().await?;
        Ok(names.into())
    }

    fn import(&self, number: usize) -> Result<CreateConnectionRequest, Failure> {
        let scope = "Files.Read.All User.Read offline_access openid profile";
        let token = self.simulator.issue_refresh_token(PUBLIC_CLIENT_ID, scope, FIRST_USER);
        let refresh_token = token.map_err(|error| Failure::new(Exit::Failure, error))?;
        Ok(CreateConnectionRequest {
            parent: format!("tenants/{}", self.tenant),
            connection_id: format!("account-{number}"),
            credential: Some(Credential::RefreshToken(RefreshTokenCredential { refresh_token })),
            ..Default::default()
        })
    }
}

/// Asks for the token of each connection once, which brings it into memory.
pub(crate) async fn ask_for_all(service: &Part, names: &[String]) -> Result<(), Failure> {
    let client = load::client(service.address()).await?;
    let calls = names.iter().map(|name| {
        let mut client = client.clone();
        async move { load::ask(&mut client, name).await.map(drop) }
    });
    stream::iter(calls).buffer_unordered(AT_ONCE).try_collect().await
}
