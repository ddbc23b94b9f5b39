//! Connections and requests, whoever they are for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::{Mood, Providers, apple, google};

/// What a connection is told by one of its requests.
enum Order {
    GoAway,
    Reset,
}

impl Providers {
    pub(super) async fn serve(self, listener: TcpListener, tls: TlsAcceptor) {
        while let Ok((tcp, _)) = listener.accept().await {
            let (providers, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                let _ = tcp.set_nodelay(true);
                let Ok(stream) = tls.accept(tcp).await else { return };
                providers.state(|state| state.connections += 1);
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let (order, mut orders) = mpsc::unbounded_channel();
                let service = service_fn(move |request| {
                    let (providers, order) = (providers.clone(), order.clone());
                    async move { Ok::<_, Infallible>(providers.answer(request, is_h2, order).await) }
                });
                if is_h2 {
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(1_000)
                        .serve_connection(TokioIo::new(stream), service);
                    let mut connection = std::pin::pin!(connection);
                    loop {
                        tokio::select! {
                            _ = connection.as_mut() => return,
                            Some(order) = orders.recv() => match order {
                                Order::GoAway => connection.as_mut().graceful_shutdown(),
                                Order::Reset => return,
                            },
                        }
                    }
                }
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::select! { _ = connection => {}, _ = orders.recv() => {} }
            });
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        is_h2: bool,
        order: mpsc::UnboundedSender<Order>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let provider = match head.uri.path() {
            path if path.starts_with("/3/device/") => "apns",
            path if path.starts_with("/v1/projects/") => "fcm",
            path if path.starts_with("/wp/") => "webpush",
            "/token" => {
                self.state(|state| state.logins += 1);
                return self.inner.google.token(&body).unwrap_or_else(|wrong| self.refuse(401, wrong));
            }
            path => return self.refuse(404, format!("nothing is at {path}")),
        };
        self.state(|state| {
            state.requests += 1;
            state.here += 1;
            state.most_here = state.most_here.max(state.here);
        });
        let _here = Here(self);
        let mood = loop {
            let next = self.state(|state| state.next.get_mut(provider).and_then(VecDeque::pop_front));
            match next.unwrap_or_else(|| self.mood(provider)) {
                Mood::Busy => self.another_than(provider, &Mood::Busy).await,
                mood => break mood,
            }
        };
        match &mood {
            Mood::Slow(time) => tokio::time::sleep(*time).await,
            Mood::Answer(status, retry_after_s, body) => return respond(*status, *retry_after_s, body.to_string()),
            Mood::Garbage => return respond(500, None, "\u{0}<html>{{{".to_owned()),
            Mood::GoAway => {
                let _ = order.send(Order::GoAway);
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            Mood::Well | Mood::Busy | Mood::Silent | Mood::Reset => {}
        }
        let taken = match provider {
            "apns" => self.inner.apple.take(&head, &body, is_h2),
            "fcm" => self.inner.google.take(&head, &body),
            _ => {
                let name = head.uri.path().trim_start_matches("/wp/").to_owned();
                let browser = self.state(|state| state.browsers.get(&name).cloned());
                let key = self.inner.vapid.public_key_raw();
                browser
                    .ok_or_else(|| "no such browser".to_owned())
                    .and_then(|browser| browser.take(&head, &body, &self.url(), key, &name))
            }
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(wrong) => return self.refuse(403, wrong),
        };
        if let Some(since_ms) = self.state(|state| state.gone.get(&taken.token).copied()) {
            return match provider {
                "apns" => apple::gone(since_ms),
                "fcm" => google::gone(),
                _ => respond(410, None, String::new()),
            };
        }
        let signature = head.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        self.state(|state| {
            state.signatures.extend(signature.filter(|_| provider != "fcm"));
            state.count += 1;
            if !state.keeps_none {
                state.taken.push(taken);
            }
        });
        if mood == Mood::Silent {
            self.another_than(provider, &Mood::Silent).await;
        }
        if mood == Mood::Reset {
            let _ = order.send(Order::Reset);
            std::future::pending::<()>().await;
        }
        respond(if provider == "webpush" { 201 } else { 200 }, None, "{}".to_owned())
    }

    fn mood(&self, provider: &str) -> Mood {
        self.state(|state| state.moods.get(provider).cloned()).unwrap_or(Mood::Well)
    }

    /// Waits until its mood is another one.
    async fn another_than(&self, provider: &str, mood: &Mood) {
        let mut changes = self.inner.changes.subscribe();
        let _ = changes.wait_for(|_| self.mood(provider) != *mood).await;
    }

    fn refuse(&self, status: u16, wrong: String) -> Response<Full<Bytes>> {
        let body = serde_json::json!({ "reason": "InvalidProviderToken", "error": { "message": wrong } });
        self.state(|state| state.wrong.push(wrong));
        respond(status, None, body.to_string())
    }
}

/// A request that is here.
struct Here<'a>(&'a Providers);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.state(|state| state.here -= 1);
    }
}

pub(super) fn respond(status: u16, retry_after_s: Option<u64>, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(super) fn header<'a>(head: &'a http::request::Parts, name: &str) -> Result<&'a str, String> {
    let value = head.headers.get(name).ok_or_else(|| format!("no header {name}"))?;
    value.to_str().map_err(|_| format!("header {name} is no text"))
}

/// The host that was asked.
pub(super) fn host(head: &http::request::Parts) -> String {
    head.uri.host().unwrap_or_default().to_owned()
}

pub(super) fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
