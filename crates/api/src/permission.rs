//! Who may do what. A route names its permission in the signature of its handler, and each permission is held by roles.

/// Who somebody is, as far as permissions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever sends no token.
    Shopper,
    /// Whoever runs the shop: sends the operator's token.
    Operator,
}

/// A permission, as the type parameter of what a handler takes first.
pub trait Permission: Send + Sync + 'static {
    /// Its name, in kebab case. It never changes its meaning.
    const NAME: &'static str;
    /// What it allows, in one sentence.
    const ABOUT: &'static str;
    /// The roles that have it.
    const ROLES: &'static [Role];
    /// Whether it is asked for at all: a route that anybody may ask looks at no token.
    const IS_ASKED: bool;
}

/// What is known of a permission where its type is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionInfo {
    /// See [`Permission::NAME`].
    pub name: &'static str,
    /// See [`Permission::ABOUT`].
    pub about: &'static str,
    /// See [`Permission::ROLES`].
    pub roles: &'static [Role],
    /// See [`Permission::IS_ASKED`].
    pub is_asked: bool,
}

impl PermissionInfo {
    /// Of this permission.
    #[must_use]
    pub const fn of<P: Permission>() -> Self {
        Self { name: P::NAME, about: P::ABOUT, roles: P::ROLES, is_asked: P::IS_ASKED }
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $kebab:literal, $about:literal, $roles:expr, $is_asked:literal;)*) => {
        $(
            #[doc = $about]
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Permission for $name {
                const NAME: &'static str = $kebab;
                const ABOUT: &'static str = $about;
                const ROLES: &'static [Role] = $roles;
                const IS_ASKED: bool = $is_asked;
            }
        )*

        /// All of them.
        pub const ALL: &[PermissionInfo] = &[$(PermissionInfo::of::<$name>()),*];
    };
}

const EVERYBODY: &[Role] = &[Role::Shopper, Role::Operator];
const OPERATORS: &[Role] = &[Role::Operator];

permissions! {
    Public = "public", "Anybody may ask, and no token is looked at.", EVERYBODY, false;
    Shop = "shop", "Shoppers may: with the unguessable id of a cart or an order where there is one.", EVERYBODY, true;
    SignedByGateway = "signed-by-gateway", "The payment gateway may, by its signature over the body.", EVERYBODY, false;
    ManageProducts = "manage-products", "Defines, reprices and retires products.", OPERATORS, true;
    ManageStock = "manage-stock", "Receives, adjusts and lists stock.", OPERATORS, true;
    ManageCarts = "manage-carts", "Lists carts, and changes what shoppers may not.", OPERATORS, true;
    ManageOrders = "manage-orders", "Lists orders, sends and delivers them, and gives money back.", OPERATORS, true;
    ReadSales = "read-sales", "Reads sales and analytics.", OPERATORS, true;
    Audit = "audit", "Reads the events, exports them, and reconciles.", OPERATORS, true;
    Operate = "operate", "Looks after projections, consumers and parked streams.", OPERATORS, true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_permission_has_a_name_of_its_own_and_somebody_who_has_it() {
        let names: BTreeSet<&str> = ALL.iter().map(|permission| permission.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|permission| permission.roles.contains(&Role::Operator)));
        // What only some may do has to be asked for.
        assert!(ALL.iter().all(|permission| permission.is_asked || permission.roles == EVERYBODY));
    }
}
