//! Whether ordinary shoppers can still buy what somebody tries to hold.

use super::shopper::{Bought, Shopper};
use super::target::{self, Target};

/// What is wrong, if anything is. It is looked at while the attack goes on.
pub async fn can_be_bought(target: &Target) -> Vec<String> {
    let Ok(http) = target::client(target::shopper(200)) else {
        return vec!["HTTP cannot be spoken".to_owned()];
    };
    let bought = Shopper { target, http: &http }.buy(&target.scarce, &mut Bought::default()).await;
    bought
        .err()
        .map(|error| format!("`{}` cannot be bought: {error}", target.scarce.sku))
        .into_iter()
        .collect()
}
