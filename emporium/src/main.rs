//! The one binary.

use emporium::cli::CommandLine;
use http_boundary::process;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A purchase is thousands of small allocations on many threads; the system's allocator took a seventh of the time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    process::log_to_stderr();
    process::exit_code(process::command_line::<CommandLine>().run()).await
}
