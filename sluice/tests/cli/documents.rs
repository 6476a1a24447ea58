//! What the documents tell people to type can be typed.

use std::{fs, path::Path};

/// Documents that show commands, relative to the workspace.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/ERRORS.md",
    "docs/OPERATIONS.md",
    "docs/TESTING.md",
    "docs/WEBHOOKS.md",
    "bench/README.md",
    "simulator/README.md",
];

/// Words that stand for a name in running text, and what the command takes there.
const PLACEHOLDERS: [(&str, &str); 3] = [
    ("CONNECTION", "tenants/acme/connections/mail"),
    ("SOURCE", "tenants/acme/sources/drive"),
    ("RUN", "tenants/acme/sources/drive/runs/first"),
];

/// The `sluice` commands of a document: whole lines of its code blocks, and code in running text that names a command.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let blocks = joined.lines().filter(|line| line.starts_with("    ")).map(str::trim);
    let spans = joined.split('`').skip(1).step_by(2).filter(|span| !span.contains('\n'));
    blocks
        .chain(spans)
        .map(|line| line.trim_start_matches("cargo run -p sluice -- ").trim_start_matches("$ "))
        .filter(|line| line.starts_with("sluice ") || *line == "demo" || line.starts_with("demo "))
        .map(|line| line.split(" #").next().unwrap_or_default())
        .map(|line| line.split(" | ").next().unwrap_or_default().trim().to_owned())
        .map(|line| if line.starts_with("demo") { format!("sluice {line}") } else { line })
        .collect()
}

fn words(command: &str) -> Vec<String> {
    let place = |word: &str| {
        let found = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
        found.map_or(word, |(_, value)| value).trim_matches('\'').to_owned()
    };
    command.split_whitespace().map(place).collect()
}

#[test]
fn every_command_in_the_documents_is_one() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut count = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(workspace.join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        for command in commands(&text) {
            count += 1;
            let words = words(&command);
            // The name of a command alone, without what it needs, is a mention of it.
            let commands = sluice::command_line();
            let is_mention =
                words.iter().skip(1).try_fold(&commands, |at, word| at.find_subcommand(word)).is_some();
            let parsed = sluice::command_line().try_get_matches_from(&words);
            assert!(is_mention || parsed.is_ok(), "{document}: {command}: {}", parsed.unwrap_err());
        }
    }
    assert!(count > 10, "only {count} commands were found");
}
