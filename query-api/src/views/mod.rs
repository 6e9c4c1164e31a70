//! What the read models say, in the form in which answers have it: below the routes, the histories and the live pages.

pub mod carts;
pub mod orders;
