//! Which sales or orders a question is about.

use super::sales_rows::{By, Selection};
use crate::parameters::given;
use domain::{CountryCode, Currency, MerchantId, Sku};
use http_boundary::Problem;

/// Values that such things can have.
#[derive(Debug, Default)]
pub struct Filters {
    pub sku: Option<String>,
    pub merchant: Option<String>,
    pub country: Option<String>,
    pub currency: Option<String>,
}

/// Checks the form of each.
pub fn checked(
    sku: &Option<String>,
    merchant: &Option<String>,
    country: &Option<String>,
    currency: &Option<String>,
) -> Result<Filters, Problem> {
    Ok(Filters {
        sku: read::<Sku>(sku)?,
        merchant: read::<MerchantId>(merchant)?,
        country: read::<CountryCode>(country)?,
        currency: read::<Currency>(currency)?,
    })
}

fn read<T>(value: &Option<String>) -> Result<Option<String>, Problem>
where
    T: std::str::FromStr + ToString,
    T::Err: std::fmt::Display,
{
    let value = given(value.as_deref()).map(str::parse::<T>).transpose();
    Ok(value.map_err(|error| Problem::invalid(error.to_string()))?.map(|value| value.to_string()))
}

impl Filters {
    /// All sales that pass, told apart by this.
    pub fn selection(&self, by: By) -> Selection<'_> {
        Selection {
            by,
            sku: self.sku.as_deref(),
            merchant: self.merchant.as_deref(),
            country: self.country.as_deref(),
            currency: self.currency.as_deref(),
            best_by: "gross",
            limit: i64::MAX,
        }
    }
}
