//! What a retailer's file says, in the domain's words: products and the orders of them, and what was left out.

use chrono::{DateTime, Utc};
use domain::{Country, CustomerId, Money, ProductName, Quantity, Sku};
use std::collections::BTreeMap;

/// Everything that a file gives.
#[derive(Debug, Default)]
pub struct History {
    /// The orders, in the file's order. Each has at least one line.
    pub orders: Vec<PastOrder>,
    /// The products, in the order in which they first appear. Lines name them by their place here.
    pub products: Vec<PastProduct>,
    /// What was left out.
    pub skipped: Skipped,
}

/// An order of the past.
#[derive(Debug)]
pub struct PastOrder {
    /// The retailer's number for it.
    pub invoice: String,
    /// When it was placed.
    pub occurred_at: DateTime<Utc>,
    /// Who bought; a guest has no name.
    pub customer_id: Option<CustomerId>,
    /// Where it went.
    pub country: Country,
    /// What was bought.
    pub lines: Vec<PastLine>,
    /// What it came to.
    pub total: Money,
}

/// A line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastLine {
    /// Its place among all rows of the invoice, from 1, those left out included.
    pub row: u32,
    /// Its product's place in [`History::products`].
    pub product: usize,
    /// How many.
    pub quantity: Quantity,
    /// For one unit, as agreed then.
    pub unit_price: Money,
}

/// A product of the past.
#[derive(Debug)]
pub struct PastProduct {
    /// What it is known by.
    pub sku: Sku,
    /// Its first description. Some rows have none.
    pub name: Option<ProductName>,
    /// Its first price.
    pub first_price: Money,
    /// When it was first sold.
    pub first_sold_at: DateTime<Utc>,
    /// Units sold in the whole file: what the shop must have had.
    pub units_sold: u64,
}

/// What was left out, and why.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// For each reason, how much.
    pub by_reason: BTreeMap<SkipReason, SkipCount>,
    /// Orders of which no line was left.
    pub orders_without_lines: u64,
    /// The first few rows that could not be read, with their line in the file and what is wrong.
    pub unreadable_rows: Vec<(u64, UnreadableRow)>,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// An invoice that takes goods back.
    Cancellation,
    /// An invoice that writes off a bad debt.
    Adjustment,
    /// An invoice whose number has another form.
    OtherInvoice,
    /// A line that sells nothing.
    QuantityNotPositive,
    /// A line that costs nothing, after rounding to the penny.
    PriceNotPositive,
    /// A line that cannot be read.
    Unreadable,
}

/// How much was left out for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkipCount {
    /// Whole invoices; none where single lines are left out.
    pub invoices: u64,
    /// Rows of the file.
    pub lines: u64,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRow {
    /// Fewer columns than the header.
    #[error("it has too few columns")]
    TooFewColumns,
    /// The quantity.
    #[error("`{0}` is not a quantity")]
    Quantity(String),
    /// The price.
    #[error("`{0}` is not a price")]
    Price(String),
    /// The time.
    #[error("`{0}` is not a time")]
    Time(String),
    /// The stock code, the customer or the country.
    #[error(transparent)]
    Text(#[from] domain::text::InvalidText),
    /// The order's total.
    #[error("the order's total is not possible: {0}")]
    Total(#[from] domain::money::InvalidMoney),
}

/// Unreadable rows that are kept for the report; the others are only counted.
const UNREADABLE_ROWS_KEPT: usize = 20;

impl Skipped {
    /// Counts a row.
    pub fn line(&mut self, reason: SkipReason) {
        self.by_reason.entry(reason).or_default().lines += 1;
    }

    /// Counts an invoice; its rows are counted by themselves.
    pub fn invoice(&mut self, reason: SkipReason) {
        self.by_reason.entry(reason).or_default().invoices += 1;
    }

    /// Counts a row that cannot be read.
    pub fn unreadable(&mut self, line_of_file: u64, row: UnreadableRow) {
        self.line(SkipReason::Unreadable);
        if self.unreadable_rows.len() < UNREADABLE_ROWS_KEPT {
            self.unreadable_rows.push((line_of_file, row));
        }
    }

    /// How much was left out for a reason.
    #[must_use]
    pub fn count(&self, reason: SkipReason) -> SkipCount {
        self.by_reason.get(&reason).copied().unwrap_or_default()
    }
}

impl PastProduct {
    /// Its name; where the file gives none, its SKU, which always has the form of a name.
    ///
    /// # Errors
    /// Never for a SKU that the domain accepts.
    pub fn name(&self) -> Result<ProductName, domain::text::InvalidText> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => ProductName::new(self.sku.as_str()),
        }
    }
}
