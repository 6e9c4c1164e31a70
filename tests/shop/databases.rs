//! The databases of a shop for one test.

use sqlx::PgPool;

/// The addresses of its databases.
pub struct Databases {
    pub shop: String,
    /// None if analytics are in the shop's.
    pub analytics: Option<String>,
}

impl Databases {
    /// All in one.
    pub fn one(pool: &PgPool) -> Self {
        Self { shop: database_url(pool), analytics: None }
    }

    /// Analytics in one of their own.
    pub fn two(pool: &PgPool, analytics: &PgPool) -> Self {
        Self { shop: database_url(pool), analytics: Some(database_url(analytics)) }
    }
}

/// A database on the server that DATABASE_URL names.
fn database_url(pool: &PgPool) -> String {
    let server = std::env::var("DATABASE_URL").expect("tests run under with-postgres: see `make test`");
    let (address, options) = server.split_once('?').unwrap_or((&server, ""));
    let (server, _) = address.rsplit_once('/').expect("a database's address has a path");
    let connect = pool.connect_options();
    let database = connect.get_database().expect("the test has a database");
    format!("{server}/{database}?{options}")
}
