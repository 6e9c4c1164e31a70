//! Identities that are UUIDs. New ones are made at the edge (UUIDv7, or derived from an idempotency key).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// A shopper's cart. Unguessable: whoever knows it may read and change the cart.
    CartId
);
uuid_id!(
    /// A line of a cart and of the order that it becomes.
    LineId
);
uuid_id!(
    /// An order. Unguessable: whoever knows it may read and cancel the order.
    OrderId
);
uuid_id!(
    /// One delivery of goods into stock; makes receiving it twice the same as once.
    ReceiptId
);
uuid_id!(
    /// One correction of stock; makes applying it twice the same as once.
    AdjustmentId
);
uuid_id!(
    /// One payment; makes recording it twice the same as once.
    PaymentId
);
uuid_id!(
    /// One parcel of a merchant; makes sending it twice the same as once.
    ShipmentId
);
uuid_id!(
    /// One refund; makes recording it twice the same as once.
    RefundId
);
