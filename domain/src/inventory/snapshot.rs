//! The state of a SKU's stock as bytes, so that a stream of a million events need not be folded to know it.
//!
//! The bytes are compact and made for this program only: the events are the truth, and bytes of another version are
//! refused, upon which the events are folded again. Whatever changes what a state is or how events become one must
//! change [`VERSION`] too.

use super::state::{Inventory, Parted, Phase, Reservation};
use crate::{AdjustmentId, OrderId, ReceiptId};
use std::collections::HashMap;
use std::hash::Hash;
use thiserror::Error;
use uuid::Uuid;

/// Which bytes these are. Goes up with every change of their form or of their meaning.
const VERSION: u8 = 3;
const RESERVATION_BYTES: usize = 16 + 4 + 1;
const PARTED_BYTES: usize = 16 + 4 + 4;
const UNPAID_BYTES: usize = 16 + 4;
const RECEIPT_BYTES: usize = 16 + 4;
const ADJUSTMENT_BYTES: usize = 16 + 8;
/// Version, six sums, five counts.
const FIXED_BYTES: usize = 1 + 6 * 8 + 5 * 8;

/// Bytes that are not a state, or not one of this version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnreadableSnapshot {
    /// Another version of the program wrote them.
    #[error(
        "the snapshot has version {0}, and this program reads version {VERSION}: fold the events instead"
    )]
    UnknownVersion(u8),
    /// They end too early, go on too long, or say something that cannot be.
    #[error("the snapshot is damaged: fold the events instead")]
    Damaged,
}

impl Inventory {
    /// The whole state as bytes: about 21 for each order that ever reserved, 24 more where its units went separate ways,
    /// and 20 more while it holds them unpaid. The order of the entries is not the same each time.
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        // Every part of the state by name: a new one does not compile until it is kept too.
        let Self {
            available,
            reserved,
            committed,
            shipped,
            received,
            adjusted,
            reservations,
            parted,
            unpaid,
            // The sum of `unpaid`, and made from it again.
            unpaid_units: _,
            receipts,
            adjustments,
        } = self;
        let entries = reservations.len() * RESERVATION_BYTES
            + parted.len() * PARTED_BYTES
            + unpaid.len() * UNPAID_BYTES
            + receipts.len() * RECEIPT_BYTES
            + adjustments.len() * ADJUSTMENT_BYTES;
        let mut bytes = Vec::with_capacity(FIXED_BYTES + entries);
        bytes.push(VERSION);
        for sum in [available, reserved, committed, shipped, received] {
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        bytes.extend_from_slice(&adjusted.to_le_bytes());
        write_count(&mut bytes, reservations.len());
        for (order_id, reservation) in reservations {
            bytes.extend_from_slice(order_id.0.as_bytes());
            bytes.extend_from_slice(&reservation.units.to_le_bytes());
            bytes.push(match reservation.phase {
                Phase::Reserved => 0,
                Phase::Committed => 1,
                Phase::Shipped => 2,
                Phase::Released => 3,
            });
        }
        write_count(&mut bytes, parted.len());
        for (order_id, parted) in parted {
            bytes.extend_from_slice(order_id.0.as_bytes());
            bytes.extend_from_slice(&parted.shipped.to_le_bytes());
            bytes.extend_from_slice(&parted.released.to_le_bytes());
        }
        write_count(&mut bytes, unpaid.len());
        for (order_id, units) in unpaid {
            bytes.extend_from_slice(order_id.0.as_bytes());
            bytes.extend_from_slice(&units.to_le_bytes());
        }
        write_count(&mut bytes, receipts.len());
        for (receipt_id, units) in receipts {
            bytes.extend_from_slice(receipt_id.0.as_bytes());
            bytes.extend_from_slice(&units.to_le_bytes());
        }
        write_count(&mut bytes, adjustments.len());
        for (adjustment_id, delta) in adjustments {
            bytes.extend_from_slice(adjustment_id.0.as_bytes());
            bytes.extend_from_slice(&delta.to_le_bytes());
        }
        bytes
    }

    /// The state that these bytes were made from.
    ///
    /// # Errors
    /// When they are of another version, or not a whole state.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, UnreadableSnapshot> {
        let mut rest = Rest(bytes);
        match rest.array()? {
            [VERSION] => {}
            [other] => return Err(UnreadableSnapshot::UnknownVersion(other)),
        }
        let mut sum = || rest.array().map(u64::from_le_bytes);
        let (available, reserved, committed, shipped, received) = (sum()?, sum()?, sum()?, sum()?, sum()?);
        let adjusted = i64::from_le_bytes(rest.array()?);
        let reservations = rest.entries(RESERVATION_BYTES, |rest| {
            let order_id = OrderId(rest.id()?);
            let units = u32::from_le_bytes(rest.array()?);
            let phase = match rest.array()? {
                [0] => Phase::Reserved,
                [1] => Phase::Committed,
                [2] => Phase::Shipped,
                [3] => Phase::Released,
                _ => return Err(UnreadableSnapshot::Damaged),
            };
            Ok((order_id, Reservation { units, phase }))
        })?;
        let parted = rest.entries(PARTED_BYTES, |rest| {
            let order_id = OrderId(rest.id()?);
            let shipped = u32::from_le_bytes(rest.array()?);
            let released = u32::from_le_bytes(rest.array()?);
            Ok((order_id, Parted { shipped, released }))
        })?;
        let unpaid =
            rest.entries(UNPAID_BYTES, |rest| Ok((OrderId(rest.id()?), u32::from_le_bytes(rest.array()?))))?;
        let receipts = rest
            .entries(RECEIPT_BYTES, |rest| Ok((ReceiptId(rest.id()?), u32::from_le_bytes(rest.array()?))))?;
        let adjustments = rest.entries(ADJUSTMENT_BYTES, |rest| {
            Ok((AdjustmentId(rest.id()?), i64::from_le_bytes(rest.array()?)))
        })?;
        if !rest.0.is_empty() {
            return Err(UnreadableSnapshot::Damaged);
        }
        Ok(Self {
            available,
            reserved,
            committed,
            shipped,
            received,
            adjusted,
            reservations,
            parted,
            unpaid_units: unpaid.values().copied().map(u64::from).sum(),
            unpaid,
            receipts,
            adjustments,
        })
    }
}

fn write_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend_from_slice(&(count as u64).to_le_bytes());
}

/// What is not read yet.
struct Rest<'bytes>(&'bytes [u8]);

impl Rest<'_> {
    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], UnreadableSnapshot> {
        let (array, rest) = self.0.split_first_chunk().ok_or(UnreadableSnapshot::Damaged)?;
        self.0 = rest;
        Ok(*array)
    }

    fn id(&mut self) -> Result<Uuid, UnreadableSnapshot> {
        self.array().map(Uuid::from_bytes)
    }

    /// A count, and then so many entries of so many bytes, each with a key of its own.
    fn entries<K: Eq + Hash, V>(
        &mut self,
        size: usize,
        read: impl Fn(&mut Self) -> Result<(K, V), UnreadableSnapshot>,
    ) -> Result<HashMap<K, V>, UnreadableSnapshot> {
        let count = usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        // Whatever the count says, memory is taken only for entries that are there.
        if count > self.0.len() / size {
            return Err(UnreadableSnapshot::Damaged);
        }
        let mut entries = HashMap::with_capacity(count);
        for _ in 0..count {
            let (key, value) = read(self)?;
            entries.insert(key, value);
        }
        if entries.len() == count { Ok(entries) } else { Err(UnreadableSnapshot::Damaged) }
    }
}
