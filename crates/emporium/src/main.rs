//! The one binary.

use clap::Parser;
use emporium::cli::CommandLine;
use http_boundary::process;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    process::exit_code(CommandLine::parse().run()).await
}
