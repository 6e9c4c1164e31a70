//! Reads the public file "Online Retail": a year of a giftware retailer's invoices, one row for each line.
//!
//! The file comes as plain CSV or packed with zstd, in UTF-8 or Latin-1, with times as `2010-12-01 08:26:00` or
//! `12/1/2010 8:26`: all of them are around.

use super::history::{History, PastLine, PastOrder, PastProduct, SkipReason, UnreadableRow};
use super::packed::{self, text};
use super::price::pennies;
use chrono::{DateTime, NaiveDateTime, Utc};
use csv::ByteRecord;
use domain::{Country, CountryCode, Currency, CustomerId, Money, ProductName, Quantity, Sku};
use event_store::without_leap_second;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file cannot be read at all.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be opened.
    #[error("{path} cannot be opened: give the path of the file `online_retail.csv`, plain or as `.zst`")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It breaks off, or its packing is damaged.
    #[error("{path} cannot be read: fetch the file again")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: csv::Error,
    },
    /// It is some other file.
    #[error("{path} has no column `{column}`: it must begin with the line `{}`", COLUMNS.join(","))]
    MissingColumn {
        /// Which.
        path: PathBuf,
        /// The first column that is missing.
        column: &'static str,
    },
}

const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];
const TIME_FORMS: [&str; 2] = ["%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M"];

/// Reads the whole file.
///
/// # Errors
/// When it cannot be opened, is damaged, or is another file. A row that cannot be read is no error: it is left
/// out and counted.
pub fn read_file(path: &Path, currency: Currency) -> Result<History, ReadError> {
    let input = packed::open(path).map_err(|source| ReadError::Open { path: path.to_owned(), source })?;
    read(input, path, currency)
}

/// Reads CSV. `path` is only for messages.
///
/// # Errors
/// As [`read_file`].
pub fn read(input: impl Read, path: &Path, currency: Currency) -> Result<History, ReadError> {
    let damaged = |source| ReadError::Damaged { path: path.to_owned(), source };
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let columns = find_columns(rows.byte_headers().map_err(damaged)?)
        .map_err(|column| ReadError::MissingColumn { path: path.to_owned(), column })?;
    let mut reading = Reading::new(currency);
    let mut record = ByteRecord::new();
    while rows.read_byte_record(&mut record).map_err(damaged)? {
        let line_of_file = record.position().map_or(0, csv::Position::line);
        match Row::from(&record, &columns) {
            Some(row) => reading.row(line_of_file, &row),
            None => reading.history.skipped.unreadable(line_of_file, UnreadableRow::TooFewColumns),
        }
    }
    Ok(reading.finish())
}

fn find_columns(header: &ByteRecord) -> Result<[usize; 8], &'static str> {
    let names: Vec<_> = header.iter().map(text).collect();
    let names: Vec<_> = names.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    let mut columns = [0; 8];
    for (place, wanted) in columns.iter_mut().zip(COLUMNS) {
        *place = names.iter().position(|name| name.eq_ignore_ascii_case(wanted)).ok_or(wanted)?;
    }
    Ok(columns)
}

/// A row's fields, trimmed only where they are used.
struct Row<'a> {
    invoice: Cow<'a, str>,
    stock_code: Cow<'a, str>,
    description: Cow<'a, str>,
    quantity: Cow<'a, str>,
    time: Cow<'a, str>,
    price: Cow<'a, str>,
    customer: Cow<'a, str>,
    country: Cow<'a, str>,
}

impl<'a> Row<'a> {
    fn from(record: &'a ByteRecord, columns: &[usize; 8]) -> Option<Self> {
        let [invoice, stock_code, description, quantity, time, price, customer, country] =
            columns.map(|column| record.get(column).map(text));
        Some(Self {
            invoice: invoice?,
            stock_code: stock_code?,
            description: description?,
            quantity: quantity?,
            time: time?,
            price: price?,
            customer: customer?,
            country: country?,
        })
    }
}

/// An invoice whose rows are being read. Its first row gives the time, its first good row the rest.
struct OpenInvoice {
    occurred_at: DateTime<Utc>,
    rows: u32,
    order: Option<usize>,
}

struct Reading {
    currency: Currency,
    history: History,
    invoices: HashMap<String, OpenInvoice>,
    skipped_invoices: HashSet<String>,
    products: HashMap<String, usize>,
    countries: HashMap<String, Country>,
}

impl Reading {
    fn new(currency: Currency) -> Self {
        Self {
            currency,
            history: History::default(),
            invoices: HashMap::new(),
            skipped_invoices: HashSet::new(),
            products: HashMap::new(),
            countries: HashMap::new(),
        }
    }

    fn row(&mut self, line_of_file: u64, row: &Row<'_>) {
        let invoice = row.invoice.trim();
        if let Some(reason) = no_order(invoice) {
            self.history.skipped.line(reason);
            if !self.skipped_invoices.contains(invoice) {
                self.skipped_invoices.insert(invoice.to_owned());
                self.history.skipped.invoice(reason);
            }
            return;
        }
        match self.line(invoice, row) {
            Ok(None) => {}
            Ok(Some(reason)) => self.history.skipped.line(reason),
            Err(unreadable) => self.history.skipped.unreadable(line_of_file, unreadable),
        }
    }

