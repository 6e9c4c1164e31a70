//! `emporium streams`: the streams of a running shop that cannot be read.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shop_client::ShopError;
use shop_client::operator::{OperatorArgs, OperatorError};
use thiserror::Error;

/// `emporium streams …`
#[derive(Debug, Args)]
pub struct StreamsCommand {
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The streams that cannot be read, and the orders that wait for them
    Parked,
    /// Try to read a stream again, after what was wrong is mended
    Retry {
        /// The stream
        stream: String,
    },
    /// Have the event passed over at which a stream stands, for good: a marker in the stream says so
    Skip {
        /// The stream
        stream: String,
        /// The event at which it stands, as `parked` shows it
        #[arg(long)]
        revision: u64,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// What went wrong.
#[derive(Debug, Error)]
pub enum StreamsError {
    /// The shop cannot be asked.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// It refuses, or does not answer.
    #[error(transparent)]
    Shop(#[from] ShopError),
}

impl StreamsCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When the shop refuses or does not answer.
    pub async fn run(self) -> Result<(), StreamsError> {
        let shop = self.operator.client().await?;
        match self.what {
            What::Parked => print!("{}", table(&shop.get::<Value>(&["parked-streams"]).await?)),
            What::Retry { stream } => {
                let _: Value = shop.order(&["parked-streams", &stream, "retry"], &json!({})).await?;
                println!("{stream} is read again");
            }
            What::Skip { stream, revision, reason } => {
                let body = json!({ "revision": revision, "reason": reason });
                let skipped: Value = shop.order(&["parked-streams", &stream, "skip"], &body).await?;
                println!("{stream} goes on after revision {revision}: event {} says so", skipped["revision"]);
            }
        }
        Ok(())
    }
}

fn table(parked: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut table = String::new();
    for stream in parked["streams"].as_array().into_iter().flatten() {
        table += &format!(
            "{} is parked at revision {} ({}) since {}\n  {}\n",
            text(&stream["stream"]),
            stream["revision"],
            text(&stream["event_type"]),
            text(&stream["since"]),
            text(&stream["why"])
        );
    }
    for order in parked["orders"].as_array().into_iter().flatten() {
        let (order_id, stream) = (text(&order["order_id"]), text(&order["stream"]));
        table += &format!("order {order_id} waits for {stream}: {}\n", text(&order["why"]));
        for payment in order["payments"].as_array().into_iter().flatten() {
            let money = &payment["amount"];
            table += &format!(
                "  payment {} is {}: {} {} in its smallest unit\n",
                text(&payment["payment_id"]),
                text(&payment["status"]),
                money["amount"],
                text(&money["currency"])
            );
        }
    }
    if table.is_empty() { "nothing is parked\n".to_owned() } else { table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parked_is_told_line_by_line() {
        assert_eq!(table(&json!({ "streams": [], "orders": [] })), "nothing is parked\n");
        let parked = json!({
            "streams": [
                { "stream": "order-1", "revision": 3, "event_type": "x.v1", "why": "unknown", "since": "today" },
            ],
            "orders": [{
                "order_id": "1", "stream": "order-1", "why": "unknown",
                "payments": [
                    { "payment_id": "2", "status": "authorized", "amount": { "amount": 1000, "currency": "GBP" } },
                ],
            }],
        });
        assert_eq!(
            table(&parked),
            "order-1 is parked at revision 3 (x.v1) since today\n  unknown\norder 1 waits for order-1: unknown\n  \
             payment 2 is authorized: 1000 GBP in its smallest unit\n"
        );
    }
}
