//! The benchmarks, and the attacks on a shop of their own.

use bench::command_line::CommandLine;
use http_boundary::process;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    process::exit_code(process::command_line::<CommandLine>().run()).await
}
