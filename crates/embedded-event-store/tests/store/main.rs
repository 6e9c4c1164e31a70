//! The store as the official client sees it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod access;
mod appends;
mod batches;
mod damage;
mod damage_requests;
mod deleting;
mod descriptors;
mod durability;
mod durability_disk;
mod encryption;
mod group_delivery;
mod group_parking;
mod groups;
mod killing;
mod pages;
mod reads;
mod refusals;
// They come from several addresses of this machine.
#[cfg(target_os = "linux")]
mod strangers;
mod subscriptions;
mod support;
mod verify;
