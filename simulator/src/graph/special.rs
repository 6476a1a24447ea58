//! Special folders (graph-behaviour §3): they come into being when they are first asked for.

use super::Call;
use super::error::GraphError;
use crate::drive::Drive;
use crate::drive::change::ChangeError;
use crate::drive::item::{Facet, ROOT, Slot};
use crate::drive::spec::DriveKind;
use crate::drive::tree::{Place, Tree};

/// Special folders of every drive, with their places.
const EVERYWHERE: [(&str, &[&str]); 2] = [("documents", &["Documents"]), ("photos", &["Pictures"])];
/// Special folders of personal drives.
const PERSONAL: [(&str, &[&str]); 2] = [("cameraroll", &["Pictures", "Camera Roll"]), ("music", &["Music"])];
/// The folder of an application.
const APP_ROOT: &str = "approot";

/// The special folder of a name, if there is one already. People may have renamed or moved it.
pub(super) fn known(tree: &Tree, name: &str) -> Option<Slot> {
    let wanted = name.to_lowercase();
    tree.special_folder(&wanted)
}

/// Makes the special folder of a name, unless there is one.
pub(super) fn ensure(call: &Call<'_>, drive: &Drive, name: &str) -> Result<(), GraphError> {
    let name = name.to_lowercase();
    if known(&drive.tree(), &name).is_some() {
        return Ok(());
    }
    let path = place(call, drive, &name)?;
    let how = call.world.circumstances();
    let made = drive.change(how, |tree| {
        let mut at = ROOT;
        for name in &path {
            at = match tree.child(at, name) {
                Some(there) => there,
                None => tree.create_folder(&Place { parent: at, name }, how.now)?,
            };
        }
        tree.extra_mut(at).facet = Some(Facet::Special(name.clone()));
        tree.touch(at);
        Ok::<_, ChangeError>(())
    });
    call.world.changed();
    made.map_err(|error| super::conditions::refused(&error))
}

fn place(call: &Call<'_>, drive: &Drive, name: &str) -> Result<Vec<String>, GraphError> {
    if name == APP_ROOT {
        let app = call.caller.client_id.split('-').next().unwrap_or_default();
        return Ok(vec!["Apps".to_owned(), format!("App {app}")]);
    }
    let more = if drive.ids.kind() == DriveKind::Personal { &PERSONAL[..] } else { &[] };
    let known = EVERYWHERE.iter().chain(more).find(|(known, _)| *known == name);
    let (_, path) =
        known.ok_or_else(|| GraphError::invalid_request("The special folder is not supported."))?;
    Ok(path.iter().map(|name| (*name).to_owned()).collect())
}
