//! The simulated model: it takes its time, sometimes fails, and writes words.
//!
//! All of it follows from a seed and the request, whatever the order and the machine: the same
//! question takes the same time, fails at the same attempts and gets the same text, so that a
//! load can be repeated and a job can be run twice.

use std::f64::consts::TAU;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Who writes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[sqlx(type_name = "text")]
pub enum Model {
    /// gpt-4
    #[serde(rename = "gpt-4")]
    #[sqlx(rename = "gpt-4")]
    Gpt4,
    /// gpt-3.5
    #[serde(rename = "gpt-3.5")]
    #[sqlx(rename = "gpt-3.5")]
    Gpt35,
    /// claude-3
    #[serde(rename = "claude-3")]
    #[sqlx(rename = "claude-3")]
    Claude3,
}

/// What is asked of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to write.
    pub prompt: String,
    /// Who is to write.
    pub model: Model,
    /// How freely.
    pub temperature: f64,
    /// Most tokens of the text.
    pub max_tokens: i32,
}

/// How the simulation behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulation {
    /// Other seeds, other draws.
    pub seed: u64,
    /// Half of all answers take less.
    pub median: Duration,
    /// Standard deviation of the logarithm of the latency: 0 makes all alike.
    pub spread: f64,
    /// Share of attempts that fail, 0 to 1.
    pub failure_rate: f64,
}

/// No answer takes longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Most words of a text: enough to look at.
const WORDS_MAX: usize = 120;

const WORDS: [&str; 32] = [
    "rain", "upon", "the", "leaves", "a", "seed", "waits", "below", "roots", "drink", "slowly",
    "light", "returns", "and", "green", "things", "climb", "toward", "morning", "while", "the",
    "garden", "keeps", "its", "quiet", "count", "of", "days", "that", "turn", "to", "harvest",
];

/// What an attempt comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// How long it takes.
    pub latency: Duration,
    /// The text, or why there is none.
    pub text: Result<String, &'static str>,
}

impl Simulation {
    /// What the model makes of a request at this attempt.
    pub fn reply(&self, request: &Request, attempt: i32) -> Reply {
        let once = self.digest(request, attempt);
        let [one, other, third] = [0, 8, 16].map(|at| fraction(&once, at));
        // Box and Muller: two even draws make a normal one.
        let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (TAU * other).cos();
        let latency = self.median.mul_f64((self.spread * normal).exp().min(1e6)).min(LONGEST);
        let text = if third < self.failure_rate {
            Err("the model is overloaded")
        } else {
            // The text must not depend on the attempt, or a job that runs twice would not agree.
            Ok(write(&self.digest(request, 0), request.max_tokens))
        };
        Reply { latency, text }
    }

    fn digest(&self, request: &Request, attempt: i32) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update([request.model as u8])
            .chain_update(request.temperature.to_bits().to_be_bytes())
            .chain_update(request.max_tokens.to_be_bytes())
            .chain_update(attempt.to_be_bytes())
            .chain_update(&request.prompt)
            .finalize()
            .into()
    }
}

/// Eight bytes as a number from 0 to 1, without 1.
fn fraction(bytes: &[u8; 32], at: usize) -> f64 {
    let eight = bytes[at..].iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (eight >> 11) as f64 / (1_u64 << 53) as f64
}

fn write(digest: &[u8; 32], max_tokens: i32) -> String {
    let most = usize::try_from(max_tokens).unwrap_or_default().min(WORDS_MAX);
    // At least half of what is allowed.
    let count = most - most * usize::from(digest[24]) / 512;
    let bytes = digest.iter().cycle().enumerate();
    let words = bytes.map(|(i, byte)| WORDS[(usize::from(*byte) + i / digest.len()) % WORDS.len()]);
    words.take(count).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Simulation =
        Simulation { seed: 42, median: Duration::from_millis(600), spread: 0.4, failure_rate: 0.1 };

    fn request(n: usize) -> Request {
        Request {
            prompt: format!("Prompt {n}"),
            model: Model::Gpt4,
            temperature: 0.7,
            max_tokens: 64,
        }
    }

    #[test]
    fn the_same_question_gets_the_same_answer() {
        assert_eq!(USUAL.reply(&request(1), 1), USUAL.reply(&request(1), 1));
        let other = Simulation { seed: 43, ..USUAL };
        assert_ne!(USUAL.reply(&request(1), 1), other.reply(&request(1), 1));
        let never = Simulation { failure_rate: 0.0, ..USUAL };
        assert_eq!(never.reply(&request(1), 1).text, never.reply(&request(1), 4).text);
    }

    #[test]
    fn latencies_are_log_normal() {
        let mut seen: Vec<_> = (0..10_000).map(|n| USUAL.reply(&request(n), 1).latency).collect();
        seen.sort_unstable();
        let median = seen[5_000].as_secs_f64();
        // 5 % more than e^(0.4 × 1.645) times the median would be 95 %'s.
        let p95 = seen[9_500].as_secs_f64();
        assert!((0.58..0.62).contains(&median), "{median}");
        assert!((1.10..1.22).contains(&p95), "{p95}");
        let still = Simulation { spread: 0.0, ..USUAL };
        assert_eq!(still.reply(&request(1), 1).latency, USUAL.median);
    }

    #[test]
    fn so_many_attempts_fail() {
        let failures = (0..10_000).filter(|n| USUAL.reply(&request(*n), 1).text.is_err()).count();
        assert!((900..1_100).contains(&failures), "{failures}");
        let second = |n: &usize| USUAL.reply(&request(*n), 2).text.is_ok();
        assert!((0..1_000).filter(second).count() > 850);
    }

    #[test]
    fn a_text_keeps_to_its_tokens() {
        for max_tokens in [1, 2, 50, 4096] {
            let text = USUAL.reply(&Request { max_tokens, ..request(3) }, 1).text.unwrap();
            let words = text.split(' ').count();
            assert!((1..=max_tokens as usize).contains(&words), "{words} of {max_tokens}");
        }
    }
}
