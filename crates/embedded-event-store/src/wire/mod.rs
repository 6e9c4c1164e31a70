//! How the store speaks EventStoreDB's gRPC protocol: decoding of requests, encoding of answers, errors with their trailers.

#![allow(clippy::result_large_err, reason = "the status is tonic's, and so is its size")]

mod access;
mod append;
mod batch;
mod errors;
mod event_message;
mod gossip;
mod group_event_message;
mod group_settings;
mod monitoring;
mod names;
mod persistent;
mod read;
mod server_features;
mod strangers;
mod streams;

#[allow(clippy::all, clippy::pedantic, unused_qualifications, rust_2018_idioms, missing_docs, dead_code)]
mod protocol {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}

use std::sync::Arc;

use http::HeaderValue;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;

use crate::groups::Groups;
use crate::node::Node;
use crate::service::Store;
use crate::stats::System;
use messages::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptionsServer;
use protocol::event_store::client as messages;

pub use event_message::EventMessage;
pub use group_event_message::GroupEventMessage;
pub use strangers::{access_denied, refused, taken_from_strangers, wrong_password};

/// The largest request message, in bytes: the protocol's own server has the same bound, a little below 16 MiB.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024 - 10_000;

/// What calls of services say that are not there.
const NO_SERVICE: HeaderValue = HeaderValue::from_static("Service is unimplemented.");

/// All the services, ready to be served.
pub fn routes(store: &Arc<Store>, groups: Arc<Groups>, node: Arc<Node>, system: &System) -> Routes {
    let monitoring = monitoring::MonitoringService::new(Arc::clone(store), system.clone());
    let streams = streams::StreamsService::new(Arc::clone(store));
    let streams = messages::streams::streams_server::StreamsServer::new(streams)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(usize::MAX);
    let persistent = PersistentSubscriptionsServer::new(persistent::PersistentService::new(groups))
        .max_encoding_message_size(usize::MAX);
    let mut routes = Routes::builder();
    routes
        .add_service(streams)
        .add_service(persistent)
        .add_service(messages::gossip::gossip_server::GossipServer::new(gossip::GossipService::new(node)))
        .add_service(messages::monitoring::monitoring_server::MonitoringServer::new(monitoring))
        .add_service(messages::server_features::server_features_server::ServerFeaturesServer::new(
            server_features::ServerFeaturesService,
        ));
    let mut routes = routes.routes();
    let router = routes.axum_router_mut();
    *router = std::mem::take(router).fallback(|| {
        let mut answer = Status::unimplemented("").into_http::<Body>();
        // As it is: in the status it would be encoded.
        answer.headers_mut().insert("grpc-message", NO_SERVICE);
        std::future::ready(answer)
    });
    routes
}
