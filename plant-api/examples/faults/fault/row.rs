//! What was seen of a fault as one row, and whether it was as promised.

use std::time::Duration;

use tokio::time::Instant;

use super::load::{Asked, Look, Outcome, Seen};
use super::{Options, RECOVERY, Times, What};

/// Answers by class, of requests that were under way or began after the break.
#[derive(Default)]
struct Classes {
    good: usize,
    client_errors: usize,
    unavailable: usize,
    other_errors: usize,
    unanswered: usize,
    without_retry_after: usize,
}

/// Prints the row; whether everything was as promised.
pub fn print(options: &Options, times: &Times, seen: &Seen) -> bool {
    let concerned: Vec<&Asked> =
        seen.asked.iter().filter(|asked| asked.ended >= times.broken).collect();
    let classes = classes(&concerned);
    let calm = seen.asked.iter().filter(|asked| asked.ended < times.broken);
    let usual = calm.map(|asked| asked.ended - asked.began).max().unwrap_or_default();
    let longest = concerned.iter().max_by_key(|asked| asked.ended - asked.began);
    let (wait, of) = longest.map_or((Duration::ZERO, ""), |a| (a.ended - a.began, a.what));
    let recovery = recovery(times, &concerned, &seen.looks);
    let broken = broken_promises(options.what, &classes, (wait, usual), recovery, &seen.looks);
    println!(
        "| {} | {} | {} | {} | {} | {} | {:.0} ms | {:.0} ms ({of}) | {} | {} | {} |",
        options.name,
        classes.good,
        classes.client_errors,
        classes.unavailable,
        classes.other_errors,
        classes.unanswered,
        usual.as_secs_f64() * 1e3,
        wait.as_secs_f64() * 1e3,
        recovery.map_or("never".to_owned(), |time| format!("{:.2} s", time.as_secs_f64())),
        story(times, &seen.looks),
        if broken.is_empty() {
            "kept".to_owned()
        } else {
            format!("MISSED: {}", broken.join("; "))
        },
    );
    broken.is_empty()
}

fn classes(asked: &[&Asked]) -> Classes {
    let mut classes = Classes::default();
    for asked in asked {
        match asked.outcome {
            Outcome::Answered { status: 200..=299, .. } => classes.good += 1,
            Outcome::Answered { status: 503, retry_after } => {
                classes.unavailable += 1;
                classes.without_retry_after += usize::from(!retry_after);
            }
            Outcome::Answered { status: 500.., .. } => classes.other_errors += 1,
            Outcome::Answered { .. } => classes.client_errors += 1,
            Outcome::Unanswered => classes.unanswered += 1,
        }
    }
    classes
}

/// From the mending until the last answer, of /health as well, that was not good.
fn recovery(times: &Times, asked: &[&Asked], looks: &[Look]) -> Option<Duration> {
    let well =
        |asked: &&&Asked| matches!(asked.outcome, Outcome::Answered { status: 200..=299, .. });
    let last_bad = asked.iter().filter(|asked| !well(asked)).map(|asked| asked.ended).max();
    let last_ill = looks.iter().filter(|look| look.health != "healthy").map(|look| look.at).max();
    let last_look = looks.last()?;
    let last = last_bad.max(last_ill).unwrap_or(times.mended);
    let for_good = last_look.health == "healthy";
    for_good.then(|| last.saturating_duration_since(times.mended))
}

/// What /health said, each with the seconds since the break at which it began to say it.
fn story(times: &Times, looks: &[Look]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut last = "";
    for look in looks.iter().filter(|look| look.at >= times.broken) {
        if look.health != last {
            parts.push(format!("{} {:.1}", look.health, seconds(times.broken, look.at)));
            last = &look.health;
        }
    }
    parts.join(", ")
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}

fn broken_promises(
    what: What,
    classes: &Classes,
    (wait, usual): (Duration, Duration),
    recovery: Option<Duration>,
    looks: &[Look],
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut promise = |kept: bool, text: String| {
        if !kept {
            broken.push(text);
        }
    };
    let strangers = looks.iter().find(|l| l.health != "healthy" && l.health != what.health());
    promise(strangers.is_none(), format!("/health is not to say that; only {}", what.health()));
    promise(what == What::Database || classes.unavailable == 0, "503 without Redis".into());
    promise(classes.without_retry_after == 0, "503 without Retry-After".into());
    promise(classes.client_errors == 0, "4xx".into());
    promise(classes.other_errors == 0, "5xx other than 503".into());
    promise(classes.unanswered == 0, "requests without an answer".into());
    let limit = what.longest(usual);
    promise(wait <= limit, format!("a wait beyond {} ms", limit.as_millis()));
    promise(recovery.is_some_and(|time| time <= RECOVERY), format!("not well {RECOVERY:?} later"));
    broken
}
