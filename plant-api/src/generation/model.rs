//! Simulated language model with configurable latency and failure rate.
//!
//! The text is a pure function of seed and request; latency and failure also depend on the attempt.
//! So the same request takes the same time, fails at the same attempts and returns the same text in
//! every run and on every machine, and a job that runs twice produces the same text.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sample;

/// Name of a language model.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[sqlx(type_name = "text")]
pub enum Model {
    #[serde(rename = "gpt-4")]
    #[sqlx(rename = "gpt-4")]
    Gpt4,
    #[serde(rename = "gpt-3.5")]
    #[sqlx(rename = "gpt-3.5")]
    Gpt35,
    #[serde(rename = "claude-3")]
    #[sqlx(rename = "claude-3")]
    Claude3,
}

/// Input of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    pub prompt: String,
    pub model: Model,
    pub temperature: f64,
    /// Maximum length of the text in tokens.
    pub max_tokens: i32,
}

/// Settings of the simulated model. Latencies are log-normally distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedModel {
    /// Seed of the pseudorandom latencies, failures and texts.
    pub seed: u64,
    pub median: Duration,
    /// Standard deviation of the logarithm of the latency; 0: every latency is the median.
    pub spread: f64,
    /// Share of attempts that fail, 0 to 1.
    pub failure_rate: f64,
}

/// Maximum number of words in a text, whatever `max_tokens` allows.
const MAX_WORDS: usize = 120;

const WORDS: [&str; 32] = [
    "rain", "upon", "the", "leaves", "a", "seed", "waits", "below", "roots", "drink", "slowly",
    "light", "returns", "and", "green", "things", "climb", "toward", "morning", "while", "the",
    "garden", "keeps", "its", "quiet", "count", "of", "days", "that", "turn", "to", "harvest",
];

/// Simulated result of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelResponse {
    /// Time that the attempt takes.
    pub latency: Duration,
    /// The generated text, or the reason of the failure.
    pub text: Result<String, &'static str>,
}

impl SimulatedModel {
    /// Returns the model's response to a request at this attempt, counted from 1.
    pub fn respond(&self, request: &ModelRequest, attempt: i32) -> ModelResponse {
        let digest = self.digest(request, attempt);
        let latency = sample::latency(&digest, self.median, self.spread);
        let text = if sample::uniform(&digest, 16) < self.failure_rate {
            Err("the model is overloaded")
        } else {
            // The text must not depend on the attempt: every run of a job must have the same
            // result.
            Ok(generate_text(&self.digest(request, 0), request.max_tokens))
        };
        ModelResponse { latency, text }
    }

    fn digest(&self, request: &ModelRequest, attempt: i32) -> [u8; 32] {
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

/// Returns a text of up to `max_tokens` words, chosen by `digest`.
fn generate_text(digest: &[u8; 32], max_tokens: i32) -> String {
    let max_words = usize::try_from(max_tokens).unwrap_or_default().min(MAX_WORDS);
    // At least half of the maximum.
    let count = max_words - max_words * usize::from(digest[24]) / 512;
    let bytes = digest.iter().cycle().enumerate();
    let words = bytes.map(|(i, byte)| WORDS[(usize::from(*byte) + i / digest.len()) % WORDS.len()]);
    words.take(count).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: SimulatedModel = SimulatedModel {
        seed: 42,
        median: Duration::from_millis(600),
        spread: 0.4,
        failure_rate: 0.1,
    };

    fn request(n: usize) -> ModelRequest {
        ModelRequest {
            prompt: format!("Prompt {n}"),
            model: Model::Gpt4,
            temperature: 0.7,
            max_tokens: 64,
        }
    }

    #[test]
    fn the_same_request_gets_the_same_response() {
        assert_eq!(DEFAULT.respond(&request(1), 1), DEFAULT.respond(&request(1), 1));
        let other = SimulatedModel { seed: 43, ..DEFAULT };
        assert_ne!(DEFAULT.respond(&request(1), 1), other.respond(&request(1), 1));
        let never_failing = SimulatedModel { failure_rate: 0.0, ..DEFAULT };
        assert_eq!(
            never_failing.respond(&request(1), 1).text,
            never_failing.respond(&request(1), 4).text
        );
    }

    #[test]
    fn latencies_are_log_normal() {
        let mut latencies: Vec<_> =
            (0..10_000).map(|n| DEFAULT.respond(&request(n), 1).latency).collect();
        latencies.sort_unstable();
        let median = latencies[5_000].as_secs_f64();
        // The exact P95 is e^(0.4 × 1.645) times the median, 1.16 s.
        let p95 = latencies[9_500].as_secs_f64();
        assert!((0.58..0.62).contains(&median), "{median}");
        assert!((1.10..1.22).contains(&p95), "{p95}");
        let constant = SimulatedModel { spread: 0.0, ..DEFAULT };
        assert_eq!(constant.respond(&request(1), 1).latency, DEFAULT.median);
    }

    #[test]
    fn attempts_fail_at_the_failure_rate() {
        let failures =
            (0..10_000).filter(|n| DEFAULT.respond(&request(*n), 1).text.is_err()).count();
        assert!((900..1_100).contains(&failures), "{failures}");
        let second_succeeds = |n: &usize| DEFAULT.respond(&request(*n), 2).text.is_ok();
        assert!((0..1_000).filter(second_succeeds).count() > 850);
    }

    #[test]
    fn a_text_has_at_most_max_tokens_words() {
        for max_tokens in [1, 2, 50, 4096] {
            let text = DEFAULT.respond(&ModelRequest { max_tokens, ..request(3) }, 1).text.unwrap();
            let words = text.split(' ').count();
            assert!((1..=max_tokens as usize).contains(&words), "{words} of {max_tokens}");
        }
    }
}
