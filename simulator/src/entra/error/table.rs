//! Every error of Entra the simulator knows, each to be had on demand by its name or AADSTS number (graph-behaviour §9.3).

use serde::{Deserialize, Serialize};

/// One error of Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EntraErrorRow {
    /// The AADSTS number. A number may stand in several rows; alone it means the first.
    pub aadsts: u32,
    /// A name of its own.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The `error` member.
    pub error: &'static str,
    /// The `suberror` member.
    pub suberror: Option<&'static str>,
    /// Whether the answer carries a claims challenge.
    pub claims: bool,
    /// The text after the number, in our words.
    pub text: &'static str,
}

impl EntraErrorRow {
    const fn sub(mut self, suberror: &'static str) -> Self {
        self.suberror = Some(suberror);
        self
    }

    const fn claims(mut self) -> Self {
        self.claims = true;
        self
    }
}

const fn row(
    who: (u32, &'static str),
    status: u16,
    error: &'static str,
    text: &'static str,
) -> EntraErrorRow {
    EntraErrorRow { aadsts: who.0, name: who.1, status, error, suberror: None, claims: false, text }
}

/// All errors of Entra the simulator knows.
#[must_use]
pub const fn entra_errors() -> &'static [EntraErrorRow] {
    &ROWS
}

/// The first row of a number.
pub(in crate::entra) fn of_number(aadsts: u32) -> Option<&'static EntraErrorRow> {
    ROWS.iter().find(|row| row.aadsts == aadsts)
}

/// An error of Entra, named by its name or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Named", into = "String")]
pub struct EntraErrorName(&'static EntraErrorRow);

impl EntraErrorName {
    /// The error of a name or an AADSTS number (`"700082"`, `"AADSTS700082"`); none when no row has it.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let number = text.strip_prefix("AADSTS").unwrap_or(text).parse().ok().and_then(of_number);
        number.or_else(|| ROWS.iter().find(|row| row.name == text)).map(Self)
    }

    /// Its row.
    #[must_use]
    pub const fn row(self) -> &'static EntraErrorRow {
        self.0
    }
}

/// How a request names an error.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Number(u32),
    Text(String),
}

impl TryFrom<Named> for EntraErrorName {
    type Error = String;

    fn try_from(named: Named) -> Result<Self, Self::Error> {
        let text = match named {
            Named::Number(number) => number.to_string(),
            Named::Text(text) => text,
        };
        Self::find(&text).ok_or_else(|| format!("no error of Entra is called {text:?}"))
    }
}

impl From<EntraErrorName> for String {
    fn from(name: EntraErrorName) -> Self {
        name.0.name.to_owned()
    }
}

