//! What an import did, for the person who ran it.

use super::history::{PastOrder, SkipReason, Skipped};
use super::send::{Before, SendError};
use domain::Currency;
use shop_client::ShopError;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

/// Refusals that are kept and shown; the others are only counted.
pub(super) const REFUSALS_KEPT: usize = 20;
/// Characters of a problem document that are shown.
const PROBLEM_SHOWN: usize = 600;

/// What went in and what did not.
#[derive(Debug)]
pub struct Tally {
    /// Orders that were new.
    pub new: u64,
    /// Orders of which a part was there: an earlier import, or a lost answer of this one.
    pub completed: u64,
    /// Orders that were there already.
    pub already_there: u64,
    /// Lines of all these orders.
    pub lines: u64,
    /// Units of all these orders.
    pub units: u64,
    /// Minor units of all these orders.
    pub amount: i128,
    /// Products and orders that were refused.
    pub refusals: u64,
    /// The first few, with what was refused and why.
    pub first_refusals: Vec<(String, SendError)>,
    /// Why the import stopped early, if it did.
    pub stopped_by: Option<(String, SendError)>,
    sold: Vec<bool>,
}

impl Tally {
    pub(super) fn new(products: usize) -> Self {
        Self {
            new: 0,
            completed: 0,
            already_there: 0,
            lines: 0,
            units: 0,
            amount: 0,
            refusals: 0,
            first_refusals: Vec::new(),
            stopped_by: None,
            sold: vec![false; products],
        }
    }

    pub(super) fn imported(&mut self, order: &PastOrder, before: Before) {
        match before {
            Before::Nothing => self.new += 1,
            Before::Part => self.completed += 1,
            Before::All => self.already_there += 1,
        }
        self.lines += order.lines.len() as u64;
        self.units += order.lines.iter().map(|line| u64::from(line.quantity.units())).sum::<u64>();
        self.amount += i128::from(order.total.amount());
        for line in &order.lines {
            self.sold[line.product] = true;
        }
    }

    pub(super) fn refused(&mut self, what: String, error: SendError) {
        if error.concerns_all() {
            self.stopped_by = Some((what, error));
            return;
        }
        self.refusals += 1;
        if self.first_refusals.len() < REFUSALS_KEPT {
            self.first_refusals.push((what, error));
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped_by.is_some()
    }

    /// Orders that are in the shop now.
    #[must_use]
    pub fn orders(&self) -> u64 {
        self.new + self.completed + self.already_there
    }

    /// SKUs of these orders.
    #[must_use]
    pub fn skus(&self) -> u64 {
        self.sold.iter().filter(|sold| **sold).count() as u64
    }
}

/// What an import did.
#[derive(Debug)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// Orders that were to be imported.
    pub planned_orders: u64,
    /// What went in.
    pub tally: Tally,
    /// What the file has beyond orders.
    pub skipped: Skipped,
    /// How long the sending took.
    pub duration: Duration,
    /// The money of all orders.
    pub currency: Currency,
}

impl Report {
    /// Whether everything that was to go in is in.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.tally.refusals == 0 && !self.tally.is_stopped() && self.tally.orders() == self.planned_orders
    }

    fn write_skipped(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Skipped in the whole file:")?;
        for (reason, count) in &self.skipped.by_reason {
            write!(f, "  {:>13} lines", grouped(count.lines))?;
            if count.invoices > 0 {
                write!(f, " of {} invoices", grouped(count.invoices))?;
            }
            writeln!(f, ": {}", reason_text(*reason))?;
        }
        writeln!(
            f,
            "  {:>13} invoices of which no line was left",
            grouped(self.skipped.orders_without_lines)
        )?;
        for (line, row) in &self.skipped.unreadable_rows {
            writeln!(f, "  line {line}: {row}")?;
        }
        Ok(())
    }

    fn write_refusals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Refused: {}", grouped(self.tally.refusals))?;
        for (what, error) in &self.tally.first_refusals {
            write_refusal(f, what, error)?;
        }
        let more = self.tally.refusals.saturating_sub(self.tally.first_refusals.len() as u64);
        if more > 0 {
            writeln!(f, "  and {} more", grouped(more))?;
        }
        if let Some((what, error)) = &self.tally.stopped_by {
            let planned = grouped(self.planned_orders);
            writeln!(f, "Stopped after {} of {planned} orders, because of", grouped(self.tally.orders()))?;
            write_refusal(f, what, error)?;
            writeln!(f, "  Run the same import again: it goes on where it was.")?;
        }
        Ok(())
    }
}

pub(super) fn write_refusal(f: &mut Formatter<'_>, what: &str, error: &SendError) -> fmt::Result {
    writeln!(f, "  {what}: {error}")?;
    if let SendError::Command { source: ShopError::Refused(refusal), .. } = error {
        let problem: String = refusal.problem.to_string().chars().take(PROBLEM_SHOWN).collect();
        writeln!(f, "    {problem}")?;
    }
    Ok(())
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        writeln!(f, "Imported {}:", self.file.display())?;
        write!(f, "  {:>13} orders ({} new", grouped(tally.orders()), grouped(tally.new))?;
        if tally.completed > 0 {
            write!(f, ", {} begun before and completed", grouped(tally.completed))?;
        }
        writeln!(f, ", {} already there)", grouped(tally.already_there))?;
        writeln!(f, "  {:>13} lines", grouped(tally.lines))?;
        writeln!(f, "  {:>13} units", grouped(tally.units))?;
        writeln!(f, "  {:>13} SKUs", grouped(tally.skus()))?;
        writeln!(f, "  {:>13} {} in total", decimal(tally.amount), self.currency)?;
        let seconds = self.duration.as_secs_f64();
        // A figure for people: what a float loses here nobody can see.
        #[expect(clippy::cast_precision_loss)]
        let rate = tally.lines as f64 / seconds.max(0.001);
        writeln!(f, "  in {seconds:.1} s: {rate:.0} lines/s")?;
        self.write_skipped(f)?;
        self.write_refusals(f)
    }
}

fn reason_text(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Cancellation => "cancellations (C…)",
        SkipReason::Adjustment => "adjustments of bad debt (A…)",
        SkipReason::OtherInvoice => "invoice numbers of another form",
        SkipReason::QuantityNotPositive => "quantity not positive",
        SkipReason::PriceNotPositive => "price not positive when rounded to the penny",
        SkipReason::Unreadable => "rows that cannot be read",
    }
}

/// A number with its thousands apart: `5,588,371`.
pub(super) fn grouped(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Minor units as a decimal with two places: `10,655,622.48`.
pub(super) fn decimal(minor_units: i128) -> String {
    let sign = if minor_units < 0 { "-" } else { "" };
    let minor_units = minor_units.abs();
    format!("{sign}{}.{:02}", grouped(minor_units / 100), minor_units % 100)
}

#[cfg(test)]
mod tests {
    use super::{decimal, grouped};
    use rstest::rstest;

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1_000, "1,000")]
    #[case(5_588_371, "5,588,371")]
    #[case(-12_345, "-12,345")]
    fn thousands_stand_apart(#[case] number: i128, #[case] expected: &str) {
        assert_eq!(grouped(number), expected);
    }

    #[test]
    fn pennies_are_shown_as_pounds() {
        assert_eq!(decimal(1_065_562_248), "10,655,622.48");
        assert_eq!(decimal(5), "0.05");
        assert_eq!(decimal(-105), "-1.05");
    }
}
