//! What left the house, parcel by parcel: each merchant of an order sends its own lines, at once or bit by bit.

use super::{
    Delivered, Event, PlacedOrder, Rejection, ShipmentDelivered, ShipmentSent, Shipped, ShippedLine, Status,
    Tracking,
};
use crate::{LineId, MerchantId, Quantity, ShipmentId};

/// A parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Its id.
    pub shipment_id: ShipmentId,
    /// Who sent it.
    pub merchant_id: MerchantId,
    /// What is in it.
    pub lines: Vec<ShippedLine>,
    /// Whether it arrived.
    pub is_delivered: bool,
}

impl PlacedOrder {
    /// Units of a line that are in no parcel yet and not given up.
    #[must_use]
    pub fn unsent(&self, line_id: LineId) -> u32 {
        let all =
            self.lines.iter().find(|line| line.line_id == line_id).map_or(0, |line| line.quantity.units());
        let lines = self.shipments.iter().flat_map(|shipment| &shipment.lines);
        lines
            .filter(|line| line.line_id == line_id)
            .fold(all.saturating_sub(self.given_up(line_id)), |left, line| {
                left.saturating_sub(line.quantity.units())
            })
    }

    /// That the order is shipped, and that all its money went back if that was so before.
    pub(super) fn all_shipped(&self) -> Vec<Event> {
        let mut events = vec![Event::Shipped(Shipped {})];
        events.extend(self.all_is_back());
        events
    }

    pub(super) fn deliver(&self) -> Result<Vec<Event>, Rejection> {
        match self.status {
            _ if self.has_arrived => Ok(vec![]),
            Status::Shipped | Status::Refunded { after_shipping: true } => {
                Ok(vec![Event::Delivered(Delivered {})])
            }
            _ => Err(self.not_in("delivered", "shipped")),
        }
    }

    pub(super) fn send_shipment(
        &self,
        shipment_id: ShipmentId,
        merchant_id: &MerchantId,
        lines: Option<&[ShippedLine]>,
        tracking: Option<&Tracking>,
    ) -> Result<Vec<Event>, Rejection> {
        if let Some(known) = self.shipments.iter().find(|known| known.shipment_id == shipment_id) {
            let is_same = known.merchant_id == *merchant_id && lines.is_none_or(|lines| lines == known.lines);
            return if is_same { Ok(vec![]) } else { Err(Rejection::ShipmentDiffers) };
        }
        if self.status != Status::Processing {
            return Err(self.not_in("shipped", "processing"));
        }
        let lines = match lines {
            Some(lines) => lines.to_vec(),
            None => self.all_unsent(merchant_id),
        };
        if lines.is_empty() {
            return Err(Rejection::NothingToShip { merchant_id: merchant_id.clone() });
        }
        self.check_lines(merchant_id, &lines)?;
        let mut after = self.clone();
        after.shipments.push(Shipment {
            shipment_id,
            merchant_id: merchant_id.clone(),
            lines: lines.clone(),
            is_delivered: false,
        });
        let tracking = tracking.cloned();
        let mut events = vec![Event::ShipmentSent(ShipmentSent {
            shipment_id,
            merchant_id: merchant_id.clone(),
            lines,
            tracking,
        })];
        if self.lines.iter().all(|line| after.unsent(line.line_id) == 0) {
            events.extend(self.all_shipped());
        }
        Ok(events)
    }

    fn all_unsent(&self, merchant_id: &MerchantId) -> Vec<ShippedLine> {
        let theirs = self.lines.iter().filter(|line| line.merchant_id == *merchant_id);
        theirs
            .filter_map(|line| {
                let quantity = Quantity::new(i64::from(self.unsent(line.line_id))).ok()?;
                Some(ShippedLine { line_id: line.line_id, quantity })
            })
            .collect()
    }

    fn check_lines(&self, merchant_id: &MerchantId, lines: &[ShippedLine]) -> Result<(), Rejection> {
        for (index, sent) in lines.iter().enumerate() {
            let line_id = sent.line_id;
            if lines[..index].iter().any(|before| before.line_id == line_id) {
                return Err(Rejection::LineTwice { line_id });
            }
            let is_theirs =
                self.lines.iter().any(|line| line.line_id == line_id && line.merchant_id == *merchant_id);
            if !is_theirs {
                return Err(Rejection::NotTheirLine { line_id, merchant_id: merchant_id.clone() });
            }
            let left = self.unsent(line_id);
            if sent.quantity.units() > left {
                return Err(Rejection::TooManyUnits { line_id, left, given: sent.quantity.units() });
            }
        }
        Ok(())
    }

    pub(super) fn deliver_shipment(&self, shipment_id: ShipmentId) -> Result<Vec<Event>, Rejection> {
        let shipment = self.shipments.iter().find(|shipment| shipment.shipment_id == shipment_id);
        if shipment.ok_or(Rejection::ShipmentNotFound)?.is_delivered {
            return Ok(vec![]);
        }
        let mut events = vec![Event::ShipmentDelivered(ShipmentDelivered { shipment_id })];
        let others_arrived =
            self.shipments.iter().all(|other| other.is_delivered || other.shipment_id == shipment_id);
        let all_in_parcels = self.lines.iter().all(|line| self.unsent(line.line_id) == 0);
        let is_shipped = matches!(self.status, Status::Shipped | Status::Refunded { after_shipping: true });
        if is_shipped && !self.has_arrived && others_arrived && all_in_parcels {
            events.push(Event::Delivered(Delivered {}));
        }
        Ok(events)
    }
}
