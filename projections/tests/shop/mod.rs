//! A small shop that lives at random from a seed: its commands are decided by the domain, so that its log is one
//! that the real shop could have written. It keeps the aggregates' states to compare the read models with.

mod orders;

use chrono::{DateTime, TimeDelta, Utc};
use domain::inventory::Inventory;
use domain::order::Order;
use domain::product::Product;
use domain::stored::StoredEvent;
use domain::{
    AdjustmentId, Aggregate, CartId, Country, Currency, CustomerId, LineId, MerchantId, Money, OrderId,
    ProductName, Quantity, Reason, ReceiptId, Sku, cart, fulfilment, inventory, order, product,
};
use event_store::{Position, RecordedEvent};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use uuid::Uuid;

pub struct Shop {
    pub log: Vec<RecordedEvent>,
    pub products: BTreeMap<Sku, Product>,
    pub stock: BTreeMap<Sku, Inventory>,
    pub carts: BTreeMap<CartId, cart::Cart>,
    pub orders: BTreeMap<OrderId, Order>,
    random: StdRng,
    now: DateTime<Utc>,
}

impl Shop {
    /// A shop after so many random deeds.
    pub fn after(seed: u64, deeds: usize) -> Self {
        let mut shop = Self {
            log: vec![],
            products: BTreeMap::new(),
            stock: BTreeMap::new(),
            carts: BTreeMap::new(),
            orders: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            now: DateTime::from_timestamp(1_290_000_000, 0).unwrap(),
        };
        for number in 0..8 {
            shop.define(number);
        }
        for _ in 0..deeds {
            shop.do_something();
        }
        shop
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u128(self.random.random())
    }

    fn record<E: StoredEvent>(&mut self, category: &str, id: &str, event: &E) {
        let stream = format!("{category}-{id}");
        let revision = self.log.iter().filter(|known| known.stream == stream).count();
        let last = self.log.last().map_or(0, |known| known.position.value());
        self.now += TimeDelta::microseconds(self.random.random_range(1..5_000_000_000));
        let occurred_at = self.now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let metadata = serde_json::json!({"actor": "operator", "occurred_at": occurred_at});
        self.log.push(RecordedEvent {
            stream,
            revision: revision as u64,
            position: Position::new(last + self.random.random_range(1..900)),
            id: Uuid::from_u128(self.random.random()),
            event_type: event.type_name().to_owned(),
            data: event.payload().into(),
            metadata: serde_json::to_vec(&metadata).unwrap().into(),
            recorded_at: self.now,
        });
    }

    fn define(&mut self, number: u32) {
        let sku: Sku = format!("SKU-{number}").parse().unwrap();
        let merchant_id = MerchantId::new(["one", "two", "three"][number as usize % 3]).unwrap();
        let name = ProductName::new(&format!("Thing {number}")).unwrap();
        let price = pence(self.random.random_range(1..5_000));
        self.product(&sku, &product::Command::Define { sku: sku.clone(), merchant_id, name, price });
        self.receive(&sku);
    }

    fn receive(&mut self, sku: &Sku) {
        let receipt_id = ReceiptId(self.id());
        let quantity = Quantity::new(self.random.random_range(1..60)).unwrap();
        self.inventory(sku, &inventory::Command::Receive { receipt_id, quantity });
    }

    /// So many times all that is left of a SKU is lost, and life goes on; mostly some of it comes again.
    pub fn run_dry(&mut self, times: usize) {
        for _ in 0..times {
            let sku: Sku = format!("SKU-{}", self.random.random_range(0..8)).parse().unwrap();
            let adjustment_id = AdjustmentId(self.id());
            let delta = -i64::try_from(self.stock[&sku].available()).unwrap();
            let reason = Reason::new("burnt").unwrap();
            self.inventory(&sku, &inventory::Command::Adjust { adjustment_id, delta, reason });
            (0..20).for_each(|_| self.do_something());
            if self.random.random_ratio(3, 4) {
                self.receive(&sku);
            }
        }
    }

    fn do_something(&mut self) {
        let sku: Sku = format!("SKU-{}", self.random.random_range(0..8)).parse().unwrap();
        match self.random.random_range(0..20) {
            0 => self.receive(&sku),
            1 => {
                let adjustment_id = AdjustmentId(self.id());
                let delta = self.random.random_range(-3..5);
                let reason = Reason::new("counted again").unwrap();
                self.inventory(&sku, &inventory::Command::Adjust { adjustment_id, delta, reason });
            }
            2 => {
                let price = pence(self.random.random_range(1..5_000));
                self.product(&sku, &product::Command::Reprice { price });
            }
            3 if self.random.random_ratio(1, 20) => {
                self.product(&sku, &product::Command::Retire);
            }
            3..=5 => self.open_cart(),
            6..=12 => self.change_cart(&sku),
            13..=14 => self.check_out(),
            _ => self.change_order(),
        }
    }

    fn open_cart(&mut self) {
        let customer_id = self.random.random_bool(0.5).then(|| CustomerId::new("C 17").unwrap());
        let id = CartId(self.id());
        self.cart(id, &cart::Command::Open { currency: gbp(), customer_id });
    }

