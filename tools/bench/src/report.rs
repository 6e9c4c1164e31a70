//! The figures, for a person.

use super::timing::Measured;
use std::time::Duration;

/// How events are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A call for each append.
    Plain,
    /// All appends over one session.
    Batch,
}

/// What the machine allows so many writers.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// Appends of a plain file in a second, if each fsync takes one event of each writer with it.
    pub by_disk: f64,
    /// Round trips over plain TCP.
    pub by_loopback: Measured,
    /// Round trips of the official client that touch no event.
    pub by_client: Measured,
}

pub fn print_fsyncs(bytes: usize, measured: &Measured) {
    println!("fsync of {bytes:>6} bytes       {}", figures(measured));
}

pub fn print_calls_head() {
    println!(
        "{:<30} {:>9} {:>8} {:>8}   p50, directly = 1",
        "one call after the other", "a second", "p50", "p99"
    );
}

pub fn print_calls(way: &str, measured: &Measured, directly: &Measured) {
    let times = measured.p50.as_secs_f64() / directly.p50.as_secs_f64().max(f64::EPSILON);
    println!("{way:<30} {}   {times:.2}", figures(measured));
}

pub fn print_appends_head() {
    println!(
        "\n{:<28} {:>9}      p50      p99   of disk   of TCP   of gRPC",
        "appends through the client", "a second"
    );
}

pub fn print_appends(way: Way, writers: usize, measured: &Measured, allowed: &Allowed) {
    let way = match way {
        Way::Plain => "plain",
        Way::Batch => "batch session",
    };
    println!(
        "{:<28} {}    {:>5}    {:>5}     {:>5}",
        format!("{writers:>4} writers, {way}"),
        figures(measured),
        share(measured.rate, allowed.by_disk),
        share(measured.rate, allowed.by_loopback.rate),
        share(measured.rate, allowed.by_client.rate),
    );
}

pub fn print_allowed(writers: usize, allowed: &Allowed) {
    println!("{:<28} {:>9.0}", format!("{writers:>4} writers, disk allows"), allowed.by_disk);
    println!("{:<28} {}", "      TCP round trips", figures(&allowed.by_loopback));
    println!("{:<28} {}", "      gRPC round trips", figures(&allowed.by_client));
}

pub fn print_reads(what: &str, events: u64, rate: f64, bytes_of_event: f64, loopback_bytes: f64) {
    let mebibytes = rate * bytes_of_event / f64::from(1 << 20);
    println!(
        "{what:<28} {rate:>9.0} events/s  {mebibytes:>6.0} MiB/s of data, {} of the loopback ({events} events)",
        share(rate * bytes_of_event, loopback_bytes)
    );
}

fn figures(measured: &Measured) -> String {
    format!("{:>9.0} {:>8} {:>8}", measured.rate, short(measured.p50), short(measured.p99))
}

/// A duration in few characters.
pub fn short(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros < 10_000 { format!("{micros}µs") } else { format!("{}ms", duration.as_millis()) }
}

/// The machine's load in the last minute, as the kernel counts it.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn share(part: f64, whole: f64) -> String {
    format!("{:.0}%", 100.0 * part / whole.max(f64::EPSILON))
}
