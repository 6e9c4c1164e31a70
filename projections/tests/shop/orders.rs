//! What becomes of the orders of a random shop.

use super::{Shop, gbp, pence};
use domain::order::{GatewayAnswer, Order, PlacedOrder, ReservationAnswer, ShippedLine, Tracking};
use domain::*;
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

impl Shop {
    /// Something for an order: a step of its fulfilment, money, or somebody's hand.
    pub(super) fn change_order(&mut self) {
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
            &order::Command::RequestPayment {
                payment_id,
                amount,
                token,
                return_url: None,
                hold_seconds,
                in_part: true,
            },
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
            fulfilment::StockRequest::ReserveUnpaid(quantity) => {
                let share = inventory::Share::of_percent(30);
                let command = inventory::Command::ReserveUnpaid { order_id, quantity, share };
                let state = self.stock[&sku].clone();
                let answer = match state.decide(&command) {
                    Ok(_) => ReservationAnswer::Held,
                    Err(inventory::Rejection::BeyondShare { .. }) => ReservationAnswer::AtPayment,
                    Err(_) => ReservationAnswer::Refused { available: state.available() },
                };
                self.inventory(&sku, &command);
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
}
