//! What a destination kept although the drive has no such thing.

/// Why something was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptReason {
    /// A mirrored file that somebody changed here since.
    LocalEdit,
    /// Something that Sluice did not put there, where an item of the drive belongs.
    Stranger,
    /// A folder that is gone from the drive and holds something that Sluice did not put there.
    Folder,
}

/// Something that is not the drive's and stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Why.
    pub reason: KeptReason,
    /// Where it was.
    pub was: Vec<String>,
    /// Where it lies now; the same where it was not in the way.
    pub path: Vec<String>,
}

impl KeptReason {
    /// Short reason for machines.
    pub fn reason(self) -> &'static str {
        match self {
            Self::LocalEdit => "LOCAL_EDIT_KEPT",
            Self::Stranger => "LOCAL_FILE_KEPT",
            Self::Folder => "FOLDER_KEPT",
        }
    }
}

impl Kept {
    /// Short reason for machines.
    pub fn reason(&self) -> &'static str {
        self.reason.reason()
    }

    /// One sentence for people.
    pub fn detail(&self) -> String {
        let was = self.was.join("/");
        match self.reason {
            KeptReason::LocalEdit => {
                format!("{was} was changed here; the changed file is kept under this name")
            }
            KeptReason::Stranger => {
                format!("{was} was not the drive's, which has an item there; it is kept under this name")
            }
            KeptReason::Folder => {
                format!("{was} is gone from the drive and holds files that are not the drive's; it stays")
            }
        }
    }
}
