//! The table of routes. What a route takes, answers and needs a permission for is read off its handler's signature:
//! there is no second place to keep in step.
//!
//! A handler takes [`Allowed`] first, with its permission as a type; a handler without one is no route and does not
//! compile. Then it takes what it reads of the request ([`Takes`]), and it returns what it answers ([`Answers`]).
//! [`Routes`] serves the handlers under `/v1`, lists them for tests ([`Route`]), and describes them all in OpenAPI 3.1.

mod allowed;
mod answers;
mod description;
mod handler;
mod openapi;
mod path;
mod routes;
mod takes;

pub use allowed::Allowed;
pub use answers::{Answers, LiveFeed};
pub use description::Description;
pub use handler::Handler;
pub use path::PathValues;
pub use routes::{Route, RouteTable, Routes};
pub use takes::Takes;
