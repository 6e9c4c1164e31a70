//! A Merkle tree over the log, hashed as RFC 6962 says (section 2.1): leaves and nodes have different prefixes, and a
//! tree of n leaves is split at the largest power of two below n.

use crate::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The hash of a leaf.
#[must_use]
pub fn leaf(content: &[u8]) -> Digest {
    Sha256::new().chain_update([0]).chain_update(content).finalize().into()
}

fn node(left: &Digest, right: &Digest) -> Digest {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The complete subtrees of a tree, the largest first: all that is needed to add leaves and to know the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// A frontier that was kept; none if so many leaves do not have so many subtrees.
    #[must_use]
    pub fn restore(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (size.count_ones() as usize == peaks.len()).then_some(Self { size, peaks })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, the largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The complete subtrees, each with the number of its first leaf and of the one after its last.
    fn ranges(&self) -> Vec<(u64, u64, Digest)> {
        let mut end = 0;
        let heights = (0..u64::BITS).rev().filter(|height| self.size >> height & 1 == 1);
        let range = |(height, peak): (u32, &Digest)| {
            let first = end;
            end += 1 << height;
            (first, end, *peak)
        };
        heights.zip(&self.peaks).map(range).collect()
    }

    /// Adds the hash of a leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the whole tree; of no leaves, the digest of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// That a leaf is in a tree: the hashes beside its path to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Which leaf, from 0.
    pub index: u64,
    /// Of how many.
    pub size: u64,
    /// From the leaf up.
    #[serde(with = "crate::seal::digests")]
    pub path: Vec<Digest>,
}

impl Proof {
    /// Proves that the leaf with this number is in a tree of which the leaves from `before` on are given. It must be one
    /// of those: of everything before them only the complete subtrees are needed.
    #[must_use]
    pub fn of(index: u64, before: &Frontier, leaves: &[Digest]) -> Option<Self> {
        let tree = Tail { first: before.size, peaks: before.ranges(), leaves };
        let size = before.size + leaves.len() as u64;
        if !(before.size..size).contains(&index) {
            return None;
        }
        let mut path = Vec::new();
        let (mut from, mut to) = (0, size);
        while to - from > 1 {
            let middle = middle(from, to);
            if index < middle {
                path.push(tree.root(middle, to)?);
                to = middle;
            } else {
                path.push(tree.root(from, middle)?);
                from = middle;
            }
        }
        path.reverse();
        Some(Self { index, size, path })
    }

    /// The root of the tree in which a leaf has this proof; none if the path has not the length that it must have.
    #[must_use]
    pub fn root(&self, leaf: &Digest) -> Option<Digest> {
        if self.index >= self.size {
            return None;
        }
        let (mut index, mut last) = (self.index, self.size - 1);
        let mut hash = *leaf;
        for beside in &self.path {
            if last == 0 {
                return None;
            }
            if index % 2 == 1 || index == last {
                hash = node(beside, &hash);
                // An edge that is not complete has nothing beside it on some levels.
                while index.is_multiple_of(2) && index != 0 {
                    index /= 2;
                    last /= 2;
                }
            } else {
                hash = node(&hash, beside);
            }
            index /= 2;
            last /= 2;
        }
        (last == 0).then_some(hash)
    }
}

/// The end of a tree: the leaves from a number on, and the complete subtrees of what is before them.
struct Tail<'a> {
    first: u64,
    /// Each with the number of its first leaf and of the one after its last.
    peaks: Vec<(u64, u64, Digest)>,
    leaves: &'a [Digest],
}

impl Tail<'_> {
    /// The root of the leaves in this range, which is one that the tree has.
    fn root(&self, from: u64, to: u64) -> Option<Digest> {
        if let Some((_, _, peak)) = self.peaks.iter().find(|(first, end, _)| (*first, *end) == (from, to)) {
            return Some(*peak);
        }
        if from >= self.first {
            let at = |number: u64| usize::try_from(number - self.first).ok();
            return self.leaves.get(at(from)?..at(to)?).map(root_of);
        }
        if to - from < 2 {
            return None;
        }
        let middle = middle(from, to);
        Some(node(&self.root(from, middle)?, &self.root(middle, to)?))
    }
}

/// Where a tree of these leaves is split.
fn middle(from: u64, to: u64) -> u64 {
    from + (to - from).next_power_of_two() / 2
}

fn root_of(leaves: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|number| leaf(&number.to_be_bytes())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn roots_are_those_of_another_implementation(count in 0_u64..300) {
            let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
            let mut ours = Frontier::default();
            for number in 0..count {
                theirs.push(number.to_be_bytes());
                ours.push(leaf(&number.to_be_bytes()));
            }
            let (mine, other) = (ours.root(), theirs.root());
            prop_assert_eq!(mine.as_slice(), other.as_bytes().as_slice());
            let kept = Frontier::restore(ours.size(), ours.peaks().to_vec()).unwrap();
            prop_assert_eq!(&kept, &ours);
        }

        #[test]
        fn a_proof_holds_for_its_leaf_and_for_nothing_else(
            count in 1_u64..200,
            at in any::<prop::sample::Index>(),
            known in any::<prop::sample::Index>(),
        ) {
            let leaves = leaves(count);
            let index = at.index(leaves.len());
            let root = root_of(&leaves);
            // Of any number of leaves before it, only their complete subtrees are known.
            let before = known.index(index + 1);
            let mut frontier = Frontier::default();
            leaves[..before].iter().for_each(|leaf| frontier.push(*leaf));
            let proof = Proof::of(index as u64, &frontier, &leaves[before..]).unwrap();
            prop_assert_eq!(&proof, &Proof::of(index as u64, &Frontier::default(), &leaves).unwrap());
            prop_assert_eq!(proof.root(&leaves[index]), Some(root));
            for (other, leaf) in leaves.iter().enumerate() {
                prop_assert_eq!(proof.root(leaf) == Some(root), other == index);
                let elsewhere = Proof { index: other as u64, ..proof.clone() };
                prop_assert_eq!(elsewhere.root(&leaves[index]) == Some(root), other == index);
            }
            let longer = Proof { path: [proof.path.clone(), vec![root]].concat(), ..proof };
            prop_assert_eq!(longer.root(&leaves[index]), None);
        }
    }

    #[test]
    fn there_is_no_proof_of_what_is_not_there() {
        assert_eq!(Proof::of(3, &Frontier::default(), &leaves(3)), None);
        let three = leaves(3).into_iter().fold(Frontier::default(), |mut frontier, leaf| {
            frontier.push(leaf);
            frontier
        });
        assert_eq!(Proof::of(2, &three, &leaves(3)), None);
        assert_eq!(Frontier::restore(3, vec![]), None);
    }
}
