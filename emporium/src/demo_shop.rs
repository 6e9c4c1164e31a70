//! A small shop to try: a few dozen products of four merchants, with stock.
//!
//! The same seed always gives the same shop, and every command has a fixed idempotency key: filling a shop twice
//! changes nothing, whatever was bought or repriced in between.

use domain::money::{InvalidCurrency, InvalidMoney};
use domain::quantity::InvalidQuantity;
use domain::text::InvalidText;
use domain::{Currency, MerchantId, Money, ProductName, Quantity, Sku};
use futures::{StreamExt, TryStreamExt};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde::de::IgnoredAny;
use shop_client::{Command, InvalidClient, ShopClient, ShopError};
use thiserror::Error;
use uuid::Uuid;

const SEED: u64 = 20_260_401;
const PRODUCTS_OF_A_MERCHANT: usize = 9;
const NAMESPACE: Uuid = Uuid::from_u128(0x5e0f_91c4_0b6d_5a3e_8f27_1d94_c3ab_7062);
/// Filling runs beside the first requests and should not get in their way.
const CONCURRENCY: usize = 8;

/// A product of the demo shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoProduct {
    /// What it is known by.
    pub sku: Sku,
    /// Who sells it.
    pub merchant_id: MerchantId,
    /// What it is called.
    pub name: ProductName,
    /// What it costs.
    pub price: Money,
    /// Units that come into stock.
    #[serde(skip)]
    pub stock: Quantity,
}

/// What the shop has after filling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Products of the demo shop.
    pub products: usize,
    /// Those of them that were new; the others were there already.
    pub new_products: usize,
    /// The SKU of one of them, to try.
    pub first_sku: String,
    /// What it costs, in pennies.
    pub first_price: i64,
}

