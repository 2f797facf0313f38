use super::*;
use crate::enhancement::{Priority, Status};

pub fn ticket(description: &str) -> QueuedTicket {
    QueuedTicket {
        ticket_id: "TKT-1".into(),
        event: "ticket_created".into(),
        description: description.into(),
        priority: Priority::High,
        status: Status::Pending,
        enhancement: None,
        accepted_at: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

#[test]
fn a_text_is_cut_after_the_maximum_of_words() {
    assert_eq!(shorten(" one  two\nthree ", 3), "one  two\nthree");
    assert_eq!(shorten("one  two\nthree", 2), "one  two");
    assert_eq!(shorten("é\0é ü", 1), "éé");
    assert_eq!(shorten(" \n", 1), "");
    assert_eq!(shorten(&"word ".repeat(501), MAX_WORDS).split(' ').count(), 500);
}
