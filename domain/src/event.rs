//! Any event of the shop, for readers of the whole log.

use crate::stored::{StoredEvent, UnreadableEvent};
use crate::{cart, inventory, order, product};

/// An event of any aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Of a product.
    Product(product::Event),
    /// Of a SKU's stock.
    Inventory(inventory::Event),
    /// Of a cart.
    Cart(cart::Event),
    /// Of an order.
    Order(order::Event),
}

impl Event {
    /// Reads an event of any aggregate; its type name says which.
    ///
    /// # Errors
    /// When the type name is not known or the payload does not have its shape.
    pub fn read(type_name: &str, payload: &[u8]) -> Result<Self, UnreadableEvent> {
        match type_name.split('.').next() {
            Some("product") => product::Event::read(type_name, payload).map(Self::Product),
            Some("inventory") => inventory::Event::read(type_name, payload).map(Self::Inventory),
            Some("cart") => cart::Event::read(type_name, payload).map(Self::Cart),
            Some("order") => order::Event::read(type_name, payload).map(Self::Order),
            _ => Err(UnreadableEvent::UnknownType(type_name.to_owned())),
        }
    }
}
