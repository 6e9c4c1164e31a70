//! The importers of real orders.

use http_boundary::process;
use importers::command_line::CommandLine;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    process::exit_code(process::command_line::<CommandLine>().run()).await
}
