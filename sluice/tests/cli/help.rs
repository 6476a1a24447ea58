//! What `--help` lists is what scripts and fingers rely on.

use clap::Command;

use crate::world::call;

/// What stands behind a command in the list of commands; the rest is for its own page.
const MAX_ABOUT: usize = 90;

/// Every command with its arguments: `NAME` for those without a flag, in the order of the help.
const COMMANDS: &str = "\
sluice: --token-service --sync-service --json
sluice demo: --dir --files --keep
sluice up: --data-dir --client-id --client-secret-file --authority --directory --webhooks --graph --listen-token --listen-sync --runs --bin-days \
--disk-reserve-mib --log-format --log
sluice connect: NAME --display-name --scope --import
sluice connections: --tenant --state
sluice connections list: --tenant --state
sluice connections show: NAME
sluice connections remove: NAME
sluice source:
sluice source add: NAME --connection --drive --to --interval --full-listing --include --exclude --max-size --display-name \
--suspend
sluice source list: --tenant --state
sluice source update: NAME --interval --full-listing --include --exclude --max-size --no-filter --display-name --suspend --resume
sluice source remove: NAME
sluice sync: NAME --watch --plan --no-watch
sluice verify: NAME --heal --no-watch
sluice runs: SOURCE --source --tenant --state --limit
sluice runs list: SOURCE --source --tenant --state --limit
sluice runs show: NAME
sluice runs findings: NAME
sluice runs cancel: NAME
sluice runs approve: NAME --max-deletions
sluice webhooks: --tenant --state
sluice status:
sluice completions: SHELL
";

fn list(command: &Command, path: &str, lines: &mut String) {
    let about = command.get_about().unwrap_or_else(|| panic!("{path} does not say what it does")).to_string();
    assert!(about.len() <= MAX_ABOUT, "{path} needs more than a line in the list of commands: {about}");
    let mut line = format!("{path}:");
    for argument in command.get_arguments() {
        assert!(argument.get_help().is_some(), "{path}: {} is not explained", argument.get_id());
        line.push(' ');
        match argument.get_long() {
            Some(long) => line.extend(["--", long]),
            None => line.push_str(&argument.get_id().as_str().to_uppercase()),
        }
    }
    lines.push_str(&line);
    lines.push('\n');
    for subcommand in command.get_subcommands() {
        list(subcommand, &format!("{path} {}", subcommand.get_name()), lines);
    }
}

#[test]
fn every_command_and_argument_is_listed_and_explained() {
    let mut lines = String::new();
    list(&sluice::command_line(), "sluice", &mut lines);
    assert_eq!(lines, COMMANDS);
}

#[test]
fn help_and_version_go_to_stdout_and_are_no_failure() {
    for arguments in
        [["--help"].as_slice(), &["connect", "--help"], &["--version"], &["runs", "show", "--help"]]
    {
        let ended = call(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(ended.stdout.to_lowercase().contains("sluice"), "{ended:?}");
    }
}

#[test]
fn what_every_command_takes_stands_behind_its_own_options() {
    let help = call(&["source", "add", "--help"]).stdout;
    let (own, every) = help.split_once("Options of every command:").unwrap();
    for option in ["--token-service <URL>", "--sync-service <URL>", "--json "] {
        assert!(!own.contains(option) && every.contains(option), "{option}: {help}");
    }
    assert!(own.contains("--suspend "), "{help}");
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = call(&["completions", shell]);
        assert_eq!(ended.code, 0);
        for word in ["connections", "source", "no-watch", "data-dir", "max-deletions"] {
            assert!(ended.stdout.contains(word), "{shell} lacks {word}");
        }
    }
}
