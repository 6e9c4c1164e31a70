//! What every service's `main` does: a log, an orderly stop, an exit code with a sentence.

use crate::output;
use clap::error::{ContextKind, ContextValue};
use clap::{Command, Parser};
use connection_limits::Descriptors;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The official client logs every lost connection as an error; ours says once what that means. The HTTP/2 library warns of
/// each connection that a client breaks; we say so at most once a second.
const DEFAULT_FILTER: &str = "info,kurrentdb=off,h2=error";

/// Logs to standard error; `RUST_LOG` says how much. Raises the limit for open files and connections.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Descriptors::of_this_process();
}

/// The command line. What is wrong with it ends the process with a sentence, in which no value is told that may hold a
/// password: none of an argument whose environment variable is not shown either.
#[must_use]
pub fn command_line<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| without_secrets(error, P::command()).exit())
}

fn without_secrets(mut error: clap::Error, mut command: Command) -> clap::Error {
    // clap names an argument only once its command is built.
    command.build();
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && is_secret(&command, argument)
    {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    error
}

fn is_secret(command: &Command, argument: &str) -> bool {
    let mut arguments = command.get_arguments();
    arguments.any(|known| known.is_hide_env_values_set() && known.to_string() == argument)
        || command.get_subcommands().any(|command| is_secret(command, argument))
}

/// A token that is cancelled by Ctrl-C or SIGTERM, for what runs until then. How many connections it may have is in the log.
#[must_use]
pub fn stop_signal() -> CancellationToken {
    Descriptors::of_this_process().log();
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be caught: only Ctrl-C stops the service in order");
                let _ = tokio::signal::ctrl_c().await;
            }
        }
        cancel.cancel();
    });
    stop
}

/// Runs a service; a failure becomes one line for a person, with its causes.
pub async fn exit_code(service: impl Future<Output = Result<(), Box<dyn Error>>>) -> ExitCode {
    match service.await {
        Ok(()) if output::has_failed() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads that, the exit code is all there is.
            let _ = writeln!(std::io::stderr(), "error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, in one line.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // A transparent wrapper says what its cause says.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Subcommand};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, Subcommand)]
    enum Command {
        Serve {
            #[arg(long, env = "EMPORIUM_TEST_ADDRESS", hide_env_values = true)]
            address: Option<u8>,
            #[arg(long)]
            port: Option<u8>,
            file: Option<String>,
        },
    }

    fn refused(arguments: &[&str]) -> String {
        let error = Line::try_parse_from(["emporium", "serve"].iter().chain(arguments)).unwrap_err();
        without_secrets(error, Line::command()).to_string()
    }

    #[test]
    fn a_value_that_may_hold_a_password_is_not_told() {
        let secret = refused(&["--address", "esdb://ann:tOpSecret@host"]);
        assert!(secret.contains("--address") && !secret.contains("tOpSecret"), "{secret}");
        assert!(refused(&["--port", "many"]).contains("many"));
        assert!(refused(&["--demo"]).contains("--demo"));
    }
}
