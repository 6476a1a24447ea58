//! Rows that replicas share beside connections: fences of directories, leases of imports, claims for the next sign-in.

use std::time::Duration;

use service_kit::clock::Timestamp;
use token_service::store::{DirectoryFence, Store};

use super::{LONG, NOW, insert, name};

async fn raise(store: &Store, subject: (&str, &str), until: Timestamp, cause: &str, now: Timestamp) {
    store.raise_directory_fence(subject, (until, cause), now).await.unwrap();
}

async fn fence(store: &Store, (app, directory): (&str, &str)) -> Option<DirectoryFence> {
    store.begin_write().await.unwrap().find_directory_fence(app, directory).await.unwrap()
}

pub(super) async fn a_fence_is_raised_and_never_lowered(one: &Store, other: &Store) {
    let subject = ("app", "directory");
    let (soon, late) = (NOW.saturating_add(LONG), NOW.saturating_add(LONG * 2));
    assert_eq!(fence(one, subject).await, None);
    raise(one, subject, soon, "first", NOW).await;
    assert_eq!(fence(other, subject).await, Some((soon, "first".to_owned())));
    raise(other, subject, late, "second", NOW).await;
    raise(one, subject, soon, "third", NOW).await;
    assert_eq!(fence(one, subject).await, Some((late, "second".to_owned())));
    for another in [("app", "elsewhere"), ("another", "directory")] {
        assert_eq!(fence(one, another).await, None);
    }
    // The next one clears away what is over.
    let afterwards = late.saturating_add(LONG);
    raise(other, ("app", "elsewhere"), afterwards, "fourth", late).await;
    assert_eq!(fence(one, subject).await, None);
    assert_eq!(fence(one, ("app", "elsewhere")).await, Some((afterwards, "fourth".to_owned())));
}

async fn claim(store: &Store, subjects: &[&str], owner: &str, length: Duration) -> bool {
    let subjects: Vec<String> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
    store.claim_imports(&subjects, owner, length).await.unwrap()
}

pub(super) async fn imports_are_claimed_whole_or_not_at_all(one: &Store, other: &Store) {
    assert!(claim(one, &["name a", "token a"], "one", LONG).await);
    assert!(!claim(other, &["name b", "token a"], "other", LONG).await);
    // What was free is free still.
    let (first, second) =
        tokio::join!(claim(one, &["name b"], "third", LONG), claim(other, &["name b"], "fourth", LONG));
    assert!(first != second, "{first} {second}");
    one.release_imports("one").await.unwrap();
    assert!(claim(other, &["name a", "token a"], "other", Duration::ZERO).await);
    // Whoever vanished is in nobody's way.
    assert!(claim(one, &["token a"], "one", LONG).await);
    other.release_imports("other").await.unwrap();
    assert!(!claim(other, &["token a"], "other", LONG).await);
}

async fn keep_claims(store: &Store, claims: &str) {
    let transaction = store.begin_write().await.unwrap();
    transaction.keep_sign_in_claims(&name("mail"), claims).await.unwrap();
    transaction.commit().await.unwrap();
}

pub(super) async fn claims_are_kept_until_somebody_signs_in(one: &Store, other: &Store) {
    insert(one, "mail").await;
    assert_eq!(one.find_sign_in_claims(&name("mail")).await.unwrap(), None);
    for claims in ["{}", r#"{"access_token":{}}"#] {
        keep_claims(one, claims).await;
        assert_eq!(other.find_sign_in_claims(&name("mail")).await.unwrap().as_deref(), Some(claims));
    }
    let transaction = other.begin_write().await.unwrap();
    transaction.forget_sign_in_claims(&name("mail")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(one.find_sign_in_claims(&name("mail")).await.unwrap(), None);

    keep_claims(one, "{}").await;
    let transaction = other.begin_write().await.unwrap();
    transaction.delete_connection(&name("mail")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(one.find_sign_in_claims(&name("mail")).await.unwrap(), None);
}
