use super::AuditError;
use super::thing::{Thing, each_item, line, say};
use clap::Args;
use shop_client::ShopClient;

/// `emporium audit history …`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    thing: Thing,
}

pub async fn run(shop: &ShopClient, args: &HistoryArgs) -> Result<(), AuditError> {
    let path = [args.thing.folder(), &args.thing.id, "history"];
    each_item(shop, &path, &[("limit", "500".to_owned())], |event| say(&line(event))).await
}
