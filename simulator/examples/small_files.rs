//! Downloads many small files over loopback and says how many per second: `cargo run --release -p simulator --example small_files`.
//! Client and simulator share the machine's cores, so the simulator alone is faster than this.

use std::error::Error;
use std::net::SocketAddr;

use serde_json::Value;
use simulator::{Config, DriveSpec, FIRST_USER, NameStyle, PUBLIC_CLIENT_ID, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Files of the drive.
const FILES: u32 = 5_000;
/// Size of the largest, in bytes.
const MAX_FILE_BYTES: u64 = 4_096;
/// How often each is downloaded.
const ROUNDS: usize = 10;
/// Connections at the same time.
const CONNECTIONS: usize = 32;
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let simulator = Simulator::start(Config::default()).await?;
    let names = NameStyle::Plain;
    let spec = DriveSpec {
        files: FILES,
        folders: 100,
        max_file_bytes: MAX_FILE_BYTES,
        names,
        ..DriveSpec::default()
    };
    simulator.create_drive(&spec)?;
    let links = links(&simulator).await?;
    let graph = simulator.listening().graph;
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for part in links.chunks(links.len().div_ceil(CONNECTIONS)) {
        workers.spawn(download(graph, part.to_vec()));
    }
    let (mut files, mut bytes) = (0_u32, 0_usize);
    while let Some(done) = workers.join_next().await {
        let (more_files, more_bytes) = done??;
        files += more_files;
        bytes += more_bytes;
    }
    let seconds = begun.elapsed().as_secs_f64();
    report(&format!(
        "{files} files, {bytes} bytes, {CONNECTIONS} connections, {seconds:.2} s: {:.0} files per second",
        f64::from(files) / seconds
    ));
    Ok(())
}

/// Paths of the download links of all files.
async fn links(simulator: &Simulator) -> Result<Vec<String>, Failure> {
    let refresh =
        simulator.issue_refresh_token(PUBLIC_CLIENT_ID, "Files.Read.All offline_access", FIRST_USER)?;
    let form = format!("grant_type=refresh_token&client_id={PUBLIC_CLIENT_ID}&refresh_token={refresh}");
    let mut authority = Connection::open(simulator.listening().authority).await?;
    let head = "POST /common/oauth2/v2.0/token HTTP/1.1\r\nHost: sim\r\nContent-Type: application/x-www-form-urlencoded";
    let answer = authority.ask(&format!("{head}\r\nContent-Length: {}\r\n\r\n{form}", form.len())).await?;
    let token: Value = serde_json::from_slice(&answer)?;
    let token = token.pointer("/access_token").and_then(Value::as_str).ok_or("no access token")?;

    let mut graph = Connection::open(simulator.listening().graph).await?;
    let (mut links, mut next) = (Vec::new(), Some("/v1.0/me/drive/root/delta?$top=1000".to_owned()));
    while let Some(address) = next {
        let request = format!("GET {address} HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer {token}\r\n\r\n");
        let page: Value = serde_json::from_slice(&graph.ask(&request).await?)?;
        let items = page.pointer("/value").and_then(Value::as_array).ok_or("no items")?;
        let found = items.iter().filter_map(|item| item.get("@microsoft.graph.downloadUrl")?.as_str());
        links.extend(found.filter_map(|link| path(link).map(str::to_owned)));
        next = page.get("@odata.nextLink").and_then(Value::as_str).and_then(path).map(str::to_owned);
    }
    Ok(links)
}

/// What follows the host.
fn path(address: &str) -> Option<&str> {
    let after = address.split_once("://")?.1;
    after.find('/').and_then(|at| after.get(at..))
}

async fn download(graph: SocketAddr, links: Vec<String>) -> Result<(u32, usize), Failure> {
    let mut connection = Connection::open(graph).await?;
    let (mut files, mut bytes) = (0, 0);
    for link in std::iter::repeat_n(&links, ROUNDS).flatten() {
        bytes += connection.ask(&format!("GET {link} HTTP/1.1\r\nHost: sim\r\n\r\n")).await?.len();
        files += 1;
    }
    Ok((files, bytes))
}

/// A connection that asks one thing after the other.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// The body of the answer, which has to be a good one and to tell its length.
    async fn ask(&mut self, request: &str) -> Result<Vec<u8>, Failure> {
        self.stream.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head)?.to_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(head.into());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.ok_or("an answer without a length")?.trim().parse()?;
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        if self.buffer.len() > MAX_ANSWER_BYTES || self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the answer is too long, or ended early".into());
        }
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "an example exists to print its result")]
fn report(text: &str) {
    println!("{text}");
}
