//! What has to hold of every state: how much there is, and that it adds up.

use crate::commands;
use crate::samples::{money, order_id};
use domain::cart::Cart;
use domain::fulfilment::{Owed, PaymentRequest, owed};
use domain::inventory::{Inventory, Parted, Phase};
use domain::order::PaymentPhase::{Authorized, Captured, Requested, Started};
use domain::order::{Order, PaymentPhase, Placed, PlacedOrder, Refund, RefundPhase, Status, StockPhase};
use domain::{Aggregate, Money, OrderId, Quantity, Sku, cart, inventory, order};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

pub fn counts(stock: &Inventory) -> Result<(), TestCaseError> {
    let came = i128::from(stock.received()) + i128::from(stock.adjusted());
    let is = i128::from(stock.available()) + i128::from(stock.reserved()) + i128::from(stock.shipped());
    prop_assert_eq!(came, is, "received + adjusted = available + reserved + shipped");
    let units = |wanted: fn(Phase) -> bool| -> u64 {
        commands::ORDERS
            .filter_map(|order| stock.reservation(order_id(order)))
            .filter(|reservation| wanted(reservation.phase))
            .map(|reservation| u64::from(reservation.units))
            .sum()
    };
    let parted = |wanted: fn(Phase) -> bool, of: fn(Parted) -> u32| -> u64 {
        let orders = commands::ORDERS.map(order_id);
        let wanted = |order: &OrderId| stock.reservation(*order).is_some_and(|it| wanted(it.phase));
        orders.filter(wanted).map(|order| u64::from(of(stock.parted(order)))).sum()
    };
    let is_held = |phase| matches!(phase, Phase::Reserved | Phase::Committed);
    let gone = parted(is_held, |parted| parted.shipped + parted.released);
    prop_assert_eq!(stock.reserved(), units(is_held) - gone);
    let is_shipped = |phase| phase == Phase::Shipped;
    let on_the_way = parted(|phase| phase == Phase::Committed, |parted| parted.shipped);
    let given_up = parted(is_shipped, |parted| parted.released);
    prop_assert_eq!(stock.shipped(), units(is_shipped) + on_the_way - given_up);
    prop_assert!(stock.held_unpaid() <= stock.held_for_unpaid(), "held unpaid and sold");
    Ok(())
}

/// However commands cross each other, no reservation takes unpaid orders beyond the share that it names, and the last
/// unit can always be reserved.
pub fn keeps_to_the_share(commands: &[inventory::Command]) -> Result<(), TestCaseError> {
    let mut stock = Inventory::default();
    for command in commands {
        let decided = stock.decide(command);
        let before = stock.held_unpaid();
        stock = decided.iter().flatten().fold(stock, Inventory::evolve);
        let inventory::Command::ReserveUnpaid { share, quantity, .. } = command else {
            prop_assert!(stock.held_unpaid() <= before, "{:?} holds units unpaid", command);
            continue;
        };
        let limit = share.of_units(stock.unsold());
        prop_assert!(stock.held_unpaid() == before || stock.held_unpaid() <= limit, "beyond the share");
        if let Err(inventory::Rejection::BeyondShare { held, asked, limit: said }) = decided {
            prop_assert_eq!((held, asked, said), (before, quantity.units(), limit));
            prop_assert!(before > 0 || asked > 1, "the last unit could not be reserved");
        }
    }
    Ok(())
}

