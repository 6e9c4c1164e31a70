//! What the shop of a test refuses for want of room: nothing, unless the test is about that.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use command_api::AdmissionArgs;
use http_boundary::{ClientLimitArgs, ProxyArgs};
use std::num::NonZeroU32;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub reads_per_second: u32,
    pub writes_per_second: u32,
    /// Whether the peers, which are on this machine, are trusted proxies.
    pub behind_a_proxy: bool,
    pub commands_in_work: usize,
    /// Room on the disk that is kept for orders, in bytes.
    pub kept_for_orders: u64,
    pub queries_waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads_per_second: 0,
            writes_per_second: 0,
            behind_a_proxy: false,
            commands_in_work: 0,
            kept_for_orders: 0,
            queries_waiting: query_api::DatabaseArgs::QUERIES_WAITING,
        }
    }
}

impl Limits {
    pub fn of_clients(self) -> ClientLimitArgs {
        let trusted_proxies = if self.behind_a_proxy { vec!["127.0.0.0/8".parse().unwrap()] } else { vec![] };
        ClientLimitArgs {
            proxies: ProxyArgs { trusted_proxies, ..ProxyArgs::default() },
            reads_per_second_by_address: self.reads_per_second,
            writes_per_second_by_address: self.writes_per_second,
            burst_seconds_by_address: NonZeroU32::new(10).unwrap(),
        }
    }

    pub fn of_commands(self) -> AdmissionArgs {
        AdmissionArgs {
            commands_in_work: self.commands_in_work,
            // On the disk that every shop of the tests is on.
            event_store_folder: Some(std::env::temp_dir()),
            disk_kept_for_orders: Some(self.kept_for_orders),
            ..AdmissionArgs::without_limits()
        }
    }
}

/// The benchmarks name these two, and operators write the networks into one variable.
#[test]
fn limits_are_settings_of_the_program() {
    emporium::cli::CommandLine::command().debug_assert();
    let serve = |arguments: &[&str]| {
        let arguments = ["emporium", "serve"].iter().chain(arguments);
        emporium::cli::CommandLine::try_parse_from(arguments).map(drop).map_err(|error| error.kind())
    };
    let lifted = ["--reads-per-second-by-address=0", "--writes-per-second-by-address=0"];
    assert_eq!(serve(&lifted), Ok(()));
    assert_eq!(
        serve(&["--trusted-proxies=10.0.0.0/8,192.0.2.1,fd00::/8", "--forwarded-in=forwarded"]),
        Ok(())
    );
    assert_eq!(serve(&["--trusted-proxies=our-proxy"]), Err(ErrorKind::ValueValidation));
}
