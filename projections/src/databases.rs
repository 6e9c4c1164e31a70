//! Where the tables are: the shop's database, and that of analytics if it has one of its own.

use crate::catalogue::{self, Entry};
use crate::projection::Home;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// Connections to each database for those who look after the projections.
const POOL: u32 = 3;

/// When the machine of a session loses its power, nobody hangs up, and the database keeps the session's locks until it
/// notices. By default that takes two hours, and whoever is to take over waits as long.
const NOTICED_SOON: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
];

/// A database with tables of ours.
#[derive(Clone)]
pub struct Database {
    pub options: PgConnectOptions,
    pub pool: PgPool,
    /// Whose tables are in it.
    homes: &'static [Home],
}

/// All of them.
#[derive(Clone)]
pub struct Databases {
    shop: Database,
    /// None if analytics are in the shop's database.
    analytics: Option<Database>,
}

impl Database {
    fn new(options: PgConnectOptions, homes: &'static [Home]) -> Self {
        let options = options.options(NOTICED_SOON);
        let pool = PgPoolOptions::new().max_connections(POOL).connect_lazy_with(options.clone());
        Self { options, pool, homes }
    }

    /// The projections whose tables are in it.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + use<> {
        let homes = self.homes;
        catalogue::ALL.into_iter().filter(move |entry| homes.contains(&entry.home))
    }

    /// Its name in `/readyz`, after what is to be said of it.
    pub fn part(&self, what: &str) -> String {
        if self.homes == [Home::Analytics] {
            format!("analytics: {what}")
        } else {
            format!("read models' {what}")
        }
    }
}

impl Databases {
    /// Connects to nothing yet.
    pub fn new(shop: PgConnectOptions, analytics: Option<PgConnectOptions>) -> Self {
        match analytics {
            None => Self { shop: Database::new(shop, &[Home::Shop, Home::Analytics]), analytics: None },
            Some(analytics) => Self {
                shop: Database::new(shop, &[Home::Shop]),
                analytics: Some(Database::new(analytics, &[Home::Analytics])),
            },
        }
    }

    /// The one in which a projection's tables are.
    pub fn of(&self, home: Home) -> &Database {
        self.all().find(|database| database.homes.contains(&home)).unwrap_or(&self.shop)
    }

    /// Each of them once.
    pub fn all(&self) -> impl Iterator<Item = &Database> {
        std::iter::once(&self.shop).chain(&self.analytics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_session_is_missed_soon() {
        let [shop, analytics] =
            ["postgres://shop/a", "postgres://analytics/b"].map(|url| url.parse().unwrap());
        for database in Databases::new(shop, Some(analytics)).all() {
            let options = database.options.get_options().unwrap();
            assert!(options.contains("tcp_keepalives_idle=5"), "{options}");
            assert_eq!(database.pool.connect_options().get_options(), Some(options));
        }
    }
}
