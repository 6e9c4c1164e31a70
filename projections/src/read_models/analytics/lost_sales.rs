//! Units that stock refused.

use super::sale::Sale;
use crate::fact::Fact;
use crate::projection::ApplyError;
use domain::order::ReservationsAnswered;
use sqlx::PgConnection;
use uuid::Uuid;

/// The refusals of a batch.
#[derive(Debug, Default)]
pub struct LostSales {
    rows: Vec<LostSale>,
}

#[derive(Debug)]
struct LostSale {
    order_id: Uuid,
    sku: String,
    merchant: String,
    country: String,
    currency: String,
    units: i64,
    available: i64,
    amount: i64,
    refused_at: chrono::DateTime<chrono::Utc>,
}

impl LostSales {
    pub fn add(&mut self, order_id: Uuid, sale: &Sale, answered: &ReservationsAnswered, fact: &Fact) {
        for refused in &answered.refused {
            // A SKU has one merchant; should two have sold it, the refusal is about all units.
            let mut lines = sale.lines.iter().filter(|line| line.sku == refused.sku.as_str()).peekable();
            let Some(merchant) = lines.peek().map(|line| line.merchant.clone()) else { continue };
            let (units, amount) = lines.fold((0, 0), |sum, line| (sum.0 + line.units, sum.1 + line.amount));
            self.rows.push(LostSale {
                order_id,
                sku: refused.sku.to_string(),
                merchant,
                country: sale.country.clone(),
                currency: sale.currency.clone(),
                units,
                available: i64::try_from(refused.available).unwrap_or(i64::MAX),
                amount,
                refused_at: fact.occurred_at,
            });
        }
    }

    pub async fn write(&self, transaction: &mut PgConnection) -> Result<(), ApplyError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let text = |value: fn(&LostSale) -> &str| self.rows.iter().map(value).collect::<Vec<&str>>();
        let number = |value: fn(&LostSale) -> i64| self.rows.iter().map(value).collect::<Vec<i64>>();
        let orders: Vec<_> = self.rows.iter().map(|row| row.order_id).collect();
        let times: Vec<_> = self.rows.iter().map(|row| row.refused_at).collect();
        sqlx::query!(
            "INSERT INTO analytics_lost_sales
                 (order_id, sku, merchant, country, currency, units, available, amount, refused_at)
             SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                                  $7::bigint[], $8::bigint[], $9::timestamptz[])",
            &orders,
            &text(|row| &row.sku) as _,
            &text(|row| &row.merchant) as _,
            &text(|row| &row.country) as _,
            &text(|row| &row.currency) as _,
            &number(|row| row.units),
            &number(|row| row.available),
            &number(|row| row.amount),
            &times
        )
        .execute(transaction)
        .await?;
        Ok(())
    }
}
