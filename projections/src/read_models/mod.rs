//! The read models. Each folds its batch in memory first, down to one change for each row, and then writes all
//! changes of a kind with one statement.

mod analytics;
mod carts;
mod order_money;
mod order_shipments;
mod orders;
mod products;
mod sales;
mod stock;
mod trail;

pub use analytics::{AnalyticsCarts, AnalyticsOrders, AnalyticsSales, AnalyticsStock};
pub use carts::Carts;
pub use orders::Orders;
pub use products::Products;
pub use sales::Sales;
pub use stock::Stock;
pub use trail::Trail;
