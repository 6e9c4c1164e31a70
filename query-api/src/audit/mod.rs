//! The audit trail: events by what they are, by whom, for which purchase and when; what caused what; and exports.
//!
//! The read model `trail` knows where in the log the events are that a selection wants (`selection`); what they say is
//! read from the log itself (`at_positions`). A stream's events are read from the stream, and an export reads the log
//! from end to end (`export`), so what it says does not depend on any read model.

mod at_positions;
mod causation;
mod export;
mod filter;
mod record;
mod selection;

pub use at_positions::at_positions;
pub use causation::tree;
pub use export::export;
pub use filter::{Filter, Wanted};
pub use record::{as_json, record};
pub use selection::{of_correlation, page_of_index, page_of_stream};
