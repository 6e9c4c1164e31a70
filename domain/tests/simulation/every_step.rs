//! Every step of a purchase fails once: for each message of the process, the runner dies before it takes effect,
//! and after it took effect but before its answer is recorded; and each comes twice, and late. Another runner takes
//! over from the checkpoint, and the end is the same.

use crate::audit::Stage;
use crate::delivery::token_of;
use crate::gateway::Card;
use crate::samples::*;
use crate::world::{AnyCommand, Message, Trouble, World, pounds};
use domain::cart::{self, NewLine, PricedLine};
use domain::inventory;
use domain::order::{Command, ShippedLine};
use rstest::rstest;

/// What goes wrong with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    DiesBefore,
    DiesAfter,
    Twice,
    Late,
}

/// What people, the bank or the clock do, one after the other; the process does its part after each.
#[derive(Debug, Clone)]
enum Act {
    Asks(Command),
    Pays { number: u128, amount: i64, card: Card },
    BankDecides(u128),
    PeopleGiveBack { number: u128, amount: i64 },
    ComesAgain(u128),
    TimePasses,
}

struct Play {
    world: World,
    runner: usize,
    /// Messages that were delivered.
    delivered: usize,
    failure: Option<(usize, Failure)>,
    late: Option<Message>,
}

/// Where an order stands, the money that it keeps, free units of its SKUs, and what the gateway keeps of each payment.
type End = (Stage, i64, Vec<i64>, Vec<i64>);

const ORDER: u128 = 1;

impl Play {
    fn new(bowls: u32, failure: Option<(usize, Failure)>) -> Self {
        let mut world = World::new(0, false);
        world.trouble = Trouble::NONE;
        world.in_flight.clear();
        let mut play = Self { world, runner: 0, delivered: 0, failure, late: None };
        for (number, what, quantity) in [(1, "MUG", 5), (2, "BOWL", bowls)] {
            let (receipt_id, quantity) = (receipt_id(number), units(quantity));
            play.ask(AnyCommand::Stock(sku(what), inventory::Command::Receive { receipt_id, quantity }));
        }
        play
    }

    fn ask(&mut self, command: AnyCommand) {
        self.world.arrive(Message::Command { machine: 2, command });
    }

    /// Two mugs at 10 of one merchant, three bowls at 5 of another: 35.
    fn check_out(&mut self) {
        let line = |number, what, quantity, price| NewLine {
            line_id: line_id(number),
            sku: sku(what),
            quantity: units(quantity),
            unit_price: pounds(price),
            agreed: false,
        };
        let price = |number, who, price| PricedLine {
            line_id: line_id(number),
            merchant_id: merchant(who),
            name: name("Thing"),
            unit_price: pounds(price),
        };
        let commands = [
            cart::Command::Open { currency: currency("GBP"), customer_id: None },
            cart::Command::PutLines { lines: vec![line(1, "MUG", 2, 10), line(2, "BOWL", 3, 5)] },
            cart::Command::CheckOut {
                order_id: order_id(ORDER),
                country: country("GB"),
                expected_total: pounds(35),
                prices: vec![price(1, "pottery", 10), price(2, "forge", 5)],
                hold_seconds: Some(900),
                anonymous: true,
            },
        ];
        for command in commands {
            self.ask(AnyCommand::Cart(cart_id(ORDER), command));
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Asks(command) => self.ask(AnyCommand::Order(order_id(ORDER), command.clone())),
            Act::Pays { number, amount, card } => {
                self.world.shop.knows(payment_id(*number), order_id(ORDER));
                let which = Card::ALL.iter().position(|known| known == card).expect("it is one of all");
                let command = Command::RequestPayment {
                    payment_id: payment_id(*number),
                    amount: pounds(*amount),
                    token: token_of(which),
                    return_url: None,
                    hold_seconds: None,
                    in_part: true,
                };
                self.ask(AnyCommand::Order(order_id(ORDER), command));
            }
            Act::BankDecides(number) => assert!(self.world.gateway.decide(payment_id(*number))),
            Act::PeopleGiveBack { number, amount } => {
                assert!(self.world.people_give_back(payment_id(*number), *amount));
            }
            Act::ComesAgain(number) => assert!(self.world.comes_again(payment_id(*number))),
            Act::TimePasses => self.world.now += 10_000,
        }
    }

