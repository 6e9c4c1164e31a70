//! What the store does not do, it says.

use eventstore::{Error, ProjectionClient, ReadStreamOptions, SubscribeToStreamOptions};

use crate::groups::from_start;
use crate::support::{all_of, append, confirmed, events, soon, start};

#[tokio::test]
async fn a_method_that_is_not_built_is_unimplemented_and_the_client_lives_on() {
    let running = start().await;
    let projections = ProjectionClient::new(running.store.connection_string().parse().unwrap()).unwrap();
    let refused = projections.delete("p", &Default::default()).await;
    assert!(matches!(refused, Err(Error::UnsupportedFeature)), "{refused:?}");
    append(&running.client, "s", events(1)).await;
}

#[tokio::test]
async fn a_stream_that_only_a_projection_would_write_is_refused_until_somebody_appends_to_it() {
    let running = start().await;
    let client = &running.client;
    for stream in ["$ce-order", "$et-order.placed.v1", "$bc-1", "$category-order", "$streams"] {
        let read = match client.read_stream(stream, &ReadStreamOptions::default()).await {
            Ok(mut read) => read.next().await.err(),
            Err(error) => Some(error),
        };
        assert!(matches!(read, Some(Error::UnsupportedFeature)), "{stream}: {read:?}");
        let mut subscription = client.subscribe_to_stream(stream, &SubscribeToStreamOptions::default()).await;
        let end = soon(subscription.next_subscription_event()).await;
        assert!(matches!(end, Err(Error::UnsupportedFeature)), "{stream}: {end:?}");
        let group = client.create_persistent_subscription(stream, "g", &from_start()).await;
        assert!(matches!(group, Err(Error::UnsupportedFeature)), "{stream}: {group:?}");

        append(client, stream, events(1)).await;
        let read = client.read_stream(stream, &ReadStreamOptions::default()).await.unwrap();
        assert_eq!(all_of(read).await.len(), 1);
        let mut subscription = client.subscribe_to_stream(stream, &SubscribeToStreamOptions::default()).await;
        confirmed(&mut subscription).await;
        client.create_persistent_subscription(stream, "g", &from_start()).await.unwrap();
    }
}
