//! What happens around every request: an id, a span, a time limit, a net under panics, and the metrics.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use prometheus_client::metrics::gauge::Gauge;
use suda_schema::ErrorCode;
use tracing::Instrument as _;

use super::Api;
use super::error::ApiError;
use crate::link::PlainHttp;

/// The header that names a request in the logs. A caller may choose the name.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How long clients may remember that there is HTTP/3.
const ALT_SVC_S: u32 = 86_400;

/// The longest name a caller may choose.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// How much of a body that is refused for its length is taken before the answer, as a multiple of what would be right.
const HEARD_OUT_TIMES: usize = 4;
/// And for how long.
const HEARD_OUT_MS_MAX: u64 = 1_000;

/// Answers that take as long as they take, and are limited in another way.
const SLOW_ROUTES: [&str; 2] = ["/v1/sync", "/v1/account/export"];

/// The outermost middleware.
pub(super) async fn around(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _active = Active::new(&api.metrics().active);
    let id = request_id(&api, request.headers());
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |p| p.as_str().to_owned());
    let slow = SLOW_ROUTES.contains(&route.as_str());
    let limit = if slow { None } else { Some(Duration::from_millis(api.config().request_ms_max)) };
    let only_reads = request.method().is_safe();
    // Only who came by TLS may go on to HTTP/3: an answer in the clear proves nothing of who gave it.
    let plain = request.extensions().get::<PlainHttp>().is_some();
    let alternative = if plain { None } else { api.facts().address.http3_port.and_then(alt_svc) };

    let span = tracing::info_span!("http", id = id.to_str().unwrap_or_default(), method, route);
    let mut response = if declared_bytes(request.headers()) > Some(api.config().body_bytes_max) {
        // Who sends a little too much hears the answer; nobody is heard for long.
        hear_out(request.into_body(), api.config().body_bytes_max.saturating_mul(HEARD_OUT_TIMES)).await;
        ApiError::new(ErrorCode::TOO_LARGE, format!("body: longer than {} bytes", api.config().body_bytes_max))
            .into_response()
    } else {
        guarded(limit, only_reads, next.run(request)).instrument(span.clone()).await
    };

    response.headers_mut().insert(REQUEST_ID, id);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));

    if let Some(alternative) = alternative {
        response.headers_mut().insert(header::ALT_SVC, alternative);
    }

    let status = response.status();
    let time = started.elapsed();
    api.metrics().answered(method, route, status.as_u16());
    if let Some(code) = response.extensions().get::<ErrorCode>() {
        api.metrics().failed(code.name());
    }
    if !slow {
        api.metrics().took(time);
    }
    let ms = time.as_millis();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), ms, "answered"));
    response
}

/// Runs a handler within its time, and answers in its place if it panics.
async fn guarded(limit: Option<Duration>, only_reads: bool, handler: impl Future<Output = Response>) -> Response {
    let handler = AssertUnwindSafe(handler).catch_unwind();
    let result = match limit {
        None => Ok(handler.await),
        Some(limit) => tokio::time::timeout(limit, handler).await,
    };
    match result {
        Ok(Ok(response)) => response,
        // The hook has logged and counted it.
        Ok(Err(_)) => ApiError::new(ErrorCode::INTERNAL, "a fault of the server's; it is in its log").into_response(),
        Err(_) if only_reads => ApiError::new(ErrorCode::UNAVAILABLE, "it took too long").into_response(),
        Err(_) => {
            let message = "it took too long; it may have happened or not";
            ApiError::new(ErrorCode::OUTCOME_UNKNOWN, message).into_response()
        }
    }
}

fn request_id(api: &Api, headers: &HeaderMap) -> HeaderValue {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let chosen = headers.get(REQUEST_ID).filter(|id| {
        let id = id.as_bytes();
        !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(allowed)
    });
    chosen.cloned().unwrap_or_else(|| {
        let id = format!("{:016x}", u64::from_be_bytes(api.clock().random()));
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}

/// How long the body is going to be, as its sender says.
fn declared_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Takes and drops what comes of a body that is refused: a connection that is closed while its client still writes is
/// reset, and the client may never read why.
async fn hear_out(mut body: Body, bytes_max: usize) {
    let mut left = bytes_max;
    let hearing = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // How it ended does not matter: the answer is the same.
    let _ = tokio::time::timeout(Duration::from_millis(HEARD_OUT_MS_MAX), hearing).await;
}

fn alt_svc(http3_port: u16) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("h3=\":{http3_port}\"; ma={ALT_SVC_S}")).ok()
}

/// The method as a label: whatever a peer makes up counts as one.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method.as_str() == *known).unwrap_or("other")
}

/// Counts up while it lives.
pub(super) struct Active(Gauge);

impl Active {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}
