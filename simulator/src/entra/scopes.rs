//! Scopes: which exist, what a request for them means, and how answers write them.

use super::error::EntraError;

/// What Graph scopes may be prefixed with.
const GRAPH_PREFIX: &str = "https://graph.microsoft.com/";
/// Scopes of OpenID Connect.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// First parts of the Graph scopes an application may ask for.
const GRAPH_FAMILIES: [&str; 4] = ["Files.", "Sites.", "User.", "Group."];
/// Scopes that allow reading files.
const READING: [&str; 8] = [
    "Files.Read",
    "Files.Read.All",
    "Files.ReadWrite",
    "Files.ReadWrite.All",
    "Sites.Read.All",
    "Sites.ReadWrite.All",
    "Sites.Manage.All",
    "Sites.FullControl.All",
];
/// Scopes only an administrator can allow.
const FOR_ADMINS: [&str; 5] =
    ["Group.Read.All", "Group.ReadWrite.All", "Sites.FullControl.All", "User.Read.All", "User.ReadWrite.All"];
/// What `.default` stands for in this tenant.
const CONSENTED: [&str; 2] = ["Files.Read.All", "User.Read"];

/// The scopes that were asked for, in short form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes {
    names: Vec<String>,
}

impl Scopes {
    /// Reads a `scope` parameter.
    pub(super) fn parse(text: &str) -> Result<Self, EntraError> {
        let mut names: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let short = word.strip_prefix(GRAPH_PREFIX).unwrap_or(word);
            let known =
                OPENID.contains(&short) || GRAPH_FAMILIES.iter().any(|family| short.starts_with(family));
            let expanded = match short {
                ".default" => CONSENTED.to_vec(),
                _ if known => vec![short],
                _ => return Err(Self::refused(word)),
            };
            names.extend(expanded.into_iter().map(str::to_owned));
        }
        if names.is_empty() {
            return Err(EntraError::missing("scope"));
        }
        names.dedup();
        Ok(Self { names })
    }

    fn refused(word: &str) -> EntraError {
        let text = format!(
            "The provided request must include a valid 'scope' parameter. The scope '{word}' does not exist."
        );
        EntraError::plain(400, "invalid_scope", 70_011, text)
    }

    /// The scopes of an application that acts for itself.
    pub(super) fn of_application() -> Self {
        Self { names: CONSENTED.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Adds what is not among these yet.
    pub(super) fn add(&mut self, more: &Self) {
        let new: Vec<String> = more.names.iter().filter(|name| !self.has(name)).cloned().collect();
        self.names.extend(new);
    }

    /// Those of Graph that the closure does not know.
    pub(super) fn without(&self, known: impl Fn(&str) -> bool) -> Self {
        let left = self.names.iter().filter(|name| !OPENID.contains(&name.as_str()) && !known(name));
        Self { names: left.cloned().collect() }
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether only an administrator can allow all of them.
    pub(super) fn need_admin(&self) -> bool {
        FOR_ADMINS.iter().any(|name| self.has(name))
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether a scope was asked for.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether everything asked for here was consented to there.
    pub(super) fn within(&self, consented: &Self) -> bool {
        self.names.iter().all(|name| OPENID.contains(&name.as_str()) || consented.has(name))
    }

    /// Whether files may be read.
    pub(crate) fn may_read_files(&self) -> bool {
        READING.iter().any(|name| self.has(name))
    }

    /// As a token answer writes them: `offline_access` is not among them.
    pub(super) fn granted(&self) -> String {
        let told: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|name| *name != "offline_access").collect();
        told.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_in_both_forms() {
        let scopes = Scopes::parse("https://graph.microsoft.com/Files.Read offline_access openid").unwrap();
        assert!(scopes.has("Files.Read") && scopes.has("offline_access") && scopes.may_read_files());
        assert_eq!(scopes.granted(), "Files.Read openid");
        assert!(Scopes::parse("Nonsense.All").is_err());
        assert!(Scopes::parse("").is_err());
        assert!(Scopes::parse(".default").unwrap().may_read_files());
    }
}
