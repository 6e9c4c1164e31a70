use super::Event;
use crate::Summary;
use crate::summary::counted;

impl Summary for Event {
    fn summary(&self) -> String {
        match self {
            Self::Opened(opened) => {
                let whose = opened.customer_id.as_ref().map(|customer| format!(" by customer {customer}"));
                format!("Opened in {}{}", opened.currency, whose.unwrap_or_default())
            }
            Self::ItemAdded(added) => {
                let agreed = if added.agreed { " (agreed price)" } else { "" };
                let (units, price) = (counted(added.quantity.units(), "unit"), added.unit_price);
                format!("{units} of {} added at {price} each{agreed}", added.sku)
            }
            Self::ItemQuantityChanged(changed) => {
                format!("Line {} changed to {}", changed.line_id, counted(changed.quantity.units(), "unit"))
            }
            Self::ItemRemoved(removed) => format!("Line {} removed", removed.line_id),
            Self::ShippingSet(set) => format!("Shipping set to {}", set.charge),
            Self::CheckedOut(checked_out) => {
                let (lines, total) = (counted(checked_out.lines.len(), "line"), checked_out.total);
                format!("Checked out: {lines}, {total} to {}", checked_out.country)
            }
            Self::Abandoned(_) => "Abandoned".to_owned(),
        }
    }
}
