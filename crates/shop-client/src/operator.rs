//! How the command line reaches a running shop as its operator.

use crate::{InvalidClient, ShopClient};
use clap::Args;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Which shop, and as whom.
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// Address of the running shop
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The operator's token
    #[arg(long, global = true, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where the operator's token stands, if it is not given
    #[arg(long, global = true, value_name = "PATH", default_value = "./.data/operator-token")]
    pub token_file: PathBuf,
}

/// The shop cannot be asked.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// There is no token.
    #[error(
        "the operator's token cannot be read from {path}: give it with --token, EMPORIUM_OPERATOR_TOKEN or --token-file"
    )]
    Token {
        /// Where it was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// The address or the token does not have the form of one.
    #[error(transparent)]
    Client(#[from] InvalidClient),
}

impl OperatorArgs {
    /// A client for the shop.
    ///
    /// # Errors
    /// When there is no token, or the address or the token does not have the form of one.
    pub async fn client(&self) -> Result<ShopClient, OperatorError> {
        Ok(ShopClient::new(&self.url, &self.token().await?)?)
    }

    /// The operator's token.
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(&self) -> Result<String, OperatorError> {
        match &self.token {
            Some(token) => Ok(token.clone()),
            None => tokio::fs::read_to_string(&self.token_file)
                .await
                .map_err(|source| OperatorError::Token { path: self.token_file.clone(), source }),
        }
    }
}
