//! Shoppers who want the same few things, and the people of the shop who pack, send, correct stock and give money
//! back. They look at what a machine remembers, repeat themselves, and are often told no.

use crate::delivery::token_of;
use crate::gateway::Card;
use crate::log::{Entry, Stream};
use crate::random::Random;
use crate::samples::*;
use crate::world::{AnyCommand, MACHINES, Message, World, pounds};
use domain::cart::{Cart, NewLine, OpenCart, PricedLine};
use domain::order::{Order, Payment, PaymentPhase, PlacedOrder, Refund, RefundPhase, ShippedLine, Status};
use domain::{Event, Money, OrderId, PaymentId, RefundId, Sku, cart, inventory, order};
use std::collections::BTreeMap;

/// What is sold: its price, and who sells it.
#[derive(Debug)]
struct Product {
    sku: Sku,
    price: i64,
    merchant: &'static str,
}

#[derive(Debug)]
pub struct Shop {
    products: Vec<Product>,
    shoppers: usize,
    /// Whose payment it is.
    payments: BTreeMap<PaymentId, OrderId>,
    last_id: u128,
}

impl Shop {
    pub fn open(random: &mut Random) -> Self {
        let merchants = ["pottery", "forge"];
        let product = |number: usize| Product {
            sku: sku(&format!("SKU-{number}")),
            price: random.amount(0, 12),
            merchant: merchants[number % 2],
        };
        let products = (0..3).map(product).collect();
        Self { products, shoppers: random.between(1, 5), payments: BTreeMap::new(), last_id: 100 }
    }

    /// Somebody pays for an order.
    pub fn knows(&mut self, payment_id: PaymentId, order_id: OrderId) {
        self.payments.insert(payment_id, order_id);
    }

    pub fn order_of(&self, payment_id: PaymentId) -> OrderId {
        self.payments[&payment_id]
    }

    fn next_id(&mut self) -> u128 {
        self.last_id += 1;
        self.last_id
    }

    /// Keeps the table of deadlines: an order waits as long as its placing says, and longer only for a payment that is
    /// under way.
    pub fn sees(&self, entry: &Entry, deadlines: &mut BTreeMap<OrderId, Deadline>) {
        let (Stream::Order(order_id), Event::Order(event)) = (&entry.stream, &entry.event) else { return };
        match event {
            order::Event::Placed(placed) => {
                let hold = placed.hold_seconds.expect("every checkout of the stories says how long");
                let over = entry.at + u64::from(hold);
                deadlines.insert(*order_id, Deadline { over, while_paying: over });
            }
            order::Event::PaymentRequested(requested) => {
                let deadline = deadlines.get_mut(order_id).expect("it was placed before");
                let hold = u64::from(requested.hold_seconds.unwrap_or_default());
                let until = (entry.at + hold).min(deadline.over + hold);
                deadline.while_paying = deadline.while_paying.max(until);
            }
            _ => {}
        }
    }
}

/// When an order is called off without its money, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// When no payment is under way.
    pub over: u64,
    /// Whatever is under way.
    pub while_paying: u64,
}

impl World {
    pub fn stock_up(&mut self) {
        let most = *self.random.pick(&[2, 6, 12, 30]);
        for number in 0..self.shop.products.len() {
            let some = self.random.amount(0, most);
            if some > 0 {
                self.goods_come_in(number, some);
            }
        }
    }

    fn goods_come_in(&mut self, product: usize, some: i64) {
        let (sku, id) = (self.shop.products[product].sku.clone(), self.shop.next_id());
        let quantity = domain::Quantity::new(some).expect("some units came in");
        let command = inventory::Command::Receive { receipt_id: receipt_id(id), quantity };
        self.ask(AnyCommand::Stock(sku, command));
    }

    /// Sends it to any machine.
    fn ask(&mut self, command: AnyCommand) {
        let machine = self.random.below(MACHINES);
        self.send(Message::Command { machine, command });
    }

    pub fn shop_step(&mut self) {
        let shopper = self.random.below(self.shop.shoppers);
        let number = u128::try_from(shopper).expect("there are few shoppers") + 1;
        let machine = self.random.below(MACHINES);
        match self.random.below(20) {
            0 => {
                let product = self.random.below(self.shop.products.len());
                self.correct_stock(product);
            }
            1 => {
                let product = self.random.below(self.shop.products.len());
                self.shop.products[product].price = self.random.amount(0, 12);
            }
            2..10 => self.fill_cart(machine, number),
            _ => self.tend_order(machine, order_id(number)),
        }
    }

