//! Compiles the protocol's `.proto` files in plain Rust, so that no `protoc` is needed on the machine.

use std::error::Error;

const FILES: [&str; 5] =
    ["streams.proto", "persistent.proto", "gossip.proto", "monitoring.proto", "serverfeatures.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_build::configure()
        .build_client(false)
        .bytes([
            ".event_store.client.StreamIdentifier",
            ".event_store.client.streams.AppendReq.ProposedMessage",
            ".event_store.client.streams.BatchAppendReq.ProposedMessage",
        ])
        // Events are the hot path: their message is encoded by hand, straight from the log's record.
        .extern_path(".event_store.client.streams.ReadResp.ReadEvent", "crate::wire::EventMessage")
        .extern_path(
            ".event_store.client.persistent_subscriptions.ReadResp.ReadEvent",
            "crate::wire::GroupEventMessage",
        )
        .include_file("protocol.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
