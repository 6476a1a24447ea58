//! Errors on the wire: a closed set of codes, each chosen by what the reader does next, and the one place that turns them
//! into a gRPC status with `google.rpc` details (AIP-193).

use std::{collections::BTreeMap, error::Error, fmt, time::Duration};

use rand::RngExt as _;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::error_chain::ErrorChain;

/// `ErrorInfo.domain` of every error.
pub const ERROR_DOMAIN: &str = "sluice";
/// Reason of an answer that lists bad fields.
pub const INVALID_FIELDS: &str = "INVALID_FIELDS";
/// Most bad fields that one answer lists. Details travel in HTTP/2 trailers, which receivers limit.
pub const MAX_VIOLATIONS: usize = 24;
/// Most characters of one violation's text.
const MAX_VIOLATION_CHARS: usize = 200;
/// Most characters of a document in the metadata. Receivers limit all trailers together to 8 or 16 KiB, and the details travel in
/// base64.
pub const MAX_DOCUMENT_CHARS: usize = 4 * 1024;
/// Most characters of a message.
const MAX_MESSAGE_CHARS: usize = 1000;

/// What the reader of an error does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Mends the request.
    InvalidArgument,
    /// Looks for another name.
    NotFound,
    /// Chooses another name.
    AlreadyExists,
    /// Asks a person to act; the reason says how.
    FailedPrecondition,
    /// Starts over: somebody else was first, or the lease is gone.
    Aborted,
    /// Asks for a grant.
    PermissionDenied,
    /// Says who it is.
    Unauthenticated,
    /// Waits, as long as the answer says.
    ResourceExhausted,
    /// Tries again.
    Unavailable,
    /// Uses something else: this version does not have it.
    Unimplemented,
    /// Pages somebody.
    Internal,
}

impl Code {
    fn to_grpc(self) -> tonic::Code {
        match self {
            Self::InvalidArgument => tonic::Code::InvalidArgument,
            Self::NotFound => tonic::Code::NotFound,
            Self::AlreadyExists => tonic::Code::AlreadyExists,
            Self::FailedPrecondition => tonic::Code::FailedPrecondition,
            Self::Aborted => tonic::Code::Aborted,
            Self::PermissionDenied => tonic::Code::PermissionDenied,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::ResourceExhausted => tonic::Code::ResourceExhausted,
            Self::Unavailable => tonic::Code::Unavailable,
            Self::Unimplemented => tonic::Code::Unimplemented,
            Self::Internal => tonic::Code::Internal,
        }
    }
}

/// An error as a caller sees it. Its message is written for that caller; it never contains the text of an inner error.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    reason: &'static str,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<(String, String)>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// An error with a machine-readable reason in `UPPER_SNAKE_CASE` and a sentence for people.
    pub fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        let message = shortened(&message.into(), MAX_MESSAGE_CHARS);
        Self { code, reason, message, metadata: BTreeMap::new(), violations: Vec::new(), retry_after: None }
    }

    /// Adds a value that programs may use, such as the resource's name.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), shortened(&value.into(), MAX_VIOLATION_CHARS));
        self
    }

    /// Adds a document that only makes sense as a whole, such as a claims challenge; one that is longer than
    /// [`MAX_DOCUMENT_CHARS`] is left out rather than cut.
    #[must_use]
    pub fn with_document(mut self, key: &str, document: impl Into<String>) -> Self {
        let document = document.into();
        if document.len() <= MAX_DOCUMENT_CHARS {
            self.metadata.insert(key.to_owned(), document);
        }
        self
    }

    /// Says how long to wait before trying again.
    #[must_use]
    pub fn with_retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// An error that is nobody's business but ours: logs it with everything below it, once, under a random id. The caller
    /// sees that id and nothing else.
    pub fn internal(error: &dyn Error) -> Self {
        let id = format!("{:016x}", rand::rng().random::<u64>());
        tracing::error!(error.id = %id, error.chain = %ErrorChain(error), "internal error {id}");
        Self::new(Code::Internal, "INTERNAL", format!("internal error {id}; the service's log says more"))
            .with_metadata("error_id", id)
    }

    /// The answer of an RPC that this version does not have yet.
    pub fn unimplemented(what: &str) -> Self {
        Self::new(Code::Unimplemented, "UNIMPLEMENTED", format!("{what} is not supported by this version"))
    }

    /// What the reader does next.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Machine-readable cause.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl Error for ApiError {}

impl From<ApiError> for tonic::Status {
    fn from(error: ApiError) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            error.reason,
            ERROR_DOMAIN,
            error.metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        if let Some(span) = error.retry_after {
            details.set_retry_info(Some(span));
        }
        if !error.violations.is_empty() {
            let violations: Vec<FieldViolation> = error
                .violations
                .into_iter()
                .map(|(field, description)| FieldViolation::new(field, description))
                .collect();
            details.set_bad_request(violations);
        }
        Self::with_error_details(error.code.to_grpc(), error.message, details)
    }
}

/// Collects every bad field of a request before any is answered.
///
/// ```
/// use service_kit::{resource_name::ResourceId, status::Violations};
///
/// let mut violations = Violations::new();
/// let id = violations.check("source_id", ResourceId::parse("Not an id"));
/// let size = violations.check("page_size", "7".parse::<u32>());
/// assert!(id.is_none() && size == Some(7));
/// assert!(violations.finish().is_err());
/// ```
#[derive(Debug, Default)]
pub struct Violations(Vec<(String, String)>);

