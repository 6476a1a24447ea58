//! What an address of Graph means (graph-behaviour §1.1). Paths with colons do not fit a table of routes, so they are read here.

use std::borrow::Cow;

use axum::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::query::Query;
use crate::counters::Endpoint;

/// What is encoded in a path of names.
const NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

/// Which drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DriveRef {
    /// `/me/drive`
    Mine,
    /// `/drives/{id}`
    Id(String),
    /// `/users/{id}/drive`
    User(String),
    /// `/sites/{id}/drive`
    Site(SiteRef),
    /// `/groups/{id}/drive`
    Group(String),
}

/// Which site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SiteRef {
    /// An id, a host, or `root`.
    Id(String),
    /// `{host}:/{path}`: the path with its slash.
    Path(String),
}

/// Where an address begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The root of the drive.
    Root,
    /// An item.
    Id(String),
    /// A special folder.
    Special(String),
}

/// Which item of the drive: where to begin, and names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemRef {
    pub(crate) base: Base,
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
    /// Something is to be done with an item.
    Action(ItemRef, Action),
    /// What is below a folder and has this text in its name.
    Search(ItemRef, String),
    /// The versions of a file, or one of them.
    Versions(ItemRef, Option<VersionRef>),
    /// What others shared with the caller.
    SharedWithMe,
}

/// Which version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionRef {
    pub(crate) id: String,
    /// Its content, rather than itself.
    pub(crate) content: bool,
}

/// What is done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    CreateUploadSession,
    Copy,
    PermanentDelete,
    CreateLink,
    Permissions,
    Restore,
}

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Something of a drive.
    InDrive { drive: DriveRef, target: Target },
    /// Something of a shared item: the sharing token, and the target seen from the item.
    Shared { token: String, target: Target },
    /// The signed-in user, or one by name.
    Person(Option<String>),
    /// All drives of an owner.
    Drives(DriveRef),
    /// A site.
    Site(SiteRef),
    /// `/sites?search=`
    Sites,
    /// `/groups`, or one by id.
    Groups(Option<String>),
    /// `/subscriptions`
    Subscriptions,
    /// `/subscriptions/{id}`
    Subscription(String),
    /// `/subscriptions/{id}/reauthorize`
    Reauthorize(String),
    /// `/$batch`
    Batch,
}

impl Route {
    /// Reads a path, still percent-encoded.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        // Microsoft's SDK for Python writes `/v1.0//me`; the service does not mind.
        let path = path.strip_prefix("/v1.0/")?.trim_start_matches('/').trim_end_matches('/');
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match first {
            "me" => owned(rest, DriveRef::Mine, Self::Person(None)),
            "users" => {
                let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
                let id = decoded(id).filter(|id| !id.is_empty())?;
                owned(rest, DriveRef::User(id.clone()), Self::Person(Some(id)))
            }
            "drives" => {
                let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
                let drive = DriveRef::Id(decoded(id).filter(|id| !id.is_empty())?);
                Some(Self::InDrive { drive, target: drive_target(rest)? })
            }
            "groups" if rest.is_empty() => Some(Self::Groups(None)),
            "groups" => {
                let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
                let id = decoded(id)?;
                owned(rest, DriveRef::Group(id.clone()), Self::Groups(Some(id)))
            }
            "sites" if rest.is_empty() => Some(Self::Sites),
            "sites" => site(rest),
            "shares" => shared(rest),
            "subscriptions" => match rest.split_once('/') {
                None if rest.is_empty() => Some(Self::Subscriptions),
                None => Some(Self::Subscription(decoded(rest)?)),
                Some((id, "reauthorize")) => Some(Self::Reauthorize(decoded(id)?)),
                Some(_) => None,
            },
            "$batch" if rest.is_empty() => Some(Self::Batch),
            _ => None,
        }
    }

    /// The kind of request it is.
    pub(crate) fn endpoint(&self, method: &Method) -> Endpoint {
        let reading = matches!(*method, Method::GET | Method::HEAD);
        match self {
            Self::InDrive { target, .. } | Self::Shared { target, .. } => match target {
                Target::Drive => Endpoint::Drive,
                Target::Content(_) if !reading => Endpoint::Upload,
                Target::Action(_, Action::CreateUploadSession) => Endpoint::Upload,
                Target::Content(_) | Target::Versions(_, Some(VersionRef { content: true, .. })) => {
                    Endpoint::Content
                }
                Target::Action(_, Action::Permissions) => Endpoint::Item,
                Target::Action(..) => Endpoint::Write,
                Target::Item(_) | Target::Children(_) | Target::Versions(..) if !reading => Endpoint::Write,
                Target::Item(_) | Target::Versions(..) => Endpoint::Item,
                Target::Children(_) | Target::Search(..) => Endpoint::Children,
                Target::Delta { .. } => Endpoint::Delta,
                Target::SharedWithMe => Endpoint::Site,
            },
            Self::Person(_) | Self::Drives(_) | Self::Site(_) | Self::Sites | Self::Groups(_) => {
                Endpoint::Site
            }
            Self::Subscriptions | Self::Subscription(_) | Self::Reauthorize(_) => Endpoint::Subscription,
            Self::Batch => Endpoint::Batch,
        }
    }
}

