//! Whether the times that a list shows for accepted work can be right.
//!
//! The load generator knows when it sent the request that handed the work in, when that was answered, and
//! when it first saw the work ended. So work has started between the first two, and ended between its start
//! and the third. Times beyond that by more than [`CLOCK_TOLERANCE`] are not credible, and neither is work
//! that took nothing at all.
//!
//! The clocks of the two machines may differ by any constant: a time is credible if it agrees with the load
//! generator's clock, or with the header `Date` of the same response, which is the service's clock. The
//! tolerance remains for the clocks of the service's own machines, for times in whole seconds, and for clocks
//! that are set during the run. A duration can be wrong by that much without being noticed.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};

use crate::work::ExchangeTimes;

/// Tolerance for the times of a list.
pub(super) const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// The header `Date` is at most this much behind the clock of the service.
const DATE_RESOLUTION: TimeDelta = TimeDelta::seconds(1);

/// Distance in time from which on it is described in days.
const MANY_SECONDS: f64 = 100_000.0;

/// When a page of a list was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAt {
    /// When the response was complete, by the load generator's clock.
    pub(super) own: DateTime<Utc>,
    /// Header `Date` of the response.
    pub(super) date: Option<DateTime<Utc>>,
}

/// Credible times of completed work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    /// From start to end, by the service's clock.
    pub(super) took: Duration,
    /// When it ended, by the load generator's clock.
    pub(super) ended_at: DateTime<Utc>,
}

/// Why the times of completed work are not credible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doubt {
    /// The list has no time of its start.
    NoStart,
    /// It started this long before it was handed in.
    StartedEarly(TimeDelta),
    /// It started this long after it was accepted.
    StartedLate(TimeDelta),
    /// It ended this long before its start.
    EndedBeforeStart(TimeDelta),
    /// It ended in the microsecond of its start.
    TookNothing,
    /// It ended this long after it was seen ended.
    EndedLate(TimeDelta),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStart => f.write_str("its start is not a time"),
            Self::StartedEarly(by) => write!(f, "it started {} before it was sent", display(*by)),
            Self::StartedLate(by) => write!(f, "it started {} after its 202", display(*by)),
            Self::EndedBeforeStart(by) => {
                write!(f, "it ended {} before its start", display(*by))
            }
            Self::TookNothing => f.write_str("it ended in the microsecond of its start"),
            Self::EndedLate(by) => write!(f, "it ended {} after it was seen ended", display(*by)),
        }
    }
}

fn display(by: TimeDelta) -> String {
    match by.as_seconds_f64() {
        seconds if seconds < MANY_SECONDS => format!("{seconds:.3} s"),
        _ => format!("{} days", by.num_days()),
    }
}

/// Returns the times of work that was `accepted` and that the list shows with these times of its start and
/// end.
///
/// # Errors
/// When they are not credible.
pub(super) fn check(
    accepted: &ExchangeTimes,
    started: Option<DateTime<Utc>>,
    ended: DateTime<Utc>,
    read_at: ReadAt,
) -> Result<Times, Doubt> {
    let started = started.ok_or(Doubt::NoStart)?;
    let ahead = clock_difference(accepted, started)?;
    let took = ended - started;
    if took < TimeDelta::zero() {
        return Err(Doubt::EndedBeforeStart(-took));
    }
    // Times in milliseconds or seconds may be equal.
    if took.is_zero() && !ended.nanosecond().is_multiple_of(1_000_000) {
        return Err(Doubt::TookNothing);
    }
    let by_date = read_at.date.map(|date| date + DATE_RESOLUTION);
    let seen = by_date.map_or(read_at.own, |date| date.max(read_at.own));
    if ended > seen + CLOCK_TOLERANCE {
        return Err(Doubt::EndedLate(ended - seen));
    }
    Ok(Times { took: took.to_std().unwrap_or_default(), ended_at: ended - ahead })
}

/// Returns the earliest time that a list may show as the start of work that was `accepted`.
pub(super) fn earliest_start(accepted: &ExchangeTimes) -> DateTime<Utc> {
    let by_date = accepted.date.map(|date| date - (accepted.answered_at - accepted.sent_at));
    by_date.map_or(accepted.sent_at, |date| date.min(accepted.sent_at)) - CLOCK_TOLERANCE
}

