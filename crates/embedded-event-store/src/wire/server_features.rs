//! Which methods this server has. Clients ask once for each connection.

use tonic::{Request, Response, Status};

use super::messages::Empty;
use super::messages::server_features::server_features_server::ServerFeatures;
use super::messages::server_features::{SupportedMethod, SupportedMethods};
use crate::node::VERSION;

const STREAMS: &str = "event_store.client.streams.streams";
const GOSSIP: &str = "event_store.client.gossip.gossip";
const MONITORING: &str = "event_store.client.monitoring.monitoring";
const FEATURES: &str = "event_store.client.server_features.serverfeatures";

const PERSISTENT: &str = "event_store.client.persistent_subscriptions.persistentsubscriptions";

const METHODS: [(&str, &str, &[&str]); 16] = [
    (STREAMS, "read", &["position", "events"]),
    (STREAMS, "append", &[]),
    (STREAMS, "batchappend", &["deadline_duration"]),
    (STREAMS, "delete", &[]),
    (STREAMS, "tombstone", &[]),
    (PERSISTENT, "create", &["stream", "all"]),
    (PERSISTENT, "update", &["stream", "all"]),
    (PERSISTENT, "delete", &["stream", "all"]),
    (PERSISTENT, "read", &["stream", "all"]),
    (PERSISTENT, "getinfo", &["stream", "all"]),
    (PERSISTENT, "replayparked", &["stream", "all"]),
    (PERSISTENT, "list", &["stream", "all"]),
    (PERSISTENT, "restartsubsystem", &[]),
    (GOSSIP, "read", &[]),
    (MONITORING, "stats", &[]),
    (FEATURES, "getsupportedmethods", &[]),
];

/// Answers what can be asked.
pub struct ServerFeaturesService;

#[tonic::async_trait]
impl ServerFeatures for ServerFeaturesService {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        let methods = METHODS.iter().map(|(service, method, features)| SupportedMethod {
            method_name: (*method).to_owned(),
            service_name: (*service).to_owned(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        });
        Ok(Response::new(SupportedMethods {
            methods: methods.collect(),
            event_store_server_version: VERSION.to_owned(),
        }))
    }
}
