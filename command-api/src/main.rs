//! The command side as a service of its own.

use clap::Parser;
use command_api::{Application, Config};
use http_boundary::{Health, process};

#[derive(Parser)]
#[command(name = "command-api", about = "Takes the shop's commands", version)]
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
