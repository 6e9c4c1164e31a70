//! The projections as a service of their own.

use clap::Parser;
use http_boundary::{Health, process};
use projections::{Application, Config};

#[derive(Parser)]
#[command(name = "projections", about = "Fills the shop's read models from the event store", version)]
struct CommandLine {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    process::log_to_stderr();
    let CommandLine { config } = process::command_line::<CommandLine>();
    process::exit_code(async {
        let application = Application::build(config, &Health::default())?;
        application.run_until_stopped(process::stop_signal()).await?;
        Ok(())
    })
    .await
}
