//! What clients write: contents, times, copies, and names that give way.

use std::sync::Arc;

use super::Drive;
use super::change::ChangeError;
use super::item::{Extra, Facet, Slot};
use super::tree::{Place, Tree};
use crate::content::ContentReader;

/// How many numbers a name is tried with before it is given up.
const MAX_SUFFIX: u32 = 10_000;
/// Most items of one copy.
const MAX_COPIED: usize = 100_000;

/// What happens when a name is taken (graph-behaviour §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The request is refused.
    Fail,
    /// The content takes the place of the old one.
    Replace,
    /// The new item gets another name.
    Rename,
}

impl Conflict {
    /// Reads a word of `@microsoft.graph.conflictBehavior`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let known = [("fail", Self::Fail), ("replace", Self::Replace), ("rename", Self::Rename)];
        known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, conflict)| conflict)
    }
}

/// What a copy consists of; parents come before what is in them.
#[derive(Debug)]
pub(crate) struct Copied {
    /// The place of its parent in the list; none for the first.
    parent: Option<usize>,
    name: String,
    /// None for a folder.
    content: Option<ContentReader>,
    modified_ms: Option<u64>,
}

impl Tree {
    /// What is special about an item, to change it.
    pub(crate) fn extra_mut(&mut self, slot: Slot) -> &mut Extra {
        Arc::make_mut(self.extras.entry(slot).or_default())
    }

    /// What is special about an item.
    pub(crate) fn extra(&self, slot: Slot) -> Option<&Extra> {
        self.extras.get(&slot).map(Arc::as_ref)
    }

    /// The special folder of a name.
    pub(crate) fn special_folder(&self, wanted: &str) -> Option<Slot> {
        let is_wanted = |extra: &Extra| matches!(&extra.facet, Some(Facet::Special(name)) if name == wanted);
        self.extras.iter().find(|(_, extra)| is_wanted(extra)).map(|(slot, _)| *slot)
    }

    /// Whether an item is in a vault that is locked.
    pub(crate) fn is_locked_away(&self, slot: Slot) -> bool {
        !self.locked.is_empty() && self.ancestors(slot).iter().any(|above| self.locked.contains(above))
    }

    /// Whether somebody shared the item, or a folder it is in, with others.
    pub(crate) fn is_shared(&self, slot: Slot) -> bool {
        let shared = |slot| self.shared.contains(&slot);
        !self.shared.is_empty() && (shared(slot) || self.ancestors(slot).into_iter().any(shared))
    }

    /// Shares an item with everybody of the tenant.
    pub(crate) fn share(&mut self, slot: Slot) {
        self.touch(slot);
        self.extra_mut(slot).shared_at = Some(self.sequence());
        self.shared.insert(slot);
    }

    /// The items that were shared themselves.
    pub(crate) fn shares(&self) -> Vec<Slot> {
        let mut shares: Vec<Slot> = self.shared.iter().copied().collect();
        shares.sort_unstable();
        shares
    }

    /// Locks or opens a vault; what is in it is told again.
    pub(crate) fn lock_vault(&mut self, slot: Slot, locked: bool) -> Result<(), ChangeError> {
        if !matches!(self.extra(slot).and_then(|extra| extra.facet.as_ref()), Some(Facet::Vault { .. })) {
            return Err(ChangeError::NotFound);
        }
        self.extra_mut(slot).facet = Some(Facet::Vault { locked });
        if locked {
            self.locked.insert(slot);
        } else {
            self.locked.remove(&slot);
        }
        for below in self.subtree(slot) {
            self.touch(below);
        }
        Ok(())
    }