pub fn adds_up(order: &Order) -> Result<(), TestCaseError> {
    let Order::Placed(order) = order else { return Ok(()) };
    let PlacedOrder { status, total, lines, shipping, stock, .. } = order.as_ref();
    let of_lines: i64 = lines.iter().map(|line| line.amount().map_or(0, |amount| amount.amount())).sum();
    prop_assert_eq!(total.amount(), of_lines + shipping.map_or(0, |charge| charge.amount()));
    // What people gave back at the gateway before the order was paid had to be paid once more.
    let is_meddled_with = is_meddled_with(order);
    prop_assert!(order.is_called_off() || is_meddled_with || order.paid_amount() <= total.amount());
    let all = |phases: &[StockPhase]| stock.values().all(|stock| phases.contains(&stock.phase));
    let is_covered = order.paid_amount() == total.amount();
    let covered = is_covered || (is_meddled_with && order.paid_amount() > total.amount());
    let fits = match status {
        Status::Pending => is_meddled_with || !(covered && order.is_held()),
        Status::Paid => covered && all(&[StockPhase::Held, StockPhase::Committed]),
        Status::Processing
        | Status::Shipped
        | Status::Delivered
        | Status::Refunded { after_shipping: true } => {
            let gone = if order.rests.is_empty() { StockPhase::Shipped } else { StockPhase::Released };
            covered && all(&[StockPhase::Committed, StockPhase::Shipped, gone])
        }
        Status::Cancelled(_) | Status::Refunded { after_shipping: false } => order.shipments.is_empty(),
    };
    prop_assert!(fits, "{} with {:?}", status.name(), stock);
    if matches!(status, Status::Refunded { after_shipping: true }) {
        let came_again = order.refunds.iter().any(|refund| refund.phase == RefundPhase::Failed);
        prop_assert!(came_again || order.refunded_amount() >= order.paid_amount());
    }
    if !order.is_called_off() && *status != Status::Pending {
        let open =
            |phase: &PaymentPhase| matches!(phase, Requested { .. } | Started { .. } | Authorized { .. });
        prop_assert!(!order.payments.iter().any(|payment| open(&payment.phase)), "paid twice");
    }
    sends_what_was_bought(order)?;
    owes_each_thing_once(order)?;
    gives_back_what_it_took(order)
}

fn sends_what_was_bought(order: &PlacedOrder) -> Result<(), TestCaseError> {
    for line in &order.lines {
        let parcels = order.shipments.iter().flat_map(|parcel| &parcel.lines);
        let of_line = parcels.filter(|sent| sent.line_id == line.line_id);
        let sent: u64 = of_line.map(|sent| u64::from(sent.quantity.units())).sum();
        let given_up = u64::from(order.given_up(line.line_id));
        prop_assert!(sent + given_up <= u64::from(line.quantity.units()), "sent twice");
    }
    for (sku, stock) in &order.stock {
        let (sent, given_up) = order.parts(sku);
        prop_assert!(sent + given_up <= stock.quantity.units(), "more units than were bought");
        prop_assert!(stock.shipped <= sent && stock.released <= given_up, "{sku} left unasked");
    }
    Ok(())
}

/// What the process asks of the gateway, it asks once, and never for more than there is.
fn owes_each_thing_once(order: &PlacedOrder) -> Result<(), TestCaseError> {
    let (mut asked, mut to_take) = (BTreeSet::new(), 0);
    for owed in owed(&Order::Placed(Box::new(order.clone()))) {
        let key = match &owed {
            Owed::Stock { sku, .. } => sku.to_string(),
            Owed::Payment { payment_id, request: PaymentRequest::Refund { refund_id, .. } } => {
                format!("{payment_id} {refund_id}")
            }
            Owed::Payment { payment_id, .. } => payment_id.to_string(),
        };
        prop_assert!(asked.insert(key), "twice: {:?}", owed);
        if let Owed::Payment { request: PaymentRequest::Capture { amount, .. }, .. } = owed {
            prop_assert!(order.status == Status::Pending && order.is_held(), "taken too early");
            to_take += amount.amount();
        }
    }
    let ours = order.paid_amount() - order.refunded_amount();
    prop_assert!(to_take == 0 || ours + to_take == order.total.amount(), "taken in part");
    Ok(())
}

/// Whether people gave some of its money back at the gateway.
fn is_meddled_with(order: &PlacedOrder) -> bool {
    order.refunds.iter().any(|refund| refund.refund_id.0.as_u128() >= commands::FOUND)
}

