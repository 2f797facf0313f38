//! Threads for audits and exports: parsing and hashing all entities must not delay the requests
//! that share the runtime's threads.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Nice value of the threads: a thread of default priority gets about nine times as much of a
/// shared core.
const NICE_VALUE: i32 = 10;

/// Runs `task` on a thread of its own, at low priority. Dropping the returned future cancels the
/// task.
///
/// # Errors
/// When the thread cannot be started or panics.
pub async fn run<T: Send + 'static>(
    name: &str,
    task: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let runtime = Handle::current();
    let (mut sender, receiver) = oneshot::channel();
    let thread = move || {
        // If this is not permitted, the thread keeps the default priority.
        let _ = rustix::process::setpriority_process(None, NICE_VALUE);
        let output = runtime.block_on(async {
            tokio::select! {
                output = task => Some(output),
                () = sender.closed() => None,
            }
        });
        if let Some(output) = output {
            // Fails if the caller has stopped waiting.
            let _ = sender.send(output);
        }
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(thread);
    started.map_err(|error| Error::Internal(Box::new(error)))?;
    receiver.await.map_err(|_| Error::Internal("the thread of the task has panicked".into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_task_runs_on_a_thread_of_low_priority() {
        let (name, nice) = run("audit", async {
            let name = thread::current().name().map(str::to_owned);
            (name, rustix::process::getpriority_process(None).unwrap())
        })
        .await
        .unwrap();
        assert_eq!((name.as_deref(), nice), (Some("audit"), NICE_VALUE));
    }

    #[tokio::test]
    async fn a_task_whose_result_nobody_wants_is_cancelled() {
        let (started_sender, started) = oneshot::channel();
        let (guard, cancelled) = oneshot::channel::<()>();
        let task = tokio::spawn(run("audit", async move {
            let _guard = guard;
            started_sender.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
        started.await.unwrap();
        task.abort();
        let cancelled = timeout(Duration::from_secs(10), cancelled).await.unwrap();
        assert!(cancelled.is_err());
    }

    #[tokio::test]
    async fn a_panic_of_the_task_is_an_error() {
        let result: Result<()> = run("audit", async { panic!("expected by this test") }).await;
        assert!(result.is_err());
    }
}