/// The generator's word lists give something that the domain does not take.
#[derive(Debug, Error)]
pub enum InvalidDemoShop {
    /// A SKU, a name or a merchant.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// The currency.
    #[error(transparent)]
    Currency(#[from] InvalidCurrency),
    /// A price.
    #[error(transparent)]
    Price(#[from] InvalidMoney),
    /// A number of units.
    #[error(transparent)]
    Quantity(#[from] InvalidQuantity),
}

/// The demo shop could not be filled.
#[derive(Debug, Error)]
pub enum FillError {
    /// What was generated is not valid.
    #[error("the demo shop's products are not valid: report this")]
    Generated(#[from] InvalidDemoShop),
    /// The address or the token does not have the form of one.
    #[error(transparent)]
    Client(#[from] InvalidClient),
    /// A command was not accepted.
    #[error("the demo shop cannot have {sku}")]
    Refused {
        /// Which product.
        sku: Sku,
        /// Why.
        #[source]
        source: ShopError,
    },
}

/// What a merchant sells: kinds of it, things, and the lowest and highest price in pounds.
struct Merchant {
    id: &'static str,
    code: &'static str,
    kinds: &'static [&'static str],
    things: &'static [(&'static str, u32, u32)],
}

const MERCHANTS: [Merchant; 4] = [
    Merchant {
        id: "harbour-tea",
        code: "TEA",
        kinds: &["Assam", "Earl Grey", "Darjeeling", "Peppermint", "Rooibos", "Lemon & Ginger", "Sencha"],
        things: &[("Loose Tea 250 g", 6, 14), ("Tea Bags, Box of 50", 4, 9), ("Gift Tin", 9, 19)],
    },
    Merchant {
        id: "oak-and-iron",
        code: "KIT",
        kinds: &["Cast Iron", "Copper", "Enamel", "Olive Wood", "Stoneware", "Carbon Steel"],
        things: &[("Frying Pan 26 cm", 24, 69), ("Serving Bowl", 12, 38), ("Casserole 4 l", 39, 129)],
    },
    Merchant {
        id: "lantern-paper",
        code: "PAP",
        kinds: &["Botanical", "Marbled", "Cloth-Bound", "Recycled", "Letterpress", "Star Map"],
        things: &[("Notebook A5", 6, 16), ("Wrapping Paper, 5 Sheets", 4, 9), ("Diary 2027", 11, 24)],
    },
    Merchant {
        id: "fellside-wool",
        code: "WOL",
        kinds: &["Herringbone", "Fair Isle", "Cable Knit", "Plain Grey", "Moss Green", "Tartan"],
        things: &[("Throw", 45, 98), ("Scarf", 19, 42), ("Hot Water Bottle", 14, 26), ("Bed Socks", 8, 17)],
    },
];

/// Makes the products: always the same.
///
/// # Errors
/// When the word lists give something that the domain does not take.
pub fn generate() -> Result<Vec<DemoProduct>, InvalidDemoShop> {
    let mut random = StdRng::seed_from_u64(SEED);
    let currency: Currency = "GBP".parse()?;
    let mut products = Vec::with_capacity(MERCHANTS.len() * PRODUCTS_OF_A_MERCHANT);
    for merchant in &MERCHANTS {
        let pairs =
            merchant.kinds.iter().flat_map(|kind| merchant.things.iter().map(move |thing| (kind, thing)));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.shuffle(&mut random);
        for (place, (kind, (thing, lowest, highest))) in
            pairs.into_iter().take(PRODUCTS_OF_A_MERCHANT).enumerate()
        {
            // Shops end their prices in 95 or 50 pence.
            let pence = if random.random_bool(0.7) { 95 } else { 50 };
            let pounds = random.random_range(*lowest..*highest);
            products.push(DemoProduct {
                sku: Sku::new(&format!("{}-{:03}", merchant.code, place + 1))?,
                merchant_id: MerchantId::new(merchant.id)?,
                name: ProductName::new(&format!("{kind} {thing}"))?,
                price: Money::new(i64::from(pounds * 100 + pence), currency)?,
                stock: Quantity::new(random.random_range(4..=30) * 10)?,
            });
        }
    }
    Ok(products)
}

/// Fills a running shop, through its public API.
///
/// # Errors
/// When the shop is away or refuses a product.
pub async fn fill(url: &str, operator_token: &str) -> Result<Summary, FillError> {
    let client = ShopClient::new(url, operator_token)?;
    let products = generate()?;
    let sent = products.iter().map(async |product| {
        let sent = send(&client, product).await;
        sent.map_err(|source| FillError::Refused { sku: product.sku.clone(), source })
    });
    let new_products = futures::stream::iter(sent)
        .buffer_unordered(CONCURRENCY)
        .try_fold(0, async |count, is_new| Ok(count + usize::from(is_new)))
        .await?;
    let (first_sku, first_price) =
        products.first().map(|first| (first.sku.to_string(), first.price.amount())).unwrap_or_default();
    Ok(Summary { products: products.len(), new_products, first_sku, first_price })
}

#[derive(Serialize)]
struct Receive {
    quantity: Quantity,
    receipt_id: Uuid,
}

/// Sends one product with its stock and says whether it was new.
async fn send(client: &ShopClient, product: &DemoProduct) -> Result<bool, ShopError> {
    let sku = product.sku.as_str();
    let key = format!("demo-shop/{sku}/define");
    let define = Command { path: &["products"], key: &key, occurred_at: None, wait: false, body: product };
    let defined = client.post::<_, IgnoredAny>(define).await?;

    let receipt_id = Uuid::new_v5(&NAMESPACE, sku.as_bytes());
    let body = Receive { quantity: product.stock, receipt_id };
    let key = format!("demo-shop/{sku}/receive");
    let path = ["stock", sku, "receipts"];
    let receive = Command { path: &path, key: &key, occurred_at: None, wait: false, body: &body };
    client.post::<_, IgnoredAny>(receive).await?;
    Ok(!defined.replayed)
}