/// Returns how far the service's clock is ahead of the load generator's: nothing if `started` agrees with the
/// latter, otherwise what the header `Date` says.
fn clock_difference(accepted: &ExchangeTimes, started: DateTime<Utc>) -> Result<TimeDelta, Doubt> {
    let ExchangeTimes { sent_at, answered_at, date } = *accepted;
    let is_within = |from: DateTime<Utc>, to: DateTime<Utc>| {
        (from - CLOCK_TOLERANCE..=to + CLOCK_TOLERANCE).contains(&started)
    };
    if is_within(sent_at, answered_at) {
        return Ok(TimeDelta::zero());
    }
    match date {
        Some(date) if is_within(date - (answered_at - sent_at), date + DATE_RESOLUTION) => {
            Ok(date - answered_at)
        }
        _ if started < sent_at => Err(Doubt::StartedEarly(sent_at - started)),
        _ => Err(Doubt::StartedLate(started - answered_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: TimeDelta = TimeDelta::seconds(1);

    fn noon() -> DateTime<Utc> {
        "2026-01-14T12:00:00.123456Z".parse().unwrap()
    }

    /// Work that was sent at noon, answered after 100 ms, and seen ended after 10 s.
    fn check_of(
        date_after: Option<TimeDelta>,
        started: TimeDelta,
        ended: TimeDelta,
    ) -> Result<Times, Doubt> {
        let answered_at = noon() + SECOND / 10;
        let date = date_after.map(|after| noon() + after);
        let accepted = ExchangeTimes { sent_at: noon(), answered_at, date };
        let read_at =
            ReadAt { own: noon() + SECOND * 10, date: date.map(|date| date + SECOND * 10) };
        check(&accepted, Some(noon() + started), noon() + ended, read_at)
    }

    #[test]
    fn times_between_sending_and_the_first_sight_of_the_end_are_credible() {
        let ms = TimeDelta::milliseconds;
        let times = check_of(None, ms(50), ms(1550)).unwrap();
        assert_eq!(times.took, Duration::from_millis(1500));
        assert_eq!(times.ended_at, noon() + ms(1550));
        for (started, ended) in [(-1900, 100), (2050, 2051), (50, 11_900)] {
            assert!(check_of(None, ms(started), ms(ended)).is_ok(), "{started} {ended}");
        }
    }

    #[test]
    fn other_times_are_not_credible() {
        let ms = TimeDelta::milliseconds;
        assert_eq!(check_of(None, ms(-2001), ms(9)), Err(Doubt::StartedEarly(ms(2001))));
        assert_eq!(check_of(None, ms(2101), ms(9)), Err(Doubt::StartedLate(ms(2001))));
        assert_eq!(check_of(None, ms(50), ms(49)), Err(Doubt::EndedBeforeStart(ms(1))));
        assert_eq!(check_of(None, ms(50), ms(12_001)), Err(Doubt::EndedLate(ms(2001))));
        assert_eq!(check_of(None, ms(50), ms(50)), Err(Doubt::TookNothing));
        let years = TimeDelta::days(2557);
        let doubt = check_of(Some(TimeDelta::zero()), -years, -years + SECOND).unwrap_err();
        assert_eq!(doubt.to_string(), "it started 2557 days before it was sent");
    }

    #[test]
    fn equal_times_in_milliseconds_are_credible() {
        let accepted = ExchangeTimes { sent_at: noon(), answered_at: noon(), date: None };
        let read_at = ReadAt { own: noon(), date: None };
        let whole = "2026-01-14T12:00:00.123Z".parse().unwrap();
        assert_eq!(check(&accepted, Some(whole), whole, read_at).unwrap().took, Duration::ZERO);
        assert_eq!(check(&accepted, None, whole, read_at), Err(Doubt::NoStart));
    }

    #[test]
    fn clocks_may_differ_if_the_service_sends_its_own() {
        let (hour, ms) = (TimeDelta::hours(1), TimeDelta::milliseconds);
        for ahead in [hour, -hour] {
            let (started, ended) = (ahead + ms(50), ahead + ms(1050));
            let times = check_of(Some(ahead + ms(-100)), started, ended).unwrap();
            assert_eq!(times.took, Duration::from_secs(1));
            let own = (times.ended_at - (noon() + ms(1050))).abs();
            assert!(own <= SECOND, "the end by the own clock: {own}");
            assert!(check_of(None, started, ended).is_err());
            assert!(check_of(Some(ahead), ahead + SECOND * 4, ahead + SECOND * 5).is_err());
        }
        let late = check_of(Some(hour), hour, hour + SECOND * 14);
        assert_eq!(late, Err(Doubt::EndedLate(SECOND * 3)));
    }

    #[test]
    fn the_earliest_start_is_that_of_the_earlier_clock() {
        let of = |date| {
            let accepted = ExchangeTimes { sent_at: noon(), answered_at: noon() + SECOND, date };
            earliest_start(&accepted) - noon()
        };
        assert_eq!(of(None), -CLOCK_TOLERANCE);
        assert_eq!(of(Some(noon() + SECOND * 60)), -CLOCK_TOLERANCE);
        assert_eq!(of(Some(noon() - SECOND * 60)), -CLOCK_TOLERANCE - SECOND * 61);
    }
}
