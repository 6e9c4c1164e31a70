//! A small world for the order fulfilment process: orders, the stock of their SKUs, and messages between them
//! that may come late, twice, in any order, or never. An auditor looks at it after every step.

use crate::samples::{gbp, method, payment_id, reason, receipt_id, reference, refund_id};
use domain::fulfilment::{StockRequest, owed};
use domain::inventory::{Inventory, Phase, Rejection, Reservation};
use domain::order::{Order, PlacedOrder, ReservationAnswer, Status};
use domain::{Aggregate, OrderId, Quantity, Sku, inventory, order};
use std::collections::BTreeMap;

/// Something on its way.
#[derive(Debug, Clone)]
enum Message {
    /// From an order to the stock of a SKU.
    Request(OrderId, Sku, StockRequest),
    /// What stock said, to the order.
    Answer(OrderId, order::Command),
}

/// What a shopper or the house does with an order, at any moment and perhaps in vain.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Pay(i64),
    Cancel,
    Ship,
    Deliver,
    Refund(i64),
}

/// Orders, stock, and what is on its way between them.
#[derive(Default)]
pub struct World {
    stocks: BTreeMap<Sku, Inventory>,
    orders: BTreeMap<OrderId, Order>,
    in_flight: Vec<Message>,
    /// Numbers for the ids of payments, refunds and receipts.
    last_id: u128,
}

impl World {
    pub fn new(stocks: &BTreeMap<Sku, Option<Quantity>>, orders: Vec<(OrderId, order::Placed)>) -> Self {
        let mut world = Self::default();
        for (sku, quantity) in stocks {
            world.stocks.insert(sku.clone(), Inventory::default());
            if let Some(quantity) = quantity {
                world.receive(sku, *quantity);
            }
        }
        for (order_id, placed) in orders {
            world.orders.insert(order_id, Order::default());
            world.tell(order_id, &order::Command::Place(placed)).expect("a new order can be placed");
        }
        world
    }

    fn next_id(&mut self) -> u128 {
        self.last_id += 1;
        self.last_id
    }

    /// Goods come in while orders wait.
    pub fn receive(&mut self, sku: &Sku, quantity: Quantity) {
        let receipt_id = receipt_id(self.next_id());
        self.ask(sku, &inventory::Command::Receive { receipt_id, quantity }).expect("there is room");
    }

    /// The runner sends all that an order owes, as after every event and every restart.
    pub fn send_owed(&mut self, order_id: OrderId) {
        let requests = owed(&self.orders[&order_id]);
        let messages = requests.into_iter().map(|owed| Message::Request(order_id, owed.sku, owed.request));
        self.in_flight.extend(messages);
    }

    /// A message arrives, and goes on its way once more if it is to come twice.
    pub fn deliver(&mut self, which: usize, twice: bool) {
        let message = self.take(which);
        if let Some(message) = message {
            if twice {
                self.in_flight.push(message.clone());
            }
            self.arrive(message);
        }
    }

    /// A message is lost.
    pub fn lose(&mut self, which: usize) {
        self.take(which);
    }

    fn take(&mut self, which: usize) -> Option<Message> {
        (!self.in_flight.is_empty()).then(|| self.in_flight.remove(which % self.in_flight.len()))
    }

    fn arrive(&mut self, message: Message) {
        match message {
            Message::Request(order_id, sku, request) => {
                if let Some(answer) = self.request(order_id, &sku, request) {
                    self.in_flight.push(Message::Answer(order_id, answer));
                }
            }
            Message::Answer(order_id, answer) => {
                self.tell(order_id, &answer).expect("an order hears every answer");
            }
        }
        self.audit();
    }

    /// What stock says; nothing to say to a message that comes after the order was settled.
    fn request(&mut self, order_id: OrderId, sku: &Sku, request: StockRequest) -> Option<order::Command> {
        let command = match request {
            StockRequest::Reserve(quantity) => inventory::Command::Reserve { order_id, quantity },
            StockRequest::Commit => inventory::Command::Commit { order_id },
            StockRequest::Ship => inventory::Command::Ship { order_id },
            StockRequest::Release => inventory::Command::Release { order_id },
        };
        let (skus, sku) = (vec![sku.clone()], sku.clone());
        match (request, self.ask(&sku, &command)) {
            (StockRequest::Reserve(_), Ok(())) => {
                Some(order::Command::RecordReservations { answers: vec![(sku, ReservationAnswer::Held)] })
            }
            (StockRequest::Reserve(_), Err(Rejection::OutOfStock { available, .. })) => {
                let answers = vec![(sku, ReservationAnswer::Refused { available })];
                Some(order::Command::RecordReservations { answers })
            }
            (StockRequest::Commit, Ok(())) => Some(order::Command::RecordCommitted { skus }),
            (StockRequest::Ship, Ok(())) => Some(order::Command::RecordStockShipped { skus }),
            (StockRequest::Release, Ok(())) => Some(order::Command::RecordReleased { skus }),
            (StockRequest::Reserve(_), Err(Rejection::OrderSettled))
            | (StockRequest::Commit, Err(Rejection::NotReserved)) => {
                assert!(is_called_off(self.placed(order_id)), "stock let go for an order that lives");
                None
            }
            (request, Err(rejection)) => {
                panic!("{request:?} of {sku} can never be refused with: {rejection}")
            }
        }
    }