    /// The process does all that there is to do.
    fn settle(&mut self) {
        self.world.poll(self.runner);
        for _ in 0..1_000 {
            if self.world.in_flight.is_empty() {
                self.world.read_log(self.runner, usize::MAX);
                self.world.look_at_clock(self.runner);
                self.world.work_on_all(self.runner);
                self.world.keep_checkpoint(self.runner);
            }
            if self.world.in_flight.is_empty() {
                if !self.world.read_log(self.runner, usize::MAX) {
                    return;
                }
                continue;
            }
            let message = self.world.in_flight.remove(0);
            self.deliver(message);
        }
        panic!("somebody is stuck");
    }

    fn deliver(&mut self, message: Message) {
        let failure = self.failure.filter(|(at, _)| *at == self.delivered).map(|(_, failure)| failure);
        self.delivered += 1;
        match failure {
            None => self.world.arrive(message),
            Some(Failure::DiesBefore) => self.take_over(),
            Some(Failure::DiesAfter) => {
                self.world.arrive(message);
                self.take_over();
            }
            Some(Failure::Twice) => {
                self.world.arrive(message.clone());
                self.world.arrive(message);
            }
            Some(Failure::Late) => self.late = Some(message),
        }
    }

    fn take_over(&mut self) {
        self.world.kill_runner(self.runner);
        self.runner = 1;
        self.world.start_runner(self.runner);
        self.world.poll(self.runner);
    }

    fn end(mut self) -> (End, usize) {
        if let Some(message) = self.late.take() {
            let message = self.world.to_the_living(self.runner, message);
            self.world.arrive(message);
            self.settle();
        }
        self.world.audit.ends(&self.world.gateway);
        let (stage, kept, free) = self.world.audit.end_of(order_id(ORDER));
        let intents = self.world.gateway.intents.values();
        let books = intents.map(|intent| intent.captured() - intent.refunded()).collect();
        ((stage, kept, free, books), self.delivered)
    }
}

fn play(bowls: u32, acts: &[Act], failure: Option<(usize, Failure)>) -> (End, usize) {
    let mut play = Play::new(bowls, failure);
    play.check_out();
    play.settle();
    for act in acts {
        play.act(act);
        play.settle();
    }
    play.end()
}

fn pays(number: u128, amount: i64, card: Card) -> Act {
    Act::Pays { number, amount, card }
}

fn gift_card(number: u128, amount: i64) -> Act {
    let (payment_id, method, reference) = (payment_id(number), method("voucher"), reference("gift card"));
    Act::Asks(Command::RecordPayment { payment_id, amount: pounds(amount), method, reference })
}

fn gives_by_hand(amount: i64) -> Act {
    let (refund_id, amount, reference) = (refund_id(70), pounds(amount), reference("by hand"));
    Act::Asks(Command::RecordRefund { refund_id, payment_id: None, amount, reference })
}

fn gives_back(amount: i64) -> Act {
    Act::Asks(Command::RequestRefund { refund_id: refund_id(60), amount: pounds(amount) })
}

fn sends(number: u128, who: &str) -> Act {
    let (shipment_id, merchant_id) = (shipment_id(number), merchant(who));
    Act::Asks(Command::SendShipment { shipment_id, merchant_id, lines: None, tracking: None })
}

/// One unit of a line, which leaves the others behind.
fn sends_one(number: u128, who: &str, line: u128) -> Act {
    let (shipment_id, merchant_id) = (shipment_id(number), merchant(who));
    let lines = Some(vec![ShippedLine { line_id: line_id(line), quantity: units(1) }]);
    Act::Asks(Command::SendShipment { shipment_id, merchant_id, lines, tracking: None })
}

fn gives_up(who: Option<&str>) -> Act {
    let (refund_id, merchant_id, reason) = (refund_id(61), who.map(merchant), reason("burnt"));
    Act::Asks(Command::CancelRest { refund_id, merchant_id, refund: None, reason })
}

fn arrives(number: u128) -> Act {
    Act::Asks(Command::DeliverShipment { shipment_id: shipment_id(number) })
}

fn cancels() -> Act {
    Act::Asks(Command::Cancel { reason: reason("changed my mind") })
}

const SLOW: Card = Card::Slow { is_good: true, can_cancel: true };

