//! One order: send stock what it owes until it owes stock nothing. What it owes to the payment gateway is left to the
//! runner: a gateway may be slow, and stock must not wait for it.

use super::stock_turns::StockTurns;
use chrono::{DateTime, SubsecRound, Utc};
use domain::cart::Cart;
use domain::fulfilment::order_id_of;
use domain::fulfilment::{Owed, PaymentRequest, StockRequest, order_of, owed, undecided};
use domain::inventory::Share;
use domain::order::{self, Order, ReservationAnswer, Status};
use domain::{Aggregate, CartId, IntentId, OrderId, PaymentId, Sku, inventory};
use executor::{Envelope, ExecuteError, Executor, Unreadable, ViewError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;

/// The process's name in the metadata of what it does.
pub const ACTOR: &str = "order-fulfilment";
/// How long a cart that is checked out waits for the request that did so to place the order, where that may be another
/// process.
const PLACED_BY_REQUEST_WITHIN: Duration = Duration::from_millis(100);
/// Rounds without any progress after which something is wrong that another round will not mend.
const MAX_FRUITLESS_ROUNDS: usize = 5;

/// The event that set the work off.
#[derive(Debug, Clone)]
pub struct Trigger {
    pub event_id: Uuid,
    pub occurred_at: DateTime<Utc>,
    /// Who asked for what happened then.
    pub actor: String,
}

impl Trigger {
    /// For what follows from no event, but from time or from the gateway.
    pub fn of_order(order_id: OrderId) -> Self {
        Self { event_id: order_id.0, occurred_at: Utc::now().trunc_subsecs(6), actor: ACTOR.to_owned() }
    }
}

/// How an order stands that owes stock nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it waits for its money.
    pub is_pending: bool,
    /// As [`is_unpaid`] has it.
    pub is_unpaid: bool,
    /// What it owes to the payment gateway.
    pub payments: Vec<(PaymentId, PaymentRequest)>,
    /// Payments on which the gateway has not decided.
    pub undecided: Vec<(PaymentId, IntentId)>,
    /// Whether something is due even if all of them come in.
    pub is_short: bool,
    /// The stock that it owes something to and whose stream cannot be read: it waits for that.
    pub blocked: Option<Blocked>,
}

/// A stream that keeps an order from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    pub stream: String,
    pub why: String,
}

impl Standing {
    /// The payments on which the gateway has work, ours or its own, and for which the order waits: those that leave
    /// something due keep nobody's goods.
    pub fn under_way(&self) -> Vec<PaymentId> {
        if self.is_short {
            return vec![];
        }
        let owed = self.payments.iter().map(|(payment_id, _)| *payment_id);
        owed.chain(self.undecided.iter().map(|(payment_id, _)| *payment_id)).collect()
    }
}

/// Why an order could not be settled.
#[derive(Debug, Error)]
pub enum SettleError {
    /// Something is away for now.
    #[error("the event store or a stream could not be used: {0}")]
    ForNow(String),
    /// Another try will not help.
    #[error("order {order_id} cannot be settled: {why}")]
    ForGood { order_id: OrderId, why: String },
    /// A stream that it needs cannot be read: it helps when the operator has passed over the event there.
    #[error("order {order_id} waits for a stream that cannot be read")]
    Unreadable {
        order_id: OrderId,
        #[source]
        at: Arc<Unreadable>,
    },
}

impl SettleError {
    /// What keeps the order from going on.
    pub fn blocked(&self, order_id: OrderId) -> Blocked {
        match self {
            Self::Unreadable { at, .. } => Blocked::by(at),
            error => Blocked { stream: format!("{}-{order_id}", Order::CATEGORY), why: error.to_string() },
        }
    }
}

impl Blocked {
    fn by(at: &Unreadable) -> Self {
        let described = at.describe();
        Self { stream: described.stream, why: described.why }
    }
}

