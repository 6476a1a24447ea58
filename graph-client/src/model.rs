//! What Graph says, in our terms. Parsing is tolerant: unknown members and facets are ignored, and a member of the wrong kind
//! counts as absent, because one odd item must not stop a whole drive. Only an item without an id is refused.

mod delta_page;
mod drive;
mod drive_item;
mod lenient;

pub(crate) use delta_page::WirePage;
pub use delta_page::{DeltaPage, MAX_PAGE_ITEMS, PageLink};
pub(crate) use drive::WireDrive;
pub use drive::{Drive, DriveType};
pub(crate) use drive_item::WireItem;
pub use drive_item::{DriveItem, ItemKind};
