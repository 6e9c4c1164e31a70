use api::schema;
use utoipa::PartialSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// The names of an address's variables, in order.
pub fn path_names(address: &str) -> Vec<&str> {
    let parts = address.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// What the variables of a path are read as.
pub trait PathValues {
    /// How each of them looks, in order.
    fn schemas() -> Vec<RefOr<Schema>>;
}

macro_rules! path_values {
    ($($value:ty => $schema:ty),* $(,)?) => {
        $(impl PathValues for $value {
            fn schemas() -> Vec<RefOr<Schema>> {
                vec![<$schema>::schema()]
            }
        })*
    };
}

path_values! {
    domain::Sku => schema::Sku,
    domain::CartId => schema::CartId,
    domain::LineId => schema::LineId,
    domain::OrderId => schema::OrderId,
    domain::ShipmentId => schema::ShipmentId,
    uuid::Uuid => schema::Uuid,
    String => String,
    u64 => u64,
    i64 => i64,
}

impl<A: PathValues, B: PathValues> PathValues for (A, B) {
    fn schemas() -> Vec<RefOr<Schema>> {
        [A::schemas(), B::schemas()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_variables() {
        assert_eq!(path_names("/carts/{cart_id}/lines/{line_id}"), ["cart_id", "line_id"]);
        assert_eq!(path_names("/carts"), Vec::<&str>::new());
    }
}
