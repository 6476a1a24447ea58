//! `sluice completions`: a script that completes this command in a shell.

use clap::{Args, ValueEnum};
use service_kit::exit::Exit;

use crate::{failure::Failure, output::Output};

/// What can be asked for.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Which shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// `sluice completions bash > /etc/bash_completion.d/sluice`
    Bash,
    /// `sluice completions zsh > "${fpath[1]}/_sluice"`
    Zsh,
    /// `sluice completions fish > ~/.config/fish/completions/sluice.fish`
    Fish,
}

/// Prints the script.
///
/// # Errors
/// Stdout cannot be written.
pub fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command_line(), "sluice", &mut script);
    output.raw(&script)?;
    Ok(Exit::Done)
}
