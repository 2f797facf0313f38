//! The W3C trace context of requests: with the id in a report, a request is found in the logs of the
//! service, and if it was sampled its trace in the collector.

use std::str::FromStr;

use reqwest::header::{HeaderName, HeaderValue};

/// Header with the trace that a request belongs to.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Header of a response with the id under which many services log a request.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Which requests have a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TraceHeader {
    /// None.
    Off,
    /// All; this share of them, 0 to 1, has the sampled flag.
    Sampled(f64),
}

impl Default for TraceHeader {
    /// One in a hundred requests: the traces of more could slow the service under load.
    fn default() -> Self {
        Self::Sampled(0.01)
    }
}

impl FromStr for TraceHeader {
    type Err = &'static str;

    /// Reads a share, or `off`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self::Sampled).ok_or("must be a number from 0 to 1, or off")
    }
}

/// The trace of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTrace {
    /// Id of the trace; not zero.
    pub id: u128,
    /// Whether the service is asked to record the trace.
    pub sampled: bool,
}

impl RequestTrace {
    /// Returns a new trace with a random id, with the sampled flag in `share` of all cases.
    #[must_use]
    pub fn random(share: f64) -> Self {
        Self { id: fastrand::u128(1..), sampled: fastrand::f64() < share }
    }

    /// Returns the value of [`TRACEPARENT`], with a random id of the request in its trace.
    #[must_use]
    pub fn to_header(self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        // The lengths match.
        let _ = hex::encode_to_slice(self.id.to_be_bytes(), &mut text[3..35]);
        let _ = hex::encode_to_slice(fastrand::u64(1..).to_be_bytes(), &mut text[36..52]);
        text[54] += u8::from(self.sampled);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_form_of_w3c_trace_context() {
        for sampled in [false, true] {
            let trace = RequestTrace { id: 0x4bf9, sampled };
            let value = trace.to_header();
            let parts: Vec<&str> = value.to_str().unwrap().split('-').collect();
            let [version, id, span, flags] = parts[..] else { panic!("{value:?}") };
            assert_eq!((version, id), ("00", "00000000000000000000000000004bf9"));
            assert!(span.len() == 16 && u64::from_str_radix(span, 16).unwrap() > 0, "{span}");
            assert_eq!(flags, if sampled { "01" } else { "00" });
        }
        assert_ne!(RequestTrace::random(0.5).id, RequestTrace::random(0.5).id);
    }

    #[test]
    fn the_share_of_sampled_requests_is_a_number_or_off() {
        assert_eq!("off".parse(), Ok(TraceHeader::Off));
        assert_eq!("0.25".parse(), Ok(TraceHeader::Sampled(0.25)));
        for text in ["", "-0.1", "1.1", "NaN", "on"] {
            assert!(text.parse::<TraceHeader>().is_err(), "{text}");
        }
        let sampled = |share| (0..1000).filter(|_| RequestTrace::random(share).sampled).count();
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 1000));
        assert!((200..=400).contains(&sampled(0.3)));
    }
}
