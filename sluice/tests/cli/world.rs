//! A simulator, a `sluice up` process and ways to call `sluice`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use simulator::{Config, PUBLIC_CLIENT_ID, Simulator};
use tempfile::TempDir;

/// Longest wait for anything; far above what is needed.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// How a call of `sluice` ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one JSON document of stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The command with nothing of this process's environment that it would read.
pub(crate) fn sluice() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Calls `sluice` and waits for its end.
pub(crate) fn call(arguments: &[&str]) -> Ended {
    let output = sluice().args(arguments).output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A `sluice up` that is running; killed if a test forgets it.
pub(crate) struct Up {
    child: Child,
    pub(crate) token_service: String,
    pub(crate) sync_service: String,
}

impl Up {
    pub(crate) fn start(simulator: &Simulator, data_dir: &Path) -> Self {
        Self::running(up(simulator, data_dir))
    }

    /// Waits until this command runs.
    pub(crate) fn running(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut document = String::new();
        // The document ends with a line of its own; the process goes on after it.
        while !document.ends_with("\n}\n") {
            if stdout.read_line(&mut document).unwrap() == 0 {
                let mut stderr = String::new();
                child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                panic!("`sluice up` ended: {document} {stderr}");
            }
        }
        let started: Value = serde_json::from_str(&document).unwrap();
        let address = |key: &str| started.get(key).unwrap().as_str().unwrap().to_owned();
        Self { token_service: address("token_service"), sync_service: address("sync_service"), child }
    }

    /// Calls `sluice` for these services.
    pub(crate) fn call(&self, arguments: &[&str]) -> Ended {
        let places = ["--token-service", &self.token_service, "--sync-service", &self.sync_service];
        call(&[places.as_slice(), arguments].concat())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = sluice();
        command.args(["--token-service", &self.token_service, "--sync-service", &self.sync_service]);
        command.args(arguments);
        command
    }

    /// Sends SIGTERM and waits for the end: its exit code and what it logged.
    pub(crate) async fn terminate(mut self) -> (i32, String) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let ended = tokio::task::spawn_blocking(move || {
            let mut log = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
            (self.child.wait().unwrap().code().unwrap(), log)
        });
        tokio::time::timeout(LIMIT, ended).await.expect("`sluice up` did not end").unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `sluice up` against a simulator, on ports of its own. By the environment, so that a test may add flags, which win.
pub(crate) fn up(simulator: &Simulator, data_dir: &Path) -> Command {
    let mut command = sluice();
    command
        .args(["up", "--json"])
        .env("SLUICE_CLIENT_ID", PUBLIC_CLIENT_ID)
        .env("SLUICE_TOKEN_LISTEN", "127.0.0.1:0")
        .env("SLUICE_SYNC_LISTEN", "127.0.0.1:0")
        .env("SLUICE_AUTHORITY", simulator.authority())
        .env("SLUICE_GRAPH", simulator.graph())
        .env("SLUICE_DATA_DIR", data_dir);
    command
}

/// A simulator and a folder for everything.
pub(crate) async fn world() -> (Simulator, TempDir) {
    let simulator = Simulator::start_strict(Config::default()).await.unwrap();
    simulator.switch(|switches| switches.device.interval_seconds = 0);
    (simulator, tempfile::tempdir().unwrap())
}
