//! Ctrl-C and SIGTERM: the first brings the run to an orderly end with every report written, the second leaves at once.

use tokio::sync::watch;

use super::exit;
use super::terminal::say;

/// Watches for signals; true is sent at the first one. Both signals are listened to from here on, so that the second one is
/// not missed however soon it comes.
pub(super) fn watch() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    match Signals::listen() {
        Ok(mut signals) => {
            tokio::spawn(async move {
                signals.next().await;
                say("wsbench: interrupted: draining, closing and writing the report; once more to leave at once");
                let _ = sender.send(true);
                signals.next().await;
                exit::at_once(exit::Exit::Inconclusive);
            });
        }
        Err(error) => say(&format!("warning: signals cannot be listened to ({error}): Ctrl-C ends the run without a report")),
    }
    receiver
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}
