//! Signals that end a worker.

use std::future::pending;

/// SIGINT (Ctrl-C) and SIGTERM.
pub(super) struct Interrupts {
    #[cfg(unix)]
    signals: Vec<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Interrupts {
    pub(super) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        Self { signals: kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect() }
    }

    pub(super) async fn next(&mut self) {
        if self.signals.is_empty() {
            pending::<()>().await;
        }
        let received = self.signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(received).await;
    }
}

#[cfg(not(unix))]
impl Interrupts {
    pub(super) fn new() -> Self {
        Self {}
    }

    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    }
}
