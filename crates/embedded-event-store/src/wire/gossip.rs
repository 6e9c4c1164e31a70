//! Who is in the cluster: this node alone, as its leader. Clients with several hosts or `+discover` ask.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::messages::Empty;
use super::messages::gossip::gossip_server::Gossip;
use super::messages::gossip::member_info::VNodeState;
use super::messages::gossip::{ClusterInfo, EndPoint, MemberInfo};
use super::messages::{Uuid as WireUuid, uuid::Value};

/// Answers as the only member.
pub struct GossipService {
    address: SocketAddr,
    instance: Uuid,
}

impl GossipService {
    /// The member that is reached at `address`.
    pub fn new(address: SocketAddr) -> Self {
        GossipService { address, instance: Uuid::new_v4() }
    }
}

#[tonic::async_trait]
impl Gossip for GossipService {
    async fn read(&self, _: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let member = MemberInfo {
            instance_id: Some(WireUuid { value: Some(Value::String(self.instance.to_string())) }),
            time_stamp: i64::try_from(now.as_nanos() / 100).unwrap_or(i64::MAX),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: self.address.ip().to_string(),
                port: u32::from(self.address.port()),
            }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