    fn ask(&mut self, sku: &Sku, command: &inventory::Command) -> Result<(), Rejection> {
        let stock = self.stocks.get_mut(sku).expect("every SKU of the world has stock");
        let events = stock.decide(command)?;
        *stock = events.iter().fold(std::mem::take(stock), Inventory::evolve);
        Ok(())
    }

    fn tell(&mut self, order_id: OrderId, command: &order::Command) -> Result<(), order::Rejection> {
        let order = self.orders.get_mut(&order_id).expect("every order of the world exists");
        let events = order.decide(command)?;
        *order = events.iter().fold(std::mem::take(order), Order::evolve);
        Ok(())
    }

    fn placed(&self, order_id: OrderId) -> &PlacedOrder {
        match &self.orders[&order_id] {
            Order::Placed(order) => order,
            Order::Unplaced => panic!("every order of the world is placed"),
        }
    }

    /// Somebody does something; the rules may say no.
    pub fn act(&mut self, order_id: OrderId, act: Act) {
        let id = self.next_id();
        let command = match act {
            Act::Pay(amount) => order::Command::RecordPayment {
                payment_id: payment_id(id),
                amount: gbp(amount),
                method: method("card"),
                reference: reference("bank"),
            },
            Act::Cancel => order::Command::Cancel { reason: reason("changed my mind") },
            Act::Ship => order::Command::Ship,
            Act::Deliver => order::Command::Deliver,
            Act::Refund(amount) => order::Command::RecordRefund {
                refund_id: refund_id(id),
                amount: gbp(amount),
                reference: reference("bank"),
            },
        };
        // A refusal is a fair answer to a wish.
        let _ = self.tell(order_id, &command);
        self.audit();
    }

    /// What is still to be paid, in pence.
    pub fn due(&self, order_id: OrderId) -> i64 {
        let order = self.placed(order_id);
        order.total.amount() - order.paid_amount()
    }

    /// From now on nothing is lost: every order is served until nothing is owed. What was on its way before
    /// is kept back, and comes when all is over.
    pub fn heal(&mut self, pays: impl Fn(OrderId) -> bool) {
        let late = std::mem::take(&mut self.in_flight);
        let order_ids: Vec<OrderId> = self.orders.keys().copied().collect();
        for &order_id in &order_ids {
            self.settle(order_id);
            if self.placed(order_id).status == Status::Pending {
                let act = if pays(order_id) { Act::Pay(self.due(order_id)) } else { Act::Cancel };
                self.act(order_id, act);
                self.settle(order_id);
            }
            self.assert_settled(order_id);
        }
        self.in_flight = late;
        let settled = (self.stocks.clone(), self.orders.clone());
        while !self.in_flight.is_empty() {
            self.deliver(0, false);
        }
        assert_eq!((&self.stocks, &self.orders), (&settled.0, &settled.1), "a late message moved something");
    }

    /// Each round ends in an order that owes nothing, or in a new status: there are few.
    fn settle(&mut self, order_id: OrderId) {
        for _ in 0..8 {
            self.send_owed(order_id);
            if self.in_flight.is_empty() {
                return;
            }
            while !self.in_flight.is_empty() {
                self.deliver(0, false);
            }
        }
        panic!("the order is stuck: it still owes {:?}", owed(&self.orders[&order_id]));
    }

    fn assert_settled(&self, order_id: OrderId) {
        let order = self.placed(order_id);
        let wanted = match order.status {
            Status::Pending | Status::Paid => panic!("the order is stuck: {order:?}"),
            Status::Processing => Phase::Committed,
            Status::Shipped | Status::Delivered | Status::Refunded { after_shipping: true } => Phase::Shipped,
            Status::Cancelled(_) | Status::Refunded { after_shipping: false } => Phase::Released,
        };
        for (sku, asked) in &order.stock {
            let Some(Reservation { units, phase }) = self.stocks[sku].reservation(order_id) else {
                panic!("the stock of {sku} does not remember an order that is {}", order.status.name());
            };
            assert_eq!(phase, wanted, "{sku} of an order that is {}", order.status.name());
            assert!(units == asked.quantity.units() || (phase == Phase::Released && units == 0));
        }
    }

    /// Nothing is counted twice, and every unit that is not available belongs to an order that asked for it.
    pub fn audit(&self) {
        for (sku, stock) in &self.stocks {
            let came = i128::from(stock.received()) + i128::from(stock.adjusted());
            let is = i128::from(stock.available() + stock.reserved() + stock.shipped());
            assert_eq!(came, is, "received + adjusted = available + reserved + shipped of {sku}");
            let mut held = (0, 0);
            for order_id in self.orders.keys() {
                match stock.reservation(*order_id) {
                    Some(Reservation { units, phase: Phase::Reserved | Phase::Committed }) => {
                        held.0 += u64::from(units)
                    }
                    Some(Reservation { units, phase: Phase::Shipped }) => held.1 += u64::from(units),
                    Some(Reservation { phase: Phase::Released, .. }) | None => {}
                }
            }
            assert_eq!((stock.reserved(), stock.shipped()), held, "{sku} holds units for nobody");
        }
    }

    /// Where the orders stand.
    pub fn standings(&self) -> Vec<&'static str> {
        self.orders.keys().map(|order_id| self.placed(*order_id).status.name()).collect()
    }
}

fn is_called_off(order: &PlacedOrder) -> bool {
    matches!(order.status, Status::Cancelled(_) | Status::Refunded { after_shipping: false })
}
