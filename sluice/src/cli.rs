//! What can be typed: global options and the list of commands. Each command's own options are in its file.

use clap::{Args, Parser, Subcommand};

use crate::{
    client::{Endpoints, GLOBAL_HEADING},
    commands::{completions, connect, connections, demo, runs, source, status, sync, up, verify, webhooks},
};

/// Keeps mirrors of OneDrive and SharePoint drives, and the keys to them apart.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub struct Global {
    /// Where the services are.
    #[command(flatten)]
    pub endpoints: Endpoints,
    /// Prints one JSON document instead of text for people.
    #[arg(long, global = true, help_heading = GLOBAL_HEADING)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the main job on made-up data: needs no account, no network and no set-up.
    Demo(demo::Arguments),
    /// Runs the services and a worker on this machine, in one process.
    Up(Box<up::Arguments>),
    /// Signs an account in, or takes over a refresh token.
    Connect(connect::Arguments),
    /// Lists, shows or removes connected accounts.
    Connections(connections::Arguments),
    /// Adds, lists, changes or removes sources: drives and the folders they are mirrored to.
    Source(source::Arguments),
    /// Mirrors a source now and watches it.
    Sync(sync::Arguments),
    /// Reads a mirror anew, every file of it, and says what is not as it was put there.
    ///
    /// That is: files and folders that are missing, bytes that are others, things of another kind, and what is not the drive's. Without
    /// --heal it changes nothing, asks Microsoft for nothing, and works on a suspended source as well. Exit code 65 when something is not
    /// as it should be; what is not the drive's is no fault.
    Verify(verify::Arguments),
    /// Lists, shows and steers runs.
    Runs(runs::Arguments),
    /// Lists the news of connections that webhook endpoints were not told.
    Webhooks(webhooks::Arguments),
    /// Says whether the services are up and how the connections and sources are doing.
    Status(status::Arguments),
    /// Prints a script that completes this command in a shell.
    Completions(completions::Arguments),
}
