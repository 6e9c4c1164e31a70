use super::{Fold, Moment};
use api::permission::Audit;
use api::{Amount, products};
use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::product::{Definition, Event, Product};

/// A product at a point.
#[derive(Default)]
pub struct ProductFold {
    product: Product,
    defined_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    revision: i64,
}

impl Fold for ProductFold {
    type Of = Product;
    type Page = products::Product;
    const WHAT: &'static str = "product";
    type Permission = Audit;

    fn take(&mut self, event: &Event, moment: &Moment) {
        self.product = std::mem::take(&mut self.product).evolve(event);
        if let Event::Defined(_) = event {
            self.defined_at = moment.occurred_at;
        }
        (self.changed_at, self.revision) = (moment.occurred_at, moment.revision);
    }

    fn page(self, _: &str) -> Option<products::Product> {
        let (definition, retired) = match self.product {
            Product::Undefined => return None,
            Product::Listed(definition) => (definition, false),
            Product::Retired(definition) => (definition, true),
        };
        let Definition { sku, merchant_id, name, price, first_price: _ } = definition;
        Some(products::Product {
            sku: sku.to_string(),
            merchant_id: merchant_id.to_string(),
            name: name.to_string(),
            price: Amount::from(price),
            retired,
            defined_at: self.defined_at,
            changed_at: self.changed_at,
            revision: self.revision,
        })
    }
}
