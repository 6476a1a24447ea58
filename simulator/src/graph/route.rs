//! What an address of Graph means (graph-behaviour §1.1). Paths with colons do not fit a table of routes, so they are read here.

use percent_encoding::percent_decode_str;

use crate::counters::Endpoint;

/// Which drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DriveRef {
    /// `/me/drive`
    Mine,
    /// `/drives/{id}`
    Id(String),
}

/// Which item of the drive: an id (or `root`), and names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemRef {
    /// None for the root.
    pub(crate) id: Option<String>,
    /// Names from there down.
    pub(crate) path: Vec<String>,
}

/// What of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The drive itself.
    Drive,
    /// An item.
    Item(ItemRef),
    /// What is in a folder.
    Children(ItemRef),
    /// The content of a file.
    Content(ItemRef),
    /// Changes below a folder, with the token of the form `delta(token='…')`.
    Delta { item: ItemRef, token: Option<String> },
}

/// A drive and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) drive: DriveRef,
    pub(crate) target: Target,
}

impl Route {
    /// Reads a path, still percent-encoded.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1.0/")?;
        let (drive, rest) = if let Some(rest) = path.strip_prefix("me/drive") {
            (DriveRef::Mine, rest)
        } else {
            let after = path.strip_prefix("drives/")?;
            let (id, rest) = after.find('/').map_or((after, ""), |at| after.split_at(at));
            (DriveRef::Id(decoded(id)?), rest)
        };
        let target = match rest.trim_end_matches('/') {
            "" => Target::Drive,
            rest => target(rest.strip_prefix('/')?)?,
        };
        Some(Self { drive, target })
    }

    /// The kind of request it is.
    pub(crate) const fn endpoint(&self) -> Endpoint {
        match self.target {
            Target::Drive => Endpoint::Drive,
            Target::Item(_) => Endpoint::Item,
            Target::Children(_) => Endpoint::Children,
            Target::Content(_) => Endpoint::Content,
            Target::Delta { .. } => Endpoint::Delta,
        }
    }
}

fn target(text: &str) -> Option<Target> {
    let (id, rest) = if let Some(rest) = text.strip_prefix("root") {
        (None, rest)
    } else {
        let after = text.strip_prefix("items/")?;
        let (id, rest) = after.find(['/', ':']).map_or((after, ""), |at| after.split_at(at));
        let id = decoded(id)?;
        ((id != "root").then_some(id), rest)
    };
    if let Some(by_path) = rest.strip_prefix(":/") {
        let (path, action) = by_path.split_once(':').unwrap_or((by_path, ""));
        let names = path.split('/').filter(|name| !name.is_empty());
        let path = names.map(decoded).collect::<Option<Vec<_>>>()?;
        return action_of(ItemRef { id, path }, action);
    }
    // `root:` without a path is the root.
    action_of(ItemRef { id, path: Vec::new() }, rest.strip_prefix(':').unwrap_or(rest))
}

fn action_of(item: ItemRef, action: &str) -> Option<Target> {
    Some(match action.strip_prefix('/').unwrap_or(action) {
        "" => Target::Item(item),
        "children" => Target::Children(item),
        "content" => Target::Content(item),
        "delta" | "delta()" | "microsoft.graph.delta" | "microsoft.graph.delta()" => {
            Target::Delta { item, token: None }
        }
        other => {
            let call = other.strip_prefix("microsoft.graph.").unwrap_or(other);
            let quoted = decoded(call.strip_prefix("delta(token=")?.strip_suffix(')')?)?;
            let token = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
            Target::Delta { item, token: Some(token.to_owned()) }
        }
    })
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: Option<&str>, path: &[&str]) -> ItemRef {
        ItemRef { id: id.map(str::to_owned), path: path.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn every_documented_form_is_understood() {
        let me = |target| Some(Route { drive: DriveRef::Mine, target });
        let by_id = |target| Some(Route { drive: DriveRef::Id("b!x".to_owned()), target });
        let delta =
            |token: Option<&str>| Target::Delta { item: item(None, &[]), token: token.map(str::to_owned) };
        for (path, expected) in [
            ("/v1.0/me/drive", me(Target::Drive)),
            ("/v1.0/me/drive/root", me(Target::Item(item(None, &[])))),
            ("/v1.0/drives/b!x", by_id(Target::Drive)),
            ("/v1.0/drives/b%21x/items/root", by_id(Target::Item(item(None, &[])))),
            ("/v1.0/drives/b!x/items/01A", by_id(Target::Item(item(Some("01A"), &[])))),
            ("/v1.0/drives/b!x/items/01A/children", by_id(Target::Children(item(Some("01A"), &[])))),
            ("/v1.0/drives/b!x/items/01A/content", by_id(Target::Content(item(Some("01A"), &[])))),
            ("/v1.0/me/drive/root:/a%20b/c%23d", me(Target::Item(item(None, &["a b", "c#d"])))),
            ("/v1.0/me/drive/root:/a/b:/content", me(Target::Content(item(None, &["a", "b"])))),
            ("/v1.0/me/drive/items/01A:/x:", me(Target::Item(item(Some("01A"), &["x"])))),
            ("/v1.0/me/drive/root/delta", me(delta(None))),
            ("/v1.0/me/drive/root/delta(token='a%3D')", me(delta(Some("a=")))),
            ("/v1.0/me/drive/root/microsoft.graph.delta()", me(delta(None))),
            ("/v1.0/me/drive/root/nonsense", None),
            ("/v1.0/users", None),
            ("/beta/me/drive", None),
        ] {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }
}
