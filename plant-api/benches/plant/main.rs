//! Microbenchmarks. `scripts/bench.sh` runs them and compares the results with the thresholds.
//!
//! Each group of a function contains `ours` and `floor`. The floor is plain SHA-256 over the same bytes in the
//! same run: the minimum cost of any hash chain on this machine.

mod agent_routes;
mod certification;
mod database;
#[expect(dead_code, reason = "tests and examples use functions that the benchmarks do not")]
mod sample;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use plant_api::plant::audit::line;
use plant_api::plant::chain::{
    Change, Digest32, Format, Identity, Kind, Verdict, link, validate_chain, verify,
};
use plant_api::plant::entity::EntityVerifier;
use plant_api::plant::genesis::content::Content;
use plant_api::plant::genesis::examination::Examination;
use plant_api::plant::skills;
use sample::{Sample, agent, change, content, creation_time, id};
use serde_json::json;

/// Number of bytes hashed for a link of an agent.
const LINK_BYTES: usize = 108;

criterion_group!(
    benches,
    entity_creation,
    skill_validation,
    chain_of_hashes,
    chain_of_bytes,
    chain_of_values,
    canonicalization,
    one_link,
    ten_thousand_links,
    ten_thousand_links_of_a_file,
    certification::through_the_database,
    agent_routes::routes
);
criterion_main!(benches);

/// Adds the floor of a group: the SHA-256 of each of `inputs`.
fn floor(group: &mut BenchmarkGroup<'_, WallTime>, inputs: &[Vec<u8>]) {
    group.bench_function("floor", |b| {
        b.iter(|| {
            for input in inputs {
                black_box(Digest32::sha256(black_box(input)));
            }
        });
    });
}

/// Returns inputs of the sizes that verifying the chain hashes.
fn hashed(sample: &Sample) -> Vec<Vec<u8>> {
    let contents = sample.chain.iter().map(|amendment| amendment.content.clone());
    contents.flat_map(|content| [content, vec![0; LINK_BYTES]]).collect()
}

/// The load tests guide's `BaseEntity.create`: an id, the content's canonical bytes, the first
/// link.
fn entity_creation(c: &mut Criterion) {
    let mut group = c.benchmark_group("base_entity_creation");
    let content = content(7);
    group.bench_function("ours", |b| {
        b.iter(|| content.new_entity(uuid::Uuid::now_v7(), creation_time(), "anonymous").unwrap());
    });
    floor(&mut group, &hashed(&agent(7, 0)));
    group.finish();
}

/// The load tests guide's `skill.validate_l0`: all checks of an audit on a skill whose chain is
/// read.
fn skill_validation(c: &mut Criterion) {
    let content = skills::SkillContent {
        name: "Python".into(),
        skill_key: "python".into(),
        category: skills::Category::Technical,
        description: None,
    };
    let entity = content.new_entity(id(1, 7), creation_time(), "anonymous").unwrap();
    let mut base = agent(7, 0).base;
    (base.id, base.kind) = (entity.id, Kind::Skill);
    (base.status, base.version_hash) = (entity.status, entity.first_amendment.link);
    let mut verifier = EntityVerifier::new(base.identity());
    verifier.update(&entity.first_amendment);
    let content = Content::Skill(content);

    let mut group = c.benchmark_group("skill_validation");
    group.bench_function("ours", |b| {
        b.iter(|| {
            let examination = Examination::new(&base, Some(&content), &verifier).unwrap();
            assert_eq!(examination.verdict, Verdict::Intact);
            examination.checks().all(|check| check.passed)
        });
    });
    floor(&mut group, &[entity.first_amendment.content.clone(), vec![0; LINK_BYTES]]);
    group.finish();
}

/// The load tests guide's `validate_chain` of five hashes.
fn chain_of_hashes(c: &mut Criterion) {
    let Sample { base, chain, .. } = agent(7, 4);
    let hashes: Vec<_> = chain.iter().map(|a| (a.content_hash, a.link)).collect();
    let mut group = c.benchmark_group("hash_chain_validation");
    group.bench_function("ours", |b| {
        b.iter(|| assert!(validate_chain(base.identity(), black_box(&hashes))));
    });
    floor(&mut group, &vec![vec![0; LINK_BYTES]; hashes.len()]);
    group.finish();
}

