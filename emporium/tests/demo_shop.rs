//! The demo shop is the same every time, and what the domain would take.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use domain::product::{Command, Product};
use domain::{Aggregate, Sku};
use emporium::demo_shop::{DemoProduct, generate};
use std::collections::{BTreeMap, BTreeSet};

fn products() -> Vec<DemoProduct> {
    generate().unwrap()
}

#[test]
fn the_demo_shop_is_always_the_same() {
    assert_eq!(products(), products());
}

/// Who filled a shop with an older release must be able to fill it again: other words under a known key are
/// refused. When this fails after an upgrade of the random generator, keep the old one.
#[test]
fn the_demo_shop_is_the_same_in_every_release() {
    let all = products();
    let shown = |product: &DemoProduct| {
        format!("{} | {} | {} | {}", product.sku, product.name, product.price, product.stock)
    };
    assert_eq!(shown(&all[0]), "TEA-001 | Sencha Gift Tin | 15.95 GBP | 70");
    assert_eq!(shown(&all[35]), "WOL-009 | Cable Knit Throw | 51.95 GBP | 200");
}

#[test]
fn the_demo_shop_has_thirty_six_products_of_four_merchants() {
    let all = products();
    let skus: BTreeSet<&Sku> = all.iter().map(|product| &product.sku).collect();
    let names: BTreeSet<&str> = all.iter().map(|product| product.name.as_str()).collect();
    assert_eq!((all.len(), skus.len(), names.len()), (36, 36, 36));
    let mut merchants = BTreeMap::<&str, usize>::new();
    for product in &all {
        *merchants.entry(product.merchant_id.as_str()).or_default() += 1;
    }
    assert_eq!(merchants.len(), 4);
    assert!(merchants.values().all(|count| *count == 9), "{merchants:?}");
}

#[test]
fn every_product_is_one_that_the_shop_takes() {
    for product in products() {
        let define = Command::Define {
            sku: product.sku.clone(),
            merchant_id: product.merchant_id.clone(),
            name: product.name.clone(),
            price: product.price,
        };
        assert_eq!(Product::default().decide(&define).unwrap().len(), 1, "{product:?}");
        assert_eq!(product.price.currency().code(), "GBP");
        assert!((400..=13_000).contains(&product.price.amount()), "{product:?}");
        assert!((40..=300).contains(&product.stock.units()), "{product:?}");
    }
}
