use super::states::State;
use api::Amount;
use api::sales::{SalesFigures, SalesSum};
use chrono::Utc;
use domain::Aggregate;
use domain::order::Order;
use sqlx::PgConnection;

pub const CATEGORY: &str = Order::CATEGORY;
/// A sale is booked when its order is paid.
pub const BOOKED: &str = "order.paid.";

/// All in one query, so that it is one moment. Its position is how far the read model has come then.
pub async fn read(connection: &mut PgConnection) -> Result<State, sqlx::Error> {
    let day = Utc::now().date_naive();
    let rows = sqlx::query!(
        r#"SELECT c.position, s.day IS NOT NULL AS "is_today!", s.currency AS "currency?",
                  s.orders, s.lines, s.units, s.revenue
           FROM (
               SELECT coalesce(min(c.position), 0) AS position
               FROM projection_versions AS v JOIN projection_checkpoints AS c USING (name, version)
               WHERE v.name = 'sales' AND v.state = 'serving'
           ) AS c
           LEFT JOIN (
               SELECT NULL::date AS day, currency, sum(orders)::bigint AS orders, sum(lines)::bigint AS lines,
                      sum(units)::bigint AS units, sum(revenue)::bigint AS revenue
               FROM sales WHERE dimension = 'total' GROUP BY currency
               UNION ALL
               SELECT day, currency, orders, lines, units, revenue
               FROM sales WHERE dimension = 'total' AND day = $1
           ) AS s ON true
           ORDER BY currency"#,
        day
    )
    .fetch_all(connection)
    .await?;
    let position = rows.first().and_then(|row| row.position).unwrap_or(0);
    let mut figures = SalesFigures { day, today: vec![], all: vec![] };
    for row in rows {
        // Nothing was sold yet.
        let Some(currency) = row.currency else { continue };
        let sold = SalesSum {
            orders: row.orders.unwrap_or(0),
            lines: row.lines.unwrap_or(0),
            units: row.units.unwrap_or(0),
            revenue: Amount { amount: row.revenue.unwrap_or(0), currency },
        };
        if row.is_today { figures.today.push(sold) } else { figures.all.push(sold) }
    }
    State::of(position, &figures)
}