/// A path in which `/children('@a1')` is put as a path of names, `:/…:`, with its argument from the query: clients write so for the
/// cloud in China (graph-behaviour §9.5).
pub(crate) fn with_argument<'a>(path: &'a str, query: &Query) -> Cow<'a, str> {
    let Some((before, call)) = path.split_once("/children(") else { return Cow::Borrowed(path) };
    let Some((alias, after)) = call.split_once(')') else { return Cow::Borrowed(path) };
    let alias = decoded(alias).unwrap_or_default();
    let argument = query.get(alias.trim_matches('\''));
    let names = argument.and_then(|text| text.strip_prefix('\'')?.strip_suffix('\''));
    match names {
        Some(names) => {
            let names = utf8_percent_encode(names, NAMES);
            Cow::Owned(format!("{before}:/{names}:{after}"))
        }
        None => Cow::Borrowed(path),
    }
}

/// What follows an owner: nothing, `drive…` or `drives`.
fn owned(rest: &str, drive: DriveRef, alone: Route) -> Option<Route> {
    if rest.is_empty() {
        return Some(alone);
    }
    if rest == "drives" {
        return Some(Route::Drives(drive));
    }
    let rest = rest.strip_prefix("drive")?;
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
    Some(Route::InDrive { drive, target: drive_target(rest)? })
}

fn site(text: &str) -> Option<Route> {
    let (site, rest) = match text.split_once(":/") {
        Some((host, after)) if !host.contains('/') => {
            let (path, rest) = after.split_once(':').unwrap_or((after, ""));
            (SiteRef::Path(format!("/{}", decoded(path)?)), rest.trim_start_matches('/'))
        }
        Some(_) | None => {
            let (id, rest) = text.split_once('/').unwrap_or((text, ""));
            (SiteRef::Id(decoded(id)?), rest)
        }
    };
    owned(rest, DriveRef::Site(site.clone()), Route::Site(site))
}

/// `/shares/{token}`, then `driveItem`, `root` or `items/{id}`.
fn shared(text: &str) -> Option<Route> {
    let (token, rest) = text.split_once('/').unwrap_or((text, ""));
    let token = decoded(token).filter(|token| !token.is_empty())?;
    let item = ItemRef { base: Base::Root, path: Vec::new() };
    let target = match rest.strip_prefix("driveItem") {
        Some(rest) => item_target(Base::Root, rest)?,
        None if rest.is_empty() => Target::Item(item),
        None => drive_target(rest)?,
    };
    Some(Route::Shared { token, target })
}

