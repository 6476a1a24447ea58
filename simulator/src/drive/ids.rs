//! Ids, eTags and cTags in the shapes each kind of drive has (graph-behaviour §1.2, §1.3).
//!
//! Everything is computed from the drive's key and the item's number, so ids cost no memory; an id that was not issued does
//! not decode.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::item::Slot;
use super::spec::DriveKind;
use crate::mix::{Sequence, guid, join};

/// The alphabet of item ids of OneDrive for Business and SharePoint (RFC 4648 base32).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// What such ids begin with.
const BUSINESS_PREFIX: &str = "01";

/// Makes and reads the ids of one drive.
#[derive(Debug)]
pub(crate) struct Ids {
    kind: DriveKind,
    key: u64,
    drive: String,
}

impl Ids {
    /// The ids of a drive of this kind, all derived from its key.
    pub(crate) fn new(kind: DriveKind, key: u64) -> Self {
        let drive = match kind {
            DriveKind::Personal => format!("{:016x}", key >> 8),
            DriveKind::Business | DriveKind::DocumentLibrary => {
                format!("b!{}", URL_SAFE_NO_PAD.encode(Sequence::new(join(key, 1)).bytes::<48>()))
            }
        };
        Self { kind, key, drive }
    }

    /// The kind of the drive.
    pub(crate) const fn kind(&self) -> DriveKind {
        self.kind
    }

    /// The id of the drive.
    pub(crate) fn drive(&self) -> &str {
        &self.drive
    }

    /// The key everything of the drive is derived from, its contents too.
    pub(crate) const fn key(&self) -> u64 {
        self.key
    }

    /// The id of an item.
    pub(crate) fn item(&self, slot: Slot) -> String {
        let hidden = slot ^ self.mask();
        match self.kind {
            DriveKind::Personal => {
                let tail: [u8; 12] = self.of(slot, 2).bytes();
                let tail = u128::from_be_bytes(wide(tail));
                format!("{}!s{hidden:08x}{tail:024x}", self.drive.to_uppercase())
            }
            DriveKind::Business | DriveKind::DocumentLibrary => {
                let mut bytes = [0; 20];
                let tail: [u8; 16] = self.of(slot, 2).bytes();
                for (to, from) in bytes.iter_mut().zip(hidden.to_be_bytes().into_iter().chain(tail)) {
                    *to = from;
                }
                format!("{BUSINESS_PREFIX}{}", base32(bytes))
            }
        }
    }

    /// The item an id belongs to, if this drive could have issued it. Ids are case-sensitive.
    pub(crate) fn slot(&self, id: &str) -> Option<Slot> {
        let hidden = match self.kind {
            DriveKind::Personal => {
                let (_, tail) = id.split_once("!s")?;
                u32::from_str_radix(tail.get(..8)?, 16).ok()?
            }
            DriveKind::Business | DriveKind::DocumentLibrary => {
                let head = id.strip_prefix(BUSINESS_PREFIX)?.get(..7)?;
                let bits = head.bytes().try_fold(0_u64, |bits, letter| {
                    let digit = BASE32.iter().position(|known| *known == letter)?;
                    Some(bits << 5 | u64::try_from(digit).ok()?)
                })?;
                u32::try_from(bits >> 3).ok()?
            }
        };
        let slot = hidden ^ self.mask();
        (self.item(slot) == id).then_some(slot)
    }

    /// The GUID of an item: the part of its eTag that never changes, and the `UniqueId` of its download links.
    pub(crate) fn unique(&self, slot: Slot) -> String {
        guid(self.of(slot, 3).bytes())
    }

    /// The eTag for a version of an item.
    pub(crate) fn e_tag(&self, slot: Slot, version: u32) -> String {
        match self.kind {
            DriveKind::Personal => {
                format!("a{}", STANDARD_NO_PAD.encode(format!("{}.{version}", self.item(slot))))
            }
            DriveKind::Business | DriveKind::DocumentLibrary => {
                format!("\"{{{}}},{version}\"", self.unique(slot).to_uppercase())
            }
        }
    }

    /// The cTag for a version of the content of an item.
    pub(crate) fn c_tag(&self, slot: Slot, content_version: u32) -> String {
        match self.kind {
            DriveKind::Personal => {
                format!("a{}", STANDARD_NO_PAD.encode(format!("c:{}.{content_version}", self.item(slot))))
            }
            DriveKind::Business | DriveKind::DocumentLibrary => {
                format!("\"c:{{{}}},{content_version}\"", self.unique(slot).to_uppercase())
            }
        }
    }

    fn of(&self, slot: Slot, purpose: u64) -> Sequence {
        Sequence::new(join(join(self.key, purpose), u64::from(slot)))
    }

    fn mask(&self) -> u32 {
        u32::try_from(join(self.key, 4) >> 32).unwrap_or_default()
    }
}

fn wide(tail: [u8; 12]) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().skip(4).zip(tail) {
        *to = from;
    }
    out
}

/// Twenty bytes are exactly thirty-two letters.
fn base32(bytes: [u8; 20]) -> String {
    let mut out = String::with_capacity(32);
    for group in bytes.chunks(5) {
        let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let digit = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
            out.extend(BASE32.get(digit).copied().map(char::from));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_documented_shapes_and_decode() {
        let business = Ids::new(DriveKind::Business, 7);
        assert!(business.drive().starts_with("b!"));
        let id = business.item(1_234_567);
        assert!(id.len() == 34 && id.starts_with("01"));
        assert_eq!(business.slot(&id), Some(1_234_567));
        assert_eq!(business.slot(&id.to_lowercase()), None);
        let personal = Ids::new(DriveKind::Personal, 7);
        assert_eq!(personal.drive().len(), 16);
        let id = personal.item(42);
        assert!(id.starts_with(&format!("{}!s", personal.drive().to_uppercase())));
        assert_eq!(personal.slot(&id), Some(42));
    }

    #[test]
    fn an_id_of_another_drive_or_an_edited_one_does_not_decode() {
        let drive = Ids::new(DriveKind::Business, 7);
        assert_eq!(drive.slot(&Ids::new(DriveKind::Business, 8).item(3)), None);
        let mut edited = drive.item(3);
        let last = if edited.ends_with('A') { 'B' } else { 'A' };
        edited.pop();
        edited.push(last);
        assert_eq!(drive.slot(&edited), None);
        assert_eq!(drive.slot("nonsense"), None);
    }

    #[test]
    fn only_the_number_of_an_etag_changes() {
        let drive = Ids::new(DriveKind::Business, 7);
        let (first, second) = (drive.e_tag(3, 1), drive.e_tag(3, 2));
        assert_eq!(first.split(',').next(), second.split(',').next());
        assert!(first.starts_with("\"{") && first.ends_with("},1\""));
        assert!(drive.c_tag(3, 2).starts_with("\"c:{"));
    }
}
