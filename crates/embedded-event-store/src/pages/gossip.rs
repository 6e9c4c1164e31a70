//! The members of the cluster, of which there is one.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;
use uuid::Uuid;

use super::format::{self, Format};
use crate::node::{Node, VERSION};

/// The cluster as the page tells it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    members: [Member; 1],
    server_ip: String,
    server_port: u16,
}

/// There is no other protocol than the one of this port, and there are no elections: what would tell of them is zero.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    instance_id: Uuid,
    time_stamp: String,
    state: &'static str,
    is_alive: bool,
    internal_tcp_ip: String,
    internal_tcp_port: u16,
    internal_secure_tcp_port: u16,
    external_tcp_ip: String,
    external_tcp_port: u16,
    external_secure_tcp_port: u16,
    internal_http_end_point_ip: String,
    internal_http_end_point_port: u16,
    http_end_point_ip: String,
    http_end_point_port: u16,
    last_commit_position: u64,
    writer_checkpoint: u64,
    chaser_checkpoint: u64,
    epoch_position: u64,
    epoch_number: u64,
    epoch_id: Uuid,
    node_priority: i32,
    is_read_only_replica: bool,
    es_version: &'static str,
}

impl Cluster {
    /// The node alone, whose newest event is at `head`.
    pub fn of(node: &Node, head: u64) -> Self {
        let own_ip = node.address.ip().to_string();
        let member = Member {
            instance_id: node.instance,
            time_stamp: DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Micros, true),
            state: "Leader",
            is_alive: true,
            internal_tcp_ip: own_ip.clone(),
            internal_tcp_port: 0,
            internal_secure_tcp_port: 0,
            external_tcp_ip: node.advertised_host.clone(),
            external_tcp_port: 0,
            external_secure_tcp_port: 0,
            internal_http_end_point_ip: own_ip,
            internal_http_end_point_port: node.address.port(),
            http_end_point_ip: node.advertised_host.clone(),
            http_end_point_port: node.advertised_port,
            last_commit_position: head,
            writer_checkpoint: head,
            chaser_checkpoint: head,
            epoch_position: 0,
            epoch_number: 0,
            epoch_id: Uuid::nil(),
            node_priority: 0,
            is_read_only_replica: false,
            es_version: VERSION,
        };
        Cluster {
            members: [member],
            server_ip: node.advertised_host.clone(),
            server_port: node.advertised_port,
        }
    }

    /// The page in a format.
    pub fn body(&self, format: Format) -> Vec<u8> {
        // It has no key that is not text, and no value that JSON has not.
        let value = serde_json::to_value(self).unwrap_or(Value::Null);
        format.body(&value, || format::xml("ClientClusterInfo", &value), || self.text())
    }

    fn text(&self) -> String {
        let [member] = &self.members;
        format!(
            "Server: {}:{}, Members: [InstanceId: {{{}}}, TimeStamp: {}, State: {}, IsAlive: {}, HttpEndPoint: {}:{}, \
             LastCommitPosition: {}, Version: {}]",
            self.server_ip,
            self.server_port,
            member.instance_id,
            member.time_stamp,
            member.state,
            member.is_alive,
            member.http_end_point_ip,
            member.http_end_point_port,
            member.last_commit_position,
            member.es_version,
        )
    }
}
