//! Everything at once: the log, the machines, the gateway, and what is on its way between them. A message may be
//! lost, come twice, late, or in any order, until the world heals.

use crate::audit::Auditor;
use crate::gateway::Gateway;
use crate::log::{Log, Stream};
use crate::machine::{Done, Machine};
use crate::random::Random;
use crate::runner::Runner;
use crate::shop::{Deadline, Shop};
use domain::fulfilment::{PaymentRequest, StockRequest};
use domain::order::{Order, RefundPhase};
use domain::{CartId, Money, OrderId, PaymentId, RefundId, Sku};
use domain::{cart, inventory, order};
use std::collections::BTreeMap;

/// The life of a runner that waits for an answer. A runner that died meanwhile does not get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    pub runner: usize,
    pub life: u32,
}

/// Something on its way.
#[derive(Debug, Clone)]
pub enum Message {
    ToStock {
        asker: Asker,
        order_id: OrderId,
        sku: Sku,
        request: StockRequest,
    },
    ToGateway {
        asker: Asker,
        order_id: OrderId,
        payment_id: PaymentId,
        request: PaymentRequest,
    },
    /// What is the truth about this payment?
    Retrieve {
        asker: Asker,
        order_id: OrderId,
        payment_id: PaymentId,
    },
    /// What became of the refunds of this payment?
    LookAtRefunds {
        asker: Asker,
        order_id: OrderId,
        payment_id: PaymentId,
    },
    Answer {
        asker: Asker,
        order_id: OrderId,
        command: order::Command,
    },
    /// Something happened to this payment.
    Webhook {
        order_id: OrderId,
        payment_id: PaymentId,
    },
    /// From a shopper or an operator, to one of the machines.
    Command {
        machine: usize,
        command: AnyCommand,
    },
}

/// What people ask for.
#[derive(Debug, Clone)]
pub enum AnyCommand {
    Cart(CartId, cart::Command),
    Order(OrderId, order::Command),
    Stock(Sku, inventory::Command),
}

/// How bad it gets, in percent.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    pub lost: usize,
    pub twice: usize,
    pub dying: usize,
    pub append_unanswered: usize,
}

impl Trouble {
    pub const NONE: Self = Self { lost: 0, twice: 0, dying: 0, append_unanswered: 0 };
}

pub struct World {
    pub random: Random,
    pub log: Log,
    /// The model clock, in seconds.
    pub now: u64,
    pub machines: Vec<Machine>,
    pub runners: Vec<Runner>,
    /// Events up to here need no more work: kept by the event store.
    pub checkpoint: usize,
    /// Until when each order waits for its money: kept beside the log, as a table is.
    pub deadlines: BTreeMap<OrderId, Deadline>,
    pub gateway: Gateway,
    pub shop: Shop,
    pub in_flight: Vec<Message>,
    /// Copies of what took effect, which come once more when all is over.
    pub late: Vec<Message>,
    pub trouble: Trouble,
    pub audit: Auditor,
    /// The longest jump of the clock, in seconds.
    pace: u64,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    pub is_told: bool,
    audited: usize,
}

pub const MACHINES: usize = 3;
pub const RUNNERS: usize = 2;

