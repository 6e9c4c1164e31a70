use super::AuditError;
use super::thing::{each_item, say, text};
use clap::Args;
use domain::Money;
use serde::Deserialize;
use serde_json::Value;
use shop_client::ShopClient;

/// `emporium audit price …`
#[derive(Debug, Args)]
pub struct PriceArgs {
    /// The SKU
    sku: String,
    /// Only count the orders, and do not name them
    #[arg(long)]
    counts_only: bool,
}

pub async fn run(shop: &ShopClient, args: &PriceArgs) -> Result<(), AuditError> {
    let mut prices = Vec::new();
    let query = [("min-position", "head".to_owned()), ("limit", "500".to_owned())];
    each_item(shop, &["products", &args.sku, "prices"], &query, |price| {
        prices.push(price.clone());
        Ok(())
    })
    .await?;
    for price in &prices {
        say(&told(price))?;
        if !args.counts_only {
            let revision = price["revision"].to_string();
            let path = ["products", &args.sku, "prices", &revision, "orders"];
            each_item(shop, &path, &query, |line| say(&sold(line))).await?;
        }
    }
    Ok(())
}

fn money(money: &Value) -> String {
    match Money::deserialize(money) {
        Ok(money) => money.to_string(),
        // More than an order can come to.
        Err(_) => format!("{} {}", money["amount"], text(&money["currency"])),
    }
}

fn told(price: &Value) -> String {
    let others = match price["orders_at_other_prices"].as_u64() {
        None | Some(0) => String::new(),
        Some(others) => format!("; {others} at another price in that time"),
    };
    format!(
        "{}  {}  set by {}, until {} (event {})\n  ordered at it: {} units in {} orders, {}, whatever became of them{others}",
        text(&price["from"]),
        money(&price["price"]),
        text(&price["actor"]),
        price["until"].as_str().unwrap_or("now"),
        text(&price["event_id"]),
        price["units"],
        price["orders"],
        money(&price["revenue"]),
    )
}

fn sold(line: &Value) -> String {
    let other = if line["at_this_price"] == true {
        String::new()
    } else {
        format!(" at {}", money(&line["unit_price"]))
    };
    format!(
        "    {}  order {}  {} units{other}  {}",
        text(&line["placed_at"]),
        text(&line["order_id"]),
        line["quantity"],
        text(&line["status"])
    )
}