/// Places the order of a cart that was checked out by the event of this revision, if that was not done yet.
pub async fn place_order(
    executor: &Executor,
    (cart_id, revision): (CartId, u64),
    trigger: &Trigger,
) -> Result<(), SettleError> {
    let order_id = order_id_of(cart_id);
    if is_placed_by_request(executor, order_id).await? {
        return Ok(());
    }
    let placed = executor.carts.view_at_least(cart_id, revision, move |cart| match cart {
        Cart::CheckedOut(cart) => Some(order_of(cart_id, cart)),
        Cart::Unopened | Cart::Open(_) | Cart::Abandoned => None,
    });
    let Some(placed) = placed.await.map_err(|error| of_view(order_id, &error))? else { return Ok(()) };
    // On behalf of whoever checked out: the request that did so is about to place the order too.
    let envelope = Envelope { actor: trigger.actor.clone(), ..envelope(order_id, "place", trigger) };
    match executor.orders.execute(order_id, order::Command::Place(placed), envelope).await {
        Ok(_) => Ok(()),
        Err(error) => Err(of_command(order_id, &error)),
    }
}

/// Waits a moment for the request that checked out to place the order in another process: two that place it at once cost a
/// conflict, and each conflict is paid for by all appends of the process.
async fn is_placed_by_request(executor: &Executor, order_id: OrderId) -> Result<bool, SettleError> {
    if !executor.orders.has_begun_within(order_id, PLACED_BY_REQUEST_WITHIN).await {
        return Ok(false);
    }
    let is_placed = executor.orders.view(order_id, |order| matches!(order, Order::Placed(_))).await;
    is_placed.map_err(|error| of_view(order_id, &error))
}

/// The time is over in which the order's money had to come.
pub async fn expire(
    executor: &Executor,
    order_id: OrderId,
    even_while_paying: bool,
) -> Result<(), SettleError> {
    let envelope = envelope(order_id, "expire", &Trigger::of_order(order_id));
    let command = order::Command::Expire { even_while_paying };
    let expired = executor.orders.execute(order_id, command, envelope).await;
    expired.map(|_| ()).map_err(|error| of_command(order_id, &error))
}

/// Sends stock what the order owes since the event of this revision and records the answers, until it owes stock nothing,
/// or nothing but what stock's own unreadable streams keep it from. Gives how the order stands then.
pub async fn settle(
    executor: &Executor,
    (order_id, revision): (OrderId, u64),
    unpaid_share: Share,
    turns: &StockTurns,
    trigger: &Trigger,
) -> Result<Standing, SettleError> {
    let mut before = Vec::new();
    let mut fruitless = 0;
    let mut unreadable: HashMap<Sku, Arc<Unreadable>> = HashMap::new();
    loop {
        let (owed, mut standing) = executor
            .orders
            .view_at_least(order_id, revision, look)
            .await
            .map_err(|error| of_view(order_id, &error))?;
        let (waiting, now): (Vec<_>, Vec<_>) =
            owed.into_iter().partition(|(sku, _)| unreadable.contains_key(sku));
        if now.is_empty() {
            let first = waiting.first().and_then(|(sku, _)| unreadable.get(sku));
            standing.blocked = first.map(|at| Blocked::by(at));
            return Ok(standing);
        }
        fruitless = if now == before { fruitless + 1 } else { 0 };
        if fruitless == MAX_FRUITLESS_ROUNDS {
            let why = format!("stock does not do what the order owes: {now:?}");
            return Err(SettleError::ForGood { order_id, why });
        }
        let asked = now.iter().map(|(sku, request)| {
            let command = command_of(order_id, *request, unpaid_share);
            ask(executor, order_id, sku, (*request, command), trigger)
        });
        let mut answers = Answers::default();
        let mut failure = None;
        for (answer, (sku, _)) in turns.ask(asked.collect()).await.into_iter().zip(&now) {
            match answer {
                Ok(answer) => answers.add(answer),
                Err(SettleError::Unreadable { at, .. }) => drop(unreadable.insert(sku.clone(), at)),
                Err(error) => failure = Some(error),
            }
        }
        // What was answered is recorded also when others were not.
        answers.record(executor, order_id, trigger).await?;
        if let Some(error) = failure {
            return Err(error);
        }
        before = now;
    }
}

