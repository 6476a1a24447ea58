//! `sluice connect`: a person signs in with a code, or a refresh token from elsewhere is taken over.

use std::{io, path::PathBuf};

use clap::Args;
use proto::token::v1::{
    Authorization, AuthorizationState, Connection as ProtoConnection, CreateConnectionRequest,
    GetConnectionRequest, RefreshTokenCredential, StartDeviceAuthorizationRequest,
    StartDeviceAuthorizationResponse, WatchAuthorizationRequest, create_connection_request::Credential,
};
use service_kit::{clock::duration_from_proto, exit::Exit, secret::SecretString};

use crate::{
    client::{Endpoints, call},
    commands::connections::text,
    failure::Failure,
    follow::{Broken, follow},
    names::ConnectionName,
    output::Output,
    view::Connection,
};

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The connection to make or mend, for example tenants/acme/connections/mail.
    #[arg(value_parser = ConnectionName::parse)]
    pub(super) name: ConnectionName,
    /// Text for people that goes with a new connection.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) display_name: String,
    /// A scope to ask for, instead of the service's default scopes; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// Takes over a refresh token from this file, or from stdin for "-". It is never given on the command line.
    #[arg(long, value_name = "FILE")]
    pub(super) import: Option<PathBuf>,
}

/// Does what was asked.
///
/// # Errors
/// The service is not there or refuses, or nobody signed in.
pub async fn run(arguments: Arguments, endpoints: &Endpoints, output: Output) -> Result<Exit, Failure> {
    let connection = if let Some(file) = arguments.import.clone() {
        import(arguments, file, endpoints).await?
    } else {
        match sign_in(arguments, endpoints, output).await? {
            Some(connection) => connection,
            None => return Ok(Exit::TryAgain),
        }
    };
    output.result(&Connection::from(connection), text)?;
    Ok(Exit::Done)
}

async fn import(
    arguments: Arguments,
    file: PathBuf,
    endpoints: &Endpoints,
) -> Result<ProtoConnection, Failure> {
    if !endpoints.token_service.is_loopback() {
        let line = format!(
            "refusing to send a refresh token to {} in clear; forward a port of this machine to the token service",
            endpoints.token_service
        );
        return Err(Failure::new(Exit::Configuration, line));
    }
    let token = tokio::task::spawn_blocking(move || read_token(&file))
        .await
        .map_err(|error| Failure::from_error(Exit::Failure, "cannot read the refresh token", &error))??;
    let name = &arguments.name;
    let request = CreateConnectionRequest {
        parent: format!("tenants/{}", name.tenant()),
        connection_id: name.connection().to_string(),
        display_name: arguments.display_name,
        scopes: arguments.scopes,
        credential: Some(Credential::RefreshToken(RefreshTokenCredential {
            refresh_token: token.expose().to_owned(),
        })),
    };
    let answer = endpoints
        .connections()
        .await?
        .create_connection(call(request))
        .await
        .map_err(|status| Failure::from_status(&format!("import {name}"), &status))?;
    Ok(answer.into_inner().connection.unwrap_or_default())
}

fn read_token(file: &std::path::Path) -> Result<SecretString, Failure> {
    let token = if file.as_os_str() == "-" {
        SecretString::read(io::stdin().lock(), "stdin")
    } else {
        SecretString::read_file(file)
    };
    token.map_err(|error| Failure::from_error(Exit::Io, "cannot take over a refresh token", &error))
}

/// The connection once somebody has signed in, or nothing when the person at this terminal does not want to wait.
pub(super) async fn sign_in(
    arguments: Arguments,
    endpoints: &Endpoints,
    output: Output,
) -> Result<Option<ProtoConnection>, Failure> {
    let name = arguments.name;
    let request = StartDeviceAuthorizationRequest {
        connection: name.to_string(),
        display_name: arguments.display_name,
        scopes: arguments.scopes,
    };
    let started = endpoints
        .authorizations()
        .await?
        .start_device_authorization(call(request))
        .await
        .map_err(|status| Failure::from_status(&format!("connect {name}"), &status))?
        .into_inner();
    output.prompt(&instructions(&started));
    let authorization = started.authorization.map(|authorization| authorization.name).unwrap_or_default();
    tokio::select! {
        ended = watch(&authorization, endpoints) => outcome(ended?, &name, endpoints).await.map(Some),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Failure::from_error(Exit::Failure, "cannot listen for ctrl-c", &error))?;
            output.prompt(&format!(
                "\nthe sign-in is still waiting: the code stays good, and `sluice connections show {name}` shows the result"
            ));
            Ok(None)
        }
    }
}

fn instructions(started: &StartDeviceAuthorizationResponse) -> String {
    let minutes =
        started.expires_in.as_ref().and_then(duration_from_proto).map(|span| span.as_secs().div_ceil(60));
    let within = minutes.map(|minutes| format!(", within {minutes} minutes")).unwrap_or_default();
    let mut text = format!(
        "To sign in, open {} and enter the code {}{within}.",
        started.verification_uri, started.user_code
    );
    if !started.verification_uri_complete.is_empty() {
        text.push_str("\nOr open ");
        text.push_str(&started.verification_uri_complete);
    }
    text.push_str("\nWaiting for the sign-in (ctrl-c leaves it waiting) …");
    text
}

/// Follows an authorization to its end, through restarts of the service.
async fn watch(
    name: &str,
    endpoints: &Endpoints,
) -> Result<(Authorization, Option<ProtoConnection>), Failure> {
    follow("watch the sign-in", async || {
        let mut client = endpoints.authorizations().await.map_err(Broken::Gone)?;
        let request = WatchAuthorizationRequest { name: name.to_owned() };
        let mut stream = client.watch_authorization(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            let authorization = message.authorization.unwrap_or_default();
            match authorization.state() {
                AuthorizationState::Unspecified | AuthorizationState::Pending => {}
                AuthorizationState::Completed
                | AuthorizationState::Declined
                | AuthorizationState::Expired
                | AuthorizationState::Failed => return Ok((authorization, message.connection)),
            }
        }
        Err(Broken::ended())
    })
    .await
}

async fn outcome(
    (authorization, connection): (Authorization, Option<ProtoConnection>),
    name: &ConnectionName,
    endpoints: &Endpoints,
) -> Result<ProtoConnection, Failure> {
    let not_connected = |why: &str| {
        Failure::new(
            Exit::NeedsPerson,
            format!("{name} is not connected: {why}; run `sluice connect {name}` again"),
        )
    };
    match authorization.state() {
        AuthorizationState::Completed => {}
        AuthorizationState::Declined => return Err(not_connected("the sign-in was declined")),
        AuthorizationState::Expired => return Err(not_connected("nobody signed in in time")),
        AuthorizationState::Failed if authorization.failure_cause == "ACCOUNT_MISMATCH" => {
            return Err(not_connected("another account signed in than the one that was connected before"));
        }
        AuthorizationState::Failed | AuthorizationState::Unspecified | AuthorizationState::Pending => {
            return Err(not_connected(&format!("the provider answered {}", authorization.failure_cause)));
        }
    }
    if let Some(connection) = connection {
        return Ok(connection);
    }
    let answer = endpoints
        .connections()
        .await?
        .get_connection(call(GetConnectionRequest { name: name.to_string() }))
        .await
        .map_err(|status| Failure::from_status(&format!("show {name}"), &status))?;
    Ok(answer.into_inner().connection.unwrap_or_default())
}
