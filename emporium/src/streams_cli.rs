//! `emporium streams`: the streams of a running shop that cannot be read.

use api::operations::{
    EventSkipped, ParkedOrder, ParkedStream, ParkedStreams, PaymentAtStake, SkipEvent, StreamTried,
};
use api::{Amount, NoBody};
use clap::{Args, Subcommand};
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
            What::Parked => print!("{}", table(&shop.get::<ParkedStreams>(&["parked-streams"]).await?)),
            What::Retry { stream } => {
                let _: StreamTried = shop.order(&["parked-streams", &stream, "retry"], &NoBody {}).await?;
                println!("{stream} is read again");
            }
            What::Skip { stream, revision, reason } => {
                let body = SkipEvent { revision, reason };
                let skipped: EventSkipped = shop.order(&["parked-streams", &stream, "skip"], &body).await?;
                println!("{stream} goes on after revision {revision}: event {} says so", skipped.revision);
            }
        }
        Ok(())
    }
}

fn table(ParkedStreams { streams, orders }: &ParkedStreams) -> String {
    let mut table = String::new();
    for ParkedStream { stream, revision, event_type, why, since } in streams {
        table +=
            &format!("{stream} is parked at revision {revision} ({event_type}) since {since}\n  {why}\n");
    }
    for ParkedOrder { order_id, stream, why, payments, .. } in orders {
        table += &format!("order {order_id} waits for {stream}: {why}\n");
        for PaymentAtStake { payment_id, status, amount } in payments {
            let Amount { amount, currency } = amount;
            table +=
                &format!("  payment {payment_id} is {status}: {amount} {currency} in its smallest unit\n");
        }
    }
    if table.is_empty() { "nothing is parked\n".to_owned() } else { table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_parked_is_told_line_by_line() {
        let told = |parked: serde_json::Value| table(&serde_json::from_value(parked).unwrap());
        assert_eq!(told(json!({ "streams": [], "orders": [] })), "nothing is parked\n");
        let (id, since) = (uuid::Uuid::nil(), "2026-12-01T00:00:00Z");
        let parked = json!({
            "streams": [
                { "stream": "order-1", "revision": 3, "event_type": "x.v1", "why": "unknown", "since": since },
            ],
            "orders": [{
                "order_id": id, "stream": "order-1", "why": "unknown", "since": since,
                "payments": [
                    { "payment_id": id, "status": "authorized", "amount": { "amount": 1000, "currency": "GBP" } },
                ],
            }],
        });
        assert_eq!(
            told(parked),
            format!(
                "order-1 is parked at revision 3 (x.v1) since 2026-12-01 00:00:00 UTC\n  unknown\norder {id} waits for \
                 order-1: unknown\n  payment {id} is authorized: 1000 GBP in its smallest unit\n"
            )
        );
    }
}