    fn some_open_cart(&mut self) -> Option<(CartId, cart::OpenCart)> {
        let open: Vec<_> = self
            .carts
            .iter()
            .filter_map(|(id, cart)| match cart {
                cart::Cart::Open(cart) => Some((*id, cart.clone())),
                _ => None,
            })
            .collect();
        open.choose(&mut self.random).cloned()
    }

    fn change_cart(&mut self, sku: &Sku) {
        let Some((id, cart)) = self.some_open_cart() else { return };
        let known = cart.lines.choose(&mut self.random).cloned();
        match (known, self.random.random_range(0..10)) {
            (Some(line), 0..=1) => {
                self.cart(id, &cart::Command::RemoveLines { line_ids: vec![line.line_id] });
                if self.random.random() {
                    // The same line again after it was taken out.
                    self.put_line(id, line.line_id, sku);
                }
            }
            (Some(line), 2..=3) => self.put_line(id, line.line_id, &line.sku),
            (_, 4) if self.random.random_ratio(1, 4) => {
                self.cart(id, &cart::Command::Abandon);
            }
            _ => {
                let line_id = LineId(self.id());
                self.put_line(id, line_id, sku);
            }
        }
    }

    fn put_line(&mut self, id: CartId, line_id: LineId, sku: &Sku) {
        let quantity = Quantity::new(self.random.random_range(1..12)).unwrap();
        let unit_price = self.price(sku);
        let line = cart::NewLine { line_id, sku: sku.clone(), quantity, unit_price, agreed: false };
        self.cart(id, &cart::Command::PutLines { lines: vec![line] });
    }

    fn price(&self, sku: &Sku) -> Money {
        match &self.products[sku] {
            Product::Listed(definition) | Product::Retired(definition) => definition.price,
            Product::Undefined => panic!("every SKU of this shop is defined"),
        }
    }

    fn check_out(&mut self) {
        let Some((id, open)) = self.some_open_cart() else { return };
        let lines = open.lines.iter();
        let prices: Vec<_> = lines.map(|line| self.priced(line)).collect();
        let shipping = self.random.random::<bool>().then(|| pence(self.random.random_range(0..900)));
        if let Some(charge) = shipping {
            self.cart(id, &cart::Command::SetShipping { charge });
        }
        let start = shipping.or(open.shipping).unwrap_or(Money::zero(gbp()));
        let total = open.lines.iter().zip(&prices).fold(start, |total, (line, price)| {
            total.plus(price.unit_price.times(line.quantity.units()).unwrap()).unwrap()
        });
        let order_id = OrderId(self.id());
        let country = Country::new(["GB", "France", "EIRE"].choose(&mut self.random).unwrap()).unwrap();
        let hold_seconds = Some(900);
        // Few: most orders of the stories are to go on.
        let anonymous = order_id.0.as_u128().is_multiple_of(8);
        let command = cart::Command::CheckOut {
            order_id,
            country,
            expected_total: total,
            prices,
            hold_seconds,
            anonymous,
        };
        self.cart(id, &command);
        if let cart::Cart::CheckedOut(checked_out) = &self.carts[&id] {
            let placed = fulfilment::order_of(id, checked_out);
            self.order(order_id, &order::Command::Place(placed));
        }
    }

    fn priced(&self, line: &cart::Line) -> cart::PricedLine {
        let (Product::Listed(product) | Product::Retired(product)) = &self.products[&line.sku] else {
            panic!("every SKU of this shop is defined")
        };
        cart::PricedLine {
            line_id: line.line_id,
            merchant_id: product.merchant_id.clone(),
            name: product.name.clone(),
            unit_price: product.price,
        }
    }

    fn product(&mut self, sku: &Sku, command: &product::Command) {
        let state = self.products.remove(sku).unwrap_or_default();
        let state = self.decide(state, sku.as_str(), command);
        self.products.insert(sku.clone(), state);
    }

    fn inventory(&mut self, sku: &Sku, command: &inventory::Command) {
        let state = self.stock.remove(sku).unwrap_or_default();
        let state = self.decide(state, sku.as_str(), command);
        self.stock.insert(sku.clone(), state);
    }

    fn cart(&mut self, id: CartId, command: &cart::Command) {
        let state = self.carts.remove(&id).unwrap_or_default();
        let state = self.decide(state, &id.to_string(), command);
        self.carts.insert(id, state);
    }

    fn order(&mut self, id: OrderId, command: &order::Command) {
        let state = self.orders.remove(&id).unwrap_or_default();
        let state = self.decide(state, &id.to_string(), command);
        self.orders.insert(id, state);
    }

    /// A rejected command changes nothing, as in the real shop.
    fn decide<A: Aggregate>(&mut self, state: A, id: &str, command: &A::Command) -> A {
        let events = state.decide(command).unwrap_or_default();
        for event in &events {
            self.record(A::CATEGORY, id, event);
        }
        events.iter().fold(state, A::evolve)
    }
}

pub fn gbp() -> Currency {
    "GBP".parse().unwrap()
}

fn pence(amount: i64) -> Money {
    Money::new(amount, gbp()).unwrap()
}
