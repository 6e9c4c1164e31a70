//! What the store does not do, it says.

use eventstore::{Error, ProjectionClient};

use crate::support::{append, events, start};

#[tokio::test]
async fn a_method_that_is_not_built_is_unimplemented_and_the_client_lives_on() {
    let running = start().await;
    let projections = ProjectionClient::new(running.store.connection_string().parse().unwrap()).unwrap();
    let refused = projections.delete("p", &Default::default()).await;
    assert!(matches!(refused, Err(Error::UnsupportedFeature)), "{refused:?}");
    append(&running.client, "s", events(1)).await;
}
