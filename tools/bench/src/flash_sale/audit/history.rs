//! The raw events, folded.

use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// All that happened, as far as the auditor needs it.
#[derive(Debug, Default)]
pub struct History {
    stock: HashMap<String, Stock>,
    orders: HashMap<Uuid, Order>,
    checked_out: HashSet<Uuid>,
}

/// What happened to a SKU.
#[derive(Debug, Default)]
struct Stock {
    /// Came in, or was corrected.
    on_hand: i64,
    /// Units that each order has.
    promised: HashMap<Uuid, i64>,
    committed: HashMap<Uuid, i64>,
    all_promised: i64,
    most_oversold: i64,
    reservations: Reservations,
}

/// How many units were given out, and when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reservations {
    pub count: u64,
    first_ticks: u64,
    last_ticks: u64,
}

impl Reservations {
    /// From the first to the last.
    pub fn seconds(self) -> f64 {
        // A sale is far shorter than what a float keeps exactly.
        (self.last_ticks - self.first_ticks) as f64 / 1e7
    }
}

/// What happened to an order.
#[derive(Debug, Default)]
pub struct Order {
    lines: BTreeMap<String, i64>,
    /// In pence.
    pub total: i64,
    is_processed: bool,
    pub is_called_off: bool,
}

#[derive(Deserialize)]
struct Units {
    order_id: Uuid,
    quantity: i64,
}

#[derive(Deserialize)]
struct Received {
    quantity: i64,
}

#[derive(Deserialize)]
struct Adjusted {
    delta: i64,
}

#[derive(Deserialize)]
struct Placed {
    lines: Vec<Line>,
    total: Amount,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: i64,
}

#[derive(Deserialize)]
struct Amount {
    amount: i64,
}

#[derive(Deserialize)]
struct CheckedOut {
    order_id: Uuid,
}

impl History {
    /// Takes the next event of the log. What has nothing to do with a sale is passed over.
    pub fn see(
        &mut self,
        stream: &str,
        event_type: &str,
        data: &[u8],
        created_ticks: u64,
    ) -> Result<(), serde_json::Error> {
        if let Some(sku) = stream.strip_prefix("inventory-") {
            return self.stock.entry(sku.to_owned()).or_default().see(event_type, data, created_ticks);
        }
        if event_type == "cart.checked_out.v1" {
            self.checked_out.insert(serde_json::from_slice::<CheckedOut>(data)?.order_id);
        }
        let order_id = stream.strip_prefix("order-").and_then(|id| Uuid::parse_str(id).ok());
        if let Some(order_id) = order_id {
            self.orders.entry(order_id).or_default().see(event_type, data)?;
        }
        Ok(())
    }

    pub fn orders(&self) -> &HashMap<Uuid, Order> {
        &self.orders
    }

    /// Units that are there and promised to nobody.
    pub fn free(&self, sku: &str) -> i64 {
        self.stock.get(sku).map_or(0, |stock| stock.on_hand - stock.all_promised)
    }

    pub fn reservations(&self, sku: &str) -> Reservations {
        self.stock.get(sku).map(|stock| stock.reservations).unwrap_or_default()
    }

    /// Units of all SKUs that were promised and not there: by stock's own events at the worst moment, or by the
    /// orders at the end, whichever is more.
    pub fn oversold(&self) -> i64 {
        let of_sku = |(sku, stock): (&String, &Stock)| {
            let by_orders = self.units_of_processed_orders(sku) - stock.on_hand;
            stock.most_oversold.max(by_orders).max(0)
        };
        self.stock.iter().map(of_sku).sum()
    }

    /// Units in orders that are being packed, whatever stock says.
    fn units_of_processed_orders(&self, sku: &str) -> i64 {
        let orders = self.orders.values().filter(|order| order.is_processed && !order.is_called_off);
        orders.filter_map(|order| order.lines.get(sku)).sum()
    }

    /// Units in orders that are being packed, and that stock gave to them.
    pub fn units_of_served_orders(&self, sku: &str) -> i64 {
        let served = self.orders.iter().filter(|(order_id, order)| self.is_served(**order_id, order));
        served.filter_map(|(_, order)| order.lines.get(sku)).sum()
    }

    /// Whether the order is being packed, and stock gave it every unit of every line.
    pub fn is_served(&self, order_id: Uuid, order: &Order) -> bool {
        order.is_processed
            && !order.is_called_off
            && order.lines.iter().all(|(sku, units)| {
                let stock = self.stock.get(sku);
                stock.is_some_and(|stock| {
                    stock.committed.get(&order_id) == Some(units)
                        && stock.promised.get(&order_id) == Some(units)
                })
            })
    }

    /// Whether stock keeps any unit for the order.
    pub fn holds_anything(&self, order_id: Uuid) -> bool {
        self.stock.values().any(|stock| stock.promised.get(&order_id).is_some_and(|units| *units != 0))
    }

    /// Carts that were checked out, and whose order was never placed.
    pub fn carts_without_orders(&self) -> u64 {
        self.checked_out.iter().filter(|order_id| !self.orders.contains_key(order_id)).count() as u64
    }
}

impl Stock {
    fn see(&mut self, event_type: &str, data: &[u8], created_ticks: u64) -> Result<(), serde_json::Error> {
        match event_type {
            "inventory.received.v1" => self.on_hand += serde_json::from_slice::<Received>(data)?.quantity,
            "inventory.adjusted.v1" => self.on_hand += serde_json::from_slice::<Adjusted>(data)?.delta,
            "inventory.reserved.v1" => {
                self.promise(&serde_json::from_slice(data)?, 1);
                let seen = &mut self.reservations;
                if seen.count == 0 {
                    seen.first_ticks = created_ticks;
                }
                seen.last_ticks = created_ticks;
                seen.count += 1;
            }
            "inventory.released.v1" => {
                let units: Units = serde_json::from_slice(data)?;
                self.promise(&units, -1);
                self.committed.remove(&units.order_id);
            }
            "inventory.committed.v1" => {
                let Units { order_id, quantity } = serde_json::from_slice(data)?;
                *self.committed.entry(order_id).or_default() += quantity;
            }
            // What left the house is promised for ever; a closed reservation never held anything.
            _ => {}
        }
        self.most_oversold = self.most_oversold.max(self.all_promised - self.on_hand);
        Ok(())
    }

    fn promise(&mut self, units: &Units, sign: i64) {
        *self.promised.entry(units.order_id).or_default() += sign * units.quantity;
        self.all_promised += sign * units.quantity;
    }
}

impl Order {
    fn see(&mut self, event_type: &str, data: &[u8]) -> Result<(), serde_json::Error> {
        match event_type {
            "order.placed.v1" => {
                let Placed { lines, total } = serde_json::from_slice(data)?;
                self.total += total.amount;
                for Line { sku, quantity } in lines {
                    *self.lines.entry(sku).or_default() += quantity;
                }
            }
            "order.processing_started.v1" => self.is_processed = true,
            "order.cancelled.v1" | "order.refunded.v1" => self.is_called_off = true,
            _ => {}
        }
        Ok(())
    }
}