fn drive_target(text: &str) -> Option<Target> {
    if text.is_empty() {
        return Some(Target::Drive);
    }
    if let Some(rest) = text.strip_prefix("root") {
        return item_target(Base::Root, rest);
    }
    if matches!(text, "sharedWithMe" | "sharedWithMe()" | "microsoft.graph.sharedWithMe()") {
        return Some(Target::SharedWithMe);
    }
    if text.starts_with("search(") {
        return action_of(ItemRef { base: Base::Root, path: Vec::new() }, &format!("/{text}"));
    }
    let (special, after) = match (text.strip_prefix("items/"), text.strip_prefix("special/")) {
        (Some(after), _) => (false, after),
        (None, after) => (true, after?),
    };
    let (name, rest) = after.find(['/', ':']).map_or((after, ""), |at| after.split_at(at));
    let name = decoded(name).filter(|name| !name.is_empty())?;
    // Microsoft's SDKs take `{id}:/{path}:` for an id, and encode all of it as one segment; the service understands it.
    if let Some((id, path)) = name.split_once(":/") {
        let path = path.strip_suffix(':').unwrap_or(path).split('/').filter(|name| !name.is_empty());
        let path = path.map(str::to_owned).collect();
        return action_of(ItemRef { base: base(special, id), path }, rest);
    }
    item_target(base(special, &name), rest)
}

fn base(special: bool, name: &str) -> Base {
    match (special, name) {
        (true, _) => Base::Special(name.to_owned()),
        (false, "root") => Base::Root,
        (false, _) => Base::Id(name.to_owned()),
    }
}
fn item_target(base: Base, rest: &str) -> Option<Target> {
    if let Some(by_path) = rest.strip_prefix(":/") {
        let (path, action) = by_path.split_once(':').unwrap_or((by_path, ""));
        let names = path.split('/').filter(|name| !name.is_empty());
        let path = names.map(decoded).collect::<Option<Vec<_>>>()?;
        return action_of(ItemRef { base, path }, action);
    }
    // `root:` without a path is the root.
    action_of(ItemRef { base, path: Vec::new() }, rest.strip_prefix(':').unwrap_or(rest))
}

fn action_of(item: ItemRef, action: &str) -> Option<Target> {
    let word = match action.strip_prefix('/') {
        Some(word) => word,
        None if action.is_empty() => "",
        None => return None,
    };
    let word = word.strip_prefix("microsoft.graph.").unwrap_or(word);
    Some(match word.strip_suffix("()").unwrap_or(word) {
        "" => Target::Item(item),
        "children" => Target::Children(item),
        "content" => Target::Content(item),
        "createUploadSession" => Target::Action(item, Action::CreateUploadSession),
        "copy" => Target::Action(item, Action::Copy),
        "permanentDelete" => Target::Action(item, Action::PermanentDelete),
        "createLink" => Target::Action(item, Action::CreateLink),
        "permissions" => Target::Action(item, Action::Permissions),
        "restore" => Target::Action(item, Action::Restore),
        "versions" => Target::Versions(item, None),
        "delta" => Target::Delta { item, token: None },
        call if call.starts_with("versions/") => version_of(item, call)?,
        call if call.starts_with("search(") => Target::Search(item, argument(call, "search(q=")?),
        call => Target::Delta { item, token: Some(argument(call, "delta(token=")?) },
    })
}

/// `versions/{id}`, then perhaps `content`.
fn version_of(item: ItemRef, call: &str) -> Option<Target> {
    let id = call.strip_prefix("versions/")?;
    let (id, content) = id.strip_suffix("/content").map_or((id, false), |id| (id, true));
    let id = decoded(id).filter(|id| !id.is_empty() && !id.contains('/'))?;
    Some(Target::Versions(item, Some(VersionRef { id, content })))
}

