//! Whatever has to be known of all aggregates: it follows from the table of them in `lib.rs`.

use crate::stored::{StoredEvent, UnreadableEvent};
use crate::{Aggregate, Summary};

macro_rules! define {
    ($($name:ident => $aggregate:ty),+ $(,)?) => {
        /// The categories of all aggregates, the first parts of their streams' names. Their events are the facts of the
        /// shop: they are chained, sealed, and told to auditors.
        pub const CATEGORIES: &[&str] = &[$(<$aggregate>::CATEGORY),+];

        /// An event of any aggregate, for readers of the whole log.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("Of a stream of `", stringify!($name), "`.")] $name(<$aggregate as Aggregate>::Event),)+
        }

        impl Event {
            /// Reads an event of any aggregate; its type name says which.
            ///
            /// # Errors
            /// When the type name is not known or the payload does not have its shape.
            pub fn read(type_name: &str, payload: &[u8]) -> Result<Self, UnreadableEvent> {
                match type_name.split('.').next() {
                    $(Some(<$aggregate>::CATEGORY) => {
                        <$aggregate as Aggregate>::Event::read(type_name, payload).map(Self::$name)
                    })+
                    _ => Err(UnreadableEvent::UnknownType(type_name.to_owned())),
                }
            }
        }

        impl Summary for Event {
            fn summary(&self) -> String {
                match self {
                    $(Self::$name(event) => event.summary(),)+
                }
            }
        }
    };
}

with_aggregates!(define);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// All before the first `-` of a stream's name is its category, all before the first `.` of a type name too.
    #[test]
    fn each_category_is_a_word_of_its_own() {
        let all: BTreeSet<&str> = CATEGORIES.iter().copied().collect();
        assert_eq!(all.len(), CATEGORIES.len());
        assert!(
            all.iter().all(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
        );
        // Those that processes keep for themselves.
        for own in ["audit", "command", "event", "key", "lock", "process", "snapshot"] {
            assert!(!all.contains(own), "{own}");
        }
    }
}
