//! The load generators of a merged outcome.

use serde::Serialize;

use super::rows;
use crate::outcome::{Ended, Outcome, ResourceSample, Worker};

/// A row of the table of load generators.
#[derive(Serialize)]
pub(super) struct WorkerRow<'a> {
    name: &'a str,
    machine: String,
    ended: &'static str,
    time: String,
    users: u32,
    sent: u64,
    lost: u64,
    cpu: String,
    memory: String,
}

/// Returns a row for each load generator; none for a run of one.
pub(super) fn rows(outcome: &Outcome) -> Vec<WorkerRow<'_>> {
    outcome.workers.iter().map(row).collect()
}

fn row(worker: &Worker) -> WorkerRow<'_> {
    let Worker { name, generator, from_s, duration_s, ended, sent, lost, samples } = worker;
    let highest = |value: fn(&ResourceSample) -> Option<f64>| {
        samples.iter().filter_map(value).reduce(f64::max)
    };
    let cpu = highest(|sample| sample.generator_cpu);
    let memory = highest(|sample| sample.generator_memory_bytes);
    WorkerRow {
        name,
        machine: generator.as_ref().map_or_else(
            || "no results".to_owned(),
            |generator| format!("{}, {} CPUs", generator.system, generator.cpus),
        ),
        ended: match ended {
            Ended::AsPlanned => "as planned",
            Ended::Interrupted => "interrupted",
            Ended::Aborted => "aborted",
            Ended::Killed => "lost",
        },
        time: format!("{} to {:.0}s", rows::time(*from_s), f64::from(*from_s) + duration_s),
        users: samples.iter().map(|sample| sample.users).max().unwrap_or_default(),
        sent: *sent,
        lost: *lost,
        cpu: cpu.map_or_else(|| "–".to_owned(), |cpu| format!("{:.0} %", cpu * 100.0)),
        memory: memory
            .map_or_else(|| "–".to_owned(), |bytes| format!("{:.0} MiB", bytes / 1_048_576.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::{example, html},
        verdict::Verdict,
    };

    #[test]
    fn a_merged_outcome_shows_each_load_generator() {
        let outcome = example::outcome();
        let of_example = Worker {
            name: "machine_1".into(),
            generator: Some(outcome.generator.clone()),
            from_s: 2,
            duration_s: 9.6,
            ended: Ended::AsPlanned,
            sent: 4711,
            lost: 3,
            samples: outcome.samples.clone(),
        };
        let silent = Worker {
            name: "machine_2".into(),
            generator: None,
            ended: Ended::Killed,
            samples: Vec::new(),
            ..of_example.clone()
        };
        let page = |outcome: &Outcome| {
            html::render(outcome, &Verdict::judge(outcome, &outcome.sla), None).unwrap()
        };
        assert!(!page(&outcome).contains("<h2 id=\"generators\">"));
        let page = page(&Outcome { workers: vec![of_example, silent], ..outcome });
        for text in
            ["<h2 id=\"generators\">", "machine_1", "4711", "as planned", "no results", ">lost<"]
        {
            assert!(page.contains(text), "{text}");
        }
    }
}