/// What the order owes to stock, and how it stands otherwise.
fn look(order: &Order) -> (Vec<(Sku, StockRequest)>, Standing) {
    let mut stock = Vec::new();
    let mut payments = Vec::new();
    for owed in owed(order) {
        match owed {
            Owed::Stock { sku, request } => stock.push((sku, request)),
            Owed::Payment { payment_id, request } => payments.push((payment_id, request)),
        }
    }
    let is_pending = matches!(order, Order::Placed(order) if order.status == Status::Pending);
    let is_short = matches!(order, Order::Placed(order) if order.due_amount() > 0);
    let (undecided, is_unpaid) = (undecided(order), is_unpaid(order));
    (stock, Standing { is_pending, is_unpaid, payments, undecided, is_short, blocked: None })
}

/// Whether an order counts as unpaid for those who placed it. One that was called off while the gateway has a payment of it
/// does: each such payment costs work until it is decided.
pub fn is_unpaid(order: &Order) -> bool {
    let Order::Placed(placed) = order else { return false };
    let is_at_gateway = || {
        let is_payment = |owed: &Owed| matches!(owed, Owed::Payment { .. });
        owed(order).iter().any(is_payment) || !undecided(order).is_empty()
    };
    match placed.status {
        Status::Pending => true,
        Status::Cancelled(_) => is_at_gateway(),
        _ => false,
    }
}

/// A SKU's stock, and what it answered. A refusal of anything but a reservation is no answer: the order has moved
/// on meanwhile, and the next look at what it owes says how.
enum Answer {
    Reservation(Sku, ReservationAnswer),
    Committed(Sku),
    Shipped(Sku),
    /// Units that left, and units that are back.
    Parted(Sku, u32, u32),
    Released(Sku),
    None,
}

/// What is asked of stock, and what that step is called.
fn command_of(order_id: OrderId, request: StockRequest, share: Share) -> (&'static str, inventory::Command) {
    use inventory::Command;
    match request {
        StockRequest::Reserve(quantity) => ("reserve", Command::Reserve { order_id, quantity }),
        StockRequest::ReserveUnpaid(quantity) => {
            ("reserve unpaid", Command::ReserveUnpaid { order_id, quantity, share })
        }
        StockRequest::Commit => ("commit", Command::Commit { order_id }),
        StockRequest::Ship => ("ship", Command::Ship { order_id }),
        StockRequest::Part { shipped, released } => ("part", Command::Part { order_id, shipped, released }),
        StockRequest::Release => ("release", Command::Release { order_id }),
    }
}

/// Why stock holds nothing.
fn refusal(rejection: &inventory::Rejection) -> ReservationAnswer {
    match rejection {
        inventory::Rejection::OutOfStock { available, .. } => {
            ReservationAnswer::Refused { available: *available }
        }
        inventory::Rejection::BeyondShare { .. } => ReservationAnswer::AtPayment,
        _ => ReservationAnswer::Refused { available: 0 },
    }
}

