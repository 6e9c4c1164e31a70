//! One order of the files in the domain's words, tried against the domain's rules.

use super::files::{Files, OrderRow};
use super::plan::{PlannedOrder, PlannedParcel, PlannedPayment};
use super::refusal::Refusal;
use super::rehearsal::{Rehearsal, TrialLine};
use super::totals::Totals;
use super::{COUNTRY, CURRENCY, SOURCE};
use crate::send::derived_id;
use chrono::{DateTime, Utc};
use domain::cart::{self, NewLine, PricedLine};
use domain::order;
use domain::{
    Country, Currency, CustomerId, LineId, MerchantId, Money, PaymentMethod, ProductName, Quantity, Reason,
    Reference, Sku,
};

/// Characters of a product's id that stand in its name.
const ID_SHOWN: usize = 8;

/// An order that the rules take, and its lines before their products are known.
pub struct Draft {
    pub order: PlannedOrder,
    pub lines: Vec<DraftLine>,
}

/// A line whose product is not known yet.
pub struct DraftLine {
    pub number: u32,
    pub sku: Sku,
    pub merchant_id: MerchantId,
    pub name: ProductName,
    pub quantity: Quantity,
    pub unit_price: Money,
}

/// Times that cannot be so. They are taken as they are: no rule of the shop is about them, and nobody knows better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The carrier had it before its payment was approved.
    pub carrier_before_approval: bool,
    /// The carrier had it before it was bought.
    pub carrier_before_purchase: bool,
    /// The customer had it before the carrier.
    pub delivered_before_carrier: bool,
}

/// How far the files have an order.
struct Far {
    is_paid: bool,
    is_shipped: bool,
    is_delivered: bool,
    is_cancelled: bool,
}

impl Far {
    fn of(row: &OrderRow) -> Result<Self, Refusal> {
        let far = |is_paid, is_shipped, is_delivered| Self {
            is_paid,
            is_shipped,
            is_delivered,
            is_cancelled: false,
        };
        Ok(match row.status.as_str() {
            "created" => far(row.approved_at.is_some(), false, false),
            "approved" | "invoiced" | "processing" => far(true, false, false),
            "shipped" => far(true, true, false),
            "delivered" => far(true, true, true),
            // As far as it came before that, by its times.
            "canceled" | "unavailable" => Self {
                is_paid: row.approved_at.is_some(),
                is_shipped: row.carrier_at.is_some(),
                is_delivered: row.delivered_at.is_some(),
                is_cancelled: true,
            },
            _ => return Err(Refusal::UnknownStatus(row.status.clone())),
        })
    }
}

impl Draft {
    pub fn new(files: &Files, row: &OrderRow) -> Result<Self, Refusal> {
        if let Some(unreadable) = &row.unreadable {
            return Err(unreadable.clone().into());
        }
        let far = Far::of(row)?;
        let purchased_at = row.purchased_at.ok_or(Refusal::NoTime("placed"))?;
        let person = files.people.get(&row.customer_id);
        let customer_id = CustomerId::new(person.ok_or_else(|| unknown("customer", &row.customer_id))?)?;
        let lines = lines(files, row)?;
        let (freight, total) = amounts(row)?;
        let mut rehearsal = check_out(row, &customer_id, &lines, (freight, total))?;
        let payments = if far.is_paid { pay(&mut rehearsal, row, total)? } else { vec![] };
        let is_paid = rehearsal.is_paid();
        if far.is_paid && !is_paid && !far.is_cancelled {
            let (paid, total) = (row.totals().paid().1, i128::from(total.amount()));
            return Err(Refusal::PaidTooLittle { paid, total, status: row.status.clone() });
        }
        let parcels = if far.is_shipped { send(&mut rehearsal, row, &far, &lines)? } else { vec![] };
        let cancellation = if far.is_cancelled {
            let reason = Reason::new(&format!("{SOURCE}: {}", row.status))?;
            rehearsal.cancel(&reason).map_err(|rule| match rule {
                order::Rejection::PartlyShipped | order::Rejection::WrongStatus { .. } => {
                    Refusal::CancelledAfterShipping(rule)
                }
                rule => Refusal::Order(rule),
            })?;
            // The files have no time for it: the last one that they give for the order.
            Some((row.approved_at.map_or(purchased_at, |at| at.max(purchased_at)), reason))
        } else {
            None
        };
        let order = PlannedOrder {
            id: row.id.clone(),
            customer_id,
            purchased_at,
            lines: Vec::with_capacity(lines.len()),
            freight,
            total,
            payments,
            is_paid,
            parcels,
            cancellation,
            status: rehearsal.status(),
            odd_times: odd_times(row, purchased_at),
            totals: Totals::default(),
        };
        Ok(Self { order, lines })
    }
}

fn unknown(what: &'static str, id: &str) -> Refusal {
    Refusal::Unknown { what, id: id.to_owned() }
}

fn currency() -> Currency {
    CURRENCY.parse().expect("three letters")
}

/// A line for each SKU: the files repeat a row for each unit.
fn lines(files: &Files, row: &OrderRow) -> Result<Vec<DraftLine>, Refusal> {
    let mut lines: Vec<DraftLine> = Vec::with_capacity(row.items.len());
    let one = Quantity::new(1).expect("one is a quantity");
    for item in &row.items {
        let sku = Sku::new(&format!("{}{}", item.product_id, item.seller_id))?;
        let unit_price = Money::new(item.price, currency())?;
        if let Some(known) = lines.iter_mut().find(|line| line.sku == sku) {
            if known.unit_price != unit_price {
                return Err(Refusal::TwoPrices { sku });
            }
            known.quantity = known.quantity.plus(one).unwrap_or(known.quantity);
            continue;
        }
        let category =
            files.categories.get(&item.product_id).ok_or_else(|| unknown("product", &item.product_id))?;
        if !files.sellers.contains(&item.seller_id) {
            return Err(unknown("seller", &item.seller_id));
        }
        lines.push(DraftLine {
            number: item.number,
            merchant_id: MerchantId::new(&item.seller_id)?,
            name: name(files, category, &item.product_id)?,
            quantity: one,
            unit_price,
            sku,
        });
    }
    Ok(lines)
}