fn gives_back_what_it_took(order: &PlacedOrder) -> Result<(), TestCaseError> {
    let back = |is_wanted: &dyn Fn(&Refund) -> bool| -> i64 {
        let counts = |refund: &Refund| matches!(refund.phase, RefundPhase::Requested | RefundPhase::Done);
        let wanted = |refund: &&Refund| counts(refund) && is_wanted(refund);
        order.refunds.iter().filter(wanted).map(|refund| refund.amount.amount()).sum()
    };
    // What people give back at the gateway may come on top of what is asked here.
    let meddled = is_meddled_with(order);
    prop_assert!(meddled || back(&|_| true) <= order.paid_amount(), "more back than came in");
    let keys: BTreeSet<_> =
        order.refunds.iter().map(|refund| (refund.refund_id, refund.payment_id)).collect();
    prop_assert_eq!(keys.len(), order.refunds.len(), "two refunds under one id");
    let owed = order.to_refund();
    let left = (order.paid_amount() - back(&|_| true)).max(0);
    prop_assert!((0..=left).contains(&owed), "{owed} is owed of {left}");
    let by_hand = back(&|refund| refund.payment_id.is_none());
    for payment in &order.payments {
        let of_this = |refund: &Refund| refund.payment_id == Some(payment.payment_id);
        let done = back(&|refund| of_this(refund) && refund.phase == RefundPhase::Done);
        let (amount, back) = (payment.amount.amount(), back(&of_this));
        let was_refused = order
            .refunds
            .iter()
            .any(|r| of_this(r) && matches!(r.phase, RefundPhase::Refused | RefundPhase::Failed));
        if matches!(payment.phase, Captured { .. }) {
            // No gateway gives back more than it took; the random one here may say so after people gave some back.
            prop_assert!(meddled || (done <= amount && back <= amount));
            prop_assert!(
                back >= amount || was_refused || !order.is_called_off() || by_hand > 0,
                "kept of a called-off order"
            );
        } else {
            prop_assert_eq!(back, 0, "nothing was taken");
        }
    }
    Ok(())
}

/// The cart's own total, learnt from its answer to a wrong one.
pub fn total_of(cart: &Cart, price: Money) -> Option<Money> {
    match cart.decide(&commands::check_out(order_id(1), money(0, "XTS"), price)) {
        Err(cart::Rejection::PriceChanged { total, shipping, lines, .. }) => {
            let of_lines = lines.iter().map(|line| line.new.amount() * i64::from(line.quantity.units()));
            let shipping = shipping.map_or(0, |charge| charge.amount());
            assert_eq!(of_lines.sum::<i64>() + shipping, total.amount(), "the parts of the total");
            Some(total)
        }
        _ => None,
    }
}

fn units_of_skus<'a>(lines: impl Iterator<Item = (&'a Sku, Quantity)>) -> BTreeMap<Sku, u64> {
    let mut units = BTreeMap::new();
    for (sku, quantity) in lines {
        *units.entry(sku.clone()).or_default() += u64::from(quantity.units());
    }
    units
}

pub fn is_the_whole_cart(placed: &Placed, open: &cart::OpenCart) -> Result<(), TestCaseError> {
    let shipping = placed.shipping.unwrap_or(Money::zero(placed.total.currency()));
    let sum =
        placed.lines.iter().try_fold(shipping, |sum, line| line.amount().and_then(|amount| sum.plus(amount)));
    prop_assert_eq!(Ok(placed.total), sum);
    let ordered: Vec<_> = placed.lines.iter().map(|line| (line.line_id, &line.sku, line.quantity)).collect();
    let wanted: Vec<_> = open.lines.iter().map(|line| (line.line_id, &line.sku, line.quantity)).collect();
    prop_assert_eq!(ordered, wanted);
    for (line, was) in placed.lines.iter().zip(&open.lines) {
        prop_assert!(!was.agreed || line.unit_price == was.unit_price);
    }
    let Order::Placed(order) = Order::fold(&[order::Event::Placed(placed.clone())]) else {
        return Err(TestCaseError::fail("the order is not placed"));
    };
    let asked = units_of_skus(order.stock.iter().map(|(sku, stock)| (sku, stock.quantity)));
    prop_assert_eq!(asked, units_of_skus(open.lines.iter().map(|line| (&line.sku, line.quantity))));
    Ok(())
}
