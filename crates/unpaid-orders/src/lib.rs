//! What orders that nobody has paid for may take off sale: how much of a SKU, how many of them, and for how long.
//!
//! Only shoppers are bound by it, whom nobody knows. What an operator orders is the shop's own business.

mod orders;

pub use orders::{TooMany, UnpaidOrders, Whose};

use clap::Args;
use domain::inventory::Share;
use std::sync::Arc;

/// Limits on what shoppers hold before they pay. The operator's orders have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct UnpaidArgs {
    /// Units of a SKU that one shopper's order may have; 0 for any number
    #[arg(long, env = "EMPORIUM_MAX_UNITS_OF_A_SKU", default_value_t = Self::default().max_units_of_a_sku, value_name = "UNITS")]
    pub max_units_of_a_sku: u32,

    /// How much of a SKU's unsold stock shoppers' unpaid orders may hold together, in percent; beyond it, an order's
    /// units are held when its payment is authorised
    #[arg(
        long,
        env = "EMPORIUM_UNPAID_SHARE",
        default_value_t = Self::default().unpaid_share,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u32).range(0..=100)
    )]
    pub unpaid_share: u32,

    /// Unpaid orders that may wait at once of shoppers at one network address; 0 for any number
    #[arg(
        long,
        env = "EMPORIUM_UNPAID_ORDERS_OF_ADDRESS",
        default_value_t = Self::default().unpaid_orders_of_address,
        value_name = "ORDERS"
    )]
    pub unpaid_orders_of_address: u32,

    /// The same of one customer
    #[arg(
        long,
        env = "EMPORIUM_UNPAID_ORDERS_OF_CUSTOMER",
        default_value_t = Self::default().unpaid_orders_of_customer,
        value_name = "ORDERS"
    )]
    pub unpaid_orders_of_customer: u32,

    /// A SKU is scarce when less than so many percent of its unsold units are available, and unpaid orders hold the
    /// others; 0 for never
    #[arg(
        long,
        env = "EMPORIUM_SCARCE_BELOW",
        default_value_t = Self::default().scarce_below,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u32).range(0..=100)
    )]
    pub scarce_below: u32,

    /// How long a shopper's order of a scarce SKU waits for its money at most, in seconds
    #[arg(
        long,
        env = "EMPORIUM_SCARCE_HOLD_SECONDS",
        default_value_t = Self::default().scarce_hold_seconds,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub scarce_hold_seconds: u32,

    /// Shoppers may pay an order through the payment gateway in parts; without it, a payment is all that is due
    #[arg(long, env = "EMPORIUM_PAYMENTS_IN_PART")]
    pub payments_in_part: bool,
}

impl Default for UnpaidArgs {
    fn default() -> Self {
        Self {
            max_units_of_a_sku: 100,
            unpaid_share: 50,
            unpaid_orders_of_address: 100,
            unpaid_orders_of_customer: 20,
            scarce_below: 60,
            scarce_hold_seconds: 180,
            payments_in_part: false,
        }
    }
}

impl UnpaidArgs {
    /// For tests in which one machine is a crowd: nothing is limited but what payments must cover.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            max_units_of_a_sku: 0,
            unpaid_share: 100,
            unpaid_orders_of_address: 0,
            unpaid_orders_of_customer: 0,
            scarce_below: 0,
            ..Self::default()
        }
    }
}

/// The limits, and the unpaid orders that are known.
#[derive(Clone)]
pub struct Unpaid {
    pub orders: Arc<UnpaidOrders>,
    pub share: Share,
    pub payments_in_part: bool,
    max_units: u32,
    scarce_below: u32,
    scarce_hold_seconds: u32,
}

impl Unpaid {
    pub fn new(args: &UnpaidArgs) -> Self {
        Self {
            orders: Arc::new(UnpaidOrders::new(
                args.unpaid_orders_of_address,
                args.unpaid_orders_of_customer,
            )),
            share: Share::of_percent(args.unpaid_share),
            payments_in_part: args.payments_in_part,
            max_units: args.max_units_of_a_sku,
            scarce_below: args.scarce_below,
            scarce_hold_seconds: args.scarce_hold_seconds,
        }
    }

    /// Units of a SKU that an order may have; none: any number.
    pub fn max_units(&self) -> Option<u64> {
        (self.max_units > 0).then(|| u64::from(self.max_units))
    }

    /// Whether unpaid orders hold so many of a SKU's unsold units that new ones must hurry.
    pub fn is_scarce(&self, available: u64, unsold: u64) -> bool {
        u128::from(available) * 100 < u128::from(unsold) * u128::from(self.scarce_below)
    }

    /// How long a shopper's order waits for its money.
    pub fn hold_seconds(&self, asked: u32, is_scarce: bool) -> u32 {
        if is_scarce { asked.min(self.scarce_hold_seconds) } else { asked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_is_scarce_when_unpaid_orders_hold_much_of_it() {
        let unpaid = |scarce_below| Unpaid::new(&UnpaidArgs { scarce_below, ..UnpaidArgs::unlimited() });
        for (available, unsold, is_scarce) in [(10, 10, false), (1, 1, false), (6, 10, false), (5, 10, true)]
        {
            assert_eq!(unpaid(60).is_scarce(available, unsold), is_scarce, "{available} of {unsold}");
        }
        assert!(!unpaid(0).is_scarce(0, 1), "never");
        assert!(!unpaid(60).is_scarce(0, 0), "what is not there is not scarce");
        assert!(unpaid(60).is_scarce(u64::MAX / 2, u64::MAX));
    }

    #[test]
    fn an_order_of_a_scarce_sku_waits_no_longer_than_that() {
        let unpaid = Unpaid::new(&UnpaidArgs::default());
        assert_eq!([unpaid.hold_seconds(900, true), unpaid.hold_seconds(900, false)], [180, 900]);
        assert_eq!(unpaid.hold_seconds(60, true), 60);
    }
}