    fn correct_stock(&mut self, product: usize) {
        if self.random.percent(50) {
            let some = self.random.amount(1, 3);
            return self.goods_come_in(product, some);
        }
        let (delta, id) = (self.random.amount(-3, 2), self.shop.next_id());
        let adjustment_id = adjustment_id(id);
        let command = inventory::Command::Adjust { adjustment_id, delta, reason: reason("counted") };
        self.ask(AnyCommand::Stock(self.shop.products[product].sku.clone(), command));
    }

    fn fill_cart(&mut self, machine: usize, number: u128) {
        let cart_id = cart_id(number);
        let command = match self.machines[machine].carts.look(&self.log, &Stream::Cart(cart_id), 0) {
            Cart::Unopened => cart::Command::Open { currency: currency("GBP"), customer_id: None },
            Cart::Open(cart) => {
                let cart = cart.clone();
                self.shop_on(&cart, number)
            }
            // A repeated click.
            Cart::CheckedOut(cart) => cart::Command::CheckOut {
                order_id: cart.order_id,
                country: country("GB"),
                expected_total: cart.total,
                prices: vec![],
                hold_seconds: None,
                anonymous: is_anonymous(number),
            },
            Cart::Abandoned => return,
        };
        self.ask(AnyCommand::Cart(cart_id, command));
    }

    fn shop_on(&mut self, cart: &OpenCart, number: u128) -> cart::Command {
        if cart.lines.is_empty() || self.random.percent(25) {
            return cart::Command::PutLines { lines: vec![self.wish()] };
        }
        match self.random.below(10) {
            0 => cart::Command::RemoveLines { line_ids: vec![cart.lines[0].line_id] },
            1 => cart::Command::SetShipping { charge: pounds(self.random.amount(0, 4)) },
            2 if self.random.percent(20) => cart::Command::Abandon,
            _ => self.check_out(cart, number),
        }
    }

    fn wish(&mut self) -> NewLine {
        let line = line_id(u128::try_from(self.random.between(1, 3)).expect("it is small"));
        let quantity = units(u32::try_from(self.random.between(1, 3)).expect("it is small"));
        let product = self.random.pick(&self.shop.products);
        let unit_price = pounds(product.price);
        NewLine { line_id: line, sku: product.sku.clone(), quantity, unit_price, agreed: false }
    }

    /// The shopper confirms the total of now; a cart that another machine changed has another.
    fn check_out(&mut self, cart: &OpenCart, number: u128) -> cart::Command {
        let product = |sku: &Sku| {
            let is_it = |product: &&Product| product.sku == *sku;
            self.shop.products.iter().find(is_it).expect("only products are in carts")
        };
        let lines = cart.lines.iter().map(|line| (line, product(&line.sku)));
        let prices: Vec<PricedLine> = lines
            .clone()
            .map(|(line, product)| PricedLine {
                line_id: line.line_id,
                merchant_id: merchant(product.merchant),
                name: name("Thing"),
                unit_price: pounds(product.price),
            })
            .collect();
        let total: i64 =
            lines.map(|(line, product)| i64::from(line.quantity.units()) * product.price).sum::<i64>()
                + cart.shipping.map_or(0, |charge| charge.amount());
        let hold_seconds = Some(*self.random.pick(&[60, 900, 3_600]));
        let expected_total = pounds(total);
        let country = country("GB");
        let (order_id, anonymous) = (order_id(number), is_anonymous(number));
        cart::Command::CheckOut { order_id, country, expected_total, prices, hold_seconds, anonymous }
    }

    /// The shopper pays or changes their mind, the house packs and gives back.
    fn tend_order(&mut self, machine: usize, order_id: OrderId) {
        let Order::Placed(order) = self.order_on(machine, order_id) else { return };
        let order = order.clone();
        let command = match order.status {
            _ if order.is_called_off() => self.give_back(&order),
            _ if self.random.percent(3) => Some(order::Command::Cancel { reason: reason("enough") }),
            Status::Pending => self.pay(order_id, &order),
            Status::Paid => self.give_back(&order),
            _ if self.random.percent(25) => self.give_back(&order),
            _ => self.send_on(&order),
        };
        if let Some(command) = command {
            self.ask(AnyCommand::Order(order_id, command));
        }
    }

    fn pay(&mut self, order_id: OrderId, order: &PlacedOrder) -> Option<order::Command> {
        let due = order.due_amount();
        if due == 0 {
            return None;
        }
        let part = if self.random.percent(40) { self.random.amount(1, due) } else { due };
        let payment_id = payment_id(self.shop.next_id());
        self.shop.knows(payment_id, order_id);
        let amount = pounds(part);
        if self.random.percent(25) {
            let (method, reference) = (method("voucher"), reference("gift card"));
            return Some(order::Command::RecordPayment { payment_id, amount, method, reference });
        }
        let token = token_of(self.random.below(Card::ALL.len()));
        let hold_seconds = self.random.percent(50).then_some(600);
        let (return_url, in_part) = (None, true);
        Some(order::Command::RequestPayment { payment_id, amount, token, return_url, hold_seconds, in_part })
    }

