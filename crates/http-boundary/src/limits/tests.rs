use super::ClientLimitArgs;
use clap::Parser;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    limits: ClientLimitArgs,
}

/// The figures that operations.md and decision 11 promise.
#[test]
fn without_settings_an_address_has_three_hundred_queries_and_a_hundred_commands_a_second() {
    let limits = CommandLine::parse_from(["service"]).limits;
    assert_eq!((limits.reads_per_second_by_address, limits.writes_per_second_by_address), (300, 100));
    assert_eq!(limits.burst_seconds_by_address.get(), 10);
    assert!(limits.proxies.trusted_proxies.is_empty());
}
