//! The journal of a run as lines that another program writes to a file.

use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::{Entry, EntrySource, Header};
use crate::{
    load::Stage,
    outcome::{Ended, ResourceSample, RunStart},
    recorder::Recorder,
};

/// Returns the lines of a journal, one after the other. A line has no line break at its end.
pub struct JournalLines {
    source: EntrySource,
    number: u64,
}

impl JournalLines {
    /// Returns the lines of a run that has started.
    #[must_use]
    pub fn new(
        start: RunStart,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
    ) -> Self {
        Self { source: EntrySource::new(start.into_outcome(), recorder, samples), number: 0 }
    }

    /// Returns the first line.
    #[must_use]
    pub fn header(&self) -> String {
        let outcome = self.source.header.clone();
        to_line(&Header { version: outcome.version, partial: true, outcome })
    }

    /// Returns the measurements since the last line, and the `stages` so far.
    pub fn next_line(&mut self, stages: &[Stage]) -> Option<String> {
        let entry = self.source.next_entry()?;
        Some(self.number_line(entry, stages, None))
    }

    /// Returns the last line of a run that `ended` in this way after these `stages`.
    pub fn last_line(&mut self, stages: &[Stage], ended: Ended) -> Option<String> {
        let entry = self.source.last_entry()?;
        Some(self.number_line(entry, stages, Some(ended)))
    }

    fn number_line(&mut self, mut entry: Entry, stages: &[Stage], ended: Option<Ended>) -> String {
        self.number += 1;
        entry.number = Some(self.number);
        entry.stages = Some(stages.to_vec());
        entry.ended = ended;
        to_line(&entry)
    }
}

fn to_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a journal has only string keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        journal::read_outcome, outcome::Outcome, recorder::RequestSample, report::example,
    };

    fn finish(recorder: &Recorder, millis: u64) {
        let shard = recorder.assign_shard();
        let start = Instant::now();
        recorder.record_sent(shard, "GET /x", start);
        recorder.record_finished(
            shard,
            RequestSample {
                endpoint: "GET /x",
                intended_start: start,
                sent_at: start,
                first_byte: Some(start),
                last_byte: start + Duration::from_millis(millis),
                status: Some(200),
                bytes: 7,
                failure: None,
                trace: None,
                request_id: None,
            },
        );
    }

    fn lines(recorder: &Arc<Recorder>) -> JournalLines {
        let Outcome { load, target, generator, started_at, sla, .. } = example::outcome();
        let (endpoints, counters) = (Vec::new(), Vec::new());
        let start = RunStart { load, target, generator, started_at, endpoints, counters, sla };
        JournalLines::new(start, Arc::clone(recorder), Arc::default())
    }

    fn read(lines: &[String]) -> Result<Outcome, serde_json::Error> {
        read_outcome(&(lines.join("\n") + "\n")).expect("a journal")
    }

    #[test]
    fn a_journal_with_its_last_line_equals_the_recording() {
        let recorder = Arc::new(Recorder::new(2));
        recorder.user_started("PlantBackendUser");
        let mut journal = lines(&recorder);
        finish(&recorder, 5);
        let stage = Stage { to_s: 3, name: "hold-1".into(), judged: true, ..Stage::default() };
        let mut text = vec![journal.header(), journal.next_line(&[]).unwrap()];
        finish(&recorder, 9);
        finish(&recorder, 1000);
        text.push(journal.last_line(std::slice::from_ref(&stage), Ended::AsPlanned).unwrap());
        let outcome = read(&text).unwrap();
        assert_eq!(outcome.ended, Ended::AsPlanned);
        assert_eq!(outcome.load.stages, [stage]);
        assert_eq!(outcome.endpoints, recorder.merge(&[]).0, "with first byte and service time");
        assert_eq!(read(&text[..2]).unwrap().ended, Ended::Killed);
    }

    #[test]
    fn a_line_that_was_sent_twice_counts_once_and_a_missing_one_is_an_error() {
        let recorder = Arc::new(Recorder::new(1));
        recorder.user_started("PlantBackendUser");
        let mut journal = lines(&recorder);
        let mut text = vec![journal.header()];
        for _ in 0..3 {
            finish(&recorder, 5);
            text.push(journal.next_line(&[]).unwrap());
        }
        let sent = |lines: &[String]| read(lines).map(|outcome| outcome.counts_all().sent);
        let [header, one, two, three] = &text[..] else { panic!("{text:?}") };
        assert_eq!(sent(&text).unwrap(), 3);
        let twice = [header, header, one, two, one, two, three].map(Clone::clone);
        assert_eq!(sent(&twice).unwrap(), 3);
        let gap = [header, one, three].map(Clone::clone);
        assert!(sent(&gap).unwrap_err().to_string().contains("entry 2"));
    }
}
