//! Computations that take long, on threads of their own.

use crate::error::{Error, Result};

/// Runs a computation on a thread for blocking work: a target can have series of several MiB, and the
/// threads of the runtime serve requests.
///
/// # Errors
/// [`Error::Internal`] if it panics.
pub async fn compute<T: Send + 'static>(
    computation: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let computed = tokio::task::spawn_blocking(computation).await;
    computed.map_err(|error| Error::Internal(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_threads_of_the_runtime_do_not_compute() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, wait) = std::sync::mpsc::channel::<()>();
            // The only thread for blocking work is in use.
            let held = tokio::task::spawn_blocking(move || wait.recv());
            let mut computed = Box::pin(compute(|| 5));
            assert!((&mut computed).now_or_never().is_none());
            release.send(()).unwrap();
            held.await.unwrap().unwrap();
            assert_eq!(computed.await.unwrap(), 5);
        });
    }
}
