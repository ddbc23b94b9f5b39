//! `/connect`: from an HTTP/1.1 request to a WebSocket link.
//!
//! WebSocket over HTTP/2 (RFC 8441) is not offered: browsers then use HTTP/1.1 by themselves, and a link over HTTP/2
//! would share one connection, its windows and its end with others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use suda_schema::{ErrorCode, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON, WireError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::gate::{Gate, LinkGuard, Refusal};
use super::io::{Impatient, TcpIo};
use super::metrics::Rejected;
use super::{LinkKind, origin, websocket};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Answers a request for `/connect`, and makes the link once the answer is sent.
pub(super) fn respond(request: &mut Request<Incoming>, remote: SocketAddr, gate: &Arc<Gate>) -> Response<Body> {
    let (kind, accept) = match check(request, gate) {
        Ok(checked) => checked,
        Err((counted, status, error)) => {
            gate.metrics.rejected(counted);
            return refusal(request.version(), status, &error);
        }
    };
    let admitted = gate.admit(remote);
    let upgrade = hyper::upgrade::on(&mut *request);
    tokio::spawn(upgraded(upgrade, kind, remote, gate.clone(), admitted));
    let protocol = if kind == LinkKind::WebSocketJson { SUBPROTOCOL_JSON } else { SUBPROTOCOL_BINARY };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    response
}

async fn upgraded(
    upgrade: OnUpgrade,
    kind: LinkKind,
    remote: SocketAddr,
    gate: Arc<Gate>,
    admitted: Result<LinkGuard, Refusal>,
) {
    let Some((io, early)) = upgrade.await.ok().and_then(tcp_of) else {
        return tracing::debug!(%remote, "the client left before its WebSocket was upgraded");
    };
    let settings = websocket::Settings::from(&gate.config);
    match admitted {
        Ok(guard) => {
            gate.deliver(websocket::start(io, &early, kind, remote, settings, &gate.metrics, guard));
        }
        Err(refusal) => websocket::refuse(io, refusal, kind, settings, &gate.metrics),
    }
}

/// Takes hyper's wrappings off the connection: they cost memory and a copy of everything.
fn tcp_of(upgraded: Upgraded) -> Option<(TcpIo, bytes::Bytes)> {
    let parts = upgraded.downcast::<TokioIo<Impatient>>().ok()?;
    Some((parts.io.into_inner().into_inner(), parts.read_buf))
}

type Refused = (Rejected, StatusCode, WireError);

