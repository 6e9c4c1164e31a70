//! What happens when a message arrives: stock decides, the gateway books, an order hears the answer.

use crate::gateway::Card;
use crate::world::{AnyCommand, Asker, Message, RUNNERS, World};
use domain::fulfilment::{PaymentRequest, StockRequest};
use domain::inventory::Share;
use domain::order::ReservationAnswer;
use domain::{OrderId, PaymentId, PaymentToken, Reason, Reference, Sku};
use domain::{cart, inventory, order};

/// What unpaid orders of anybody may hold of a SKU.
pub const UNPAID_SHARE: Share = Share::of_percent(30);

impl World {
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
            Message::LookAtRefunds { asker, order_id, payment_id } => {
                for command in self.gateway.tells(payment_id) {
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
                    self.send(Message::LookAtRefunds { asker, order_id, payment_id });
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
            StockRequest::ReserveUnpaid(quantity) => {
                inventory::Command::ReserveUnpaid { order_id, quantity, share: UNPAID_SHARE }
            }
            StockRequest::Commit => inventory::Command::Commit { order_id },
            StockRequest::Ship => inventory::Command::Ship { order_id },
            StockRequest::Part { shipped, released } => {
                inventory::Command::Part { order_id, shipped, released }
            }
            StockRequest::Release => inventory::Command::Release { order_id },
        };
        let (skus, whose) = (vec![sku.clone()], sku.clone());
        let answered = self.execute_stock(asker.runner, &sku, &command);
        let command = match (request, answered) {
            (StockRequest::Reserve(_) | StockRequest::ReserveUnpaid(_), Ok(_)) => {
                order::Command::RecordReservations { answers: vec![(sku, ReservationAnswer::Held)] }
            }
            (StockRequest::ReserveUnpaid(_), Err(inventory::Rejection::BeyondShare { .. })) => {
                self.count("held at payment");
                order::Command::RecordReservations { answers: vec![(sku, ReservationAnswer::AtPayment)] }
            }
            (StockRequest::Reserve(quantity) | StockRequest::ReserveUnpaid(quantity), Err(rejection)) => {
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
            (StockRequest::Part { shipped, released }, Ok(_)) => {
                order::Command::RecordStockParted { parts: vec![(whose, shipped, released)] }
            }
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
            PaymentRequest::Authorize { amount, token, return_url: _ } => {
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
}

/// A token says which card it stands for.
pub fn token_of(card: usize) -> PaymentToken {
    PaymentToken::new(&format!("tok_{card}")).expect("it is a token")
}

fn card_of(token: &PaymentToken) -> Card {
    let number = token.as_str().strip_prefix("tok_").and_then(|number| number.parse::<usize>().ok());
    Card::ALL[number.expect("the tokens are ours")]
}
