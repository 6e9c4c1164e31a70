//! Requests that are damaged on their way: the store refuses them, and goes on.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::soon;

#[path = "../../fuzz/requests.rs"]
mod requests;

const REQUESTS: usize = 400;

#[tokio::test]
async fn whatever_is_sent_is_answered() {
    let target = requests::Target::start().await;
    let mut runner = TestRunner::deterministic();
    let bytes = vec(prop_oneof![any::<u8>(), 0..16_u8], 1..40);
    for _ in 0..REQUESTS {
        let bytes = bytes.new_tree(&mut runner).expect("bytes can always be made").current();
        soon(target.feed(&bytes)).await;
    }
}
