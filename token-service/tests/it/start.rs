//! Starting: keyrings, databases, settings.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use service_kit::exit::Exit;
use token_service::StartError;

use crate::world::{World, ask, eventually};

/// The one-line text and the exit code of a start that fails.
async fn refusal(world: &World, config: token_service::Config) -> (String, Exit) {
    let error: StartError = world.start_with(config).await.err().expect("the service started");
    let text = service_kit::error_chain::ErrorChain(&error).to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    (text, error.exit())
}

#[tokio::test]
async fn a_first_start_makes_keyring_and_database_for_the_owner_only() {
    let (world, service) = World::with_service().await;
    for path in [world.keyring_path(), world.database_path()] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    service.stop().await;
    let before = fs::read(world.keyring_path()).unwrap();
    world.start().await.unwrap().stop().await;
    assert_eq!(fs::read(world.keyring_path()).unwrap(), before);
}

#[tokio::test]
async fn another_keyring_than_the_databases_is_refused() {
    let (world, mut service) = World::with_service().await;
    service.connect(&world, "mail").await;
    service.stop().await;

    let kept = world.folder.path().join("kept");
    fs::rename(world.keyring_path(), &kept).unwrap();
    // Missing: a new one must not be made in its place.
    let (text, exit) = refusal(&world, world.config()).await;
    assert!(text.contains("restore that file") && exit == Exit::Configuration, "{text}");
    assert!(!world.keyring_path().exists());

    // Another one.
    let other = World::new().await;
    other.start().await.unwrap().stop().await;
    fs::copy(other.keyring_path(), world.keyring_path()).unwrap();
    let (text, exit) = refusal(&world, world.config()).await;
    assert!(text.contains("which the keyring does not have") && exit == Exit::Configuration, "{text}");

    // Another key under the right name.
    let id = fs::read_to_string(&kept).unwrap().split('"').nth(1).unwrap().to_owned();
    let text = fs::read_to_string(other.keyring_path()).unwrap();
    let other_id = text.split('"').nth(1).unwrap();
    fs::write(world.keyring_path(), text.replace(other_id, &id)).unwrap();
    let (text, _) = refusal(&world, world.config()).await;
    assert!(text.contains("is not the one the database was sealed with"), "{text}");

    fs::rename(&kept, world.keyring_path()).unwrap();
    let service = world.start().await.unwrap();
    service.token(ask("mail")).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn bad_settings_are_refused_before_anything_is_made() {
    let world = World::new().await;
    let mut config = world.config();
    config.provider.authority = "http://login.example/".parse().unwrap();
    let (text, exit) = refusal(&world, config).await;
    assert!(text.contains("https") && exit == Exit::Configuration, "{text}");

    let mut config = world.config();
    config.create_keyring = false;
    let (text, _) = refusal(&world, config).await;
    assert!(text.contains("does not exist") && text.contains("--create-keyring"), "{text}");

    fs::write(world.keyring_path(), "primary = \"k\"\n[keys]\nk = \"c2hvcnQ=\"\n").unwrap();
    fs::set_permissions(world.keyring_path(), fs::Permissions::from_mode(0o600)).unwrap();
    let (text, _) = refusal(&world, world.config()).await;
    assert!(text.contains("not the base64 of 32 bytes") && !text.contains("c2hvcnQ"), "{text}");
    assert!(!world.database_path().exists());
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_refused() {
    let world = World::new().await;
    let mut config = world.config();
    config.database = service_kit::database::DatabaseUrl::sqlite(Path::new("/nonexistent/token.db"));
    let (text, exit) = refusal(&world, config).await;
    assert!(text.contains("/nonexistent/token.db") && exit == Exit::Io, "{text}");
}

#[tokio::test]
async fn every_service_has_its_health() {
    let (_world, service) = World::with_service().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(service.channel.clone());
    for name in ["", "sluice.token.v1.TokenService", "sluice.token.v1.KeyService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: name.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, tonic_health::pb::health_check_response::ServingStatus::Serving, "{name}");
    }
    service.stop().await;
}

/// Runs the binary to its end.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_token-service")).args(arguments).env_clear().output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_binary_says_in_one_line_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("token.db").display());
    let keyring = folder.path().join("keyring.toml").display().to_string();
    let serve = |more: &[&str]| {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--database", &database, "--client-id", "app"];
        let mut arguments: Vec<&str> = fixed.to_vec();
        arguments.extend_from_slice(more);
        run(&arguments)
    };
    let (code, text) = serve(&["--keyring", &keyring]);
    assert_eq!((code, text.lines().count()), (Some(78), 1), "{text}");
    assert!(text.contains(&keyring), "{text}");

    let (code, text) = serve(&["--keyring", &keyring, "--client-secret-file", "/nonexistent/secret"]);
    assert_eq!((code, text.lines().count()), (Some(74), 1), "{text}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = serve(&["--keyring", &keyring, "--listen", &address]);
    assert_eq!(code, Some(64), "{text}");
    let arguments =
        ["serve", "--database", &database, "--client-id", "app", "--keyring", &keyring, "--listen", &address];
    let (code, text) = run(&arguments);
    assert_eq!((code, text.lines().count()), (Some(69), 1), "{text}");
    assert!(text.contains(&address) && text.contains("in use"), "{text}");

    let (code, _) = serve(&["--keyring", &keyring, "--nonsense"]);
    assert_eq!(code, Some(64));
    assert!(!folder.path().join("token.db").exists());
}

#[tokio::test]
async fn the_binary_serves_until_sigterm() {
    let world = World::new().await;
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_token-service"))
        .args(["serve", "--listen", &address, "--create-keyring", "--client-id", simulator::PUBLIC_CLIENT_ID])
        .arg("--keyring")
        .arg(world.keyring_path())
        .env_clear()
        .env("SLUICE_TOKEN_DATABASE", format!("sqlite:{}", world.database_path().display()))
        .env("SLUICE_AUTHORITY", world.sim.authority())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    eventually("it serves", async || {
        health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok()
    })
    .await;
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let mut ended = None;
    eventually("it ends", async || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    assert_eq!(ended.unwrap().code(), Some(0));
}
