//! Processes that are measured: this program again, with another command. They end when their standard input does, so none is left
//! behind, however the one that started them ends.

pub(crate) mod bare;
pub(crate) mod sync_service;
pub(crate) mod token_service;
pub(crate) mod worker;

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use service_kit::{exit::Exit, lifecycle::Lifecycle, process::Failure};

/// How long a part that was told to end may take.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A process that is measured. Dropping it ends it.
pub(crate) struct Part {
    child: Child,
    orders: Option<ChildStdin>,
    address: SocketAddr,
    log: PathBuf,
}

impl Part {
    /// Starts a part, whose log goes to a file, and waits until it serves.
    pub(crate) async fn start(arguments: &[String], log: PathBuf) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(gone)?;
        let mut child = Command::new(program)
            .arg("part")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(gone)?)
            .spawn()
            .map_err(gone)?;
        let orders = child.stdin.take();
        let stdout = child.stdout.take();
        // What cannot start ends, and so does its output.
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line)).transpose()?;
            Ok::<_, io::Error>(line)
        });
        let line = first_line.await.map_err(gone)?.map_err(gone)?;
        match line.trim().parse() {
            Ok(address) => Ok(Self { child, orders, address, log }),
            Err(_) => Err(not_started(&log)),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells the part something.
    pub(crate) fn order(&mut self, line: &str) -> Result<(), Failure> {
        let Some(orders) = &mut self.orders else { return Err(gone("it takes no orders")) };
        writeln!(orders, "{line}").map_err(gone)
    }

    /// Time that its threads have spent on processors so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let tasks = fs::read_dir(self.proc("task")).map_err(gone)?;
        let nanos = tasks.filter_map(|task| {
            // A thread that has just ended no longer counts.
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Ok(Duration::from_nanos(nanos.sum()))
    }

    /// Bytes of memory it has resident.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        self.status_bytes("VmRSS:")
    }

    /// Most bytes of memory it ever had resident.
    pub(crate) fn peak_bytes(&self) -> Result<u64, Failure> {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, field: &str) -> Result<u64, Failure> {
        let text = fs::read_to_string(self.proc("status")).map_err(gone)?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kibibytes.map(|kibibytes| kibibytes * 1024).ok_or_else(|| gone("it has no resident memory"))
    }

    /// Number of log lines that contain a text.
    pub(crate) fn log_lines(&self, text: &str) -> Result<usize, Failure> {
        let log = File::open(&self.log).map_err(gone)?;
        Ok(BufReader::new(log).lines().map_while(Result::ok).filter(|line| line.contains(text)).count())
    }

    /// Ends it in good order.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.orders.take());
        let ended = tokio::task::spawn_blocking(move || self.child.wait());
        match tokio::time::timeout(STOP_LIMIT * 2, ended).await {
            Ok(Ok(Ok(status))) if status.success() => Ok(()),
            Ok(Ok(Ok(status))) => Err(gone(format!("it ended with {status}"))),
            Ok(Ok(Err(error))) => Err(gone(error)),
            Ok(Err(error)) => Err(gone(error)),
            Err(_) => Err(gone("it does not end")),
        }
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn gone(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(Exit::Failure, format!("a process that is measured cannot be used: {}", error.into()))
}

fn not_started(log: &Path) -> Failure {
    let text = fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().next_back().unwrap_or("it said nothing").to_owned();
    Failure::new(Exit::Failure, format!("a process to be measured did not start: {last}"))
}

/// On the part's side: says where it listens, and stops it when the other side is gone. Each line of orders goes to `order`.
pub(crate) fn announce(
    address: SocketAddr,
    lifecycle: &Lifecycle,
    order: impl Fn(&str) + Send + 'static,
) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{address}").and_then(|()| stdout.flush()).map_err(gone)?;
    let lifecycle = lifecycle.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            order(&line);
        }
        lifecycle.request_shutdown();
    });
    Ok(())
}

/// On the part's side: serves until the other side is gone.
pub(crate) async fn until_told(lifecycle: &Lifecycle) -> Exit {
    lifecycle.shutdown_token().cancelled().await;
    lifecycle.shut_down(STOP_LIMIT).await;
    Exit::Done
}