/// In English where there is a translation; 610 products have not even a category.
fn name(files: &Files, category: &str, product_id: &str) -> Result<ProductName, Refusal> {
    let category = files.translations.get(category).map_or(category, String::as_str);
    let category = if category.is_empty() { "product" } else { category };
    let id: String = product_id.chars().take(ID_SHOWN).collect();
    Ok(ProductName::new(&format!("{} {id}", category.replace('_', " ")))?)
}

/// The freight, and everything together.
fn amounts(row: &OrderRow) -> Result<(Money, Money), Refusal> {
    let (mut freight, mut total) = (Money::zero(currency()), Money::zero(currency()));
    for item in &row.items {
        let of_item = Money::new(item.freight, currency())?;
        freight = freight.plus(of_item)?;
        total = total.plus(of_item)?.plus(Money::new(item.price, currency())?)?;
    }
    Ok((freight, total))
}

/// The id of the line whose first unit has this number.
pub fn line_id(order: &str, number: u32) -> LineId {
    LineId(derived_id("olist/line", &format!("{order}/{number}")))
}

fn check_out(
    row: &OrderRow,
    customer_id: &CustomerId,
    lines: &[DraftLine],
    amounts: (Money, Money),
) -> Result<Rehearsal, Refusal> {
    let trial = lines.iter().map(|line| {
        let line_id = line_id(&row.id, line.number);
        TrialLine {
            line: NewLine {
                line_id,
                sku: line.sku.clone(),
                quantity: line.quantity,
                unit_price: line.unit_price,
                agreed: false,
            },
            price: PricedLine {
                line_id,
                merchant_id: line.merchant_id.clone(),
                name: line.name.clone(),
                unit_price: line.unit_price,
            },
        }
    });
    let country = Country::new(COUNTRY)?;
    let trial = trial.collect();
    Rehearsal::check_out(customer_id, &country, currency(), trial, amounts).map_err(|rule| match rule {
        // An order without rows has nothing to put, and its cart stays empty.
        cart::Rejection::Empty => Refusal::NoItems { paid: row.totals().paid().1, rule },
        rule => Refusal::Cart(rule),
    })
}

fn pay(rehearsal: &mut Rehearsal, row: &OrderRow, total: Money) -> Result<Vec<PlannedPayment>, Refusal> {
    let at = row.approved_at.ok_or(Refusal::NoTime("paid"))?;
    let mut payments = Vec::with_capacity(row.payments.len());
    // A payment of nothing is no money: it is counted and left out.
    for payment in row.payments.iter().filter(|payment| payment.amount > 0) {
        let number = payment.number;
        let installments = match payment.installments {
            0 | 1 => String::new(),
            parts => format!(", {parts} instalments"),
        };
        let planned = PlannedPayment {
            payment_id: derived_id("olist/payment", &format!("{}/{number}", row.id)),
            number,
            amount: Money::new(payment.amount, currency())?,
            method: PaymentMethod::new(&payment.method)?,
            reference: Reference::new(&format!("{SOURCE} {}/{number}{installments}", row.id))?,
            at,
        };
        let PlannedPayment { payment_id, amount, method, reference, .. } = &planned;
        rehearsal.pay(*payment_id, *amount, method, reference).map_err(|rule| {
            let (paid, total) = (row.totals().paid().1, i128::from(total.amount()));
            if paid > total { Refusal::PaidTooMuch { paid, total, rule } } else { Refusal::Order(rule) }
        })?;
        payments.push(planned);
    }
    Ok(payments)
}

/// The files have one time for all parcels of an order.
fn send(
    rehearsal: &mut Rehearsal,
    row: &OrderRow,
    far: &Far,
    lines: &[DraftLine],
) -> Result<Vec<PlannedParcel>, Refusal> {
    let sent_at = row.carrier_at.ok_or(Refusal::NoTime("handed to the carrier"))?;
    let delivered_at: Option<DateTime<Utc>> =
        if far.is_delivered { Some(row.delivered_at.ok_or(Refusal::NoTime("delivered"))?) } else { None };
    let mut parcels: Vec<PlannedParcel> = Vec::new();
    for line in lines {
        let merchant_id = line.merchant_id.clone();
        if parcels.iter().all(|parcel| parcel.merchant_id != merchant_id) {
            let shipment_id = derived_id("olist/shipment", &format!("{}/{merchant_id}", row.id));
            rehearsal.ship(shipment_id, &merchant_id).map_err(Refusal::Order)?;
            parcels.push(PlannedParcel { shipment_id, merchant_id, sent_at, delivered_at });
        }
    }
    for parcel in parcels.iter().filter(|parcel| parcel.delivered_at.is_some()) {
        rehearsal.deliver(parcel.shipment_id).map_err(Refusal::Order)?;
    }
    Ok(parcels)
}

fn odd_times(row: &OrderRow, purchased_at: DateTime<Utc>) -> Times {
    let is_before = |a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>| a.zip(b).is_some_and(|(a, b)| a < b);
    Times {
        carrier_before_approval: is_before(row.carrier_at, row.approved_at),
        carrier_before_purchase: is_before(row.carrier_at, Some(purchased_at)),
        delivered_before_carrier: is_before(row.delivered_at, row.carrier_at),
    }
}
