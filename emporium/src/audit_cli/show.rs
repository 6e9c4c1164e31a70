use super::AuditError;
use super::thing::{Thing, say};
use clap::Args;
use serde_json::Value;
use shop_client::ShopClient;

/// `emporium audit show …`
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    thing: Thing,
    /// 2026-11-21T12:00:00Z, position:4711 or revision:3; as it is now, if not given
    #[arg(long)]
    as_of: Option<String>,
}

pub async fn run(shop: &ShopClient, args: &ShowArgs) -> Result<(), AuditError> {
    let query: Vec<_> = args.as_of.iter().map(|point| ("as_of", point.clone())).collect();
    let page: Value = shop.ask(&[args.thing.folder(), &args.thing.id], &query).await?;
    Ok(say(&format!("{page:#}"))?)
}
