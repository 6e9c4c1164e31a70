//! The read models, one folder or file each, and the only list of them. Each folds its batch in memory first, down to one
//! change for each row, and then writes all changes of a kind with one statement.

use crate::catalogue::{Entry, entry};

macro_rules! read_models {
    ($($module:ident: $($name:ident),+;)+) => {
        $(
            mod $module;
            pub use $module::{$($name),+};
        )+

        const COUNT: usize = [$($(stringify!($name)),+),+].len();

        /// All of them.
        pub const ALL: [Entry; COUNT] = [$($(entry::<$name>()),+),+];
    };
}

// Each module, and the projections in it.
read_models! {
    products: Products;
    carts: Carts;
    orders: Orders;
    stock: Stock;
    sales: Sales;
    trail: Trail;
    analytics: AnalyticsSales, AnalyticsOrders, AnalyticsCarts, AnalyticsStock;
}
