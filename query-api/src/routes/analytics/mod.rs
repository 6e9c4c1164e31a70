//! What dashboards ask, for any period in any time zone, as the operator: one file for each group of questions. The
//! terms are defined in `docs/analytics.md`.

mod buyers;
mod cover;
mod figures;
mod filters;
mod funnel;
mod lost_sales;
mod orders;
mod period;
#[cfg(test)]
mod period_tests;
mod revenue;
mod sales_rows;
mod sellers;
mod stock_outs;
mod time_in_state;

use super::Shared;
use http_routes::Routes;

/// All of them.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .merge(revenue::routes())
        .merge(sellers::routes())
        .merge(orders::routes())
        .merge(time_in_state::routes())
        .merge(funnel::routes())
        .merge(buyers::routes())
        .merge(stock_outs::routes())
        .merge(lost_sales::routes())
}
