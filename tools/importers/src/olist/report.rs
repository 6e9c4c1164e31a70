//! What the import of a folder did, for the person who ran it: with the proof that nothing got lost.

use super::files::Elsewhere;
use super::plan::Plan;
use super::refusal::RefusedOrder;
use super::send::Sent;
use super::totals::Totals;
use crate::report::{decimal, grouped, write_refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

/// Refused orders of each kind that are shown.
const EXAMPLES: usize = 2;

/// What an import of a folder did.
#[derive(Debug)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// What was to go in, and what the rules refuse.
    pub plan: Plan,
    /// What went in.
    pub sent: Sent,
    /// Rows that belong to no order.
    pub elsewhere: Elsewhere,
    /// How long the sending took.
    pub duration: Duration,
}

impl Report {
    /// Whether everything that the rules take is in.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let sent = &self.sent;
        sent.refusals == 0 && sent.stopped_by.is_none() && self.adds_up()
    }

    /// What the refused orders add up to: those that the rules refuse and those that the service refused.
    #[must_use]
    pub fn refused(&self) -> Totals {
        let mut refused = self.sent.refused_totals.clone();
        self.plan.refused.iter().for_each(|order| refused.add(&order.totals));
        refused
    }

    /// Whether imported and refused orders together are those of the files, in every figure.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let mut sum = self.sent.totals.clone();
        sum.add(&self.refused());
        sum == self.plan.in_files
    }

    fn write_head(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sent = &self.sent;
        writeln!(f, "Imported {}:", self.folder.display())?;
        write!(f, "  {} orders ({} new", grouped(sent.totals.orders), grouped(sent.new))?;
        if sent.completed > 0 {
            write!(f, ", {} begun before and completed", grouped(sent.completed))?;
        }
        writeln!(f, ", {} already there)", grouped(sent.already_there))?;
        let stand = |(status, count): (&&str, &u64)| format!("{} {status}", grouped(*count));
        let stands: Vec<String> = sent.by_status.iter().map(stand).collect();
        writeln!(f, "  {}", stands.join(", "))?;
        let seconds = self.duration.as_secs_f64();
        // A figure for people: what a float loses here nobody can see.
        #[expect(clippy::cast_precision_loss)]
        let rate = sent.totals.orders as f64 / seconds.max(0.001);
        let skus = self.plan.needed_products().len() as u64;
        writeln!(f, "  {} SKUs, {} price changes", grouped(skus), grouped(sent.price_changes))?;
        writeln!(f, "  in {seconds:.1} s: {rate:.0} orders/s")
    }

    /// The figures of the files, and where each went.
    fn write_table(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [files, imported, refused] = [&self.plan.in_files, &self.sent.totals, &self.refused()];
        let row = |f: &mut Formatter<'_>, what: &str, [a, b, c]: [String; 3]| {
            writeln!(f, "  {what:<28}{a:>16}{b:>16}{c:>16}")
        };
        let counts = |of: fn(&Totals) -> u64| [files, imported, refused].map(|totals| grouped(of(totals)));
        let money = |of: fn(&Totals) -> i128| [files, imported, refused].map(|totals| decimal(of(totals)));
        row(f, "", ["in the files", "imported", "refused"].map(str::to_owned))?;
        row(f, "orders", counts(|totals| totals.orders))?;
        row(f, "items", counts(|totals| totals.items))?;
        row(f, "items, BRL", money(|totals| totals.goods))?;
        row(f, "freight, BRL", money(|totals| totals.freight))?;
        row(f, "items and freight, BRL", money(|totals| totals.goods + totals.freight))?;
        let methods: BTreeSet<&String> =
            [files, imported, refused].iter().flat_map(|totals| totals.payments.keys()).collect();
        for method in methods {
            let of = |totals: &Totals| totals.payments.get(method).copied().unwrap_or_default();
            let all = [files, imported, refused];
            row(f, &format!("{method}, payments"), all.map(|totals| grouped(of(totals).0)))?;
            row(f, &format!("{method}, BRL"), all.map(|totals| decimal(of(totals).1)))?;
        }
        row(f, "all payments", counts(|totals| totals.paid().0))?;
        row(f, "all payments, BRL", money(|totals| totals.paid().1))?;
        row(f, "payments of 0.00, left out", counts(|totals| totals.empty_payments))?;
        if self.adds_up() {
            writeln!(f, "  Each figure of the files is that of the imported and the refused orders together.")
        } else {
            writeln!(f, "  The imported and the refused orders are not all orders of the files: see below.")
        }
    }

    fn write_refused(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut by_heading: BTreeMap<&str, Vec<&RefusedOrder>> = BTreeMap::new();
        for order in &self.plan.refused {
            by_heading.entry(order.refusal.heading()).or_default().push(order);
        }
        writeln!(f, "Refused by the rules, and not sent: {}", grouped(self.plan.refused.len() as u64))?;
        for (heading, orders) in by_heading {
            let mut totals = Totals::default();
            orders.iter().for_each(|order| totals.add(&order.totals));
            writeln!(
                f,
                "  {:>7}  {heading}: items and freight {}, payments {}",
                grouped(totals.orders),
                decimal(totals.goods + totals.freight),
                decimal(totals.paid().1)
            )?;
            for order in orders.iter().take(EXAMPLES) {
                writeln!(f, "           {}: {}", order.id, order.refusal)?;
            }
        }
        Ok(())
    }

    fn write_notes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = |is_so: fn(&super::Times) -> bool| {
            grouped(self.plan.orders.iter().filter(|order| is_so(&order.odd_times)).count() as u64)
        };
        writeln!(f, "Times that cannot be so, taken as the files have them:")?;
        writeln!(f, "  {:>7}  carrier before approval", count(|times| times.carrier_before_approval))?;
        writeln!(f, "  {:>7}  carrier before purchase", count(|times| times.carrier_before_purchase))?;
        writeln!(f, "  {:>7}  delivered before carrier", count(|times| times.delivered_before_carrier))?;
        let money = decimal(self.sent.paid_for_cancelled);
        writeln!(f, "Paid for orders that were called off: {money}. No file says that it was given back.")?;
        let Elsewhere { items, payments, repeated_orders } = self.elsewhere;
        writeln!(f, "Rows of orders that are not in the orders file, left out:")?;
        writeln!(f, "  {} items, {} payments", grouped(items), grouped(payments))?;
        if repeated_orders > 0 {
            writeln!(f, "Orders that stand in it twice, taken once: {}", grouped(repeated_orders))?;
        }
        Ok(())
    }

    fn write_failures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sent = &self.sent;
        writeln!(f, "Refused by the service: {}", grouped(sent.refusals))?;
        for (what, error) in &sent.first_refusals {
            write_refusal(f, what, error)?;
        }
        let more = sent.refusals.saturating_sub(sent.first_refusals.len() as u64);
        if more > 0 {
            writeln!(f, "  and {} more", grouped(more))?;
        }
        if let Some((what, error)) = &sent.stopped_by {
            let planned = grouped(self.plan.orders.len() as u64);
            writeln!(f, "Stopped after {} of {planned} orders, because of", grouped(sent.totals.orders))?;
            write_refusal(f, what, error)?;
            writeln!(f, "  Run the same import again: it goes on where it was.")?;
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        self.write_table(f)?;
        self.write_refused(f)?;
        self.write_notes(f)?;
        self.write_failures(f)
    }
}