/// Verifies five amendments of about 300 bytes, given their canonical bytes.
fn chain_of_bytes(c: &mut Criterion) {
    let sample = agent(7, 4);
    let mut group = c.benchmark_group("chain_of_5_from_bytes");
    group.bench_function("ours", |b| {
        b.iter(|| {
            let verdict =
                verify(sample.base.identity(), black_box(&sample.chain), sample.base.head());
            assert_eq!(verdict, Verdict::Intact);
        });
    });
    floor(&mut group, &hashed(&sample));
    group.finish();
}

/// Verifies the same amendments including canonicalization.
fn chain_of_values(c: &mut Criterion) {
    let sample = agent(7, 4);
    let parse = |content: &Vec<u8>| serde_json::from_slice::<Change>(content).unwrap();
    let changes: Vec<_> = sample.chain.iter().map(|a| parse(&a.content)).collect();
    let mut chain = sample.chain.clone();
    let mut group = c.benchmark_group("chain_of_5_from_values");
    group.bench_function("ours", |b| {
        b.iter(|| {
            for (amendment, change) in chain.iter_mut().zip(black_box(&changes)) {
                amendment.content = change.to_canonical_json();
            }
            let verdict = verify(sample.base.identity(), &chain, sample.base.head());
            assert_eq!(verdict, Verdict::Intact);
        });
    });
    floor(&mut group, &hashed(&sample));
    group.finish();
}

fn canonicalization(c: &mut Criterion) {
    let small = change(7, creation_time());
    let mut large = small.clone();
    let list: Vec<_> = (0..32).map(|n| small.data["custom_attributes"].nested_with(n)).collect();
    large.data.insert("custom_attributes".into(), json!({"list": list}));
    for (name, change) in [("canonical_350_bytes", small), ("canonical_10_kilobytes", large)] {
        let bytes = change.to_canonical_json();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("ours", |b| b.iter(|| black_box(&change).to_canonical_json()));
        floor(&mut group, &[bytes]);
        group.finish();
    }
}

trait Nested {
    /// Returns an object of about 300 bytes that contains `self` and `n`.
    fn nested_with(&self, n: u64) -> Self;
}

impl Nested for serde_json::Value {
    fn nested_with(&self, n: u64) -> Self {
        json!({"n": n, "at": 0.1 + n as f64, "of": self, "text": "Zürich – ".repeat(16)})
    }
}

fn one_link(c: &mut Criterion) {
    let previous = Digest32::sha256(b"previous");
    let entity = Identity { id: id(4, 7), kind: Kind::Agent };
    let mut group = c.benchmark_group("link");
    group.bench_function("ours", |b| {
        b.iter(|| link(Format::V2, black_box(entity), 7, previous, black_box(previous)));
    });
    floor(&mut group, &[vec![0; LINK_BYTES]]);
    group.finish();
}

fn ten_thousand_links(c: &mut Criterion) {
    let sample = agent(7, 9_999);
    let mut group = c.benchmark_group("verify_10000_links");
    group.throughput(Throughput::Elements(10_000)).sample_size(30);
    group.bench_function("ours", |b| {
        b.iter(|| {
            let verdict =
                verify(sample.base.identity(), black_box(&sample.chain), sample.base.head());
            assert_eq!(verdict, Verdict::Intact);
        });
    });
    floor(&mut group, &hashed(&sample));
    group.finish();
}

/// Verifies lines as `plant-api verify` does on one core: 5,000 agents with two links each.
fn ten_thousand_links_of_a_file(c: &mut Criterion) {
    let lines: Vec<_> = (0..5_000).map(|n| sample::export_line(&agent(n, 1))).collect();
    let mut group = c.benchmark_group("verify_file_10000_links");
    group.throughput(Throughput::Elements(10_000)).sample_size(30);
    group.bench_function("ours", |b| {
        b.iter(|| {
            for line in black_box(&lines) {
                line::verify_line(&line[..line.len() - 1]).unwrap();
            }
        });
    });
    floor(&mut group, &lines);
    group.finish();
}
