//! The folder's files, joined: each order with its items and payments, as the rows say it and unjudged.

use super::table::{ReadError, Row, Table};
use super::totals::Totals;
use crate::price::pennies;
use chrono::{DateTime, NaiveDateTime, Utc};
use event_store::without_leap_second;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use thiserror::Error;

const ORDERS: &str = "olist_orders_dataset.csv";
const ITEMS: &str = "olist_order_items_dataset.csv";
const PAYMENTS: &str = "olist_order_payments_dataset.csv";
const CUSTOMERS: &str = "olist_customers_dataset.csv";
const PRODUCTS: &str = "olist_products_dataset.csv";
const SELLERS: &str = "olist_sellers_dataset.csv";
const TRANSLATIONS: &str = "product_category_name_translation.csv";

/// Everything that the folder gives.
#[derive(Debug, Default)]
pub struct Files {
    /// The orders, by the time of purchase; those without a readable one last.
    pub orders: Vec<OrderRow>,
    /// For each order's customer the person behind it, who may have several orders.
    pub people: HashMap<String, String>,
    /// The category of each product, empty where there is none.
    pub categories: HashMap<String, String>,
    /// Categories in English.
    pub translations: HashMap<String, String>,
    /// Everybody who sells.
    pub sellers: HashSet<String>,
    /// Rows that belong to no order of the orders file.
    pub elsewhere: Elsewhere,
}

/// Rows that belong to no order of the orders file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    /// Rows of the items file.
    pub items: u64,
    /// Rows of the payments file.
    pub payments: u64,
    /// Rows of the orders file whose order stands in it already.
    pub repeated_orders: u64,
}

/// An order with its items and payments.
#[derive(Debug, Default)]
pub struct OrderRow {
    /// The marketplace's id.
    pub id: String,
    /// The customer of this order.
    pub customer_id: String,
    /// Where it stood when the files were made.
    pub status: String,
    /// When it was placed.
    pub purchased_at: Option<DateTime<Utc>>,
    /// When its payment was approved.
    pub approved_at: Option<DateTime<Utc>>,
    /// When the carrier got it.
    pub carrier_at: Option<DateTime<Utc>>,
    /// When the customer got it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// One for each unit.
    pub items: Vec<ItemRow>,
    /// In the order of their numbers.
    pub payments: Vec<PaymentRow>,
    /// The first thing in its rows that cannot be read.
    pub unreadable: Option<Unreadable>,
}

/// A unit of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// Its number in the order.
    pub number: u32,
    /// What.
    pub product_id: String,
    /// Who sells it.
    pub seller_id: String,
    /// Its price, in centavos.
    pub price: i64,
    /// Its part of the freight, in centavos.
    pub freight: i64,
}

/// A payment of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRow {
    /// Its number in the order.
    pub number: u32,
    /// `credit_card`, `boleto`, `voucher`, `debit_card`, `not_defined`.
    pub method: String,
    /// Into how many parts the payer divided it.
    pub installments: u32,
    /// Centavos.
    pub amount: i64,
}

/// What cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// A time.
    #[error("`{0}` is not a time")]
    Time(String),
    /// An amount of money.
    #[error("`{0}` is not an amount of money")]
    Amount(String),
    /// A whole number.
    #[error("`{0}` is not a number")]
    Number(String),
}

