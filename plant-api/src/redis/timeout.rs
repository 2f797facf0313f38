//! A timeout in which only the time counts that Redis takes.

use std::time::Duration;

use deadpool_redis::redis::{RedisError, RedisResult};

/// Number of parts of a timeout.
const TURNS: u32 = 5;

/// Returns the result of `command`, or an error if there is none after `limit`.
///
/// A process that is busy receives a response late, and must not take Redis for lost because of that:
/// without the cache it would be busier still. So the limit is waited for in turns. A turn may take
/// longer than its part of the limit because other tasks run before it ends; then the task that
/// receives responses runs, too.
///
/// # Errors
/// The error of `command`, or [`std::io::ErrorKind::TimedOut`].
pub(super) async fn timeout<T>(
    limit: Duration,
    command: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    let turns = async {
        for _ in 0..TURNS {
            tokio::time::sleep(limit / TURNS).await;
        }
    };
    tokio::select! {
        biased;
        result = command => result,
        () = turns => Err(timed_out()),
    }
}

fn timed_out() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no response in time").into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_command_without_response_fails() {
        let started = Instant::now();
        let error = timeout::<()>(LIMIT, std::future::pending()).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(started.elapsed() >= LIMIT);
    }

    /// The response comes while another task occupies the only thread for longer than the limit.
    #[tokio::test]
    async fn a_busy_process_is_no_lost_connection() {
        let (response, receiver) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            std::thread::sleep(2 * LIMIT);
            tokio::task::yield_now().await;
            let _ = response.send("PONG");
        });
        let command = async { Ok(receiver.await.expect("response")) };
        assert_eq!(timeout(LIMIT, command).await.expect("no timeout"), "PONG");
    }
}
