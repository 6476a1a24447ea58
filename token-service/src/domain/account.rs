//! Who signed in.

/// An account as the provider's ID token named it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Directory (Entra tenant) id, claim `tid`.
    pub directory_id: String,
    /// Object id of the account in the directory, claim `oid`.
    pub object_id: String,
    /// Sign-in name for people; it may change and proves nothing.
    pub username: String,
}

impl Account {
    /// Whether both are one account: same directory and same object. Sign-in names may differ.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.directory_id == other.directory_id && self.object_id == other.object_id
    }
}

/// Whether a sign-in may take over a connection that knows `known`: the same account signed in, or the connection never
/// learned whose it is. A sign-in that does not say whose it is cannot take over one that is known.
pub fn may_mend(known: Option<&Account>, signed_in: Option<&Account>) -> bool {
    match (known, signed_in) {
        (None, _) => true,
        (Some(known), Some(signed_in)) => known.is_same_as(signed_in),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(directory: &str, object: &str, username: &str) -> Account {
        Account { directory_id: directory.into(), object_id: object.into(), username: username.into() }
    }

    #[test]
    fn only_the_same_directory_and_object_mend_a_known_connection() {
        let known = account("t", "o", "a@x");
        let cases = [
            (Some(account("t", "o", "renamed@x")), true),
            (Some(account("t", "p", "a@x")), false),
            (Some(account("u", "o", "a@x")), false),
            (None, false),
        ];
        for (signed_in, expected) in cases {
            assert_eq!(may_mend(Some(&known), signed_in.as_ref()), expected, "{signed_in:?}");
        }
        assert!(may_mend(None, Some(&known)));
        assert!(may_mend(None, None));
    }
}
