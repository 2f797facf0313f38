//! Reads a request body into memory, within its limits of size, time and memory.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt;

use crate::error::{Error, Result};
use crate::limit::{BodyReservation, ClientIp, max_unreserved_body_bytes};
use crate::state::RequestLimits;

/// Reads the whole body, within the limits of size and time. A body larger than
/// [`max_unreserved_body_bytes`] reserves memory until the returned bytes are dropped.
///
/// # Errors
/// [`Error::UnsupportedContentEncoding`]; [`Error::PayloadTooLarge`], before anything is read if the Content-Length exceeds the limit;
/// [`Error::BodyTimeout`]; [`Error::Unavailable`] if other bodies use all memory;
/// [`Error::Malformed`] when the connection closes before the end of the body.
pub async fn read_body(request: Request, limits: &RequestLimits) -> Result<Bytes> {
    check_content_encoding(request.headers())?;
    let client = ClientIp::from_extensions(request.extensions());
    let unreserved = max_unreserved_body_bytes(request.version());
    let body = collect(request.into_body(), unreserved, client, limits);
    match tokio::time::timeout(limits.body_timeout, body).await {
        Ok(result) => result,
        Err(_) => Err(Error::BodyTimeout),
    }
}

/// Refuses a compressed body: a short one could become a very long one.
fn check_content_encoding(headers: &HeaderMap) -> Result<()> {
    let is_plain = |value: &header::HeaderValue| {
        let mut codings = value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
        codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
    };
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        Ok(())
    } else {
        Err(Error::UnsupportedContentEncoding)
    }
}

/// `unreserved` is the size in bytes up to which no memory is reserved.
async fn collect(
    mut body: Body,
    unreserved: usize,
    client: ClientIp,
    limits: &RequestLimits,
) -> Result<Bytes> {
    let limit = limits.max_body_bytes;
    let too_large = || Error::PayloadTooLarge { limit };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large());
    }
    // Without a Content-Length the body may have any size up to the limit.
    let expected = body.size_hint().exact().map_or(limit, |_| announced);
    let mut buffer = Vec::with_capacity(announced.min(unreserved));
    let mut reservation = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Error::Malformed("the connection closed before the end of the body".into())
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = buffer.len() + data.len();
        if length > limit {
            return Err(too_large());
        }
        if length > unreserved && reservation.is_none() {
            reservation = Some(limits.body_budget.reserve(client, expected).await?);
        }
        append(&mut buffer, &data, expected);
    }
    Ok(match reservation {
        None => buffer.into(),
        Some(reservation) => Bytes::from_owner(ReservedBody { buffer, _reservation: reservation }),
    })
}

/// Appends `data`. The capacity doubles, because the body may never arrive completely, but not
/// beyond `expected`.
fn append(buffer: &mut Vec<u8>, data: &[u8], expected: usize) {
    let length = buffer.len() + data.len();
    if length > buffer.capacity() {
        let capacity = (2 * buffer.capacity()).min(expected).max(length);
        buffer.reserve_exact(capacity - buffer.len());
    }
    buffer.extend_from_slice(data);
}

/// A body with the reservation of its memory.
struct ReservedBody {
    buffer: Vec<u8>,
    _reservation: BodyReservation,
}

impl AsRef<[u8]> for ReservedBody {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::Version;
    use futures::stream::{self, StreamExt};

    use super::*;
    use crate::limit::{BodyBudget, MAX_UNRESERVED_BODY_BYTES};

    const LIMIT: usize = 100_000;

    /// Limits whose timeouts never expire, with memory for one body of the maximum size.
    fn limits() -> RequestLimits {
        RequestLimits {
            request_timeout: Duration::from_secs(600),
            body_timeout: Duration::from_secs(600),
            max_body_bytes: LIMIT,
            body_budget: BodyBudget::new(LIMIT, Duration::ZERO),
            response_budget: BodyBudget::new(LIMIT, Duration::ZERO),
        }
    }