impl Violations {
    /// No bad field yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value, or `None` after noting why the field is bad.
    pub fn check<T, E: fmt::Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Notes a bad field. From the 25th on ([`MAX_VIOLATIONS`]) they are dropped.
    pub fn add(&mut self, field: &str, description: impl Into<String>) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push((
                shortened(field, MAX_VIOLATION_CHARS),
                shortened(&description.into(), MAX_VIOLATION_CHARS),
            ));
        }
    }

    /// Whether no field was bad so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing if no field was bad.
    ///
    /// # Errors
    /// `InvalidArgument` `INVALID_FIELDS` with every bad field.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> =
            self.0.iter().map(|(field, description)| format!("{field}: {description}")).collect();
        let mut error = ApiError::new(Code::InvalidArgument, INVALID_FIELDS, texts.join("; "));
        error.violations = self.0;
        Err(error)
    }
}

/// `ErrorInfo.reason` of a status that a Sluice service sent.
pub fn status_reason(status: &tonic::Status) -> Option<String> {
    status.get_details_error_info().filter(|info| info.domain == ERROR_DOMAIN).map(|info| info.reason)
}

/// How long a status asks its reader to wait.
pub fn status_retry_after(status: &tonic::Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// The bad fields that a status lists: path and description.
pub fn status_violations(status: &tonic::Status) -> Vec<(String, String)> {
    status
        .get_details_bad_request()
        .map(|bad| bad.field_violations.into_iter().map(|field| (field.field, field.description)).collect())
        .unwrap_or_default()
}

fn shortened(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    const CODES: [(Code, tonic::Code); 11] = [
        (Code::InvalidArgument, tonic::Code::InvalidArgument),
        (Code::NotFound, tonic::Code::NotFound),
        (Code::AlreadyExists, tonic::Code::AlreadyExists),
        (Code::FailedPrecondition, tonic::Code::FailedPrecondition),
        (Code::Aborted, tonic::Code::Aborted),
        (Code::PermissionDenied, tonic::Code::PermissionDenied),
        (Code::Unauthenticated, tonic::Code::Unauthenticated),
        (Code::ResourceExhausted, tonic::Code::ResourceExhausted),
        (Code::Unavailable, tonic::Code::Unavailable),
        (Code::Unimplemented, tonic::Code::Unimplemented),
        (Code::Internal, tonic::Code::Internal),
    ];

    /// A status as its receiver sees it: through HTTP headers and back.
    fn over_the_wire(error: ApiError) -> Status {
        let response = Status::from(error).into_http::<()>();
        Status::from_header_map(response.headers()).unwrap()
    }

    #[test]
    fn every_code_arrives_with_its_details() {
        for (code, grpc) in CODES {
            let status = over_the_wire(
                ApiError::new(code, "SOME_REASON", "a sentence")
                    .with_metadata("connection", "tenants/a/connections/b")
                    .with_retry_after(Duration::from_millis(1500)),
            );
            assert_eq!(status.code(), grpc);
            assert_eq!(status.message(), "a sentence");
            assert_eq!(status_reason(&status).as_deref(), Some("SOME_REASON"));
            assert_eq!(status_retry_after(&status), Some(Duration::from_millis(1500)));
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.domain, "sluice");
            assert_eq!(info.metadata.get("connection").map(String::as_str), Some("tenants/a/connections/b"));
        }
    }

    #[test]
    fn all_bad_fields_are_listed() {
        let mut violations = Violations::new();
        assert_eq!(violations.check("good", Ok::<_, String>(1)), Some(1));
        assert_eq!(violations.check("first", Err::<u8, _>("is bad")), None);
        violations.add("second", "is worse");
        let status = over_the_wire(violations.finish().unwrap_err());
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(status_reason(&status).as_deref(), Some(INVALID_FIELDS));
        assert_eq!(status.message(), "first: is bad; second: is worse");
        let expected =
            [("first", "is bad"), ("second", "is worse")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(status_violations(&status), expected);
    }

    #[test]
    fn no_bad_field_is_no_error() {
        assert!(Violations::new().finish().is_ok());
    }

    #[test]
    fn an_answer_fits_into_trailers_whatever_was_sent() {
        let mut violations = Violations::new();
        for number in 0..1000 {
            violations.add(&format!("field[{number}]"), "x".repeat(10_000));
        }
        let status = Status::from(violations.finish().unwrap_err());
        assert_eq!(status_violations(&status).len(), MAX_VIOLATIONS);
        assert!(status.details().len() + status.message().len() < 8 * 1024);
    }

    #[test]
    fn an_internal_error_shows_its_id_and_nothing_else() {
        let inner = std::io::Error::other("canary-91d0");
        let status = over_the_wire(ApiError::internal(&inner));
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(!format!("{status:?}").contains("canary-91d0"));
        let id = status.get_details_error_info().unwrap().metadata.remove("error_id").unwrap();
        assert!(id.len() == 16 && status.message().contains(&id));
    }

    #[test]
    fn a_foreign_status_has_no_reason() {
        let status = Status::unavailable("proxy");
        assert_eq!(status_reason(&status), None);
        assert_eq!(status_retry_after(&status), None);
        assert!(status_violations(&status).is_empty());
    }
}
