//! `m365-sim` as a program: what it prints, how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_m365-sim"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

#[tokio::test]
async fn it_prints_its_addresses_serves_and_ends_well_on_sigterm() {
    let mut running = Running(program(&["--files", "3", "--folders", "1"]).spawn().unwrap());
    let lines: Vec<String> =
        BufReader::new(running.0.stdout.take().unwrap()).lines().take(6).collect::<Result<_, _>>().unwrap();
    let control = lines.iter().find_map(|line| line.strip_prefix("control   ")).unwrap();
    let http = crate::bench::client();
    let drives = http.get(format!("{control}/control/drives")).send().await.unwrap().text().await.unwrap();
    assert!(drives.contains("\"items\":4"), "{drives}");
    let kill = Command::new("kill").arg("-TERM").arg(running.0.id().to_string()).status().unwrap();
    assert!(kill.success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_port_in_use_is_one_line_and_69() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = ended(&["--listen-graph", &address]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(&address) && text.contains("graph"), "{text}");
}

#[test]
fn a_wrong_flag_is_one_line_and_64() {
    for arguments in [&["--fils", "3"][..], &["--files", "many"], &["--files", "9000000"]] {
        let output = ended(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(64), 1), "{text}");
    }
}

#[test]
fn help_lists_the_flags() {
    let mut text = String::new();
    let mut running = Running(program(&["--help"]).spawn().unwrap());
    running.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("--listen-authority") && text.contains("--approve-after-polls"));
}

#[tokio::test]
async fn it_plays_a_scenario_in_tls_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let (scenario, authority) = (folder.path().join("scenario.toml"), folder.path().join("authority.pem"));
    std::fs::write(&scenario, "[[drives]]\nspec = { files = 2, folders = 0 }\n").unwrap();
    let arguments = ["--graph-url", "https://graph.example/", "--scenario", scenario.to_str().unwrap()];
    let tls = ["--tls-authority-out", authority.to_str().unwrap(), "--tls-name", "graph.example"];
    let mut running = Running(program(&[&arguments[..], &tls[..]].concat()).spawn().unwrap());
    let lines: Vec<String> =
        BufReader::new(running.0.stdout.take().unwrap()).lines().take(6).collect::<Result<_, _>>().unwrap();
    assert!(lines.contains(&"graph     https://graph.example".to_owned()), "{lines:?}");
    assert!(lines[0].starts_with("authority https://127.0.0.1:"), "{lines:?}");
    let trusted = std::fs::read(&authority).unwrap();
    let trusted = reqwest::Certificate::from_pem(&trusted).unwrap();
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap();
    let base = lines[0].trim_start_matches("authority ");
    let document = client.get(format!("{base}/common/v2.0/.well-known/openid-configuration")).send().await;
    assert_eq!(document.unwrap().status(), 200);
    let control = lines.iter().find_map(|line| line.strip_prefix("control   ")).unwrap();
    let drives = crate::bench::client().get(format!("{control}/control/drives")).send().await.unwrap();
    assert!(drives.text().await.unwrap().contains("\"items\":2"));
}

#[test]
fn a_scenario_or_a_certificate_that_is_none_is_one_line_and_64() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "nonsense").unwrap();
    let (wrong, absent) = (wrong.to_str().unwrap(), "/nonexistent/file");
    for arguments in [
        &["--scenario", wrong][..],
        &["--scenario", absent],
        &["--tls-cert", wrong],
        &["--tls-cert", wrong, "--tls-key", wrong],
        &["--tls-cert", absent, "--tls-key", absent],
        &["--graph-url", "graph.microsoft.com"],
        &["--latency-ms", "80-20"],
    ] {
        let output = ended(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(64), 1), "{arguments:?}: {text}");
    }
}
