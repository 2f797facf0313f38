//! What the worker reports: heartbeats, statistics, lines of the outcome, log lines.

use super::{HEARTBEATS_PER_LINE, HEARTBEATS_PER_REPORT, Session};
use crate::worker::message::{Heartbeat, Logs, ToMaster};

impl Session {
    pub(super) async fn send_heartbeat(&mut self) {
        self.outbox.heartbeat_sent();
        let memory = self.usage.memory_bytes.unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "memory is a whole number of bytes and not negative"
        )]
        let heartbeat = Heartbeat {
            state: self.state,
            current_cpu_usage: self.cpu * 100.0,
            current_memory_usage: memory as u64,
        };
        self.link.send(&ToMaster::Heartbeat(heartbeat)).await;
    }

    pub(super) async fn report_stats(&mut self) {
        if !self.link.is_joined() {
            return;
        }
        if let Some(run) = &mut self.run {
            let report = run.report();
            self.send(ToMaster::Stats(Box::new(report))).await;
        }
    }

    /// Sends a line of the outcome, and keeps it until the master has received it.
    pub(super) async fn send_line(&mut self, line: ToMaster) {
        if self.link.is_joined() && self.collects_outcomes {
            self.outbox.push(line.clone());
            self.send(line).await;
        } else {
            self.outbox.push_unsent(line);
        }
    }

    pub(super) async fn resend_lines(&mut self) {
        if self.link.is_joined() && self.collects_outcomes {
            for line in self.outbox.resend() {
                self.send(line).await;
            }
        }
    }

    pub(super) async fn report_progress(&mut self) {
        if let Some(run) = &mut self.run {
            run.replace_users();
            let line = match self.collects_outcomes {
                true if self.heartbeats.is_multiple_of(HEARTBEATS_PER_LINE) => run.next_line(),
                _ => None,
            };
            if let Some(line) = line {
                self.send_line(ToMaster::OutcomeLine(line)).await;
            }
        }
        if self.heartbeats.is_multiple_of(HEARTBEATS_PER_REPORT) {
            self.report_stats().await;
            if std::mem::take(&mut self.logs_changed) {
                let logs = Logs { worker_id: self.node_id.clone(), logs: self.logs.clone() };
                self.send(ToMaster::Logs(logs)).await;
            }
        }
    }
}
