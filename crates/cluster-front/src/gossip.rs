//! What a node tells of the cluster: the one answer of the protocol that the nodes make themselves.

use crate::state::State;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use std::net::SocketAddr;
use uuid::Uuid;

const UNKNOWN: i32 = 2;
const FOLLOWER: i32 = 6;
const LEADER: i32 = 8;

#[derive(Clone, PartialEq, Message)]
struct ClusterInfo {
    #[prost(message, repeated, tag = "1")]
    members: Vec<MemberInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct MemberInfo {
    #[prost(message, optional, tag = "1")]
    instance_id: Option<Id>,
    #[prost(int64, tag = "2")]
    time_stamp: i64,
    #[prost(int32, tag = "3")]
    state: i32,
    #[prost(bool, tag = "4")]
    is_alive: bool,
    #[prost(message, optional, tag = "5")]
    http_end_point: Option<EndPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct EndPoint {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(uint32, tag = "2")]
    port: u32,
}

/// The message of the answer, with the length before it.
pub fn told(addresses: &[SocketAddr], state: &State) -> Bytes {
    let members = addresses.iter().zip(0..).map(|(address, node)| MemberInfo {
        instance_id: Some(Id { text: Uuid::from_u128(1 + node as u128).to_string() }),
        time_stamp: 0,
        state: match state.believed {
            Some(leader) if leader == node => LEADER,
            Some(_) => FOLLOWER,
            None => UNKNOWN,
        },
        is_alive: !state.believed_gone[node],
        http_end_point: Some(EndPoint { address: address.ip().to_string(), port: address.port().into() }),
    });
    let message = ClusterInfo { members: members.collect() }.encode_to_vec();
    let mut told = BytesMut::new();
    // Not compressed.
    told.put_u8(0);
    told.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    told.put_slice(&message);
    told.freeze()
}
