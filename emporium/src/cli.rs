//! The command line.

use crate::audit_cli::AuditCommand;
use crate::event_store_cli::EventStoreCommand;
use crate::projections_cli::ProjectionsCommand;
use crate::serve::{self, ServeArgs};
use crate::streams_cli::StreamsCommand;
use clap::{Parser, Subcommand};
use sandbox_gateway::command_line::{self as sandbox, SandboxArgs};
use std::error::Error;

/// Emporium: an event-sourced commerce service.
#[derive(Parser)]
#[command(name = "emporium", version, about)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole service in this process: commands, processes, projections, queries
    Serve(Box<ServeArgs>),
    /// Run the embedded event store alone, look at one, take its history along
    #[command(subcommand)]
    EventStore(EventStoreCommand),
    /// Look after the read models of a running shop: versions side by side, what is parked
    Projections(ProjectionsCommand),
    /// Look after the streams of a running shop that cannot be read: what is parked, try again, pass over an event
    Streams(StreamsCommand),
    /// What an auditor asks of a shop and of its history
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Write the OpenAPI description of all addresses to the standard output
    Openapi,
    /// Run the sandbox payment gateway alone: the interface of Stripe, and no money
    SandboxGateway(SandboxArgs),
}

impl CommandLine {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever keeps it from being done, as a sentence for a person.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self.command {
            Command::Serve(args) => Ok(serve::run(*args).await?),
            Command::EventStore(command) => Ok(command.run().await?),
            Command::Projections(command) => Ok(command.run().await?),
            Command::Streams(command) => Ok(command.run().await?),
            Command::Audit(command) => command.run().await,
            Command::Openapi => {
                print!("{}", openapi()?);
                Ok(())
            }
            Command::SandboxGateway(args) => Ok(sandbox::run(args).await?),
        }
    }
}

/// The OpenAPI description of every address of the three services, as `docs/openapi.json` has it.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi() -> serde_json::Result<String> {
    let routes = command_api::route_table().and(query_api::route_table()).and(projections::route_table());
    let description = serde_json::to_string_pretty(&routes.into_openapi())?;
    Ok(format!("{description}\n"))
}
