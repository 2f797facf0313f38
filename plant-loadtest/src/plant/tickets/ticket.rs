//! Random tickets that read like real ones: their texts, sizes and priorities vary.

use std::{fmt::Write as _, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use uuid::Uuid;

/// Maximum length of a description in characters, by the contract of the service.
const MAX_DESCRIPTION: usize = 10_000;

/// A ticket to post.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    /// Its id, which no other ticket has.
    pub(super) id: String,
    /// The request body.
    pub(super) body: String,
}

/// What happened. `{}` is a system.
const PROBLEMS: [&str; 20] = [
    "Users cannot log in to {}. The page shows \"invalid session\" after the password was accepted.",
    "{} has been very slow since this morning. Opening a record takes more than a minute.",
    "E-mails to external recipients stay in the outbox of {} and are not delivered.",
    "The nightly backup of {} failed. The log says that the target volume is full.",
    "The printer on the second floor does not print documents sent from {}.",
    "VPN connections to {} drop after about ten minutes and have to be established again.",
    "{} reports a disk usage of 97 %. Please extend the volume or remove old files.",
    "The certificate of {} expires in three days and browsers already show a warning.",
    "After the update of last night {} returns error 500 for every export.",
    "A new colleague needs access to {} with the same rights as the rest of the team.",
    "The database connection pool of {} is exhausted at peak times; requests fail with a timeout.",
    "Reports in {} show yesterday's figures, although the import job ended without an error.",
    "The phone system does not forward calls to the extensions configured in {}.",
    "Scheduled jobs of {} run twice since the clock change.",
    "Memory usage of {} grows by about 1 GB a day until the service is restarted.",
    "{} cannot be reached from the branch office; ping works, HTTPS does not.",
    "Attachments above 5 MB are rejected by {}, although the limit is 25 MB.",
    "Search in {} finds no documents that were added this week.",
    "A user has deleted a shared folder in {} and needs it restored from last Friday.",
    "The monitoring shows packet loss of 12 % between {} and the load balancer.",
];

/// What else the reporter knows.
const DETAILS: [&str; 12] = [
    "It started about two hours ago.",
    "Several departments are affected.",
    "Only users with the new laptop model are affected.",
    "A restart helped for a while, then the problem came back.",
    "Clearing the browser cache did not help.",
    "The same problem was reported three weeks ago and closed without a comment.",
    "Nothing was changed on our side.",
    "The vendor recommends version 4.2.1, we run 4.1.9.",
    "There is a workaround, but it takes ten minutes for each order.",
    "The problem occurs in Firefox and in Edge.",
    "Please call back before noon, the month-end closing depends on it.",
    "Screenshots are attached.",
];

const SYSTEMS: [&str; 12] = [
    "the ERP system",
    "the customer portal",
    "the file server FS-02",
    "the mail gateway",
    "the CRM",
    "the wiki",
    "the payroll application",
    "the VPN concentrator",
    "the print server",
    "the reporting database",
    "the warehouse management",
    "the intranet",
];

/// Lines of logs that reporters paste into their tickets. `{}` is an IP address.
const LOG_LINES: [&str; 6] = [
    "ERROR [pool-3-thread-17] c.acme.db.Pool - timeout after 30000 ms waiting for a connection to {}",
    "WARN  [http-nio-8443-exec-4] o.a.c.h.Http11Processor - client {} closed the connection",
    "INFO  [scheduler-1] c.acme.jobs.Import - 0 of 1284 records imported from {}",
    "ERROR kernel: [182734.551] nfs: server {} not responding, still trying",
    "FATAL sshd[4711]: fatal: Timeout before authentication for {} port 51544",
    "ERROR upstream timed out (110: Connection timed out) while reading response header, upstream {}:8080",
];

/// Priorities with their shares in percent.
const PRIORITIES: [(&str, u32); 4] = [("low", 25), ("medium", 45), ("high", 22), ("critical", 8)];