/// The argument of a function: in quotes, which are doubled inside.
fn argument(call: &str, function: &str) -> Option<String> {
    let quoted = decoded(call.strip_prefix(function)?.strip_suffix(')')?)?;
    let text = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(text.replace("''", "'"))
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: Option<&str>, path: &[&str]) -> ItemRef {
        let base = id.map_or(Base::Root, |id| Base::Id(id.to_owned()));
        ItemRef { base, path: path.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn every_documented_form_of_an_item_is_understood() {
        let me = |target| Some(Route::InDrive { drive: DriveRef::Mine, target });
        let by_id = |target| Some(Route::InDrive { drive: DriveRef::Id("b!x".to_owned()), target });
        let delta =
            |token: Option<&str>| Target::Delta { item: item(None, &[]), token: token.map(str::to_owned) };
        let special = ItemRef { base: Base::Special("approot".to_owned()), path: vec!["a".to_owned()] };
        for (path, expected) in [
            ("/v1.0/me/drive", me(Target::Drive)),
            ("/v1.0//me/drive", me(Target::Drive)),
            ("/v1.0/me/drive/root", me(Target::Item(item(None, &[])))),
            ("/v1.0/drives/b!x", by_id(Target::Drive)),
            ("/v1.0/drives/b%21x/items/root", by_id(Target::Item(item(None, &[])))),
            ("/v1.0/drives/b!x/items/01A", by_id(Target::Item(item(Some("01A"), &[])))),
            ("/v1.0/drives/b!x/items/01A/children", by_id(Target::Children(item(Some("01A"), &[])))),
            ("/v1.0/drives/b!x/items/01A/content", by_id(Target::Content(item(Some("01A"), &[])))),
            ("/v1.0/me/drive/root:/a%20b/c%23d", me(Target::Item(item(None, &["a b", "c#d"])))),
            ("/v1.0/me/drive/root:/a/b:/content", me(Target::Content(item(None, &["a", "b"])))),
            ("/v1.0/me/drive/items/01A:/x:", me(Target::Item(item(Some("01A"), &["x"])))),
            (
                "/v1.0/me/drive/items/01A%3A%2Fx%20y%3A/content",
                me(Target::Content(item(Some("01A"), &["x y"]))),
            ),
            ("/v1.0/me/drive/items/root%3A%2Fa%2Fb%3A", me(Target::Item(item(None, &["a", "b"])))),
            ("/v1.0/me/drive/special/approot:/a:/content", me(Target::Content(special))),
            (
                "/v1.0/me/drive/items/01A:/x:/createUploadSession",
                me(Target::Action(item(Some("01A"), &["x"]), Action::CreateUploadSession)),
            ),
            ("/v1.0/me/drive/root/delta", me(delta(None))),
            ("/v1.0/me/drive/root/delta(token='a%3D')", me(delta(Some("a=")))),
            ("/v1.0/me/drive/root/microsoft.graph.delta()", me(delta(None))),
            ("/v1.0/me/drive/root/nonsense", None),
            ("/v1.0/me/drivers", None),
            ("/v1.0/users", None),
            ("/beta/me/drive", None),
        ] {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }

    #[test]
    fn sites_shares_and_lists_are_understood() {
        let by_path = SiteRef::Path("/sites/team".to_owned());
        let root = Target::Item(item(None, &[]));
        for (path, expected) in [
            ("/v1.0/me", Route::Person(None)),
            ("/v1.0/me/drives", Route::Drives(DriveRef::Mine)),
            ("/v1.0/sites", Route::Sites),
            ("/v1.0/sites/a,b,c", Route::Site(SiteRef::Id("a,b,c".to_owned()))),
            ("/v1.0/sites/host:/sites/team", Route::Site(by_path.clone())),
            ("/v1.0/sites/host:/sites/team:/drives", Route::Drives(DriveRef::Site(by_path.clone()))),
            (
                "/v1.0/sites/host:/sites/team:/drive/root",
                Route::InDrive { drive: DriveRef::Site(by_path), target: root.clone() },
            ),
            ("/v1.0/shares/u!x/driveItem", Route::Shared { token: "u!x".to_owned(), target: root.clone() }),
            ("/v1.0/shares/u!x/root", Route::Shared { token: "u!x".to_owned(), target: root }),
            ("/v1.0/subscriptions/1/reauthorize", Route::Reauthorize("1".to_owned())),
            ("/v1.0/$batch", Route::Batch),
        ] {
            assert_eq!(Route::parse(path), Some(expected), "{path}");
        }
    }
}