async fn ask(
    executor: &Executor,
    order_id: OrderId,
    sku: &Sku,
    (request, (name, command)): (StockRequest, (&'static str, inventory::Command)),
    trigger: &Trigger,
) -> Result<Answer, SettleError> {
    let sku = sku.clone();
    let envelope = envelope(order_id, name, trigger);
    match (request, executor.stock.execute(&sku, command, envelope).await) {
        (StockRequest::Reserve(_) | StockRequest::ReserveUnpaid(_), Ok(_)) => {
            Ok(Answer::Reservation(sku, ReservationAnswer::Held))
        }
        (StockRequest::Commit, Ok(_)) => Ok(Answer::Committed(sku)),
        (StockRequest::Ship, Ok(_)) => Ok(Answer::Shipped(sku)),
        (StockRequest::Part { shipped, released }, Ok(_)) => Ok(Answer::Parted(sku, shipped, released)),
        (StockRequest::Release, Ok(_)) => Ok(Answer::Released(sku)),
        (
            StockRequest::Reserve(_) | StockRequest::ReserveUnpaid(_),
            Err(ExecuteError::Rejected(rejection)),
        ) => Ok(Answer::Reservation(sku, refusal(&rejection))),
        (_, Err(ExecuteError::Rejected(rejection))) => {
            tracing::warn!(%order_id, %sku, request = name, %rejection, "stock refused what an order owes");
            Ok(Answer::None)
        }
        (_, Err(error)) => Err(of_command(order_id, &error)),
    }
}

#[derive(Default)]
struct Answers {
    reservations: Vec<(Sku, ReservationAnswer)>,
    committed: Vec<Sku>,
    shipped: Vec<Sku>,
    parted: Vec<(Sku, u32, u32)>,
    released: Vec<Sku>,
}

impl Answers {
    fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Reservation(sku, answer) => self.reservations.push((sku, answer)),
            Answer::Committed(sku) => self.committed.push(sku),
            Answer::Shipped(sku) => self.shipped.push(sku),
            Answer::Parted(sku, shipped, released) => self.parted.push((sku, shipped, released)),
            Answer::Released(sku) => self.released.push(sku),
            Answer::None => {}
        }
    }

    async fn record(
        self,
        executor: &Executor,
        order_id: OrderId,
        trigger: &Trigger,
    ) -> Result<(), SettleError> {
        let commands = [
            (!self.reservations.is_empty())
                .then_some(order::Command::RecordReservations { answers: self.reservations }),
            (!self.committed.is_empty()).then_some(order::Command::RecordCommitted { skus: self.committed }),
            (!self.shipped.is_empty()).then_some(order::Command::RecordStockShipped { skus: self.shipped }),
            (!self.parted.is_empty()).then_some(order::Command::RecordStockParted { parts: self.parted }),
            (!self.released.is_empty()).then_some(order::Command::RecordReleased { skus: self.released }),
        ];
        for command in commands.into_iter().flatten() {
            let envelope = envelope(order_id, "record", trigger);
            let recorded = executor.orders.execute(order_id, command, envelope).await;
            recorded.map_err(|error| of_command(order_id, &error))?;
        }
        Ok(())
    }
}

/// What follows from an event happened, in business terms, when the event did.
pub fn envelope(order_id: OrderId, step: &str, trigger: &Trigger) -> Envelope {
    Envelope {
        command_id: Uuid::new_v5(&trigger.event_id, step.as_bytes()),
        correlation_id: order_id.0,
        causation_id: trigger.event_id,
        actor: ACTOR.to_owned(),
        occurred_at: trigger.occurred_at,
        fingerprint: executor::Fingerprint::none(),
    }
}

fn of_view(order_id: OrderId, error: &ViewError) -> SettleError {
    of_command::<std::convert::Infallible>(order_id, error)
}

pub fn of_command<R: std::error::Error + 'static>(order_id: OrderId, error: &ExecuteError<R>) -> SettleError {
    match error {
        ExecuteError::Contended { .. } => SettleError::ForNow(error.to_string()),
        ExecuteError::Store(error) => SettleError::ForNow(error.to_string()),
        ExecuteError::Rejected(_)
        | ExecuteError::KeyReused
        | ExecuteError::NotedTooOften { .. }
        | ExecuteError::TooLarge => SettleError::ForGood { order_id, why: error.to_string() },
        ExecuteError::Unreadable(at) => SettleError::Unreadable { order_id, at: Arc::clone(at) },
    }
}