/// Returns a random ticket of `tenant`.
pub(super) fn random(tenant: &str) -> Ticket {
    let id = format!("LT-{}", Uuid::new_v4().to_string().to_uppercase());
    let now = DateTime::<Utc>::from(SystemTime::now());
    let mut ticket = json!({
        "event": "ticket_created",
        "ticket_id": id,
        "tenant_id": tenant,
        "description": description(),
        "priority": priority(),
        "created_at": now.to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    if fastrand::bool() {
        ticket["correlation_id"] = Uuid::new_v4().to_string().into();
    }
    Ticket { id, body: ticket.to_string() }
}

fn priority() -> &'static str {
    let mut left = fastrand::u32(..100);
    for (priority, share) in PRIORITIES {
        if left < share {
            return priority;
        }
        left -= share;
    }
    "medium"
}

/// Returns a problem with up to four details; in a third of the tickets with an IP address, in a fifth with
/// a log.
fn description() -> String {
    let problem = pick(&PROBLEMS).replacen("{}", pick(&SYSTEMS), 1);
    let mut text = problem;
    for _ in 0..fastrand::usize(..5) {
        text.push(' ');
        text.push_str(pick(&DETAILS));
    }
    if fastrand::u8(..3) == 0 {
        let _ = write!(text, " The affected host is {}.", ip_address());
    }
    if fastrand::u8(..5) == 0 {
        // Most logs are short; one in ten is long.
        let lines = if fastrand::u8(..10) == 0 { 40..80 } else { 5..20 };
        append_log(&mut text, fastrand::usize(lines));
    }
    text
}

fn append_log(text: &mut String, lines: usize) {
    text.push_str("\n\nLog:");
    let address = ip_address();
    for _ in 0..lines {
        let line = pick(&LOG_LINES).replacen("{}", &address, 1);
        let (minute, second) = (fastrand::u8(..60), fastrand::u8(..60));
        let line = format!("\n2026-01-14 09:{minute:02}:{second:02} {line}");
        if text.len() + line.len() > MAX_DESCRIPTION {
            break;
        }
        text.push_str(&line);
    }
}

fn ip_address() -> String {
    format!("10.{}.{}.{}", fastrand::u8(..40), fastrand::u8(..), fastrand::u8(1..255))
}

fn pick<'t>(texts: &[&'t str]) -> &'t str {
    fastrand::choice(texts).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;

    fn tickets() -> Vec<Value> {
        (0..2000).map(|_| serde_json::from_str(&random("t").body).unwrap()).collect()
    }

    #[test]
    fn every_ticket_is_valid_and_has_an_id_of_its_own() {
        let mut ids = HashSet::new();
        for ticket in tickets() {
            let id = ticket["ticket_id"].as_str().unwrap().to_owned();
            let is_allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
            assert!(id.len() <= 100 && id.chars().all(is_allowed), "{id}");
            assert!(ids.insert(id));
            let description = ticket["description"].as_str().unwrap();
            assert!((1..=MAX_DESCRIPTION).contains(&description.chars().count()));
            assert!(!description.contains("{}"), "{description}");
            let created_at = ticket["created_at"].as_str().unwrap();
            assert!(created_at.parse::<DateTime<Utc>>().is_ok(), "{created_at}");
            assert_eq!(
                (&ticket["tenant_id"], &ticket["event"]),
                (&"t".into(), &"ticket_created".into())
            );
        }
    }

    #[test]
    fn texts_sizes_and_priorities_vary() {
        let tickets = tickets();
        let texts: HashSet<&str> =
            tickets.iter().filter_map(|ticket| ticket["description"].as_str()).collect();
        assert!(texts.len() > 1500, "{}", texts.len());
        let (shortest, longest) = texts.iter().fold((usize::MAX, 0), |(least, most), text| {
            (least.min(text.len()), most.max(text.len()))
        });
        assert!(shortest < 150 && longest > 4000, "{shortest} to {longest}");
        let with_address = texts.iter().filter(|text| text.contains(" 10.")).count();
        assert!(with_address * 5 > texts.len(), "{with_address}");
        let mut shares: HashMap<&str, u32> = HashMap::new();
        for ticket in &tickets {
            *shares.entry(ticket["priority"].as_str().unwrap()).or_default() += 1;
        }
        assert_eq!(shares.len(), PRIORITIES.len());
        for (priority, share) in PRIORITIES {
            let found = shares[priority];
            // Six standard deviations: once in 500 million runs.
            assert!(found.abs_diff(share * 20) < 135, "{priority}: {found}");
        }
    }
}
