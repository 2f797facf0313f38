//! A timer that is accurate to a tenth of a millisecond. Tokio's timer rounds up to whole
//! milliseconds.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

use tokio::sync::oneshot;

/// A thread that wakes tasks at given times. It ends when this value is dropped.
pub struct PreciseTimer {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    sleepers: BinaryHeap<Reverse<Sleeper>>,
    stopped: bool,
}

struct Sleeper {
    deadline: Instant,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.deadline.cmp(&other.deadline)
    }
}

impl PreciseTimer {
    /// Starts the timer thread.
    ///
    /// # Errors
    /// When the operating system cannot create the thread.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let thread_shared = Arc::clone(&shared);
        thread::Builder::new()
            .name("precise-timer".into())
            .spawn(move || wake_sleepers(&thread_shared))?;
        Ok(Self { shared })
    }

    /// Sleeps until `deadline`.
    pub async fn sleep_until(&self, deadline: Instant) {
        let (wake, woken) = oneshot::channel();
        self.add(Sleeper { deadline, wake });
        // An error means that the timer was dropped, which ends all sleeps.
        let _ = woken.await;
    }

    fn add(&self, sleeper: Sleeper) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = queue.sleepers.peek().is_none_or(|Reverse(first)| sleeper < *first);
        queue.sleepers.push(Reverse(sleeper));
        if is_first {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for PreciseTimer {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.shared.changed.notify_one();
    }
}

fn wake_sleepers(shared: &Shared) {
    set_timer_slack();
    let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
    while !queue.stopped {
        let now = Instant::now();
        while queue.sleepers.peek().is_some_and(|Reverse(first)| first.deadline <= now) {
            if let Some(Reverse(sleeper)) = queue.sleepers.pop() {
                // Fails only if the sleeping task was canceled.
                let _ = sleeper.wake.send(());
            }
        }
        let next = queue.sleepers.peek().map(|Reverse(first)| first.deadline);
        queue = match next {
            Some(next) => {
                let left = next.saturating_duration_since(Instant::now());
                let waited = shared.changed.wait_timeout(queue, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// Sets the timer slack of the current thread to 1 ns, on Linux. The default of 50 µs delays every
/// wake-up by up to that much.
pub fn set_timer_slack() {
    #[cfg(target_os = "linux")]
    {
        // If this fails, wake-ups are slightly later.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_deadlines_and_never_early() {
        let timer = PreciseTimer::start().unwrap();
        let start = Instant::now();
        let (late, early) = (start + Duration::from_millis(30), start + Duration::from_millis(5));
        let order = Mutex::new(Vec::new());
        let sleep = async |name, deadline| {
            timer.sleep_until(deadline).await;
            assert!(Instant::now() >= deadline);
            order.lock().unwrap().push(name);
        };
        tokio::join!(sleep("late", late), sleep("early", early));
        assert_eq!(order.into_inner().unwrap(), ["early", "late"]);
    }
}
