//! The header `traceparent` of W3C Trace Context: `version-traceid-parentid-flags`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Length of version 00; later versions may append fields.
const LENGTH: usize = 55;

/// Returns the span that has sent a request; `None` if there is not exactly one valid header.
pub fn from_headers(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { parse(value.as_bytes()) }
}

fn parse(text: &[u8]) -> Option<SpanContext> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut version = [0; 1];
    let (mut trace, mut span, mut flags) = ([0; 16], [0; 8], [0; 1]);
    decode(&known[..2], &mut version)?;
    decode(&known[3..35], &mut trace)?;
    decode(&known[36..52], &mut span)?;
    decode(&known[53..], &mut flags)?;
    let has_dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let has_valid_rest = rest.is_empty() || (version[0] > 0 && rest[0] == b'-');
    if !has_dashes || !has_valid_rest || version[0] == 0xff {
        return None;
    }
    let span = SpanContext::new(
        TraceId::from_bytes(trace),
        SpanId::from_bytes(span),
        TraceFlags::new(flags[0]) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    span.is_valid().then_some(span)
}

/// Decodes lower-case hexadecimal digits.
fn decode(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let is_lower_case = !digits.iter().any(u8::is_ascii_uppercase);
    is_lower_case.then(|| hex::decode_to_slice(digits, bytes).ok())?
}

/// Returns the header value that names this span.
pub fn to_header(span: &SpanContext) -> Option<HeaderValue> {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex::encode_to_slice(span.trace_id().to_bytes(), &mut text[3..35]).ok()?;
    hex::encode_to_slice(span.span_id().to_bytes(), &mut text[36..52]).ok()?;
    text[54] += u8::from(span.is_sampled());
    HeaderValue::from_bytes(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(text: &str) -> Option<(String, String, bool)> {
        let span = parse(text.as_bytes())?;
        Some((span.trace_id().to_string(), span.span_id().to_string(), span.is_sampled()))
    }

    #[test]
    fn the_ids_and_the_sampled_flag_are_read() {
        let parent = |sampled| Some((TRACE.to_owned(), "00f067aa0ba902b7".to_owned(), sampled));
        for (text, sampled) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
            // Other flags are ignored.
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", false),
            // So are the further fields of later versions.
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true),
            ("fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
        ] {
            assert_eq!(read(text), parent(sampled), "{text}");
        }
    }

    #[test]
    fn an_invalid_header_is_no_trace() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn of_several_headers_none_is_used() {
        let mut headers = HeaderMap::new();
        let valid = format!("00-{TRACE}-00f067aa0ba902b7-01");
        headers.append(&TRACEPARENT, valid.parse().unwrap());
        assert!(from_headers(&headers).is_some());
        headers.append(&TRACEPARENT, valid.parse().unwrap());
        assert!(from_headers(&headers).is_none());
    }

    #[test]
    fn a_header_that_is_written_reads_the_same() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
            let span = parse(text.as_bytes()).unwrap();
            assert_eq!(to_header(&span).unwrap(), text);
        }
    }
}
