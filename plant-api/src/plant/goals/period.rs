//! Periods: the days, ISO weeks and months, in UTC, for which goals are due.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::Schedule;

/// A span of time in which a goal is due once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its name: `daily:2026-01-14`, `weekly:2026-W03`, `monthly:2026-01`.
    pub name: String,
    /// When the next one begins.
    pub next: DateTime<Utc>,
}

impl Schedule {
    /// The period that `moment` lies in; `None` where nothing is ever due, or no calendar goes.
    pub fn period(self, moment: DateTime<Utc>) -> Option<Period> {
        let day = moment.date_naive();
        let (name, next) = match self {
            Self::Daily => (day.format("daily:%Y-%m-%d"), day.checked_add_days(Days::new(1))),
            Self::Weekly => {
                let left = 7 - u64::from(day.weekday().num_days_from_monday());
                (day.format("weekly:%G-W%V"), day.checked_add_days(Days::new(left)))
            }
            Self::Monthly => {
                let next = day.with_day(1)?.checked_add_months(Months::new(1));
                (day.format("monthly:%Y-%m"), next)
            }
            Self::OnDemand => return None,
        };
        Some(Period { name: name.to_string(), next: midnight(next?)? })
    }
}

fn midnight(day: NaiveDate) -> Option<DateTime<Utc>> {
    day.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(schedule: Schedule, moment: &str) -> (String, String) {
        let period = schedule.period(moment.parse().unwrap()).unwrap();
        (period.name, period.next.to_rfc3339())
    }

    fn pair(name: &str, next: &str) -> (String, String) {
        (name.to_owned(), format!("{next}T00:00:00+00:00"))
    }

    #[test]
    fn a_day_a_week_and_a_month_have_their_names() {
        let moment = "2026-01-14T23:59:59.999Z";
        assert_eq!(period(Schedule::Daily, moment), pair("daily:2026-01-14", "2026-01-15"));
        assert_eq!(period(Schedule::Weekly, moment), pair("weekly:2026-W03", "2026-01-19"));
        assert_eq!(period(Schedule::Monthly, moment), pair("monthly:2026-01", "2026-02-01"));
        assert_eq!(Schedule::OnDemand.period(moment.parse().unwrap()), None);
    }

    #[test]
    fn a_week_belongs_to_the_year_of_its_thursday() {
        // ISO 8601: 1 January 2027 is a Friday, in the last week of 2026.
        let new_year = "2027-01-01T00:00:00Z";
        assert_eq!(period(Schedule::Weekly, new_year), pair("weekly:2026-W53", "2027-01-04"));
        assert_eq!(
            period(Schedule::Weekly, "2024-12-30T12:00:00Z"),
            pair("weekly:2025-W01", "2025-01-06")
        );
    }

    #[test]
    fn a_period_begins_where_the_one_before_ended() {
        for schedule in [Schedule::Daily, Schedule::Weekly, Schedule::Monthly] {
            let mut moment: DateTime<Utc> = "2024-01-31T10:00:00Z".parse().unwrap();
            for _ in 0..400 {
                let this = schedule.period(moment).unwrap();
                assert!(this.next > moment);
                let before = this.next - chrono::TimeDelta::microseconds(1);
                assert_eq!(schedule.period(before).unwrap(), this);
                assert_ne!(schedule.period(this.next).unwrap().name, this.name);
                moment = this.next;
            }
        }
    }
}
