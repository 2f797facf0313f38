//! Wakes sleepers to the tenth of a millisecond, where the async runtime's timer rounds up to a
//! whole one.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

use tokio::sync::oneshot;

/// A thread that wakes sleepers; it ends with this value.
pub struct Alarm {
    bed: Arc<Bed>,
}

struct Bed {
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

#[derive(Default)]
struct Sleepers {
    heap: BinaryHeap<Reverse<Sleeper>>,
    closed: bool,
}

struct Sleeper {
    until: Instant,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until
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
        self.until.cmp(&other.until)
    }
}

impl Alarm {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start() -> io::Result<Self> {
        let bed = Arc::new(Bed { sleepers: Mutex::default(), changed: Condvar::new() });
        let watched = Arc::clone(&bed);
        thread::Builder::new().name("alarm".into()).spawn(move || watch(&watched))?;
        Ok(Self { bed })
    }

    /// Sleeps until `moment`.
    pub async fn until(&self, moment: Instant) {
        let (wake, woken) = oneshot::channel();
        self.add(Sleeper { until: moment, wake });
        // An alarm that is gone wakes everybody.
        let _ = woken.await;
    }

    fn add(&self, sleeper: Sleeper) {
        let mut sleepers = self.bed.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let first = sleepers.heap.peek().is_none_or(|Reverse(first)| sleeper < *first);
        sleepers.heap.push(Reverse(sleeper));
        if first {
            self.bed.changed.notify_one();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.bed.sleepers.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.bed.changed.notify_one();
    }
}

fn watch(bed: &Bed) {
    sharpen_sleep();
    let mut sleepers = bed.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
    while !sleepers.closed {
        let now = Instant::now();
        while sleepers.heap.peek().is_some_and(|Reverse(first)| first.until <= now) {
            if let Some(Reverse(sleeper)) = sleepers.heap.pop() {
                // Whoever gave up waiting need not be woken.
                let _ = sleeper.wake.send(());
            }
        }
        let next = sleepers.heap.peek().map(|Reverse(first)| first.until);
        sleepers = match next {
            Some(next) => {
                let left = next.saturating_duration_since(Instant::now());
                let woken = bed.changed.wait_timeout(sleepers, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => bed.changed.wait(sleepers).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// Asks the system to wake this thread to the microsecond instead of some fifty later.
pub fn sharpen_sleep() {
    #[cfg(target_os = "linux")]
    {
        // Without it everything comes a little later, nothing else changes.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn nobody_is_woken_before_time_and_the_first_one_first() {
        let alarm = Alarm::start().unwrap();
        let begun = Instant::now();
        let (late, early) = (begun + Duration::from_millis(30), begun + Duration::from_millis(5));
        let order = Mutex::new(Vec::new());
        let sleep = async |name, until| {
            alarm.until(until).await;
            assert!(Instant::now() >= until);
            order.lock().unwrap().push(name);
        };
        tokio::join!(sleep("late", late), sleep("early", early));
        assert_eq!(order.into_inner().unwrap(), ["early", "late"]);
    }
}
