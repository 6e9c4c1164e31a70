//! Runs a command with a Postgres server of its own: see [`private_postgres::with_postgres`].

use std::error::Error;
use std::process::ExitCode;

use private_postgres::with_postgres;

/// As other programs that run a command for somebody: a code that commands themselves rarely use.
const NOT_RUN: u8 = 125;

#[tokio::main]
async fn main() -> ExitCode {
    match with_postgres::run(std::env::args_os().skip(1)).await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("with-postgres: {failure}");
            let mut cause = failure.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::from(NOT_RUN)
        }
    }
}
