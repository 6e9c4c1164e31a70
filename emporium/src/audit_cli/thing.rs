use super::AuditError;
use clap::{Args, ValueEnum};
use http_boundary::output::{self, Stdout};
use serde_json::Value;
use shop_client::ShopClient;
use std::io::{self, Write};

/// What has a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Cart,
    Order,
    Product,
    Stock,
}

/// One thing.
#[derive(Debug, Args)]
pub struct Thing {
    /// What it is
    pub kind: Kind,
    /// Its id: a UUID, or the SKU of a product or a stock
    pub id: String,
}

impl Thing {
    /// The first part of its address.
    pub fn folder(&self) -> &'static str {
        match self.kind {
            Kind::Cart => "carts",
            Kind::Order => "orders",
            Kind::Product => "products",
            Kind::Stock => "stock",
        }
    }
}

/// A text of an answer; nothing where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// An event of an answer in one line: its time, its place in the stream, what happened and who did it.
pub fn line(event: &Value) -> String {
    let (at, actor) = (text(&event["occurred_at"]), event["actor"].as_str().unwrap_or("(not known)"));
    format!("{at}  {:>5}  {}  [{actor}]", event["revision"].to_string(), text(&event["summary"]))
}

/// Prints a line.
pub fn say(line: &str) -> io::Result<()> {
    writeln!(Stdout, "{line}")
}

/// Gives every item of a list to a function, page by page.
pub async fn each_item(
    shop: &ShopClient,
    path: &[&str],
    query: &[(&str, String)],
    mut tell: impl FnMut(&Value) -> io::Result<()>,
) -> Result<(), AuditError> {
    let mut cursor = String::new();
    loop {
        let mut query = query.to_vec();
        query.push(("cursor", cursor.clone()));
        let page: Value = shop.ask(path, &query).await?;
        for item in page["items"].as_array().into_iter().flatten() {
            tell(item)?;
        }
        match page["next_cursor"].as_str() {
            Some(next) if !output::reader_is_gone() => next.clone_into(&mut cursor),
            _ => return Ok(()),
        }
    }
}