impl World {
    pub fn new(seed: u64, is_told: bool) -> Self {
        let mut random = Random::new(seed);
        let shop = Shop::open(&mut random);
        let worst = *random.pick(&[0, 5, 15, 30]);
        let mut chance = |worst: usize| random.between(0, worst);
        let trouble = Trouble {
            lost: chance(worst),
            twice: chance(worst),
            dying: chance(4),
            append_unanswered: chance(worst / 2),
        };
        let pace = *random.pick(&[60, 600, 5_000]);
        let gateway = Gateway { repeats_first_answer: random.percent(50), ..Gateway::default() };
        let mut world = Self {
            random,
            log: Log::default(),
            now: 1_000_000,
            machines: (0..MACHINES).map(|_| Machine::default()).collect(),
            runners: (0..RUNNERS).map(Runner::new).collect(),
            checkpoint: 0,
            deadlines: BTreeMap::new(),
            gateway,
            shop,
            in_flight: Vec::new(),
            late: Vec::new(),
            trouble,
            audit: Auditor::default(),
            pace,
            counts: BTreeMap::new(),
            is_told,
            audited: 0,
        };
        world.stock_up();
        world
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>6} {:>9}s  {}", self.log.entries.len(), self.now, what());
        }
    }

    /// One thing happens somewhere.
    pub fn step(&mut self) {
        match self.random.below(100) {
            0..46 => self.deliver_one(),
            46..76 => self.run(),
            76..93 => self.shop_step(),
            93..97 => self.gateway_moves(),
            97 => self.clock_jumps(),
            _ => self.fate(),
        }
    }

    fn run(&mut self) {
        let runner = self.random.below(RUNNERS);
        if self.runners[runner].is_alive {
            self.run_step(runner);
        } else if self.random.percent(25) {
            self.start_runner(runner);
        }
    }

    /// A machine dies at any moment, and with it what its runner was about.
    fn fate(&mut self) {
        if self.random.percent(self.trouble.dying * 10) {
            let runner = self.random.below(RUNNERS);
            self.kill_runner(runner);
        }
    }

    fn clock_jumps(&mut self) {
        let seconds = *self.random.pick(&[1, 5, 20, 60, 300, self.pace]);
        let back = self.random.percent(10);
        self.now = if back { self.now - seconds.min(300) } else { self.now + seconds };
    }

    fn gateway_moves(&mut self) {
        let payments: Vec<PaymentId> = self.gateway.intents.keys().copied().collect();
        if payments.is_empty() {
            return;
        }
        let payment_id = *self.random.pick(&payments);
        let moved = match self.random.below(100) {
            0..70 => self.gateway.decide(payment_id),
            70..82 => self.gateway.let_go(payment_id),
            82..91 => self.comes_again(payment_id),
            _ => {
                let captured = self.gateway.intents[&payment_id].captured();
                let amount = if captured > 0 { self.random.amount(1, captured) } else { 0 };
                self.people_give_back(payment_id, amount)
            }
        };
        if moved {
            self.count("webhook");
            self.tell(|| format!("the gateway decides on {payment_id}"));
            let order_id = self.shop.order_of(payment_id);
            self.send(Message::Webhook { order_id, payment_id });
        }
    }

    /// At the gateway itself. Gives whether anything changed.
    pub fn people_give_back(&mut self, payment_id: PaymentId, amount: i64) -> bool {
        // No id of ours.
        let refund_id = RefundId(uuid::Uuid::from_u128(payment_id.0.as_u128() + (1 << 100)));
        amount > 0 && self.gateway.meddle(payment_id, refund_id, amount)
    }

    /// Money comes again days after it went back, when everybody has long known that it did. Gives whether anything
    /// changed.
    pub fn comes_again(&mut self, payment_id: PaymentId) -> bool {
        let order_id = self.shop.order_of(payment_id);
        let Order::Placed(order) = self.order_now(0, order_id) else { return false };
        let of_this = |refund: &&order::Refund| {
            refund.payment_id == Some(payment_id) && refund.phase == RefundPhase::Done
        };
        let refund_id = order.refunds.iter().find(of_this).map(|refund| refund.refund_id);
        refund_id.is_some_and(|refund_id| self.gateway.come_again(payment_id, refund_id))
    }

    /// Puts it on its way; it may be lost, or go twice.
    pub fn send(&mut self, message: Message) {
        if self.random.percent(self.trouble.lost) {
            self.count("lost");
            return;
        }
        if self.random.percent(self.trouble.twice) {
            self.count("twice");
            self.in_flight.push(message.clone());
        }
        self.in_flight.push(message);
    }

    pub fn deliver_one(&mut self) {
        if !self.in_flight.is_empty() {
            let which = self.random.below(self.in_flight.len());
            let message = self.in_flight.swap_remove(which);
            self.arrive(message);
        }
    }

    pub fn execute_cart(
        &mut self,
        machine: usize,
        id: CartId,
        command: &cart::Command,
    ) -> Executed<cart::Rejection> {
        let lost = self.random.percent(self.trouble.append_unanswered);
        let carts = &mut self.machines[machine].carts;
        let done = carts.execute((&mut self.log, self.now), &Stream::Cart(id), command, lost);
        self.see(done)
    }

    pub fn execute_order(
        &mut self,
        machine: usize,
        id: OrderId,
        command: &order::Command,
    ) -> Executed<order::Rejection> {
        let lost = self.random.percent(self.trouble.append_unanswered);
        let orders = &mut self.machines[machine].orders;
        let done = orders.execute((&mut self.log, self.now), &Stream::Order(id), command, lost);
        self.see(done)
    }

    pub fn execute_stock(
        &mut self,
        machine: usize,
        sku: &Sku,
        command: &inventory::Command,
    ) -> Executed<inventory::Rejection> {
        let lost = self.random.percent(self.trouble.append_unanswered);
        let stock = &mut self.machines[machine].stock;
        let done = stock.execute((&mut self.log, self.now), &Stream::Stock(sku.clone()), command, lost);
        self.see(done)
    }

    /// The auditor sees every event, one after the other.
    fn see<R>(&mut self, done: Result<Done, R>) -> Executed<R> {
        while let Some(entry) = self.log.entries.get(self.audited) {
            if self.is_told {
                println!("{:>6} {:>9}s  {:?} {:?}", self.audited, entry.at, entry.stream, entry.event);
            }
            self.audit.sees(entry, &self.gateway);
            if let Some(what) = self.audit.happening(entry) {
                *self.counts.entry(what).or_default() += 1;
            }
            self.shop.sees(entry, &mut self.deadlines);
            *self.counts.entry(crate::audit::name_of(&entry.event)).or_default() += 1;
            self.audited += 1;
        }
        let done = done?;
        *self.counts.entry("conflict").or_default() += done.conflicts;
        if done.was_unanswered {
            self.count("append without an answer");
        }
        Ok(done.events)
    }

    /// An order as it is.
    pub fn order_now(&mut self, machine: usize, id: OrderId) -> &Order {
        self.machines[machine].orders.look(&self.log, &Stream::Order(id), usize::MAX)
    }

    /// An order as a machine remembers it: perhaps an old state.
    pub fn order_on(&mut self, machine: usize, id: OrderId) -> &Order {
        self.machines[machine].orders.look(&self.log, &Stream::Order(id), 0)
    }
}

/// How many events a command made, or why not.
pub type Executed<R> = Result<usize, R>;

pub fn pounds(amount: i64) -> Money {
    crate::samples::gbp(amount)
}
