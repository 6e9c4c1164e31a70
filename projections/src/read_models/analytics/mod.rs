//! What dashboards ask: revenue, orders and their states, carts on their way to an order, stock-outs. Facts by the minute
//! and rows by the order, from which queries answer for any period in any time zone. The terms are defined in
//! `docs/analytics.md`.

mod carts;
mod lost_sales;
mod orders;
mod rollups;
mod sale;
mod sales;
mod stock;

pub use carts::AnalyticsCarts;
pub use orders::AnalyticsOrders;
pub use sales::AnalyticsSales;
pub use stock::AnalyticsStock;