static ROWS: [EntraErrorRow; 88] = [
    // Passing.
    row((50_196, "loop_detected"), 400, "invalid_grant", "The server terminated an operation because it encountered a client request loop."),
    row((90_055, "tenant_throttled"), 429, "temporarily_unavailable", "There are too many incoming requests; the tenant is throttled."),
    row((50_033, "retryable_error"), 400, "temporarily_unavailable", "A transient error has occurred that is not related to the database."),
    row((50_087, "transient_strong_auth_error"), 400, "temporarily_unavailable", "A transient error has occurred during strong authentication."),
    row((90_006, "external_server_retryable_error"), 400, "temporarily_unavailable", "The service is temporarily unavailable."),
    row((90_012, "request_timeout"), 400, "temporarily_unavailable", "The request has timed out."),
    row((90_024, "request_budget_exceeded"), 400, "temporarily_unavailable", "A transient error has occurred; the request budget is used up."),
    row((90_033, "service_unavailable"), 400, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    row((90_090, "graph_retryable_error"), 400, "temporarily_unavailable", "The directory is temporarily unavailable."),
    row((70_012, "msa_server_error"), 400, "server_error", "A server error occurred while authenticating a consumer account."),
    row((50_000, "server_error"), 500, "server_error", "There was an error issuing a token or a sign-in."),
    row((90_033, "temporarily_unavailable"), 503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    row((90_012, "gateway_timeout"), 408, "temporarily_unavailable", "The request has timed out."),
    // Sign in again.
    row((700_082, "expired_inactive_token"), 400, "invalid_grant", "The refresh token has expired due to inactivity.").sub("token_expired"),
    row((70_008, "expired_or_revoked_grant"), 400, "invalid_grant", "The provided authorization code or refresh token has expired due to inactivity.").sub("token_expired"),
    row((70_043, "sign_in_frequency"), 400, "invalid_grant", "The refresh token has expired or is invalid due to sign-in frequency checks.").sub("token_expired"),
    row((700_084, "spa_token_expired"), 400, "invalid_grant", "The refresh token was issued to a single-page app and has a fixed lifetime of 24 hours, which is over.").sub("token_expired"),
    row((50_173, "fresh_token_needed"), 400, "invalid_grant", "The provided grant has expired due to it being revoked; a fresh auth token is needed.").sub("bad_token"),
    row((50_132, "session_not_valid"), 400, "invalid_grant", "The session is not valid due to a password expiration or recent password change.").sub("bad_token"),
    row((50_133, "session_revoked"), 400, "invalid_grant", "The session is not valid due to a password expiration or recent password change.").sub("bad_token"),
    row((50_089, "flow_token_expired"), 400, "invalid_grant", "Authentication failed because the flow token expired."),
    row((70_000, "invalid_grant"), 400, "invalid_grant", "The provided value for the code or refresh token is not valid.").sub("bad_token"),
    // Policy a person can satisfy.
    row((50_076, "mfa_required"), 400, "invalid_grant", "Due to a configuration change or because of a new location, you must use multi-factor authentication.").sub("basic_action").claims(),
    row((50_079, "mfa_enrollment_required"), 400, "invalid_grant", "Due to a configuration change, you must enroll in multi-factor authentication.").sub("basic_action").claims(),
    row((50_074, "strong_auth_required"), 400, "interaction_required", "Strong authentication is required.").sub("basic_action").claims(),
    row((50_078, "strong_auth_expired"), 400, "interaction_required", "Presented multi-factor authentication has expired due to policies.").sub("basic_action").claims(),
    row((50_072, "mfa_enrollment_interrupt"), 400, "interaction_required", "You must enroll in multi-factor authentication.").sub("basic_action").claims(),
    row((50_158, "external_security_challenge"), 400, "interaction_required", "An external security challenge was not satisfied.").sub("basic_action").claims(),
    // Consent.
    row((65_001, "consent_missing"), 400, "invalid_grant", "The user or administrator has not consented to use the application with this scope.").sub("consent_required"),
    row((65_001, "consent_required"), 400, "consent_required", "The user or administrator has not consented to use the application with this scope.").sub("consent_required"),
    row((90_094, "admin_consent_required"), 400, "consent_required", "An administrator has to consent to what the application asks for."),
    row((90_095, "admin_consent_request"), 400, "consent_required", "An administrator has to consent; the user may ask for it."),
    row((65_004, "consent_declined"), 400, "access_denied", "The user declined to consent to access the application."),
    // Policy and accounts only an administrator can change.
    row((53_003, "blocked_by_conditional_access"), 400, "interaction_required", "Access has been blocked by Conditional Access policies.").sub("message_only").claims(),
    row((530_032, "blocked_by_security_policy"), 400, "interaction_required", "Access has been blocked by a security policy of the tenant.").sub("message_only"),
    row((53_011, "blocked_by_risk"), 400, "interaction_required", "The user is blocked due to risk in the home tenant.").sub("message_only"),
    row((50_057, "user_disabled"), 400, "invalid_grant", "The user account is disabled."),
    row((50_034, "user_not_found"), 400, "invalid_grant", "The user account does not exist in the directory."),
    row((51_004, "user_not_in_directory"), 400, "invalid_grant", "The user account does not exist in the directory of the resource."),
    row((50_105, "user_not_assigned"), 400, "invalid_grant", "The signed-in user is not assigned to a role for the application."),
    row((50_053, "account_locked"), 400, "invalid_grant", "The account is locked, or the sign-in came from an address with malicious activity."),
    row((50_020, "user_of_another_tenant"), 400, "invalid_grant", "The user account does not exist in this tenant."),
    row((50_058, "login_required"), 400, "login_required", "Session information is not sufficient for a silent sign-in."),
    // The application's own credential.
    row((7_000_215, "invalid_client_secret"), 401, "invalid_client", "Invalid client secret provided."),
    row((7_000_218, "client_credential_missing"), 401, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."),
    row((7_000_222, "client_secret_expired"), 401, "invalid_client", "The provided client secret keys are expired."),
    row((700_027, "invalid_assertion_signature"), 401, "invalid_client", "The client assertion failed signature validation."),
    row((700_021, "assertion_of_another_client"), 401, "invalid_client", "The client assertion's application identifier does not match the 'client_id' parameter."),
    row((700_023, "assertion_audience_mismatch"), 401, "invalid_client", "The client assertion's audience does not match this realm."),
    row((700_024, "assertion_out_of_time"), 401, "invalid_client", "The client assertion is not within its valid time range."),
    row((700_211, "federated_issuer_mismatch"), 401, "invalid_client", "No matching federated identity record was found for the presented assertion's issuer."),
    row((700_212, "federated_audience_mismatch"), 401, "invalid_client", "No matching federated identity record was found for the presented assertion's audience."),
    row((700_213, "federated_subject_mismatch"), 401, "invalid_client", "No matching federated identity record was found for the presented assertion's subject."),
    row((50_027, "malformed_assertion"), 400, "invalid_request", "The JWT token is invalid or malformed."),
    row((70_002, "invalid_client"), 401, "invalid_client", "The client credentials could not be validated."),
    row((700_025, "public_client_with_credential"), 401, "invalid_client", "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."),
    // The application and its tenant.
    row((700_016, "application_not_found"), 400, "unauthorized_client", "The application was not found in the directory."),
    row((70_001, "application_not_registered"), 400, "unauthorized_client", "The application is disabled or not installed in the tenant."),
    row((7_000_112, "application_disabled"), 400, "unauthorized_client", "The application is disabled."),
    row((90_002, "tenant_not_found"), 400, "invalid_request", "The tenant was not found."),
    row((90_038, "wrong_national_cloud"), 400, "invalid_request", "The tenant belongs to another national cloud."),
    row((50_194, "not_multi_tenant"), 400, "invalid_request", "The application is not configured as a multi-tenant application."),
    row((9_001_023, "tenant_unspecific"), 400, "invalid_request", "The grant type is not supported over the /common or /consumers endpoints. Use the tenant-specific endpoint."),
    // Scope and resource.
    row((70_011, "invalid_scope"), 400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
    row((28_002, "invalid_resource_scope"), 400, "invalid_scope", "The provided value for the scope is not valid for the resource."),
    row((700_022, "multiple_resources"), 400, "invalid_scope", "The provided value for the scope names more than one resource."),
    row((1_002_012, "scope_not_default"), 400, "invalid_scope", "The scope of a client-credentials request must be a resource with '/.default'."),
    row((500_011, "resource_not_found"), 400, "invalid_resource", "The resource principal was not found in the tenant."),
    row((650_057, "resource_not_registered"), 400, "invalid_resource", "The application does not list the resource among its permissions."),
    // Malformed requests.
    row((900_144, "parameter_missing"), 400, "invalid_request", "The request body lacks a required parameter."),
    row((9_002_313, "malformed_request"), 400, "invalid_request", "The request is malformed or invalid."),
    row((90_014, "field_missing"), 400, "invalid_request", "A required field is missing from the credential."),
    row((90_023, "invalid_request"), 400, "invalid_request", "The authentication service request is not valid."),
    row((70_003, "unsupported_grant_type"), 400, "unsupported_grant_type", "The app requested an unsupported grant type."),
    row((70_005, "unsupported_response_type"), 400, "unsupported_response_type", "The app requested an unsupported response type."),
    row((70_007, "unsupported_response_mode"), 400, "invalid_request", "The response mode is not supported for this response type."),
    // Device code.
    row((70_016, "authorization_pending"), 400, "authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. Continue polling."),
    row((70_016, "slow_down"), 400, "slow_down", "OAuth 2.0 device flow error. Poll less often."),
    row((70_017, "authorization_declined"), 400, "authorization_declined", "OAuth 2.0 device flow error. The user declined."),
    row((70_018, "bad_verification_code"), 400, "bad_verification_code", "Invalid verification code."),
    row((70_019, "expired_token"), 400, "expired_token", "Verification code expired. Sign in again."),
    // Authorization code.
    row((54_005, "code_already_redeemed"), 400, "invalid_grant", "The authorization code was already redeemed; retry with a new valid code or use an existing refresh token."),
    row((501_481, "code_verifier_mismatch"), 400, "invalid_grant", "The code_verifier does not match the code_challenge of the authorization request."),
    row((50_147, "code_challenge_missing"), 400, "invalid_request", "The size of the code challenge parameter is not valid."),
    row((50_011, "redirect_not_registered"), 400, "invalid_request", "The redirect URI of the request does not match those registered for the application."),
    row((500_112, "redirect_changed"), 400, "invalid_grant", "The redirect URI is not the one of the authorization request."),
    row((9_002_326, "cross_origin_not_spa"), 400, "invalid_request", "Cross-origin token redemption is permitted only for the 'Single-Page Application' client type."),
    row((9_002_327, "spa_not_cross_origin"), 400, "invalid_request", "Tokens of the 'Single-Page Application' client type may only be redeemed by cross-origin requests."),
];
