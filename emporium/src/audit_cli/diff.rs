use super::AuditError;
use super::thing::{Thing, line, say, text};
use clap::Args;
use serde_json::Value;
use shop_client::ShopClient;

/// `emporium audit diff …`
#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    thing: Thing,
    /// 2026-11-21T12:00:00Z, position:4711 or revision:3
    #[arg(long)]
    from: String,
    /// The same; now, if not given
    #[arg(long)]
    to: Option<String>,
}

pub async fn run(shop: &ShopClient, args: &DiffArgs) -> Result<(), AuditError> {
    let mut query = vec![("from", args.from.clone())];
    query.extend(args.to.iter().map(|to| ("to", to.clone())));
    let diff: Value = shop.ask(&[args.thing.folder(), &args.thing.id, "diff"], &query).await?;
    Ok(say(told(&diff).trim_end())?)
}

fn told(diff: &Value) -> String {
    let mut told = String::new();
    for event in diff["events"].as_array().into_iter().flatten() {
        told += &format!("{}\n", line(event));
    }
    if let Some(more @ 1..) = diff["more_events"].as_u64() {
        told += &format!("and {more} more events\n");
    }
    for change in diff["changes"].as_array().into_iter().flatten() {
        told += &format!("{}\n  - {}\n  + {}\n", text(&change["path"]), change["before"], change["after"]);
    }
    if told.is_empty() { "nothing happened in between\n".to_owned() } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tells_events_and_changes() {
        let event = json!({ "occurred_at": "2026-11-21T12:03:11Z", "revision": 3, "summary": "Paid in full", "actor": "shopper" });
        let change = json!({ "path": "/status", "before": "pending", "after": "paid" });
        let diff = json!({ "events": [event], "more_events": 2, "changes": [change] });
        assert_eq!(
            told(&diff),
            "2026-11-21T12:03:11Z      3  Paid in full  [shopper]\nand 2 more events\n/status\n  - \"pending\"\n  + \"paid\"\n"
        );
        let none = json!({ "events": [], "more_events": 0, "changes": [] });
        assert_eq!(told(&none), "nothing happened in between\n");
    }
}
