//! What every consumer of the log has. A consumer follows the log and acts; of all processes that could, one does.

pub mod elsewhere;
mod own_form;

pub use own_form::OwnForm;
