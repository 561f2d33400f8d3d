//! `wsbench worker`: what a run starts when one process may not hold enough connections. Not for people.

use crate::drive::worker;

use super::exit::{Exit, Stopped};

/// Serves the process at the other end of the standard streams until it is done or gone.
pub(super) fn run() -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Stopped::environment(error).tell(),
    };
    let served = runtime.block_on(async {
        // Ctrl-C reaches the whole group; ending the run is the parent's to order.
        tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
        worker::serve(tokio::io::stdin(), tokio::io::stdout()).await
    });
    // A blocking read of standard input must not hold the process.
    runtime.shutdown_background();
    match served {
        Ok(()) => Exit::Pass,
        Err(error) => Stopped::environment(error).tell(),
    }
}
