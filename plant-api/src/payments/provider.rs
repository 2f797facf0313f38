//! Simulated payment provider: which events it sends for a payment, when, and how often.
//!
//! All of it is a pure function of the seed and the payment's id, so a job that runs twice sends the
//! same events.

use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::event::Kind;

/// Name of the provider in routes and in the database.
pub const NAME: &str = "simulated";

/// How much longer than usual a late event takes.
const LATE_FACTOR: u32 = 10;

/// Settings of the simulated provider. Rates are shares of the payments, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedProvider {
    /// Seed of the pseudorandom courses of payments.
    pub seed: u64,
    /// Delay before each event.
    pub delay: Duration,
    /// Payments that are canceled or fail, in equal shares.
    pub decline_rate: f64,
    /// Successful payments that are refunded.
    pub refund_rate: f64,
    /// Payments whose events are sent twice.
    pub repeat_rate: f64,
    /// Payments whose events are sent in reverse order.
    pub reorder_rate: f64,
    /// Payments whose last event is late.
    pub late_rate: f64,
}

/// An event to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivery {
    pub kind: Kind,
    /// Delay after the delivery before.
    pub delay: Duration,
}

impl SimulatedProvider {
    /// Returns the events of a payment in the order in which they are sent.
    pub fn deliveries(&self, payment: Uuid) -> Vec<Delivery> {
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(payment.as_bytes())
            .finalize();
        let mut samples = digest.chunks_exact(4).map(uniform);
        let mut is_below = |rate: f64| samples.next().is_some_and(|sample| sample < rate);

        let mut kinds = vec![Kind::WaitingForCapture];
        let (declined, canceled) = (is_below(self.decline_rate), is_below(0.5));
        let refunded = is_below(self.refund_rate);
        match (declined, canceled) {
            (true, true) => kinds.push(Kind::Canceled),
            (true, false) => kinds.push(Kind::Failed),
            (false, _) => kinds.push(Kind::Succeeded),
        }
        if refunded && !declined {
            kinds.push(Kind::Refunded);
        }
        if is_below(self.reorder_rate) {
            kinds.reverse();
        }
        let mut deliveries: Vec<_> =
            kinds.into_iter().map(|kind| Delivery { kind, delay: self.delay }).collect();
        if is_below(self.late_rate)
            && let Some(last) = deliveries.last_mut()
        {
            last.delay *= LATE_FACTOR;
        }
        if is_below(self.repeat_rate) {
            let again = deliveries.clone();
            deliveries.extend(again.into_iter().map(|d| Delivery { delay: Duration::ZERO, ..d }));
        }
        deliveries
    }
}

/// Returns the id of an event, the same whenever it is sent.
pub fn event_id(payment: Uuid, kind: Kind) -> Uuid {
    Uuid::new_v5(&payment, kind.name().as_bytes())
}

/// Returns four bytes as a number from 0 to 1, without 1.
fn uniform(bytes: &[u8]) -> f64 {
    let bits = bytes.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    f64::from(bits) / f64::from(u32::MAX).next_up()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: SimulatedProvider = SimulatedProvider {
        seed: 42,
        delay: Duration::from_millis(100),
        decline_rate: 0.0,
        refund_rate: 0.0,
        repeat_rate: 0.0,
        reorder_rate: 0.0,
        late_rate: 0.0,
    };

    fn kinds(provider: SimulatedProvider, payment: u128) -> Vec<Kind> {
        let deliveries = provider.deliveries(Uuid::from_u128(payment));
        deliveries.into_iter().map(|delivery| delivery.kind).collect()
    }

    #[test]
    fn each_rate_changes_what_it_names() {
        use Kind::{Refunded, Succeeded, WaitingForCapture};
        assert_eq!(kinds(PLAIN, 1), [WaitingForCapture, Succeeded]);
        let refunding = SimulatedProvider { refund_rate: 1.0, ..PLAIN };
        assert_eq!(kinds(refunding, 1), [WaitingForCapture, Succeeded, Refunded]);
        let reordering = SimulatedProvider { reorder_rate: 1.0, ..PLAIN };
        assert_eq!(kinds(reordering, 1), [Succeeded, WaitingForCapture]);
        let repeating = SimulatedProvider { repeat_rate: 1.0, ..PLAIN };
        assert_eq!(kinds(repeating, 1), [kinds(PLAIN, 1), kinds(PLAIN, 1)].concat());
        let late = SimulatedProvider { late_rate: 1.0, ..PLAIN }.deliveries(Uuid::from_u128(1));
        let delays: Vec<_> = late.iter().map(|delivery| delivery.delay.as_millis()).collect();
        assert_eq!(delays, [100, 1_000]);
        let declining = SimulatedProvider { decline_rate: 1.0, refund_rate: 1.0, ..PLAIN };
        let ends: Vec<_> = (0..1_000).map(|n| kinds(declining, n)[1]).collect();
        let canceled = ends.iter().filter(|kind| **kind == Kind::Canceled).count();
        let failed = ends.iter().filter(|kind| **kind == Kind::Failed).count();
        assert_eq!(canceled + failed, 1_000);
        assert!((400..600).contains(&canceled), "{canceled}");
    }

    #[test]
    fn the_course_depends_on_seed_and_payment_only() {
        let mixed = SimulatedProvider { decline_rate: 0.5, reorder_rate: 0.5, ..PLAIN };
        let all = |provider: SimulatedProvider| -> Vec<_> {
            (0..100).map(|n| kinds(provider, n)).collect()
        };
        assert_eq!(all(mixed), all(mixed));
        assert_ne!(all(mixed), all(SimulatedProvider { seed: 43, ..mixed }));
        let declined = all(mixed).iter().filter(|kinds| !kinds.contains(&Kind::Succeeded)).count();
        assert!((30..70).contains(&declined), "{declined}");
    }
}
