//! From an answer to an error: by status and code, in one table.

use std::time::Duration;

use super::{ErrorBody, GraphError};
use crate::request::Operation;

/// What counts of an answer that is no success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) operation: Operation,
    pub(crate) status: u16,
    /// How long it asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// `X-Virus-Infected` is set.
    pub(crate) infected: bool,
    pub(crate) body: ErrorBody,
}

/// The error that an answer means. `throttle_default` is the pause when it should have said how long to wait, and does not.
pub(crate) fn classify(answer: Answer, throttle_default: Duration) -> GraphError {
    let Answer { operation, status, retry_after, infected, body } = answer;
    let (delta_token_refused, in_vault) = (body.delta_token_refused, body.object_handle_invalid);
    let codes = body.codes;
    if infected || codes.contain("malwareDetected") {
        return GraphError::Malware;
    }
    let stale_cursor =
        ["resyncRequired", "syncStateNotFound", "syncStateInvalid"].iter().any(|code| codes.contain(code));
    if operation == Operation::DeltaPage
        && (status == 410 || stale_cursor || status == 400 && delta_token_refused)
    {
        return GraphError::Resync { codes };
    }
    match status {
        400 if in_vault => GraphError::Vault,
        300..=399 => GraphError::Redirected { status },
        401 | 410 if operation == Operation::Download => GraphError::LinkExpired,
        401 => GraphError::Unauthorized { codes },
        403 if codes.contain("resourceLocked") => GraphError::Locked { codes },
        403 => GraphError::Forbidden { codes },
        404 | 410 => GraphError::NotFound { codes },
        416 => GraphError::OutOfRange,
        423 => GraphError::Locked { codes },
        429 | 509 => GraphError::Throttled { retry_after: retry_after.unwrap_or(throttle_default) },
        503 => match retry_after {
            Some(retry_after) => GraphError::Throttled { retry_after },
            None => GraphError::Unavailable { status, codes },
        },
        408 | 500 | 502 | 504 => GraphError::Unavailable { status, codes },
        // 501 and 507 among them: repeating changes nothing.
        _ => GraphError::Rejected { status, codes },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Retry;

    const DEFAULT: Duration = Duration::from_secs(30);

    fn answer(operation: Operation, status: u16, body: &str) -> Answer {
        Answer {
            operation,
            status,
            retry_after: None,
            infected: false,
            body: ErrorBody::parse(body.as_bytes()),
        }
    }

    fn code(code: &str) -> String {
        format!(r#"{{"error":{{"code":"{code}"}}}}"#)
    }

    #[test]
    fn every_status_has_a_reason_and_a_retry_class() {
        for (status, reason, retry) in [
            (302, "REDIRECTED", Retry::Never),
            (308, "REDIRECTED", Retry::Never),
            (400, "REQUEST_REFUSED", Retry::Never),
            (401, "TOKEN_REFUSED", Retry::Never),
            (403, "ACCESS_DENIED", Retry::Never),
            (404, "ITEM_NOT_FOUND", Retry::Never),
            (408, "GRAPH_UNAVAILABLE", Retry::Backoff),
            (409, "REQUEST_REFUSED", Retry::Never),
            (410, "ITEM_NOT_FOUND", Retry::Never),
            (416, "OUT_OF_RANGE", Retry::Never),
            (423, "LOCKED", Retry::Never),
            (429, "THROTTLED", Retry::After(DEFAULT)),
            (500, "GRAPH_UNAVAILABLE", Retry::Backoff),
            (501, "REQUEST_REFUSED", Retry::Never),
            (502, "GRAPH_UNAVAILABLE", Retry::Backoff),
            (503, "GRAPH_UNAVAILABLE", Retry::Backoff),
            (504, "GRAPH_UNAVAILABLE", Retry::Backoff),
            (507, "REQUEST_REFUSED", Retry::Never),
            (509, "THROTTLED", Retry::After(DEFAULT)),
        ] {
            let error = classify(answer(Operation::Item, status, ""), DEFAULT);
            assert_eq!((error.reason(), error.retry()), (reason, retry), "{status}");
            assert!(!error.is_resync(), "{status}");
        }
    }

    #[test]
    fn every_form_of_a_lost_cursor_is_a_resync() {
        let nested =
            r#"{"error":{"code":"resyncRequired","innerError":{"code":"resyncChangesApplyDifferences"}}}"#;
        let token = r#"{"error":{"code":"invalidRequest","message":"Parameter 'DeltaToken' not supported for this request"}}"#;
        for (status, body) in [
            (410, nested.to_owned()),
            (410, code("ResyncRequired")),
            (410, code("SyncStateNotFound")),
            (410, String::new()),
            (410, "<html></html>".to_owned()),
            (404, code("syncStateInvalid")),
            (400, code("syncStateNotFound")),
            (400, token.to_owned()),
        ] {
            assert!(
                classify(answer(Operation::DeltaPage, status, &body), DEFAULT).is_resync(),
                "{status} {body}"
            );
        }
        for (status, body) in
            [(404, code("itemNotFound")), (400, code("invalidRequest")), (500, token.to_owned())]
        {
            assert!(
                !classify(answer(Operation::DeltaPage, status, &body), DEFAULT).is_resync(),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_stated_wait_is_taken_over() {
        for status in [429, 503] {
            let mut answer = answer(Operation::Item, status, "");
            answer.retry_after = Some(Duration::from_secs(7));
            assert_eq!(classify(answer, DEFAULT).retry(), Retry::After(Duration::from_secs(7)));
        }
    }

    #[test]
    fn malware_has_a_code_or_a_header() {
        assert!(matches!(
            classify(answer(Operation::Download, 403, &code("MalwareDetected")), DEFAULT),
            GraphError::Malware
        ));
        let mut infected = answer(Operation::Download, 403, "");
        infected.infected = true;
        assert!(matches!(classify(infected, DEFAULT), GraphError::Malware));
    }

    #[test]
    fn rclone_8736_a_vault_is_told_apart_by_its_message_alone() {
        let body = r#"{"error":{"code":"invalidRequest","message":"ObjectHandle is Invalid"}}"#;
        for operation in [Operation::Item, Operation::DeltaPage] {
            let error = classify(answer(operation, 400, body), DEFAULT);
            assert_eq!((error.reason(), error.retry()), ("PERSONAL_VAULT", Retry::Never));
        }
        assert_eq!(
            classify(answer(Operation::Item, 400, &code("invalidRequest")), DEFAULT).reason(),
            "REQUEST_REFUSED"
        );
    }

    #[test]
    fn a_refused_link_is_not_a_refused_token() {
        assert!(classify(answer(Operation::Download, 401, ""), DEFAULT).is_link_expired());
        assert!(classify(answer(Operation::Item, 401, ""), DEFAULT).needs_person());
    }
}
