//! The command line.

use crate::BenchCommand;
use clap::{Parser, Subcommand};
use std::error::Error;

/// Measure how fast Emporium is on this machine.
#[derive(Parser)]
#[command(name = "emporium-bench", version, about)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Bench(BenchCommand),
    /// Run what is measured, with the arguments of `emporium`
    #[command(hide = true)]
    Emporium(Box<emporium::cli::CommandLine>),
}

/// The first argument for a process that is `emporium`: this binary has it in it, so that what is measured is never an
/// older build.
pub const EMPORIUM: &str = "emporium";

impl CommandLine {
    /// Measures, and prints the figures.
    ///
    /// # Errors
    /// What keeps it from being measured, or what was found that must not be, as a sentence for a person.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self.command {
            Command::Bench(command) => Ok(command.run().await?),
            Command::Emporium(command) => command.run().await,
        }
    }
}