impl Files {
    /// Reads the whole folder.
    ///
    /// # Errors
    /// When a file is not there, is damaged, or is another file. A row that cannot be read is no error: it makes
    /// its order one that is refused.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let mut files = Self::default();
        let mut places = files.read_orders(folder)?;
        files.read_items(folder, &places)?;
        files.read_payments(folder, &places)?;
        places.clear();
        for order in &mut files.orders {
            order.items.sort_by_key(|item| item.number);
            order.payments.sort_by_key(|payment| payment.number);
        }
        // Orders of the same second by their ids, so that every copy of the files gives the same sequence.
        files.orders.sort_by(|a, b| {
            let key = |order: &OrderRow| (order.purchased_at.is_none(), order.purchased_at);
            key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
        });
        Table::open(folder, CUSTOMERS, &["customer_id", "customer_unique_id"])?.each(|row| {
            files.people.insert(row.owned(0), row.owned(1));
        })?;
        Table::open(folder, PRODUCTS, &["product_id", "product_category_name"])?.each(|row| {
            files.categories.insert(row.owned(0), row.owned(1));
        })?;
        Table::open(folder, SELLERS, &["seller_id"])?.each(|row| {
            files.sellers.insert(row.owned(0));
        })?;
        let columns = &["product_category_name", "product_category_name_english"];
        Table::open(folder, TRANSLATIONS, columns)?.each(|row| {
            files.translations.insert(row.owned(0), row.owned(1));
        })?;
        Ok(files)
    }

    fn read_orders(&mut self, folder: &Path) -> Result<HashMap<String, usize>, ReadError> {
        let columns = &[
            "order_id",
            "customer_id",
            "order_status",
            "order_purchase_timestamp",
            "order_approved_at",
            "order_delivered_carrier_date",
            "order_delivered_customer_date",
        ];
        let mut places = HashMap::new();
        Table::open(folder, ORDERS, columns)?.each(|row| {
            if places.contains_key(row.get(0).as_ref()) {
                self.elsewhere.repeated_orders += 1;
                return;
            }
            places.insert(row.owned(0), self.orders.len());
            self.orders.push(OrderRow::read(row));
        })?;
        Ok(places)
    }

    fn read_items(&mut self, folder: &Path, places: &HashMap<String, usize>) -> Result<(), ReadError> {
        let columns = &["order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value"];
        Table::open(folder, ITEMS, columns)?.each(|row| match places.get(row.get(0).as_ref()) {
            None => self.elsewhere.items += 1,
            Some(&place) => match ItemRow::read(row) {
                Ok(item) => self.orders[place].items.push(item),
                Err(unreadable) => self.orders[place].unreadable = Some(unreadable),
            },
        })
    }

    fn read_payments(&mut self, folder: &Path, places: &HashMap<String, usize>) -> Result<(), ReadError> {
        let columns =
            &["order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value"];
        Table::open(folder, PAYMENTS, columns)?.each(|row| match places.get(row.get(0).as_ref()) {
            None => self.elsewhere.payments += 1,
            Some(&place) => match PaymentRow::read(row) {
                Ok(payment) => self.orders[place].payments.push(payment),
                Err(unreadable) => self.orders[place].unreadable = Some(unreadable),
            },
        })
    }
}

impl OrderRow {
    fn read(row: &Row<'_>) -> Self {
        let mut order =
            Self { id: row.owned(0), customer_id: row.owned(1), status: row.owned(2), ..Self::default() };
        let times = [3, 4, 5, 6].map(|place| {
            time(&row.get(place)).unwrap_or_else(|unreadable| {
                order.unreadable = Some(unreadable);
                None
            })
        });
        [order.purchased_at, order.approved_at, order.carrier_at, order.delivered_at] = times;
        order
    }

    /// What its rows add up to.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { orders: 1, ..Totals::default() };
        for item in &self.items {
            totals.items += 1;
            totals.goods += i128::from(item.price);
            totals.freight += i128::from(item.freight);
        }
        for payment in &self.payments {
            totals.pay(&payment.method, payment.amount);
        }
        totals
    }
}

impl ItemRow {
    fn read(row: &Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            number: number(&row.get(1))?,
            product_id: row.owned(2),
            seller_id: row.owned(3),
            price: centavos(&row.get(4))?,
            freight: centavos(&row.get(5))?,
        })
    }
}

impl PaymentRow {
    fn read(row: &Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            number: number(&row.get(1))?,
            method: row.owned(2),
            installments: number(&row.get(3))?,
            amount: centavos(&row.get(4))?,
        })
    }
}

fn number(text: &str) -> Result<u32, Unreadable> {
    text.parse().map_err(|_| Unreadable::Number(text.to_owned()))
}

/// Exact: an amount with more than two decimals is none, because it could only be rounded.
fn centavos(text: &str) -> Result<i64, Unreadable> {
    let is_exact = text.split_once('.').is_none_or(|(_, fraction)| fraction.len() <= 2);
    let amount = pennies(text).filter(|amount| is_exact && *amount >= 0);
    amount.ok_or_else(|| Unreadable::Amount(text.to_owned()))
}

/// The files' times have no zone; they are taken for UTC.
fn time(text: &str) -> Result<Option<DateTime<Utc>>, Unreadable> {
    if text.is_empty() {
        return Ok(None);
    }
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
    time.map(|time| Some(without_leap_second(time.and_utc()))).map_err(|_| Unreadable::Time(text.to_owned()))
}
