//! `sluice-migrate` as a job runs it.

#![cfg(test)]

use std::{
    fs,
    process::{Command, Output},
};

fn migrate(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_sluice-migrate")).env_clear().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn applies_lists_and_reverts() {
    let folder = tempfile::tempdir().unwrap();
    for schema in ["token", "sync"] {
        let database = format!("sqlite:{}", folder.path().join(schema).display());
        let call = |arguments: &[&str]| migrate(&[&[schema], arguments, &["--database", &database]].concat());
        let (code, list, _) = call(&["status"]);
        assert_eq!(code, 75, "{list}");
        assert!(list.lines().all(|line| line.starts_with("pending\tm")) && !list.is_empty(), "{list}");
        assert_eq!(call(&["up"]).0, 0);
        let (code, list, _) = call(&["status"]);
        assert!(code == 0 && list.lines().all(|line| line.starts_with("applied\tm")), "{list}");
        assert_eq!(call(&["up"]).0, 0, "a second job found something to do");
        assert_eq!(call(&["down", "--all"]).0, 0);
        assert_eq!(call(&["status"]).0, 75);
    }
}

#[test]
fn bad_input_is_one_line_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.db");
    fs::write(
        &file,
        "this is not a database, and long enough that it cannot be mistaken for one ".repeat(60),
    )
    .unwrap();
    let text = format!("sqlite:{}", file.display());
    for (arguments, code, expected) in [
        (
            ["token", "up", "--database", "mysql://db/token"].as_slice(),
            78,
            "postgres://user@host:port/database",
        ),
        (&["token", "up", "--database", "postgres://u:canary@db/token"], 78, "--database-password-file"),
        (
            &["token", "up", "--database", "postgres://db/token?password=canary"],
            78,
            "must not contain a password",
        ),
        (&["sync", "up", "--database", "sqlite:/nonexistent/x.db"], 78, "/nonexistent/x.db"),
        (
            &["sync", "up", "--database", "postgres://db/x", "--database-password-file", "/nonexistent"],
            78,
            "cannot read the password",
        ),
        (&["sync", "up", "--database", &text], 69, "cannot connect to"),
    ] {
        let (got, stdout, stderr) = migrate(arguments);
        assert_eq!((got, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("sluice-migrate: ") && stderr.lines().count() == 1, "{stderr}");
        assert!(stderr.contains(expected) && !stderr.contains("canary"), "{stderr}");
    }
    for arguments in [
        ["nothing"].as_slice(),
        &["token", "up"],
        &["token", "down", "--database", &text],
        &["token", "down", "--all", "--steps", "1", "--database", &text],
    ] {
        assert_eq!(migrate(arguments).0, 64, "{arguments:?}");
    }
}
