//! The only place that prints: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{Table, presets};
use serde::Serialize;
use service_kit::exit::Exit;

use crate::failure::Failure;

/// Spaces between two columns of a table; the table itself puts one more.
const COLUMN_GAP: u16 = 1;

/// Where results and remarks go, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or one JSON document for programs.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read this.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person watches stderr, so that bars can be drawn there.
    pub fn is_watched(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// The result of a command: the value as JSON, or the text made of it.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn result<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let mut document = if self.json {
            serde_json::to_string_pretty(value).map_err(|error| {
                Failure::from_error(Exit::Failure, "cannot write the result as JSON", &error)
            })?
        } else {
            text(value)
        };
        if !document.is_empty() && !document.ends_with('\n') {
            document.push('\n');
        }
        write(document.as_bytes())
    }

    /// Text that is the result whatever the form, such as a completion script.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        write(bytes)
    }

    /// A remark on the way, on stderr; programs get none.
    pub fn note(self, text: &str) {
        if !self.json {
            self.prompt(text);
        }
    }

    /// Something that a person must see even when a program reads the result.
    pub fn prompt(self, text: &str) {
        let mut stderr = io::stderr().lock();
        for line in text.lines() {
            // Nobody can be told that stderr is gone.
            drop(writeln!(stderr, "{}", printable(line)));
        }
    }

    /// Reports a failure and says how the process ends.
    pub fn failure(self, failure: &Failure) -> Exit {
        if !failure.line().is_empty() {
            self.prompt(&format!("sluice: {}", failure.line()));
        }
        failure.exit()
    }
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| {
        // A reader that has seen enough (`sluice runs | head`) is no failure worth a line.
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::new(Exit::Done, "")
        } else {
            Failure::from_error(Exit::Io, "cannot write the result", &error)
        }
    })
}

/// A table for people, without lines that get in the way of `cut` and `grep`; nothing where there are no rows. Each row is one line however
/// narrow the terminal is: a name that is broken over lines can be neither found nor copied.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    if table.is_empty() {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, COLUMN_GAP));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Lines of names and values for people, leaving out what is empty.
pub fn details(rows: &[(&str, &str)]) -> String {
    let shown: Vec<_> = rows.iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines = shown.iter().map(|(name, value)| format!("{name:width$}  {}", printable(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The text without what would move the cursor, ring the bell or change colours: file names come from other people.
pub fn printable(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_reaches_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d");
        assert_eq!(printable("naïve 🎉 e\u{301}"), "naïve 🎉 e\u{301}");
        let shown = table(&["NAME"], [vec!["x\u{1b}y".to_owned()]]);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }

    #[test]
    fn tables_have_one_line_for_each_row() {
        let shown = table(&["NAME", "STATE"], [vec!["a".to_owned(), "active".to_owned()]]);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [["NAME", "STATE"], ["a", "active"]]);
        assert_eq!(table(&["NAME"], []), "");
    }

    #[test]
    fn details_leave_out_what_is_empty() {
        assert_eq!(details(&[("state", "active"), ("cause", ""), ("id", "1")]), "state  active\nid     1");
    }
}
