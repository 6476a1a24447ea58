//! §9.3: revocation per user, per application and of everything.

use serde_json::json;
use simulator::{
    CONFIDENTIAL_CLIENT_ID, CONFIDENTIAL_CLIENT_SECRET, FIRST_USER, PUBLIC_CLIENT_ID, RevocationError,
    SECOND_USER, ViolationKind,
};

use crate::bench::Bench;

const SCOPE: &str = "Files.Read.All offline_access";

/// Refresh tokens: first user with both applications, second user with the first.
struct Grants {
    bench: Bench,
    tokens: [(String, &'static str); 3],
}

impl Grants {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let issue = |client, user| bench.sim.issue_refresh_token(client, SCOPE, user).unwrap();
        let tokens = [
            (issue(PUBLIC_CLIENT_ID, FIRST_USER), PUBLIC_CLIENT_ID),
            (issue(CONFIDENTIAL_CLIENT_ID, FIRST_USER), CONFIDENTIAL_CLIENT_ID),
            (issue(PUBLIC_CLIENT_ID, SECOND_USER), PUBLIC_CLIENT_ID),
        ];
        Self { bench, tokens }
    }

    /// The AADSTS number each refresh is refused with; 0 when it is not.
    async fn refused(&self) -> [u64; 3] {
        let mut numbers = [0; 3];
        for (number, (token, client)) in numbers.iter_mut().zip(&self.tokens) {
            let mut fields =
                vec![("client_id", *client), ("grant_type", "refresh_token"), ("refresh_token", token)];
            if *client == CONFIDENTIAL_CLIENT_ID {
                fields.push(("client_secret", CONFIDENTIAL_CLIENT_SECRET));
            }
            let answer = self.bench.token_request(&fields).await;
            *number = answer.body["error_codes"][0].as_u64().unwrap_or_default();
        }
        numbers
    }

    async fn control(&self, path: &str, body: serde_json::Value) -> u16 {
        let address = format!("{}/control/{path}", self.bench.sim.control());
        self.bench.send(self.bench.http.post(address).json(&body)).await.status
    }
}

#[tokio::test]
async fn sign_ins_are_revoked_by_user_by_application_by_both_and_altogether() {
    let grants = Grants::new().await;
    assert_eq!(grants.refused().await, [0, 0, 0]);
    let sim = &grants.bench.sim;
    sim.revoke_sign_ins(Some(FIRST_USER), Some(CONFIDENTIAL_CLIENT_ID), 50_132).unwrap();
    assert_eq!(grants.refused().await, [0, 50_132, 0]);
    sim.revoke_sign_ins(None, Some(PUBLIC_CLIENT_ID), 7_000_112).unwrap();
    assert_eq!(grants.refused().await, [7_000_112, 50_132, 7_000_112]);
    sim.revoke_sign_ins(Some(FIRST_USER), None, 50_057).unwrap();
    assert_eq!(grants.refused().await, [50_057, 50_057, 7_000_112]);
    sim.revoke_sign_ins(None, None, 50_173).unwrap();
    assert_eq!(grants.refused().await, [50_173; 3]);
    // Every refresh after the first refusal of its token.
    assert_eq!(grants.bench.provoked(), [ViolationKind::RefusedTokenReused; 7]);
}

#[tokio::test]
async fn who_does_not_exist_cannot_be_revoked() {
    let grants = Grants::new().await;
    let sim = &grants.bench.sim;
    let nobody = RevocationError::UnknownUser("nobody".to_owned());
    assert_eq!(sim.revoke_sign_ins(Some("nobody"), None, 50_173), Err(nobody));
    let nothing = RevocationError::UnknownClient("nothing".to_owned());
    assert_eq!(sim.withdraw_consent(None, Some("nothing")), Err(nothing));
    assert!(sim.challenge("nobody").is_err());
    assert_eq!(grants.control("sign-ins/revoke", json!({"user": "nobody"})).await, 404);
    assert_eq!(grants.control("users/challenge", json!({"user": "nobody"})).await, 404);
    assert_eq!(grants.control("sign-ins/revoke", json!({"usr": FIRST_USER})).await, 400);
    assert_eq!(grants.refused().await, [0, 0, 0]);
}

#[tokio::test]
async fn the_control_interface_revokes_withdraws_and_challenges() {
    let grants = Grants::new().await;
    let of_app = json!({"client_id": CONFIDENTIAL_CLIENT_ID});
    assert_eq!(grants.control("consents/withdraw", of_app).await, 200);
    assert_eq!(grants.refused().await, [0, 65_001, 0]);
    assert_eq!(grants.control("users/revoke", json!({"user": SECOND_USER, "aadsts": 50_076})).await, 200);
    assert_eq!(grants.refused().await, [0, 65_001, 50_076]);
    assert_eq!(grants.control("users/challenge", json!({"user": FIRST_USER})).await, 200);
    assert_eq!(grants.control("sign-ins/revoke", json!({})).await, 200);
    assert_eq!(grants.refused().await, [50_173; 3]);
    assert_eq!(grants.bench.provoked(), [ViolationKind::RefusedTokenReused; 3]);
}
