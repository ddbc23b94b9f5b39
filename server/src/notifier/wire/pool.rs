//! Connections to some origins. An origin has a few, each with so many requests at once; one that has ended, or was told
//! to go away, is made anew by the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::connect::{Connection, Connector, WireError};

/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// How much may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Origins at once.
    pub origins: usize,
    /// Connections of one.
    pub connections: usize,
    /// Requests at once on one of them.
    pub streams: usize,
    /// How long a request may take.
    pub request: Duration,
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an https address; `None` for all others.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let authority = uri.authority()?;
        if uri.scheme_str() != Some("https") || authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        Some(Self { host: authority.host().to_ascii_lowercase(), port: authority.port_u16().unwrap_or(443) })
    }

    /// As it stands in an address.
    #[must_use]
    pub fn text(&self) -> String {
        if self.port == 443 { format!("https://{}", self.host) } else { format!("https://{}:{}", self.host, self.port) }
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// What `retry-after` says.
    pub retry_after_ms: Option<u64>,
    /// The body.
    pub body: Bytes,
}

/// Connections to some origins.
pub struct Pool {
    connector: Connector,
    limits: PoolLimits,
    origins: SyncMutex<HashMap<Origin, Arc<Lines>>>,
}

/// The connections of one origin.
struct Lines {
    origin: Origin,
    lines: Vec<Line>,
    used_at: SyncMutex<Instant>,
}

/// One connection, or the place for one.
struct Line {
    connection: Mutex<Option<Kept>>,
    permits: Semaphore,
}

/// A connection that is kept. HTTP/2's can be shared, the other is lent out and given back.
enum Kept {
    Shared(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
    Alone(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
}

impl Pool {
    /// No connections yet.
    #[must_use]
    pub fn new(connector: Connector, limits: PoolLimits) -> Self {
        Self { connector, limits, origins: SyncMutex::default() }
    }

    /// Sends a request and reads the answer. On a connection that turns out to have ended it is sent once more on a new
    /// one: whoever gets it twice knows it by its id.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, WireError> {
        let origin = Origin::of(request.uri()).ok_or_else(|| WireError::NoAddress(String::new()))?;
        let lines = self.lines(&origin);
        let send = async {
            let (line, _permit) = lines.line().await?;
            match line.send(&self.connector, &origin, request.clone()).await {
                Err(WireError::Broken(error)) => {
                    tracing::debug!(error, "sending once more on a new connection");
                    line.send(&self.connector, &origin, request).await
                }
                answer => answer,
            }
        };
        tokio::time::timeout(self.limits.request, send).await.map_err(|_| WireError::Timeout)?
    }

    fn lines(&self, origin: &Origin) -> Arc<Lines> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = origins.get(origin) {
            *lines.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Arc::clone(lines);
        }
        if origins.len() >= self.limits.origins {
            let used_at = |lines: &Lines| *lines.used_at.lock().unwrap_or_else(PoisonError::into_inner);
            // Requests that are under way keep theirs to the end.
            let oldest = origins.values().min_by_key(|lines| used_at(lines)).map(|lines| lines.origin.clone());
            if let Some(oldest) = oldest {
                origins.remove(&oldest);
            }
        }
        let line = || Line { connection: Mutex::new(None), permits: Semaphore::new(self.limits.streams.max(1)) };
        let lines = std::iter::repeat_with(line).take(self.limits.connections.max(1)).collect();
        let lines = Arc::new(Lines { origin: origin.clone(), lines, used_at: SyncMutex::new(Instant::now()) });
        origins.insert(origin.clone(), Arc::clone(&lines));
        lines
    }
}

impl Lines {
    /// The first connection that has room, so that there are not more than are needed; if none has, the one that soonest
    /// will.
    async fn line(&self) -> Result<(&Line, SemaphorePermit<'_>), WireError> {
        for line in &self.lines {
            if let Ok(permit) = line.permits.try_acquire() {
                return Ok((line, permit));
            }
        }
        let waiting = self.lines.iter().map(|line| Box::pin(async move { (line, line.permits.acquire().await) }));
        let ((line, permit), _, _) = futures_util::future::select_all(waiting).await;
        permit.map(|permit| (line, permit)).map_err(|_| WireError::Timeout)
    }
}

impl Line {
    async fn send(
        &self,
        connector: &Connector,
        origin: &Origin,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, WireError> {
        match self.ready(connector, origin).await? {
            Kept::Shared(mut sender) => answer(sender.send_request(request).await).await,
            Kept::Alone(mut sender) => {
                let host = origin.text().trim_start_matches("https://").to_owned();
                let host = http::HeaderValue::try_from(host).map_err(|_| WireError::NoAddress(String::new()))?;
                request.headers_mut().insert(header::HOST, host);
                let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).parse();
                *request.uri_mut() = path.map_err(|_| WireError::NoAddress(String::new()))?;
                let answer = answer(sender.send_request(request).await).await?;
                *self.connection.lock().await = Some(Kept::Alone(sender));
                Ok(answer)
            }
        }
    }

    /// A connection that can take a request. Whoever finds none makes one while the others wait for it.
    async fn ready(&self, connector: &Connector, origin: &Origin) -> Result<Kept, WireError> {
        let mut kept = self.connection.lock().await;
        match kept.take() {
            Some(Kept::Shared(mut sender)) => {
                let is_ready = sender.ready().await.is_ok();
                if is_ready {
                    *kept = Some(Kept::Shared(sender.clone()));
                    return Ok(Kept::Shared(sender));
                }
            }
            Some(Kept::Alone(mut sender)) => {
                let is_ready = sender.ready().await.is_ok();
                if is_ready {
                    return Ok(Kept::Alone(sender));
                }
            }
            None => {}
        }
        match connector.connect(&origin.host, origin.port).await? {
            Connection::H2(sender) => {
                *kept = Some(Kept::Shared(sender.clone()));
                Ok(Kept::Shared(sender))
            }
            Connection::H1(sender) => Ok(Kept::Alone(sender)),
        }
    }
}

async fn answer(response: Result<Response<Incoming>, hyper::Error>) -> Result<Answer, WireError> {
    let broken = |error: &dyn std::fmt::Display| WireError::Broken(error.to_string());
    let response = response.map_err(|error| broken(&error))?;
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after.and_then(retry_after_ms);
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    // The status is what counts: a body that breaks off takes nothing away from it.
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok(Answer { status, retry_after_ms, body })
}

/// Seconds. The other form, a date, is answered like none: the breaker and the backoff have pauses of their own.
fn retry_after_ms(value: &str) -> Option<u64> {
    let seconds: u64 = value.trim().parse().ok()?;
    Some(seconds.min(86_400) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_https_with_nothing_hidden() {
        let origin = |uri: &str| Origin::of(&uri.parse().unwrap()).map(|origin| origin.text());
        assert_eq!(origin("https://Push.Example/abc"), Some("https://push.example".to_owned()));
        assert_eq!(origin("https://push.example:8443/"), Some("https://push.example:8443".to_owned()));
        assert_eq!(origin("http://push.example/"), None);
        assert_eq!(origin("https://user@push.example/"), None);
        assert_eq!(origin("/path"), None);
    }

    #[test]
    fn retry_after_is_seconds() {
        assert_eq!(retry_after_ms("7"), Some(7_000));
        assert_eq!(retry_after_ms("99999999"), Some(86_400_000));
        assert_eq!(retry_after_ms("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
