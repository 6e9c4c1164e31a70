//! Everything at once: the log, the machines, the gateway, and what is on its way between them. A message may be
//! lost, come twice, late, or in any order, until the world heals.

use crate::audit::Auditor;
use crate::gateway::{Card, Gateway};
use crate::log::{Log, Stream};
use crate::machine::{Done, Machine};
use crate::random::Random;
use crate::runner::Runner;
use crate::shop::Shop;
use domain::fulfilment::{PaymentRequest, StockRequest};
use domain::order::{Order, ReservationAnswer};
use domain::{CartId, Money, OrderId, PaymentId, PaymentToken, Reason, Reference, Sku};
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
    pub deadlines: BTreeMap<OrderId, u64>,
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
        let moved = if self.random.percent(85) {
            self.gateway.decide(payment_id)
        } else {
            self.gateway.let_go(payment_id)
        };
        if moved {
            self.count("webhook");
            self.tell(|| format!("the gateway decides on {payment_id}"));
            let order_id = self.shop.order_of(payment_id);
            self.send(Message::Webhook { order_id, payment_id });
        }
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

    pub fn arrive(&mut self, message: Message) {
        let before = (self.log.entries.len(), self.gateway.moves);
        match message.clone() {
            Message::ToStock { asker, order_id, sku, request } => {
                self.ask_stock(asker, order_id, sku, request)
            }
            Message::ToGateway { asker, order_id, payment_id, request } => {
                self.ask_gateway(asker, order_id, payment_id, request);
            }
            Message::Retrieve { asker, order_id, payment_id } => {
                if let Some(answer) = self.gateway.retrieve(payment_id) {
                    let command = order::Command::RecordGatewayAnswer { payment_id, answer };
                    self.send(Message::Answer { asker, order_id, command });
                }
            }
            Message::Answer { asker, order_id, command } => {
                if self.runners[asker.runner].life == asker.life {
                    self.record(asker.runner, order_id, &command);
                } else {
                    self.count("answer to the dead");
                }
            }
            Message::Webhook { order_id, payment_id } => {
                let runner = self.random.below(RUNNERS);
                if self.runners[runner].is_alive {
                    let asker = self.asker(runner);
                    self.send(Message::Retrieve { asker, order_id, payment_id });
                }
            }
            Message::Command { machine, command } => self.ask_machine(machine, &command),
        }
        let has_moved = before != (self.log.entries.len(), self.gateway.moves);
        // What people asked for in vain would be news if it came again, and so would lines for an open cart.
        let is_news = match &message {
            Message::Command { command: AnyCommand::Cart(_, command), .. } => {
                !has_moved || !matches!(command, cart::Command::CheckOut { .. })
            }
            Message::Command { .. } => !has_moved,
            _ => false,
        };
        if !is_news && self.random.percent(20) {
            self.late.push(message);
        }
    }

    fn ask_stock(&mut self, asker: Asker, order_id: OrderId, sku: Sku, request: StockRequest) {
        let command = match request {
            StockRequest::Reserve(quantity) => inventory::Command::Reserve { order_id, quantity },
            StockRequest::Commit => inventory::Command::Commit { order_id },
            StockRequest::Ship => inventory::Command::Ship { order_id },
            StockRequest::Release => inventory::Command::Release { order_id },
        };
        let skus = vec![sku.clone()];
        let answered = self.execute_stock(asker.runner, &sku, &command);
        let command = match (request, answered) {
            (StockRequest::Reserve(_), Ok(_)) => {
                order::Command::RecordReservations { answers: vec![(sku, ReservationAnswer::Held)] }
            }
            (StockRequest::Reserve(quantity), Err(rejection)) => {
                let available = match rejection {
                    inventory::Rejection::OutOfStock { available, .. } => {
                        self.audit.refuses(&sku, order_id, u64::from(quantity.units()));
                        self.count("refused by stock");
                        available
                    }
                    _ => 0,
                };
                let answers = vec![(sku, ReservationAnswer::Refused { available })];
                order::Command::RecordReservations { answers }
            }
            (StockRequest::Commit, Ok(_)) => order::Command::RecordCommitted { skus },
            (StockRequest::Ship, Ok(_)) => order::Command::RecordStockShipped { skus },
            (StockRequest::Release, Ok(_)) => order::Command::RecordReleased { skus },
            // The order has moved on meanwhile, and what it owes next says how.
            (_, Err(_)) => return,
        };
        self.send(Message::Answer { asker, order_id, command });
    }

    fn ask_gateway(
        &mut self,
        asker: Asker,
        order_id: OrderId,
        payment_id: PaymentId,
        request: PaymentRequest,
    ) {
        self.tell(|| format!("the gateway hears of {payment_id}: {request:?}"));
        let answer = match request {
            PaymentRequest::Authorize { amount, token } => {
                self.gateway.authorize(payment_id, amount.amount(), card_of(&token))
            }
            PaymentRequest::Capture { intent, amount } => {
                self.audit.asks_for_money(order_id, payment_id);
                self.gateway.capture(payment_id, &intent, amount.amount())
            }
            PaymentRequest::Void { intent } => self.gateway.void(payment_id, &intent),
            PaymentRequest::Refund { intent, refund_id, amount } => {
                let went_back = self.gateway.refund(payment_id, &intent, refund_id, amount.amount());
                let command = if went_back {
                    let reference = Reference::new(&format!("re_{refund_id}")).expect("it is a reference");
                    order::Command::RecordRefund {
                        refund_id,
                        payment_id: Some(payment_id),
                        amount,
                        reference,
                    }
                } else {
                    let message = Reason::new("it cannot go back").expect("it is a reason");
                    order::Command::RecordRefundRefused { refund_id, payment_id, message }
                };
                self.send(Message::Answer { asker, order_id, command });
                return;
            }
        };
        let command = order::Command::RecordGatewayAnswer { payment_id, answer };
        self.send(Message::Answer { asker, order_id, command });
    }

    /// What the process records can never be refused: it is what happened.
    pub fn record(&mut self, machine: usize, order_id: OrderId, command: &order::Command) {
        if let Err(rejection) = self.execute_order(machine, order_id, command) {
            panic!("order {order_id} does not hear {command:?}: {rejection}");
        }
    }

    /// The rules may say no to people.
    fn ask_machine(&mut self, machine: usize, command: &AnyCommand) {
        let answer = match command {
            AnyCommand::Cart(cart_id, command) => {
                self.execute_cart(machine, *cart_id, command).map_err(|no| no.to_string())
            }
            AnyCommand::Order(order_id, command) => {
                self.execute_order(machine, *order_id, command).map_err(|no| no.to_string())
            }
            AnyCommand::Stock(sku, command) => {
                self.execute_stock(machine, sku, command).map_err(|no| no.to_string())
            }
        };
        if let Err(rejection) = answer {
            self.count("no to people");
            self.tell(|| format!("{command:?}: {rejection}"));
        }
    }

    fn execute_cart(
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

    fn execute_stock(
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

/// A token says which card it stands for.
pub fn token_of(card: usize) -> PaymentToken {
    PaymentToken::new(&format!("tok_{card}")).expect("it is a token")
}

fn card_of(token: &PaymentToken) -> Card {
    let number = token.as_str().strip_prefix("tok_").and_then(|number| number.parse::<usize>().ok());
    Card::ALL[number.expect("the tokens are ours")]
}

pub fn pounds(amount: i64) -> Money {
    crate::samples::gbp(amount)
}
