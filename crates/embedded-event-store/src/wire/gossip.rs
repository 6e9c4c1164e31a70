//! Who is in the cluster: this node alone, as its leader. Clients with several hosts or `+discover` ask.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::messages::Empty;
use super::messages::gossip::gossip_server::Gossip;
use super::messages::gossip::member_info::VNodeState;
use super::messages::gossip::{ClusterInfo, EndPoint, MemberInfo};
use super::messages::{Uuid as WireUuid, uuid::Structured, uuid::Value};
use crate::node::{Node, ticks_now};

/// Answers as the only member.
pub struct GossipService {
    node: Arc<Node>,
}

impl GossipService {
    /// The member that is this node.
    pub fn new(node: Arc<Node>) -> Self {
        GossipService { node }
    }
}

#[tonic::async_trait]
impl Gossip for GossipService {
    async fn read(&self, _: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let (most, least) = self.node.instance.as_u64_pair();
        let instance = Structured {
            most_significant_bits: i64::from_be_bytes(most.to_be_bytes()),
            least_significant_bits: i64::from_be_bytes(least.to_be_bytes()),
        };
        let member = MemberInfo {
            instance_id: Some(WireUuid { value: Some(Value::Structured(instance)) }),
            time_stamp: ticks_now(),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: self.node.advertised_host.clone(),
                port: u32::from(self.node.advertised_port),
            }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
