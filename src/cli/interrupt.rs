//! Ctrl-C and SIGTERM: the first brings the run to an orderly end with every report written, the second leaves at once.

use tokio::sync::watch;

use super::exit;
use super::terminal::say;

/// Watches for signals; true is sent at the first one.
pub(super) fn watch() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        signal().await;
        say("wsbench: interrupted: draining, closing and writing the report; once more to leave at once");
        let _ = sender.send(true);
        signal().await;
        exit::at_once(exit::Exit::Inconclusive);
    });
    receiver
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
