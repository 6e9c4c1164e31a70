//! A small shop that lives at random from a seed: its commands are decided by the domain, so that its log is one
//! that the real shop could have written. It keeps the aggregates' states to compare the read models with.

use chrono::{DateTime, TimeDelta, Utc};
use domain::inventory::Inventory;
use domain::order::{GatewayAnswer, Order, PlacedOrder, ReservationAnswer, ShippedLine, Tracking};
use domain::product::Product;
use domain::stored::StoredEvent;
use domain::{
    AdjustmentId, Aggregate, CartId, Country, Currency, CustomerId, IntentId, LineId, MerchantId, Money,
    OrderId, PaymentId, PaymentMethod, ProductName, Quantity, Reason, ReceiptId, Reference, RefundId,
    ShipmentId, Sku, cart, fulfilment, inventory, order, product,
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
        let command =
            cart::Command::CheckOut { order_id, country, expected_total: total, prices, hold_seconds };
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

    /// Something for an order: a step of its fulfilment, money, or somebody's hand.
    fn change_order(&mut self) {
        let ids: Vec<OrderId> = self.orders.keys().copied().collect();
        let Some(id) = ids.choose(&mut self.random).copied() else { return };
        let Order::Placed(placed) = self.orders[&id].clone() else { return };
        match self.random.random_range(0..20) {
            0..=7 => self.fulfil(id),
            8..=9 => self.pay(id, &placed),
            10..=12 => self.pay_by_gateway(id, &placed),
            13 => self.send(id, &placed),
            14 => {
                let even_while_paying = self.random.random_ratio(1, 4);
                if self.random.random_ratio(1, 4) {
                    self.order(id, &order::Command::Expire { even_while_paying });
                }
            }
            15 => self.order(id, &order::Command::Ship),
            16 => self.order(id, &order::Command::Deliver),
            17 if self.random.random_ratio(1, 3) => {
                let reason = Reason::new("changed my mind").unwrap();
                self.order(id, &order::Command::Cancel { reason });
            }
            18..=19 => self.give_up(id, &placed),
            _ => {
                let left = placed.paid_amount() - placed.refunded_amount();
                let amount = pence(self.random.random_range(0..=left));
                let refund_id = RefundId(self.id());
                let reference = Reference::new("back").unwrap();
                if self.random.random() {
                    self.order(id, &order::Command::RequestRefund { refund_id, amount });
                } else {
                    let payment_id = None;
                    self.order(
                        id,
                        &order::Command::RecordRefund { refund_id, payment_id, amount, reference },
                    );
                }
            }
        }
    }

    fn pay(&mut self, id: OrderId, placed: &PlacedOrder) {
        let due = placed.due_amount();
        let part = if self.random.random() { due } else { self.random.random_range(0..=due) };
        let payment_id = PaymentId(self.id());
        let method = PaymentMethod::new("card").unwrap();
        let reference = Reference::new("R-1").unwrap();
        let amount = pence(part);
        self.order(id, &order::Command::RecordPayment { payment_id, amount, method, reference });
    }

    fn pay_by_gateway(&mut self, id: OrderId, placed: &PlacedOrder) {
        let payment_id = PaymentId(self.id());
        let (amount, token) = (pence(placed.due_amount()), "pm_card_visa".parse().unwrap());
        let hold_seconds = Some(900);
        self.order(
            id,
            &order::Command::RequestPayment { payment_id, amount, token, return_url: None, hold_seconds },
        );
    }

    /// A parcel of one of the merchants, or the arrival of one.
    fn send(&mut self, id: OrderId, placed: &PlacedOrder) {
        if let Some(shipment) = placed.shipments.choose(&mut self.random)
            && self.random.random()
        {
            self.order(id, &order::Command::DeliverShipment { shipment_id: shipment.shipment_id });
            return;
        }
        let Some(line) = placed.lines.choose(&mut self.random) else { return };
        let quantity = Quantity::new(i64::from(self.random.random_range(1..=line.quantity.units()))).unwrap();
        let lines = vec![ShippedLine { line_id: line.line_id, quantity }];
        let tracking = Tracking { carrier: "DHL".parse().unwrap(), number: "JD 42".parse().unwrap() };
        let shipment_id = ShipmentId(self.id());
        let merchant_id = line.merchant_id.clone();
        let lines = self.random.random::<bool>().then_some(lines);
        let tracking = self.random.random::<bool>().then_some(tracking);
        self.order(id, &order::Command::SendShipment { shipment_id, merchant_id, lines, tracking });
    }

    /// All that is not sent, or what one merchant has not sent.
    fn give_up(&mut self, id: OrderId, placed: &PlacedOrder) {
        let refund_id = RefundId(self.id());
        let line = placed.lines.choose(&mut self.random);
        let merchant_id = line.map(|line| line.merchant_id.clone()).filter(|_| self.random.random());
        let reason = Reason::new("burnt").unwrap();
        self.order(id, &order::Command::CancelRest { refund_id, merchant_id, refund: None, reason });
    }

    /// Some of what the order owes, with the answers of stock and of the gateway.
    fn fulfil(&mut self, id: OrderId) {
        let mut owed = fulfilment::owed(&self.orders[&id]);
        owed.truncate(self.random.random_range(1..4));
        for owed in owed {
            match owed {
                fulfilment::Owed::Stock { sku, request } => self.stock_answers(id, sku, request),
                fulfilment::Owed::Payment { payment_id, request } => {
                    self.gateway_answers(id, payment_id, &request)
                }
            }
        }
    }

    fn gateway_answers(&mut self, id: OrderId, payment_id: PaymentId, request: &fulfilment::PaymentRequest) {
        let intent = || IntentId::new(&format!("pi_{payment_id}")).unwrap();
        let declined = || GatewayAnswer::Declined {
            code: "card_declined".parse().unwrap(),
            message: Reason::new("no").unwrap(),
        };
        let answer = match request {
            fulfilment::PaymentRequest::Authorize { .. } => match self.random.random_range(0..7) {
                0 => declined(),
                1 => GatewayAnswer::Started { intent: intent(), redirect_url: None },
                2 => GatewayAnswer::Started {
                    intent: intent(),
                    redirect_url: Some("https://bank.test/ask?for=7".parse().unwrap()),
                },
                _ => GatewayAnswer::Authorized { intent: intent() },
            },
            fulfilment::PaymentRequest::Capture { amount, .. } => match self.random.random_range(0..8) {
                0 => declined(),
                // People took less at the gateway.
                1 if amount.amount() > 1 => {
                    let less = Money::new(amount.amount() - 1, amount.currency()).unwrap();
                    GatewayAnswer::Captured { intent: intent(), amount: less }
                }
                _ => GatewayAnswer::Captured { intent: intent(), amount: *amount },
            },
            fulfilment::PaymentRequest::Void { .. } => GatewayAnswer::Voided,
            &fulfilment::PaymentRequest::Refund { refund_id, amount, .. } => {
                let message = Reason::new("too late").unwrap();
                let command = match self.random.random_range(0..6) {
                    0 => order::Command::RecordRefundRefused { refund_id, payment_id, message },
                    _ => {
                        let reference = Reference::new("re_1").unwrap();
                        let payment_id = Some(payment_id);
                        order::Command::RecordRefund { refund_id, payment_id, amount, reference }
                    }
                };
                self.order(id, &command);
                self.people_meddle(id, payment_id, refund_id);
                return;
            }
        };
        self.order(id, &order::Command::RecordGatewayAnswer { payment_id, answer });
    }

    /// At the gateway: they give money back, or what went back comes again.
    fn people_meddle(&mut self, id: OrderId, payment_id: PaymentId, refund_id: RefundId) {
        let command = match self.random.random_range(0..4) {
            0 => order::Command::RecordRefundFailed {
                refund_id,
                payment_id,
                message: Reason::new("the account was closed").unwrap(),
            },
            1 => order::Command::RecordRefundFound(order::RefundFound {
                refund_id: RefundId(Uuid::from_u128(self.random.random())),
                payment_id,
                amount: Money::new(1, gbp()).unwrap(),
                reference: Reference::new("re_2").unwrap(),
            }),
            _ => return,
        };
        self.order(id, &command);
    }

    fn stock_answers(&mut self, id: OrderId, sku: Sku, request: fulfilment::StockRequest) {
        let order_id = id;
        let skus = vec![sku.clone()];
        match request {
            fulfilment::StockRequest::Reserve(quantity) => {
                let state = self.stock[&sku].clone();
                let answer = match state.decide(&inventory::Command::Reserve { order_id, quantity }) {
                    Ok(_) => ReservationAnswer::Held,
                    Err(_) => ReservationAnswer::Refused { available: state.available() },
                };
                self.inventory(&sku, &inventory::Command::Reserve { order_id, quantity });
                self.order(id, &order::Command::RecordReservations { answers: vec![(sku, answer)] });
            }
            fulfilment::StockRequest::Commit => {
                self.inventory(&sku, &inventory::Command::Commit { order_id });
                self.order(id, &order::Command::RecordCommitted { skus });
            }
            fulfilment::StockRequest::Ship => {
                self.inventory(&sku, &inventory::Command::Ship { order_id });
                self.order(id, &order::Command::RecordStockShipped { skus });
            }
            fulfilment::StockRequest::Part { shipped, released } => {
                self.inventory(&sku, &inventory::Command::Part { order_id, shipped, released });
                let parts = vec![(sku, shipped, released)];
                self.order(id, &order::Command::RecordStockParted { parts });
            }
            fulfilment::StockRequest::Release => {
                self.inventory(&sku, &inventory::Command::Release { order_id });
                self.order(id, &order::Command::RecordReleased { skus });
            }
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
