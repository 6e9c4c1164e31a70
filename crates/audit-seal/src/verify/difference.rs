//! Where what is found parts from what was sealed, and how.

use crate::Digest;
use crate::pending::Pending;
use crate::seal::HINT;

/// The first difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// This one is another event.
    Changed(usize),
    /// What should stand before this one is gone.
    DroppedBefore(usize),
    /// So many at the end are gone.
    DroppedAtTheEnd(u64),
    /// This one is new.
    Added(usize),
    /// This one should stand elsewhere.
    Moved(usize),
}

/// The first bytes of a leaf.
pub fn hint(leaf: &Digest) -> [u8; HINT] {
    let mut hint = [0; HINT];
    hint.copy_from_slice(&leaf[..HINT]);
    hint
}

/// Compares the events since the last seal with the hints of the next one.
pub fn first_difference(found: &Pending, sealed: &[[u8; HINT]]) -> Difference {
    let hints: Vec<_> = found.leaves().take(sealed.len() + 1).map(hint).collect();
    let at = hints.iter().zip(sealed).position(|(found, sealed)| found != sealed);
    let at = at.unwrap_or(hints.len().min(sealed.len()));
    let Some(mine) = hints.get(at) else {
        return Difference::DroppedAtTheEnd((sealed.len() - at) as u64);
    };
    let (next, wanted) = (hints.get(at + 1), sealed.get(at));
    if sealed[at..].contains(mine) {
        // It was sealed further on. Is what should stand here gone, or behind it?
        let is_behind = wanted.is_some_and(|wanted| hints[at..].contains(wanted));
        return if is_behind { Difference::Moved(at) } else { Difference::DroppedBefore(at) };
    }
    let is_added = wanted.is_none() || (next.is_some() && next == wanted);
    if is_added { Difference::Added(at) } else { Difference::Changed(at) }
}