/// Which kind of link is wanted, and the key that accepts it.
fn check<B>(request: &Request<B>, gate: &Gate) -> Result<(LinkKind, HeaderValue), Refused> {
    let headers = request.headers();
    let wrong = |text: &str| {
        (Rejected::Upgrade, StatusCode::BAD_REQUEST, WireError::new(ErrorCode::MALFORMED, text.to_owned()))
    };
    let asks = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket");
    if !asks {
        let text = "this is where WebTransport and WebSocket (over HTTP/1.1) connect; see docs/protocol.md";
        return Err((Rejected::Upgrade, StatusCode::UPGRADE_REQUIRED, WireError::new(ErrorCode::MALFORMED, text)));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(wrong("Sec-WebSocket-Version must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| wrong("Sec-WebSocket-Key is missing"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| wrong("Sec-WebSocket-Key is not well-formed"))?;
    let kind = subprotocol(headers).ok_or_else(|| {
        wrong("choose a subprotocol: suda.1.bin (postcard) or suda.1.json, in Sec-WebSocket-Protocol")
    })?;
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    if !origin::is_allowed(text(ORIGIN), text(HOST), &gate.config.origins) {
        let error = WireError::new(ErrorCode::FORBIDDEN, "pages of this origin may not connect here");
        return Err((Rejected::Origin, StatusCode::FORBIDDEN, error));
    }
    Ok((kind, accept))
}

/// The first that is known, in the client's order.
fn subprotocol(headers: &HeaderMap) -> Option<LinkKind> {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).find_map(|token| match token {
        SUBPROTOCOL_BINARY => Some(LinkKind::WebSocket),
        SUBPROTOCOL_JSON => Some(LinkKind::WebSocketJson),
        _ => None,
    })
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn refusal(version: Version, status: StatusCode, error: &WireError) -> Response<Body> {
    let body = serde_json::to_vec(error).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // HTTP/2 has no such header.
    if status == StatusCode::UPGRADE_REQUIRED && version == Version::HTTP_11 {
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    response
}

/// Who the client is: the peer, or behind trusted proxies the last address in `X-Forwarded-For` that none of them has.
pub(super) fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> SocketAddr {
    if !is_trusted(peer.ip(), trusted) {
        return peer;
    }
    let forwarded: Vec<&str> = tokens(headers, &FORWARDED_FOR).collect();
    let mut client = peer.ip();
    for hop in forwarded.iter().rev() {
        let Ok(ip) = hop.parse::<IpAddr>() else { break };
        client = ip.to_canonical();
        if !is_trusted(client, trusted) {
            break;
        }
    }
    // Its port is not told, and says nothing.
    if client == peer.ip() { peer } else { SocketAddr::new(client, 0) }
}

/// Whether an address is a proxy's that is believed.
pub(super) fn is_trusted(ip: IpAddr, trusted: &[IpAddr]) -> bool {
    trusted.iter().any(|trusted| trusted.to_canonical() == ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{LinkConfig, LinkMetrics};

    fn gate() -> Gate {
        Gate::new(LinkConfig::default(), LinkMetrics::default(), Arc::new(|_| {}))
    }

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Request<()> {
        let mut request = Request::get("/connect").body(()).unwrap();
        let headers = request.headers_mut();
        for (name, value) in [
            (CONNECTION, "keep-alive, Upgrade"),
            (UPGRADE, "WebSocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (SEC_WEBSOCKET_PROTOCOL, "suda.2.bin, suda.1.json, suda.1.bin"),
            (HOST, "chat.example"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        change(headers);
        request
    }

    #[test]
    fn a_good_request_is_accepted_as_the_rfc_says() {
        let (kind, accept) = check(&request(|_| {}), &gate()).unwrap();
        assert_eq!(kind, LinkKind::WebSocketJson, "the first that is known");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn bad_requests_are_told_what_is_wrong() {
        let status = |change: &dyn Fn(&mut HeaderMap)| check(&request(change), &gate()).unwrap_err().1;
        for name in [SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL] {
            assert_eq!(status(&|headers| drop(headers.remove(&name))), StatusCode::BAD_REQUEST, "{name}");
        }
        for name in [CONNECTION, UPGRADE] {
            assert_eq!(status(&|headers| drop(headers.remove(&name))), StatusCode::UPGRADE_REQUIRED, "{name}");
        }
        let evil = HeaderValue::from_static("https://evil.example");
        assert_eq!(status(&|headers| drop(headers.insert(ORIGIN, evil.clone()))), StatusCode::FORBIDDEN);
        let unknown = HeaderValue::from_static("chat");
        assert_eq!(
            status(&|headers| drop(headers.insert(SEC_WEBSOCKET_PROTOCOL, unknown.clone()))),
            StatusCode::BAD_REQUEST
        );
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let peer: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let trusted = [peer.ip(), "10.0.0.1".parse().unwrap()];
        let client = |forwarded: &str, trusted: &[IpAddr]| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, HeaderValue::from_str(forwarded).unwrap());
            client_address(peer, &headers, trusted).ip().to_string()
        };
        assert_eq!(client("192.0.2.1", &[]), "127.0.0.1");
        assert_eq!(client("192.0.2.1", &trusted), "192.0.2.1");
        assert_eq!(client("198.51.100.7, 192.0.2.1, 10.0.0.1", &trusted), "192.0.2.1", "what clients add is ignored");
        assert_eq!(client("nonsense", &trusted), "127.0.0.1");
        assert_eq!(client("::ffff:192.0.2.1", &trusted), "192.0.2.1");
        assert_eq!(client_address(peer, &HeaderMap::new(), &trusted), peer);
    }
}
