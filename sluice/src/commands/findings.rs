//! What a run found that only looks: as it comes, page by page, for people; as one document for programs.

use indicatif::{HumanBytes, HumanCount};
use proto::sync::v1::{ListFindingsRequest, ListFindingsResponse};
use serde::Serialize;

use crate::{
    client::{Endpoints, call},
    commands::runs,
    failure::Failure,
    output::{Output, printable},
    view::{self, Finding, FindingCount, Run, count, in_words},
};

/// Findings that are asked for at once.
const PAGE_SIZE: i32 = 1000;

/// A run with all that it found.
#[derive(Serialize)]
struct Found {
    run: Run,
    findings: Vec<Finding>,
}

/// Shows a run and what it found.
///
/// # Errors
/// The service is not there or refuses, or stdout cannot be written.
pub(super) async fn show(run: Run, endpoints: &Endpoints, output: Output) -> Result<(), Failure> {
    let mut findings = Vec::new();
    let mut page_token = String::new();
    let mut shown: i64 = 0;
    if !output.is_json() {
        runs::show(&run, output)?;
    }
    loop {
        let page = page(&run.name, page_token, endpoints).await?;
        let rows = page.findings.into_iter().map(Finding::from);
        if output.is_json() {
            findings.extend(rows);
        } else {
            let lines: Vec<String> = rows.map(|finding| line(&finding)).collect();
            let head = if shown == 0 && !lines.is_empty() { "\n" } else { "" };
            shown = shown.saturating_add(i64::try_from(lines.len()).unwrap_or(i64::MAX));
            output.raw(format!("{head}{}", lines.concat()).as_bytes())?;
        }
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    if output.is_json() {
        return output.result(&Found { run, findings }, |_| String::new());
    }
    let all: i64 = run.finding_counts.iter().map(|count| count.items).sum();
    if all > shown {
        output.note(&format!("{} more are counted above and not listed", HumanCount(count(all - shown))));
    }
    Ok(())
}

async fn page(run: &str, page_token: String, endpoints: &Endpoints) -> Result<ListFindingsResponse, Failure> {
    let request = ListFindingsRequest { run: run.to_owned(), page_size: PAGE_SIZE, page_token };
    let answer = endpoints.runs().await?.list_findings(call(request)).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Failure::from_status(&format!("list what {run} found"), &status))
}

/// One finding on a line of its own: what, how large, where, and why.
fn line(finding: &Finding) -> String {
    let size = if finding.size > 0 { HumanBytes(count(finding.size)).to_string() } else { String::new() };
    let from = finding.from_path.as_ref().map(|from| format!(" <- {from}")).unwrap_or_default();
    let reason = finding.reason.as_deref().map(in_words);
    let why = match (reason, &finding.detail) {
        (Some(reason), Some(detail)) => format!("  ({reason}: {detail})"),
        (Some(reason), None) => format!("  ({reason})"),
        (None, _) => String::new(),
    };
    let text = format!("{:<12} {size:>11}  {}{from}{why}", in_words(&finding.kind), finding.path);
    printable(&text) + "\n"
}

/// A count for people: `12 items, 3.40 MiB`.
pub(super) fn counted(found: &FindingCount) -> String {
    let items = view::counted(found.items, "item");
    if found.bytes > 0 { format!("{items}, {}", HumanBytes(count(found.bytes))) } else { items }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: &str, path: &str) -> Finding {
        Finding {
            kind: kind.to_owned(),
            path: path.to_owned(),
            from_path: None,
            size: 0,
            reason: None,
            detail: None,
        }
    }

    #[test]
    fn a_finding_is_one_line_whatever_its_name_holds() {
        let moved = Finding { from_path: Some("a\nb".to_owned()), ..finding("MOVE", "c\u{1b}") };
        assert_eq!(line(&moved), "move                      c\u{fffd} <- a\u{fffd}b\n");
        let held = Finding {
            size: 2048,
            reason: Some("DELETION_HELD".to_owned()),
            detail: Some("gone".to_owned()),
            ..finding("LEAVE", "x")
        };
        assert_eq!(line(&held), "leave           2.00 KiB  x  (deletion held: gone)\n");
    }
}
