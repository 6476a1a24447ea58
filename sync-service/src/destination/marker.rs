//! The file that tells whose mirror a folder is, so that an unmounted disk is not taken for an empty mirror, and one mirror not for
//! another.

use serde::{Deserialize, Serialize};

/// Name of the marker inside Sluice's own folder.
pub(super) const MARKER_FILE: &str = "source.json";

/// Whose mirror a destination is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The source's resource name.
    pub source: String,
    /// When the source was made: a later source of the same name is another one. RFC 3339.
    pub source_create_time: String,
}