    /// Takes a line into its order, or says why it is left out.
    fn line(&mut self, invoice: &str, row: &Row<'_>) -> Result<Option<SkipReason>, UnreadableRow> {
        if !self.invoices.contains_key(invoice) {
            let opened = OpenInvoice { occurred_at: time(row.time.trim())?, rows: 0, order: None };
            self.invoices.insert(invoice.to_owned(), opened);
        }
        let Some(open) = self.invoices.get_mut(invoice) else { return Ok(None) };
        open.rows += 1;
        let place = open.rows;
        let (occurred_at, order) = (open.occurred_at, open.order);

        let unreadable_quantity = || UnreadableRow::Quantity(row.quantity.trim().to_owned());
        let quantity: i64 = row.quantity.trim().parse().map_err(|_| unreadable_quantity())?;
        let price = row.price.trim();
        let price = pennies(price).ok_or_else(|| UnreadableRow::Price(price.to_owned()))?;
        if quantity <= 0 {
            return Ok(Some(SkipReason::QuantityNotPositive));
        }
        if price <= 0 {
            return Ok(Some(SkipReason::PriceNotPositive));
        }
        let quantity = Quantity::new(quantity).map_err(|_| unreadable_quantity())?;
        let unit_price = Money::new(price, self.currency)?;
        let amount = unit_price.times(quantity.units())?;
        let sku = Sku::new(&row.stock_code.to_uppercase())?;

        let order = match order {
            Some(order) => order,
            None => self.open_order(invoice, occurred_at, row)?,
        };
        let total = self.history.orders[order].total.plus(amount)?;
        let product = self.sold(sku, row, unit_price, occurred_at, quantity);
        let order = &mut self.history.orders[order];
        order.total = total;
        order.lines.push(PastLine { row: place, product, quantity, unit_price });
        Ok(None)
    }

    fn open_order(
        &mut self,
        invoice: &str,
        occurred_at: DateTime<Utc>,
        row: &Row<'_>,
    ) -> Result<usize, UnreadableRow> {
        let country = self.country(&row.country)?;
        let customer = row.customer.trim();
        let customer_id = if customer.is_empty() { None } else { Some(CustomerId::new(customer)?) };
        let order = self.history.orders.len();
        self.history.orders.push(PastOrder {
            invoice: invoice.to_owned(),
            occurred_at,
            customer_id,
            country,
            lines: Vec::new(),
            total: Money::zero(self.currency),
        });
        if let Some(open) = self.invoices.get_mut(invoice) {
            open.order = Some(order);
        }
        Ok(order)
    }

    /// As the file names it, which the shop understands; of what is no country, the shop is told that it is not known.
    fn country(&mut self, country: &str) -> Result<Country, UnreadableRow> {
        if let Some(known) = self.countries.get(country) {
            return Ok(known.clone());
        }
        let named = Country::new(country)?;
        let is_known = named.code() != CountryCode::UNKNOWN;
        let new = if is_known { named } else { CountryCode::UNKNOWN.into() };
        self.countries.insert(country.to_owned(), new.clone());
        Ok(new)
    }

    /// Books the units on their product and gives its place.
    fn sold(
        &mut self,
        sku: Sku,
        row: &Row<'_>,
        unit_price: Money,
        occurred_at: DateTime<Utc>,
        quantity: Quantity,
    ) -> usize {
        let products = &mut self.history.products;
        let place = match self.products.get(sku.as_str()) {
            Some(&place) => place,
            None => {
                self.products.insert(sku.as_str().to_owned(), products.len());
                products.push(PastProduct {
                    sku,
                    name: None,
                    first_price: unit_price,
                    first_sold_at: occurred_at,
                    units_sold: 0,
                });
                products.len() - 1
            }
        };
        let product = &mut products[place];
        product.units_sold += u64::from(quantity.units());
        if product.name.is_none() {
            product.name = ProductName::new(&row.description).ok();
        }
        place
    }

    fn finish(mut self) -> History {
        // An order whose only row failed at the last check was opened for nothing.
        self.history.orders.retain(|order| !order.lines.is_empty());
        self.history.skipped.orders_without_lines =
            self.invoices.len().saturating_sub(self.history.orders.len()) as u64;
        self.history
    }
}

/// Why an invoice with this number is no order, if so.
fn no_order(invoice: &str) -> Option<SkipReason> {
    if !invoice.is_empty() && invoice.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match invoice.bytes().next() {
        Some(b'C' | b'c') => SkipReason::Cancellation,
        Some(b'A' | b'a') => SkipReason::Adjustment,
        _ => SkipReason::OtherInvoice,
    })
}

fn time(text: &str) -> Result<DateTime<Utc>, UnreadableRow> {
    TIME_FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| without_leap_second(time.and_utc()))
        .ok_or_else(|| UnreadableRow::Time(text.to_owned()))
}
