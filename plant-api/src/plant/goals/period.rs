//! Periods in which goals are due: days, ISO weeks and months, in UTC.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::Schedule;

/// A period in which a goal is due once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Name of the period: `daily:2026-01-14`, `weekly:2026-W03`, `monthly:2026-01`.
    pub name: String,
    /// Start of the next period.
    pub next_start: DateTime<Utc>,
}

impl Schedule {
    /// Returns the period that contains `time`; `None` for on-demand goals and dates out of range.
    pub fn period_at(self, time: DateTime<Utc>) -> Option<Period> {
        let day = time.date_naive();
        let (name, next_day) = match self {
            Self::Daily => (day.format("daily:%Y-%m-%d"), day.checked_add_days(Days::new(1))),
            Self::Weekly => {
                let days_left = 7 - u64::from(day.weekday().num_days_from_monday());
                (day.format("weekly:%G-W%V"), day.checked_add_days(Days::new(days_left)))
            }
            Self::Monthly => {
                let next_day = day.with_day(1)?.checked_add_months(Months::new(1));
                (day.format("monthly:%Y-%m"), next_day)
            }
            Self::OnDemand => return None,
        };
        Some(Period { name: name.to_string(), next_start: midnight(next_day?)? })
    }
}

fn midnight(day: NaiveDate) -> Option<DateTime<Utc>> {
    day.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(schedule: Schedule, time: &str) -> (String, String) {
        let period = schedule.period_at(time.parse().unwrap()).unwrap();
        (period.name, period.next_start.to_rfc3339())
    }

    fn expected(name: &str, next_start: &str) -> (String, String) {
        (name.to_owned(), format!("{next_start}T00:00:00+00:00"))
    }

    #[test]
    fn periods_are_named_by_day_week_and_month() {
        let time = "2026-01-14T23:59:59.999Z";
        assert_eq!(period(Schedule::Daily, time), expected("daily:2026-01-14", "2026-01-15"));
        assert_eq!(period(Schedule::Weekly, time), expected("weekly:2026-W03", "2026-01-19"));
        assert_eq!(period(Schedule::Monthly, time), expected("monthly:2026-01", "2026-02-01"));
        assert_eq!(Schedule::OnDemand.period_at(time.parse().unwrap()), None);
    }

    #[test]
    fn an_iso_week_belongs_to_the_year_of_its_thursday() {
        // ISO 8601: 1 January 2027 is a Friday, in the last week of 2026.
        let new_year = "2027-01-01T00:00:00Z";
        assert_eq!(period(Schedule::Weekly, new_year), expected("weekly:2026-W53", "2027-01-04"));
        assert_eq!(
            period(Schedule::Weekly, "2024-12-30T12:00:00Z"),
            expected("weekly:2025-W01", "2025-01-06")
        );
    }

    #[test]
    fn a_period_starts_where_the_previous_one_ended() {
        for schedule in [Schedule::Daily, Schedule::Weekly, Schedule::Monthly] {
            let mut time: DateTime<Utc> = "2024-01-31T10:00:00Z".parse().unwrap();
            for _ in 0..400 {
                let period = schedule.period_at(time).unwrap();
                assert!(period.next_start > time);
                let last_instant = period.next_start - chrono::TimeDelta::microseconds(1);
                assert_eq!(schedule.period_at(last_instant).unwrap(), period);
                assert_ne!(schedule.period_at(period.next_start).unwrap().name, period.name);
                time = period.next_start;
            }
        }
    }
}
