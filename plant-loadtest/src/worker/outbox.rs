//! Lines of an outcome that the master may not have received yet.
//!
//! A message that was handed to the socket is lost if the connection ends before it was sent. A master handles
//! the messages of a worker in their order, so its reply to a heartbeat shows that it has received what was
//! sent before.

use std::collections::VecDeque;

use super::message::ToMaster;

/// Number of lines that are kept for a master that does not reply. A test ends long before.
const MAX_LINES: usize = 10_000;

/// The lines without a reply.
#[derive(Debug, Default)]
pub struct Outbox {
    /// With the number of the heartbeat whose reply shows that it was received.
    lines: VecDeque<(u64, ToMaster)>,
    heartbeats: u64,
    replies: u64,
}

impl Outbox {
    /// Keeps a line that is about to be sent.
    pub fn push(&mut self, line: ToMaster) {
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back((self.heartbeats + 1, line));
    }

    /// Keeps a line for the next connection.
    pub fn push_unsent(&mut self, line: ToMaster) {
        self.push(line);
        if let Some((heartbeat, _)) = self.lines.back_mut() {
            *heartbeat = u64::MAX;
        }
    }

    /// Counts a heartbeat that is about to be sent.
    pub fn heartbeat_sent(&mut self) {
        self.heartbeats += 1;
    }

    /// Removes the lines that were sent before the heartbeat that the master replies to.
    pub fn reply_received(&mut self) {
        self.replies += 1;
        while self.lines.front().is_some_and(|(heartbeat, _)| *heartbeat <= self.replies) {
            self.lines.pop_front();
        }
    }

    /// Forgets the heartbeats of an ended connection.
    pub fn reset_heartbeats(&mut self) {
        (self.heartbeats, self.replies) = (0, 0);
        for (heartbeat, _) in &mut self.lines {
            // Not sent in the new connection.
            *heartbeat = u64::MAX;
        }
    }

    /// Returns the lines to send again in a new connection.
    pub fn resend(&mut self) -> Vec<ToMaster> {
        for (heartbeat, _) in &mut self.lines {
            *heartbeat = self.heartbeats + 1;
        }
        self.lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Returns whether the master has replied to all heartbeats.
    #[must_use]
    pub fn has_all_replies(&self) -> bool {
        self.replies >= self.heartbeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::message::OutcomeLine;

    fn line(number: u64) -> ToMaster {
        ToMaster::OutcomeLine(OutcomeLine {
            node_id: String::new(),
            test: 0.0,
            number,
            line: String::new(),
        })
    }

    #[test]
    fn a_reply_acknowledges_what_was_sent_before_its_heartbeat() {
        let mut outbox = Outbox::default();
        outbox.push(line(0));
        outbox.heartbeat_sent();
        outbox.push(line(1));
        outbox.heartbeat_sent();
        outbox.push(line(2));
        outbox.reply_received();
        assert_eq!(outbox.lines.len(), 2, "the reply to the first heartbeat");
        outbox.reply_received();
        assert_eq!(outbox.lines.len(), 1);
        outbox.heartbeat_sent();
        outbox.reply_received();
        assert!(outbox.lines.is_empty() && outbox.has_all_replies());
    }

    #[test]
    fn a_new_connection_gets_the_lines_without_a_reply_again() {
        let mut outbox = Outbox::default();
        outbox.push(line(0));
        outbox.heartbeat_sent();
        outbox.push(line(1));
        outbox.reply_received();
        outbox.reset_heartbeats();
        outbox.heartbeat_sent();
        outbox.reply_received();
        assert!(!outbox.lines.is_empty(), "the first heartbeat came before the lines");
        assert_eq!(outbox.resend(), [line(1)]);
        outbox.heartbeat_sent();
        outbox.reply_received();
        assert!(outbox.lines.is_empty() && outbox.has_all_replies());
    }

    #[test]
    fn a_line_that_was_not_sent_is_kept_whatever_the_master_replies() {
        let mut outbox = Outbox::default();
        outbox.push_unsent(line(0));
        outbox.heartbeat_sent();
        outbox.reply_received();
        assert_eq!(outbox.resend(), [line(0)]);
    }
}
