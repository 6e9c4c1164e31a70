use super::Event;
use crate::Summary;

impl Summary for Event {
    fn summary(&self) -> String {
        match self {
            Self::Defined(defined) => {
                format!("Defined: {}, sold by {} at {}", defined.name, defined.merchant_id, defined.price)
            }
            Self::Repriced(repriced) => format!("Price set to {}", repriced.price),
            Self::Retired(_) => "Retired".to_owned(),
        }
    }
}
