//! The machine that runs the fulfilment process: it reads the log from a checkpoint, sends what every order owes,
//! and records the answers. It may die between any two of its steps. Two may run at once: the one that was thought
//! dead, and the one that took over.

use crate::log::{Entry, Stream};
use crate::machine::Machine;
use crate::shop::Deadline;
use crate::world::{Asker, Message, World};
use domain::cart::Cart;
use domain::fulfilment::{Owed, order_of, owed, undecided};
use domain::{CartId, Event, OrderId, PaymentId, cart, order};
use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Runner {
    pub is_alive: bool,
    /// Which life it lives: an answer to an earlier one does not reach it.
    pub life: u32,
    /// Events that it has read.
    position: usize,
    /// Orders that may owe something, and how many of their events it knows of.
    orders: BTreeMap<OrderId, usize>,
    /// Checked-out carts that may not be orders yet.
    carts: BTreeMap<CartId, usize>,
}

impl Runner {
    pub fn new(number: usize) -> Self {
        let is_alive = number == 0;
        Self { is_alive, life: 0, position: 0, orders: BTreeMap::new(), carts: BTreeMap::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.orders.is_empty() && self.carts.is_empty()
    }
}

impl World {
    pub fn asker(&self, runner: usize) -> Asker {
        Asker { runner, life: self.runners[runner].life }
    }

    /// All that it knows is gone; what it has sent is on its way all the same.
    pub fn kill_runner(&mut self, runner: usize) {
        if self.runners[runner].is_alive {
            self.count("death");
            self.tell(|| format!("runner {runner} dies"));
            let life = self.runners[runner].life + 1;
            self.runners[runner] = Runner { is_alive: false, life, ..Runner::new(runner) };
            self.machines[runner] = Machine::default();
        }
    }

    pub fn start_runner(&mut self, runner: usize) {
        self.count("takeover");
        self.tell(|| format!("runner {runner} starts at {}", self.checkpoint));
        let (life, position) = (self.runners[runner].life + 1, self.checkpoint);
        self.runners[runner] = Runner { is_alive: true, life, position, ..Runner::new(runner) };
    }

    /// One step of a runner, after which it may die.
    pub fn run_step(&mut self, runner: usize) {
        match self.random.below(10) {
            0..3 => {
                self.read_log(runner, 4);
            }
            3..8 => self.work(runner),
            8 => self.look_at_clock(runner),
            _ => {
                self.poll(runner);
                self.keep_checkpoint(runner);
            }
        }
    }

    /// Reads some more of the log. Gives whether there was something to read.
    pub fn read_log(&mut self, runner: usize, most: usize) -> bool {
        let it = &mut self.runners[runner];
        let from = it.position;
        for entry in self.log.entries.iter().skip(from).take(most) {
            it.position += 1;
            match entry {
                Entry {
                    event: Event::Cart(cart::Event::CheckedOut(_)), stream: Stream::Cart(id), ..
                } => {
                    it.carts.insert(*id, self.log.revision(&entry.stream));
                }
                Entry { stream: Stream::Order(id), .. } => {
                    it.orders.insert(*id, self.log.revision(&entry.stream));
                }
                _ => {}
            }
        }
        self.runners[runner].position > from
    }

    fn work(&mut self, runner: usize) {
        let carts: Vec<CartId> = self.runners[runner].carts.keys().copied().collect();
        let orders: Vec<OrderId> = self.runners[runner].orders.keys().copied().collect();
        if !carts.is_empty() && self.random.percent(40) {
            let cart_id = *self.random.pick(&carts);
            self.place_order(runner, cart_id);
        } else if !orders.is_empty() {
            let order_id = *self.random.pick(&orders);
            // Impatience would only fill the world with copies.
            if self.in_flight.len() < 60 {
                self.settle(runner, order_id);
            }
        }
    }

    /// The checked-out cart becomes its order.
    fn place_order(&mut self, runner: usize, cart_id: CartId) {
        let at_least = self.runners[runner].carts[&cart_id];
        let stream = Stream::Cart(cart_id);
        let cart = self.machines[runner].carts.look(&self.log, &stream, at_least);
        let Cart::CheckedOut(cart) = cart else { panic!("{cart_id} is not checked out: {cart:?}") };
        let (order_id, placed) = (cart.order_id, order_of(cart_id, cart));
        self.record(runner, order_id, &order::Command::Place(placed));
        self.runners[runner].carts.remove(&cart_id);
    }

    /// Sends all that the order owes; it is done with when it owes nothing.
    fn settle(&mut self, runner: usize, order_id: OrderId) {
        let at_least = self.runners[runner].orders[&order_id];
        let stream = Stream::Order(order_id);
        let owed = owed(self.machines[runner].orders.look(&self.log, &stream, at_least));
        if owed.is_empty() {
            self.runners[runner].orders.remove(&order_id);
        }
        let asker = self.asker(runner);
        for owed in owed {
            self.send(match owed {
                Owed::Stock { sku, request } => Message::ToStock { asker, order_id, sku, request },
                Owed::Payment { payment_id, request } => {
                    Message::ToGateway { asker, order_id, payment_id, request }
                }
            });
        }
    }

    /// Sends what all orders that it knows of owe now, and places what is to be placed.
    pub fn work_on_all(&mut self, runner: usize) {
        let carts: Vec<CartId> = self.runners[runner].carts.keys().copied().collect();
        carts.into_iter().for_each(|cart_id| self.place_order(runner, cart_id));
        let orders: Vec<OrderId> = self.runners[runner].orders.keys().copied().collect();
        orders.into_iter().for_each(|order_id| self.settle(runner, order_id));
    }

    /// Calls off what waited too long.
    pub fn look_at_clock(&mut self, runner: usize) {
        let over: Vec<(OrderId, Deadline)> =
            self.deadlines.iter().map(|(id, deadline)| (*id, *deadline)).collect();
        for (order_id, deadline) in over {
            if self.now >= deadline.over {
                let even_while_paying = self.now >= deadline.while_paying;
                self.record(runner, order_id, &order::Command::Expire { even_while_paying });
            }
        }
    }

    /// Asks what became of payments that the gateway has not decided, and hears what it tells of refunds.
    pub fn poll(&mut self, runner: usize) {
        let orders: Vec<OrderId> = self.deadlines.keys().copied().collect();
        let asker = self.asker(runner);
        for order_id in orders {
            for (payment_id, _) in undecided(self.order_now(runner, order_id)) {
                self.send(Message::Retrieve { asker, order_id, payment_id });
            }
        }
        let payments: Vec<PaymentId> = self.gateway.intents.keys().copied().collect();
        for payment_id in payments {
            if !self.gateway.tells(payment_id).is_empty() {
                let order_id = self.shop.order_of(payment_id);
                self.send(Message::LookAtRefunds { asker, order_id, payment_id });
            }
        }
    }

    /// Everything before it is done with.
    pub fn keep_checkpoint(&mut self, runner: usize) {
        if self.runners[runner].is_idle() && self.runners[runner].position > self.checkpoint {
            self.checkpoint = self.runners[runner].position;
            self.count("checkpoint");
        }
    }
}
