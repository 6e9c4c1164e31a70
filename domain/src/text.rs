//! Names that people give: bounded, trimmed, without control characters. Cheap to clone.

use crate::CountryCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// Why a text cannot be used as a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// Nothing, or only white space.
    #[error("{what} is empty: give at least one character")]
    Empty {
        /// What the text was meant to be.
        what: &'static str,
    },
    /// Too many characters.
    #[error("{what} has {length} characters: at most {max} are allowed")]
    TooLong {
        /// What the text was meant to be.
        what: &'static str,
        /// Characters it has.
        length: usize,
        /// Characters it may have.
        max: usize,
    },
    /// A character that may not stand there.
    #[error("{what} has the character {character:?}, which is not allowed: {allowed}")]
    Forbidden {
        /// What the text was meant to be.
        what: &'static str,
        /// The first character that is not allowed.
        character: char,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// What a kind of text may have.
struct Characters {
    are_allowed: fn(char) -> bool,
    /// These do not count around the text.
    are_trimmed: fn(char) -> bool,
    allowed: &'static str,
}

/// A code is a part of stream names and of addresses, so it is kept to what needs no thought there. Only spaces are trimmed:
/// a code with a no-break space or a tab around it is not the one that people see.
const CODE: Characters = Characters {
    are_allowed: |character| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | ' '),
    are_trimmed: |character| character == ' ',
    allowed: "a code has letters (A-Z, a-z), digits, `.`, `_`, `-`, and spaces inside",
};

const ADDRESS: Characters = Characters {
    are_allowed: |character| {
        character.is_ascii_graphic()
            && !matches!(character, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
    },
    are_trimmed: char::is_whitespace,
    allowed: "what may be in an address, all else percent-encoded",
};

const PRINTABLE: Characters = Characters {
    are_allowed: |character| !character.is_control(),
    are_trimmed: char::is_whitespace,
    allowed: "anything but control characters",
};

fn check(
    what: &'static str,
    max: usize,
    characters: &Characters,
    text: &str,
) -> Result<Arc<str>, InvalidText> {
    let text = text.trim_matches(characters.are_trimmed);
    if text.trim().is_empty() {
        return Err(InvalidText::Empty { what });
    }
    let length = text.chars().count();
    if length > max {
        return Err(InvalidText::TooLong { what, length, max });
    }
    // `.` and `..` mean something else in addresses, whatever stands around them.
    if text.chars().all(|character| character == '.') {
        return Err(InvalidText::Forbidden { what, character: '.', allowed: "not dots alone" });
    }
    match text.chars().find(|&character| !(characters.are_allowed)(character)) {
        Some(character) => Err(InvalidText::Forbidden { what, character, allowed: characters.allowed }),
        None => Ok(text.into()),
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $characters:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Trims and checks the text.
            ///
            /// # Errors
            /// When it is empty, too long, or has a character that is not allowed.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                check($what, $max, &$characters, text).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// A stock-keeping unit: what a product and its stock are known by. Case matters.
    Sku, "the SKU", 64, CODE
);
text!(
    /// Who sells a product.
    MerchantId, "the merchant's id", 64, CODE
);
text!(
    /// Who buys, as the storefront knows them. A guest has none.
    CustomerId, "the customer's id", 64, PRINTABLE
);
text!(
    /// What a product is called.
    ProductName, "the product's name", 200, PRINTABLE
);
text!(
    /// Where an order goes, as its event says it. New events have an ISO 3166-1 code; old ones have whatever was given,
    /// and [`Country::code`] says which country that is.
    Country, "the country", 56, PRINTABLE
);
impl Country {
    /// Which country it is; [`CountryCode::UNKNOWN`] if its text is the name of none.
    #[must_use]
    pub fn code(&self) -> CountryCode {
        self.0.parse().unwrap_or(CountryCode::UNKNOWN)
    }
}

impl From<CountryCode> for Country {
    fn from(code: CountryCode) -> Self {
        Self(code.as_str().into())
    }
}

text!(
    /// Why something was done, in a person's words.
    Reason, "the reason", 500, PRINTABLE
);
text!(
    /// How somebody else's books name a payment or a refund.
    Reference, "the reference", 200, PRINTABLE
);
text!(
    /// How a payment was made: `card`, `invoice`, `voucher`.
    PaymentMethod, "the payment method", 64, CODE
);
text!(
    /// What a payment gateway takes for a means of payment: a token that it gave to the shopper's browser.
    PaymentToken, "the payment token", 255, PRINTABLE
);
text!(
    /// Where a shopper's browser is sent: an address of the web.
    WebAddress, "the web address", 2048, ADDRESS
);
text!(
    /// How the payment gateway names a payment: a PaymentIntent's id.
    IntentId, "the payment intent's id", 255, PRINTABLE
);
text!(
    /// A code that says why something was refused, for programs: `card_declined`.
    DeclineCode, "the decline code", 64, PRINTABLE
);
text!(
    /// Who carries a parcel.
    Carrier, "the carrier", 64, PRINTABLE
);
text!(
    /// How the carrier names a parcel.
    TrackingNumber, "the tracking number", 100, PRINTABLE
);