#[rstest]
#[case::of_a_purchase_with_one_card(
    9, &[pays(51, 35, Card::Good)], (Stage::Processing, 35, vec![6, 3], vec![35]),
)]
#[case::of_a_purchase_that_arrives(
    9, &[pays(51, 35, Card::Good), sends(1, "forge"), sends(2, "pottery"), arrives(2), arrives(1)],
    (Stage::Delivered, 35, vec![6, 3], vec![35]),
)]
#[case::of_a_purchase_that_is_sent_bit_by_bit(
    9, &[pays(51, 35, Card::Good), sends_one(1, "forge", 2), sends_one(2, "forge", 2)],
    (Stage::Processing, 35, vec![6, 3], vec![35]),
)]
#[case::of_a_purchase_of_which_a_merchant_cannot_deliver(
    9, &[pays(51, 35, Card::Good), sends(1, "pottery"), gives_up(Some("forge")), arrives(1)],
    (Stage::Delivered, 20, vec![9, 3], vec![20]),
)]
#[case::of_a_purchase_of_which_the_rest_burnt(
    9, &[gift_card(51, 10), pays(52, 25, Card::Good), sends_one(1, "forge", 2), gives_up(None), gives_by_hand(5)],
    (Stage::Shipped, 5, vec![8, 5], vec![0]),
)]
#[case::of_a_cancellation_after_a_merchant_gave_up(
    9, &[pays(51, 35, Card::Good), gives_up(Some("forge")), cancels()],
    (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_a_purchase_with_a_gift_card_and_a_card(
    9, &[gift_card(51, 5), pays(52, 30, Card::Good)], (Stage::Processing, 35, vec![6, 3], vec![30]),
)]
#[case::of_a_purchase_with_two_cards(
    9, &[pays(51, 20, Card::Good), pays(52, 15, Card::Good)],
    (Stage::Processing, 35, vec![6, 3], vec![20, 15]),
)]
#[case::of_a_purchase_with_a_slow_card(
    9, &[pays(51, 35, SLOW), Act::BankDecides(51)], (Stage::Processing, 35, vec![6, 3], vec![35]),
)]
#[case::of_a_purchase_with_a_second_card_after_a_declined_one(
    9, &[pays(51, 35, Card::Declined), pays(52, 35, Card::Good)],
    (Stage::Processing, 35, vec![6, 3], vec![0, 35]),
)]
#[case::of_an_order_that_is_never_paid(
    9, &[pays(51, 35, Card::Declined), Act::TimePasses], (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_an_order_that_is_paid_in_part(
    9, &[pays(51, 20, Card::Good), Act::TimePasses], (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_an_order_whose_card_is_never_decided(
    9, &[pays(51, 35, Card::Forsaken), Act::TimePasses], (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_an_order_that_is_short_of_bowls(
    2, &[], (Stage::Cancelled, 0, vec![2, 5], vec![]),
)]
#[case::of_an_order_whose_second_card_cannot_be_charged(
    9, &[pays(51, 20, Card::Good), pays(52, 15, Card::CaptureFails), Act::TimePasses],
    (Stage::Cancelled, 0, vec![9, 5], vec![0, 0]),
)]
#[case::of_a_cancelled_order(
    9, &[gift_card(51, 5), pays(52, 30, Card::Good), cancels(), gives_by_hand(5)],
    (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_a_partial_refund_of_two_cards(
    9, &[pays(51, 20, Card::Good), pays(52, 15, Card::Good), gives_back(24)],
    (Stage::Processing, 11, vec![6, 3], vec![0, 11]),
)]
#[case::of_a_cancellation_after_a_partial_refund(
    9, &[pays(51, 35, Card::Good), gives_back(10), cancels()],
    (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_a_refund_that_the_gateway_refuses(
    9, &[pays(51, 35, Card::RefundFails), cancels(), gives_by_hand(35)],
    (Stage::Cancelled, 0, vec![9, 5], vec![35]),
)]
#[case::of_an_order_whose_money_people_gave_back_at_the_gateway(
    9, &[pays(51, 35, Card::Good), Act::PeopleGiveBack { number: 51, amount: 35 }],
    (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_a_cancellation_after_people_gave_a_part_back_at_the_gateway(
    9, &[pays(51, 35, Card::Good), Act::PeopleGiveBack { number: 51, amount: 15 }, cancels()],
    (Stage::Cancelled, 0, vec![9, 5], vec![0]),
)]
#[case::of_a_refund_that_comes_again(
    9, &[pays(51, 35, Card::RefundComesAgain), cancels(), Act::ComesAgain(51), Act::TimePasses, gives_by_hand(35)],
    (Stage::Cancelled, 0, vec![9, 5], vec![35]),
)]
fn every_step_fails_once(#[case] bowls: u32, #[case] acts: &[Act], #[case] expected: End) {
    let (end, messages) = play(bowls, acts, None);
    assert_eq!(end, expected);
    for at in 0..messages {
        for failure in [Failure::DiesBefore, Failure::DiesAfter, Failure::Twice, Failure::Late] {
            let (end, _) = play(bowls, acts, Some((at, failure)));
            assert_eq!(end, expected, "message {at} of {messages}: {failure:?}");
        }
    }
}
