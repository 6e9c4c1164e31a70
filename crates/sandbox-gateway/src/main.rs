//! The sandbox gateway, alone.

use clap::Parser;
use http_boundary::process;
use sandbox_gateway::command_line::{self, SandboxArgs};
use std::process::ExitCode;

/// A payment gateway to try: Stripe's interface, and no money.
#[derive(Parser)]
#[command(name = "sandbox-gateway", version, about)]
struct CommandLine {
    #[command(flatten)]
    sandbox: SandboxArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    process::exit_code(async { Ok(command_line::run(CommandLine::parse().sandbox).await?) }).await
}
