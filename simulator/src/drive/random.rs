//! Random contents of a new drive, and random changes to it: both follow from a seed alone.

use super::change::{Change, Circumstances, apply};
use super::ids::Ids;
use super::item::{Item, ROOT, Slot};
use super::names;
use super::spec::DriveSpec;
use super::tree::{Place, Tree};
use crate::mix::{Sequence, join};

/// A new drive has at least this many levels when it has as many folders.
const CHAIN: u32 = 6;
/// New drives nest no deeper, so that paths stay within the service's 400 characters.
const DEEPEST: usize = 8;
/// Every so many files one is empty.
const EMPTY_EVERY: u32 = 40;
/// First moment new items claim to be from (2024-01-01), and the span after it, in seconds.
const PAST: (u32, u64) = (1_704_067_200, 63_072_000);
/// How often a random item is looked for before the change is given up.
const TRIES: u32 = 64;
/// Largest file that random changes make, in bytes.
const CHANGE_MAX_BYTES: u64 = 256 * 1024;

/// Fills an empty tree.
pub(crate) fn fill(tree: &mut Tree, spec: &DriveSpec) {
    let mut chance = Sequence::new(spec.seed);
    let mut folders = vec![(ROOT, 0_usize)];
    tree.reserve(
        usize::try_from(spec.files.saturating_add(spec.folders)).unwrap_or_default() + spec.big_files.len(),
    );
    for number in 0..spec.folders {
        let (parent, depth) = if number < CHAIN {
            folders.last().copied().unwrap_or((ROOT, 0))
        } else {
            shallow(&folders, &mut chance)
        };
        let name = names::folder(spec.names, number);
        if let Ok(slot) = tree.create_folder(&Place { parent, name: &name }, past(&mut chance)) {
            folders.push((slot, depth + 1));
        }
    }
    let mut parent = ROOT;
    for number in 0..spec.files {
        if !names::is_twin(spec.names, number) {
            parent = pick(&folders, &mut chance).0;
        }
        let name = names::file(spec.names, number);
        let size = if number % EMPTY_EVERY == 7 { 0 } else { size(spec.max_file_bytes, &mut chance) };
        add(tree, &Place { parent, name: &name }, size, &mut chance);
    }
    for (number, size) in spec.big_files.iter().enumerate() {
        let parent = pick(&folders, &mut chance).0;
        add(tree, &Place { parent, name: &format!("big-{number}.mp4") }, *size, &mut chance);
    }
}

fn add(tree: &mut Tree, at: &Place<'_>, size: u64, chance: &mut Sequence) {
    if let Ok(slot) = tree.create_file(at, size, 0) {
        tree.backdate(slot, past(chance));
    }
}

fn past(chance: &mut Sequence) -> u32 {
    PAST.0 + u32::try_from(chance.below(PAST.1)).unwrap_or_default()
}

fn pick(folders: &[(Slot, usize)], chance: &mut Sequence) -> (Slot, usize) {
    let count = u64::try_from(folders.len()).unwrap_or_default();
    let index = usize::try_from(chance.below(count)).unwrap_or_default();
    folders.get(index).copied().unwrap_or((ROOT, 0))
}

fn shallow(folders: &[(Slot, usize)], chance: &mut Sequence) -> (Slot, usize) {
    (0..TRIES).map(|_| pick(folders, chance)).find(|(_, depth)| *depth < DEEPEST).unwrap_or((ROOT, 0))
}

/// A size up to a maximum: every order of magnitude is as likely as the next, as in real drives.
fn size(max: u64, chance: &mut Sequence) -> u64 {
    if max == 0 {
        return 0;
    }
    let bits = u64::from(u64::BITS - max.leading_zeros());
    let shift = 1 + chance.below(bits);
    1 + chance.below((1 << shift.min(62)).min(max))
}

/// Makes random changes and returns those that were made, in order.
pub(crate) fn change(tree: &mut Tree, ids: &Ids, how: Circumstances, request: (u64, u32)) -> Vec<Change> {
    let (seed, count) = request;
    let mut chance = Sequence::new(join(seed, 0x00C4_A26E));
    let mut made = Vec::new();
    for number in 0..count {
        for _ in 0..TRIES {
            let Some(next) = propose(tree, ids, &mut chance, (seed, number)) else { continue };
            if apply(tree, ids, &next, how).is_ok() {
                made.push(next);
                break;
            }
        }
    }
    made
}

fn propose(tree: &Tree, ids: &Ids, chance: &mut Sequence, mark: (u64, u32)) -> Option<Change> {
    let roll = chance.below(100);
    let file = |chance: &mut Sequence| any(tree, chance, |item| !item.is_folder()).map(|slot| ids.item(slot));
    let folder = |chance: &mut Sequence| any(tree, chance, Item::is_folder);
    let movable = |chance: &mut Sequence| {
        any(tree, chance, Item::is_folder).filter(|slot| *slot != ROOT).map(|slot| ids.item(slot))
    };
    let (seed, number) = mark;
    let name = || format!("changed {seed:x}-{number} é.txt");
    Some(match roll {
        0..25 => Change::CreateFile {
            parent: ids.item(folder(chance)?),
            name: name(),
            size: size(CHANGE_MAX_BYTES, chance),
        },
        25..50 => Change::Edit { item: file(chance)?, size: Some(size(CHANGE_MAX_BYTES, chance)) },
        50..61 => Change::Delete { item: file(chance)? },
        61..70 => Change::Rename { item: file(chance)?, name: name() },
        70..80 => Change::Move { item: file(chance)?, parent: ids.item(folder(chance)?), name: None },
        80..85 => {
            Change::Mkdir { parent: ids.item(folder(chance)?), name: format!("new folder {seed:x}-{number}") }
        }
        85..90 => Change::Rename { item: movable(chance)?, name: format!("renamed {seed:x}-{number}") },
        90..94 => Change::Move { item: movable(chance)?, parent: ids.item(folder(chance)?), name: None },
        94..99 => swap(tree, ids, chance)?,
        _ => Change::Delete { item: small_folder(tree, chance).map(|slot| ids.item(slot))? },
    })
}

/// Two files of one folder.
fn swap(tree: &Tree, ids: &Ids, chance: &mut Sequence) -> Option<Change> {
    let left = any(tree, chance, |item| !item.is_folder())?;
    let siblings = tree.children(tree.get(left)?.parent);
    let index = chance.below(u64::try_from(siblings.len()).ok()?);
    let right = *siblings.get(usize::try_from(index).ok()?)?;
    (right != left).then(|| Change::SwapNames { left: ids.item(left), right: ids.item(right) })
}

/// A folder that holds only a small part of the drive, so that random changes do not empty it.
fn small_folder(tree: &Tree, chance: &mut Sequence) -> Option<Slot> {
    let slot = any(tree, chance, Item::is_folder).filter(|slot| *slot != ROOT)?;
    let below = u32::try_from(tree.subtree(slot).len()).ok()?;
    (below <= tree.live() / 10 + 1).then_some(slot)
}

fn any(tree: &Tree, chance: &mut Sequence, fits: impl Fn(&Item) -> bool) -> Option<Slot> {
    (0..TRIES)
        .map(|_| Slot::try_from(chance.below(u64::from(tree.slots()))).unwrap_or_default())
        .find(|slot| tree.get(*slot).is_some_and(&fits))
}