    /// Puts a content at a place; true when that made a new file.
    pub(crate) fn put(
        &mut self,
        at: &Place<'_>,
        content: ContentReader,
        conflict: Conflict,
        now: u32,
    ) -> Result<(Slot, bool), ChangeError> {
        match (self.child(at.parent, at.name), conflict) {
            (Some(_), Conflict::Fail) => Err(ChangeError::NameTaken),
            (Some(taken), Conflict::Replace) => {
                if self.get(taken).is_none_or(|item| !item.is_file()) {
                    return Err(ChangeError::NameTaken);
                }
                self.replace_content(taken, content, now)?;
                Ok((taken, false))
            }
            (Some(_), Conflict::Rename) => {
                let name = self.free_name(at)?;
                self.put(&Place { parent: at.parent, name: &name }, content, Conflict::Fail, now)
            }
            (None, _) => {
                let slot = self.create_file(at, content.size(), now)?;
                self.extra_mut(slot).content = Some(content);
                Ok((slot, true))
            }
        }
    }

    /// Gives a file this content.
    pub(crate) fn replace_content(
        &mut self,
        slot: Slot,
        content: ContentReader,
        now: u32,
    ) -> Result<(), ChangeError> {
        self.edit(slot, content.size(), now)?;
        self.extra_mut(slot).content = Some(content);
        Ok(())
    }

    /// A name like this one that is free: `report 1.docx`.
    pub(crate) fn free_name(&self, at: &Place<'_>) -> Result<String, ChangeError> {
        let (stem, extension) = match at.name.rfind('.').filter(|dot| *dot > 0) {
            Some(dot) => at.name.split_at(dot),
            None => (at.name, ""),
        };
        (1..MAX_SUFFIX)
            .map(|number| format!("{stem} {number}{extension}"))
            .find(|name| self.check_place(&Place { parent: at.parent, name }, None).is_ok())
            .ok_or(ChangeError::NameTaken)
    }

    /// Sets the times a client claims; what is none stays.
    pub(crate) fn set_times(&mut self, slot: Slot, created_ms: Option<u64>, modified_ms: Option<u64>) {
        if created_ms.is_none() && modified_ms.is_none() {
            return;
        }
        let extra = self.extra_mut(slot);
        extra.created_ms = created_ms.or(extra.created_ms);
        extra.modified_ms = modified_ms.or(extra.modified_ms);
    }

    /// Creates what a copy consists of; the first goes to the place.
    pub(crate) fn paste(&mut self, at: &Place<'_>, copied: &[Copied], now: u32) -> Result<Slot, ChangeError> {
        let mut made: Vec<Slot> = Vec::with_capacity(copied.len());
        for item in copied {
            let above = item.parent.and_then(|index| made.get(index).copied());
            let place = match above {
                Some(parent) => Place { parent, name: &item.name },
                None => *at,
            };
            let slot = match &item.content {
                Some(content) => self.put(&place, content.clone(), Conflict::Fail, now)?.0,
                None => self.create_folder(&place, now)?,
            };
            self.set_times(slot, None, item.modified_ms);
            made.push(slot);
        }
        made.first().copied().ok_or(ChangeError::NotFound)
    }
}

impl Drive {
    /// What a copy of an item consists of. Packages and shortcuts are left out.
    pub(crate) fn copied(&self, slot: Slot) -> Result<Vec<Copied>, ChangeError> {
        let tree = self.tree();
        let items = tree.subtree(slot);
        if items.len() > MAX_COPIED {
            return Err(ChangeError::TooDeep);
        }
        let mut places = std::collections::HashMap::new();
        let mut copied = Vec::with_capacity(items.len());
        for at in items {
            let Some(item) = tree.snapshot(at) else { continue };
            let content = self.content(&item);
            if content.is_none() && !item.is_folder() {
                continue;
            }
            places.insert(at, copied.len());
            let claimed = item.extra.as_ref().and_then(|extra| extra.modified_ms);
            copied.push(Copied {
                parent: (at != slot).then(|| places.get(&item.parent).copied()).flatten(),
                name: item.name.to_string(),
                content,
                // A copy is as old as what it is made of (graph-behaviour §1.3).
                modified_ms: claimed.or(Some(u64::from(item.modified) * 1_000)),
            });
        }
        if copied.is_empty() { Err(ChangeError::NotAFile) } else { Ok(copied) }
    }
}
