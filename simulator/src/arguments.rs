//! The flags of `m365-sim`, and the configuration they make.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;
use simulator::{
    Config, DriveKind, DriveSpec, Listen, NameStyle, NetworkSwitches, Public, Scenario, ScenarioError,
    TLS_NAMES, TlsError, TlsIdentity,
};

/// A stand-in for Microsoft Entra and Microsoft Graph drives.
#[derive(Debug, Parser)]
#[command(name = "m365-sim", version)]
pub(crate) struct Arguments {
    /// Where Entra listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_authority: SocketAddr,
    /// Where Graph and the download links listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_graph: SocketAddr,
    /// Where the control interface listens
    #[arg(long, default_value = "127.0.0.1:0")]
    listen_control: SocketAddr,
    /// Base address of Entra as clients know it, such as `https://login.microsoftonline.com`
    #[arg(long, value_name = "URL", value_parser = base)]
    authority_url: Option<String>,
    /// Base address of Graph as clients know it, such as `https://graph.microsoft.com`
    #[arg(long, value_name = "URL", value_parser = base)]
    graph_url: Option<String>,
    /// Base address of download links; `localhost` when Graph listens on 127.0.0.1
    #[arg(long, value_name = "URL", value_parser = base)]
    content_url: Option<String>,
    #[command(flatten)]
    tls: Tls,
    /// Everything random follows from this number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Drives and events from a TOML file, instead of the first drive that the flags describe
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Files of the first drive
    #[arg(long, default_value_t = 1_500)]
    files: u32,
    /// Folders of the first drive
    #[arg(long, default_value_t = 60)]
    folders: u32,
    /// Largest of these files, in bytes
    #[arg(long, default_value_t = 65_536)]
    max_file_bytes: u64,
    /// A further file of this size, in bytes; may be given again
    #[arg(long = "big-file", value_name = "BYTES")]
    big_files: Vec<u64>,
    /// Plain names instead of everything real drives hold
    #[arg(long)]
    plain_names: bool,
    /// Approve every sign-in at its n-th poll instead of waiting for a person
    #[arg(long, value_name = "N")]
    approve_after_polls: Option<u32>,
    /// Milliseconds every answer is held back; FROM-TO chooses for each connection
    #[arg(long, value_name = "MS", default_value = "0", value_parser = span)]
    latency_ms: [u64; 2],
    /// Bytes a connection sends per second; FROM-TO chooses for each connection
    #[arg(long, value_name = "BYTES", value_parser = span)]
    bytes_per_second: Option<[u64; 2]>,
}

/// TLS of Entra and Graph; without any of these they speak plain HTTP.
#[derive(Debug, clap::Args)]
struct Tls {
    /// Certificate chain in PEM
    #[arg(long = "tls-cert", value_name = "FILE", requires = "key", conflicts_with = "authority_out")]
    certificate: Option<PathBuf>,
    /// Key of the certificate in PEM
    #[arg(long = "tls-key", value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Make a certificate, and write the one of its authority, which clients have to trust, to this file
    #[arg(long = "tls-authority-out", value_name = "FILE")]
    authority_out: Option<PathBuf>,
    /// A further name the made certificate is for; may be given again
    #[arg(long = "tls-name", value_name = "HOST", requires = "authority_out")]
    names: Vec<String>,
}

/// Why flags make no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// A file named by a flag.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A certificate cannot be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The scenario is not one.
    #[error("{}", path.display())]
    Scenario {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ScenarioError,
    },
}

impl Arguments {
    /// The configuration the flags ask for.
    pub(crate) fn config(&self) -> Result<Config, ArgumentError> {
        let mut config = Config { seed: self.seed, tls: self.tls.identity()?, ..Config::default() };
        config.listen = Listen {
            authority: self.listen_authority,
            graph: self.listen_graph,
            control: self.listen_control,
        };
        config.public = Public {
            authority: self.authority_url.clone(),
            graph: self.graph_url.clone(),
            content: self.content_url.clone(),
        };
        config.switches.device.approve_after_polls = self.approve_after_polls;
        config.switches.network = NetworkSwitches {
            latency_milliseconds: self.latency_ms,
            bytes_per_second: self.bytes_per_second,
        };
        Ok(config)
    }

    /// The scenario, when one is named.
    pub(crate) fn scenario(&self) -> Result<Option<Scenario>, ArgumentError> {
        let Some(path) = &self.scenario else { return Ok(None) };
        let scenario = Scenario::parse(&read(path)?);
        scenario.map(Some).map_err(|source| ArgumentError::Scenario { path: path.clone(), source })
    }

    /// The first drive.
    pub(crate) fn first_drive(&self) -> DriveSpec {
        DriveSpec {
            seed: self.seed,
            kind: DriveKind::Business,
            owner: None,
            files: self.files,
            folders: self.folders,
            max_file_bytes: self.max_file_bytes,
            big_files: self.big_files.clone(),
            names: if self.plain_names { NameStyle::Plain } else { NameStyle::Varied },
        }
    }
}

impl Tls {
    fn identity(&self) -> Result<Option<TlsIdentity>, ArgumentError> {
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            return Ok(Some(TlsIdentity::from_pem(read(certificate)?, read(key)?)));
        }
        let Some(path) = &self.authority_out else { return Ok(None) };
        let names = TLS_NAMES.iter().map(|name| (*name).to_owned()).chain(self.names.iter().cloned());
        let identity = TlsIdentity::make(&names.collect::<Vec<_>>())?;
        let authority = identity.authority_pem().unwrap_or_default();
        std::fs::write(path, authority)
            .map_err(|source| ArgumentError::File { path: path.clone(), source })?;
        Ok(Some(identity))
    }
}

fn read(path: &Path) -> Result<String, ArgumentError> {
    std::fs::read_to_string(path).map_err(|source| ArgumentError::File { path: path.to_owned(), source })
}

fn base(text: &str) -> Result<String, &'static str> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = host.ok_or("it begins with neither https:// nor http://")?.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#']) {
        return Err("it is a scheme, a host and perhaps a port");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn span(text: &str) -> Result<[u64; 2], &'static str> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from <= to => Ok([from, to]),
        _ => Err("it is a number, or two with a dash between, the smaller first"),
    }
}