    /// A body without a Content-Length, which then stalls unless it is complete.
    fn chunked(length: usize, complete: bool) -> Body {
        let chunks =
            vec![b'x'; length].chunks(1_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let chunks = stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        if complete {
            Body::from_stream(chunks)
        } else {
            Body::from_stream(chunks.chain(stream::pending()))
        }
    }

    async fn read(body: Body, limits: &RequestLimits) -> Result<Bytes, u16> {
        let body = read_body(Request::new(body), limits);
        let body = tokio::time::timeout(Duration::from_secs(20), body).await.unwrap();
        body.map_err(|e| e.status().as_u16())
    }

    #[tokio::test]
    async fn a_body_of_the_maximum_size_is_read_with_and_without_a_length() {
        for length in [0, 1, MAX_UNRESERVED_BODY_BYTES, MAX_UNRESERVED_BODY_BYTES + 1, LIMIT] {
            let body = Body::from(vec![b'x'; length]);
            assert_eq!(read(body, &limits()).await.unwrap(), vec![b'x'; length]);
            assert_eq!(read(chunked(length, true), &limits()).await.unwrap(), vec![b'x'; length]);
        }
    }

    #[tokio::test]
    async fn a_compressed_body_is_415() {
        let coded = async |codings: &[&str]| {
            let request = codings.iter().fold(Request::builder(), |request, coding| {
                request.header(header::CONTENT_ENCODING, *coding)
            });
            let read = read_body(request.body(Body::from("{}")).unwrap(), &limits()).await;
            read.map(|_| ()).map_err(|e| e.status().as_u16())
        };
        for plain in ["identity", "Identity", "", " identity , "] {
            assert_eq!(coded(&[plain]).await, Ok(()), "{plain}");
        }
        for compressed in ["gzip", "zstd", "br", "deflate", "identity, gzip", "x"] {
            assert_eq!(coded(&[compressed]).await, Err(415), "{compressed}");
        }
        assert_eq!(coded(&["identity", "gzip"]).await, Err(415));
    }

    #[tokio::test]
    async fn a_larger_body_is_413_before_its_end() {
        assert_eq!(read(Body::from(vec![b'x'; LIMIT + 1]), &limits()).await, Err(413));
        assert_eq!(read(chunked(LIMIT + 1, false), &limits()).await, Err(413));
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_in_time_is_408() {
        let limits = RequestLimits { body_timeout: Duration::from_millis(1), ..limits() };
        assert_eq!(read(chunked(10, false), &limits).await, Err(408));
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_400() {
        let broken =
            stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
        assert_eq!(read(Body::from_stream(broken), &limits()).await, Err(400));
    }

    #[tokio::test]
    async fn large_bodies_wait_for_memory_and_small_ones_do_not() {
        let limits = limits();
        let held = read(Body::from(vec![b'x'; LIMIT]), &limits).await.unwrap();
        for large in [
            Body::from(vec![b'x'; MAX_UNRESERVED_BODY_BYTES + 1]),
            chunked(MAX_UNRESERVED_BODY_BYTES + 1, false),
        ] {
            assert_eq!(read(large, &limits).await, Err(503));
        }
        assert!(read(Body::from(vec![b'x'; MAX_UNRESERVED_BODY_BYTES]), &limits).await.is_ok());
        drop(held);
        let _whole_budget =
            read(chunked(MAX_UNRESERVED_BODY_BYTES + 1, true), &limits).await.unwrap();
        assert_eq!(
            read(Body::from(vec![b'x'; MAX_UNRESERVED_BODY_BYTES + 1]), &limits).await,
            Err(503)
        );
    }

    #[tokio::test]
    async fn small_bodies_wait_for_memory_too_if_a_connection_has_many() {
        let limits = limits();
        let _held = read(Body::from(vec![b'x'; LIMIT]), &limits).await.unwrap();
        for (length, expected) in [(1_024, Ok(())), (1_025, Err(503))] {
            let mut request = Request::new(Body::from(vec![b'x'; length]));
            *request.version_mut() = Version::HTTP_2;
            let read = read_body(request, &limits).await;
            assert_eq!(read.map(drop).map_err(|e| e.status().as_u16()), expected, "{length}");
        }
    }

    #[test]
    fn a_buffer_doubles_but_not_beyond_the_expected_length() {
        let mut buffer = Vec::new();
        let mut capacities = Vec::new();
        for added in [10, 1, 1, 13, 65, 10] {
            append(&mut buffer, &vec![0; added], 100);
            capacities.push(buffer.capacity());
        }
        assert_eq!(capacities, [10, 20, 20, 40, 90, 100]);
    }
}
