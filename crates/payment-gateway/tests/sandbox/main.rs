//! The adapter against the real sandbox gateway, in this process and over HTTP.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod amounts;
mod answers;
mod payments;
mod world;
