use super::AuditError;
use super::selection::Selection;
use super::thing::{line, say, text};
use clap::Args;
use http_boundary::output;
use serde_json::Value;
use shop_client::ShopClient;

/// Events of one page.
const PAGE: u64 = 500;

/// `emporium audit trail …`
#[derive(Debug, Args)]
pub struct TrailArgs {
    #[command(flatten)]
    selection: Selection,
    /// The newest first
    #[arg(long)]
    newest: bool,
    /// At most so many events
    #[arg(long, default_value_t = 50)]
    limit: u64,
    /// The events as JSON, one on each line, with what they say
    #[arg(long)]
    json: bool,
}

pub async fn run(shop: &ShopClient, args: &TrailArgs) -> Result<(), AuditError> {
    let mut left = args.limit;
    let mut cursor = String::new();
    while left > 0 {
        let mut query = args.selection.query();
        query.push(("min-position", "head".to_owned()));
        query.push(("limit", left.min(PAGE).to_string()));
        query.push(("cursor", cursor));
        if args.newest {
            query.push(("direction", "backwards".to_owned()));
        }
        let page: Value = shop.ask(&["audit", "events"], &query).await?;
        for event in page["items"].as_array().into_iter().flatten() {
            if args.json {
                say(&event.to_string())?;
            } else {
                say(&format!(
                    "{:>9}  {:<46}  {}",
                    event["position"].to_string(),
                    text(&event["stream"]),
                    line(event)
                ))?;
            }
            left -= 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) if !output::reader_is_gone() => cursor = next.to_owned(),
            _ => break,
        }
    }
    Ok(())
}
