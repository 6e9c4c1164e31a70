use super::AuditError;
use super::thing::{say, text};
use clap::Args;
use serde_json::Value;
use shop_client::ShopClient;

/// `emporium audit purchase …`
#[derive(Debug, Args)]
pub struct PurchaseArgs {
    /// The order
    order_id: String,
}

pub async fn run(shop: &ShopClient, args: &PurchaseArgs) -> Result<(), AuditError> {
    let purchase: Value = shop.ask(&["audit", "purchases", &args.order_id], &[]).await?;
    for step in purchase["steps"].as_array().into_iter().flatten() {
        say(told(step).trim_end())?;
    }
    Ok(())
}

fn told(step: &Value) -> String {
    let depth = step["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()).unwrap_or_default();
    let indent = "  ".repeat(depth);
    let mut told = format!(
        "{indent}{}  {} asks ({})\n",
        text(&step["occurred_at"]),
        text(&step["actor"]),
        text(&step["command_id"])
    );
    for event in step["events"].as_array().into_iter().flatten() {
        told += &format!("{indent}- {}: {}\n", text(&event["stream"]), text(&event["summary"]));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_follows_is_further_in() {
        let event = json!({ "stream": "order-1", "summary": "Paid in full" });
        let step = json!({ "depth": 1, "occurred_at": "2026-11-21T12:03:11Z", "actor": "order-fulfilment", "command_id": "c", "events": [event] });
        assert_eq!(
            told(&step),
            "  2026-11-21T12:03:11Z  order-fulfilment asks (c)\n  - order-1: Paid in full\n"
        );
    }
}