    /// By hand what came by hand or cannot go back through the gateway, and through it what can.
    fn give_back(&mut self, order: &PlacedOrder) -> Option<order::Command> {
        let refund_id = refund_id(self.shop.next_id());
        let left = left_for_hands(order);
        if left > 0 && (order.is_called_off() || self.random.percent(30)) {
            return Some(by_hand(refund_id, left));
        }
        if order.is_called_off() || order.paid_amount() == 0 {
            return None;
        }
        // Somebody may give a refund the id of its payment: one key for both.
        let refund_id = match order.payments.first() {
            Some(payment) if self.random.percent(20) => RefundId(payment.payment_id.0),
            _ => refund_id,
        };
        let amount = pounds(self.random.amount(1, order.paid_amount()));
        Some(order::Command::RequestRefund { refund_id, amount })
    }

    fn send_on(&mut self, order: &PlacedOrder) -> Option<order::Command> {
        match self.random.below(10) {
            0 if self.random.percent(50) => Some(self.give_up_rest(order)),
            0 => Some(order::Command::Ship),
            1 => Some(order::Command::Deliver),
            2..5 => {
                let parcel = order.shipments.iter().find(|parcel| !parcel.is_delivered)?;
                Some(order::Command::DeliverShipment { shipment_id: parcel.shipment_id })
            }
            _ => {
                let line = self.random.pick(&order.lines).clone();
                let shipment_id = shipment_id(self.shop.next_id());
                let lines = self
                    .random
                    .percent(50)
                    .then(|| vec![ShippedLine { line_id: line.line_id, quantity: units(1) }]);
                let merchant_id = line.merchant_id;
                Some(order::Command::SendShipment { shipment_id, merchant_id, lines, tracking: None })
            }
        }
    }

    /// Goods burnt, or a merchant cannot deliver.
    fn give_up_rest(&mut self, order: &PlacedOrder) -> order::Command {
        let refund_id = refund_id(self.shop.next_id());
        let line = self.random.pick(&order.lines);
        let merchant_id = self.random.percent(50).then(|| line.merchant_id.clone());
        let refund = self.random.percent(20).then(|| pounds(self.random.amount(0, 3)));
        order::Command::CancelRest { refund_id, merchant_id, refund, reason: reason("burnt") }
    }

    /// At the end people give back what only they can.
    pub fn give_all_back(&mut self) {
        let order_ids: Vec<OrderId> = self.deadlines.keys().copied().collect();
        for id in order_ids {
            let Order::Placed(order) = self.order_now(0, id) else { continue };
            // What the order says is what must be given back: the auditor sees whether that was all.
            let left = order.to_refund();
            if left > 0 {
                let refund_id = refund_id(self.shop.next_id());
                self.ask(AnyCommand::Order(id, by_hand(refund_id, left)));
            }
        }
    }
}

/// Every other shopper is somebody whom nobody knows.
fn is_anonymous(number: u128) -> bool {
    number % 2 == 1
}

fn by_hand(refund_id: RefundId, amount: i64) -> order::Command {
    let (amount, reference): (Money, _) = (pounds(amount), reference("by hand"));
    order::Command::RecordRefund { refund_id, payment_id: None, amount, reference }
}

fn is_lost(refund: &Refund) -> bool {
    matches!(refund.phase, RefundPhase::Refused | RefundPhase::Failed)
}

/// What came by hand, and what the gateway took and would not give back; less what went back by hand.
fn left_for_hands(order: &PlacedOrder) -> i64 {
    let back = |refund: &Refund| if is_lost(refund) { 0 } else { refund.amount.amount() };
    let of = |payment_id| order.refunds.iter().filter(move |refund| refund.payment_id == payment_id);
    let left_of = |payment: &Payment| match payment.phase {
        PaymentPhase::Recorded => payment.amount.amount(),
        PaymentPhase::Captured { .. } => {
            let mut refunds = of(Some(payment.payment_id));
            let was_refused = refunds.any(is_lost);
            let went_back: i64 = of(Some(payment.payment_id)).map(back).sum();
            if was_refused { payment.amount.amount() - went_back } else { 0 }
        }
        _ => 0,
    };
    order.payments.iter().map(left_of).sum::<i64>() - of(None).map(back).sum::<i64>()
}
