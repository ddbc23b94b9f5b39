//! Where clients connect, and how.

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::{Extension, Json};
use serde::Serialize;
use suda_schema::{ALPN_QUIC, CONNECT_PATH, PROTOCOL_VERSION, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON, WireError};
use utoipa::ToSchema;

use super::Api;
use super::routes::Routes;
use crate::link::PlainHttp;

pub(super) fn routes() -> Routes<Api> {
    Routes::new().get("/v1/discovery", discovery)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(discovery))]
pub(super) struct Doc;

/// How to reach this node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Discovery {
    /// The number of this node.
    node: u16,
    /// Its region.
    region: String,
    /// Its version.
    version: &'static str,
    /// The protocol that it speaks.
    protocol: u16,
    /// Its clock, in milliseconds since the Unix epoch.
    server_time_ms: u64,
    /// The links it takes, best first.
    links: Vec<LinkAddress>,
    /// Where the HTTP API is over HTTPS.
    api: String,
    /// The HTTP API over HTTP/3, if it is there.
    api_http3: Option<String>,
    /// Hashes of the certificate that the node made for itself: for a browser's `serverCertificateHashes`, and for
    /// native clients to pin. Empty with a certificate that needs none.
    certificate_hashes: Vec<CertificateHash>,
    /// Who may make an account with `POST /v1/accounts`.
    sign_up: SignUp,
}

/// One kind of link.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LinkAddress {
    /// `webtransport`, `quic` or `websocket`.
    kind: &'static str,
    /// Where.
    url: String,
    /// What to negotiate: the ALPN of QUIC, the subprotocols of WebSocket.
    protocols: Vec<&'static str>,
}

/// The hash of a certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CertificateHash {
    /// `sha-256`.
    algorithm: &'static str,
    /// The hash of the certificate's DER, in hexadecimal.
    value: String,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
// The document has a `SignUp` already: the body of the request.
#[schema(as = SignUpPolicy)]
pub enum SignUp {
    /// Everybody.
    Open,
    /// Nobody here: the operator makes accounts.
    Closed,
    /// Accounts are those of the operator's identity provider; log in there.
    External,
}

/// Where clients connect, and how
#[utoipa::path(get, path = "/v1/discovery", tag = "node", responses(
    (status = 200, body = Discovery),
    (status = "default", body = WireError),
))]
async fn discovery(
    State(api): State<Api>,
    plain: Option<Extension<PlainHttp>>,
    uri: Uri,
    headers: HeaderMap,
) -> Json<Discovery> {
    let facts = api.facts();
    let asked = asked_authority(&uri, &headers);
    let host = facts.public_host.as_deref().or(asked.as_ref().map(Authority::host)).unwrap_or("localhost");
    let subprotocols = vec![SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON];
    let port = facts.public_port;
    let mut links = vec![
        LinkAddress {
            kind: "webtransport",
            url: format!("https://{host}:{port}{CONNECT_PATH}"),
            protocols: vec!["h3"],
        },
        LinkAddress {
            kind: "quic",
            url: format!("quic://{host}:{port}"),
            protocols: vec![std::str::from_utf8(ALPN_QUIC).unwrap_or_default()],
        },
        LinkAddress {
            kind: "websocket",
            url: format!("wss://{host}:{port}{CONNECT_PATH}"),
            protocols: subprotocols.clone(),
        },
    ];
    // Only for those who have come this way themselves: behind a proxy it is not there for the client.
    if plain.is_some()
        && facts.public_host.is_none()
        && let Some(authority) = &asked
    {
        links.push(LinkAddress {
            kind: "websocket",
            url: format!("ws://{authority}{CONNECT_PATH}"),
            protocols: subprotocols,
        });
    }
    let hashes = facts.certificate.pinned_hashes();
    Json(Discovery {
        node: facts.node,
        region: facts.region.clone(),
        version: env!("CARGO_PKG_VERSION"),
        protocol: PROTOCOL_VERSION,
        server_time_ms: api.clock().now_ms(),
        links,
        api: format!("https://{host}:{port}/v1"),
        api_http3: facts.http3_port.map(|port| format!("https://{host}:{port}/v1")),
        certificate_hashes: hashes
            .iter()
            .map(|hash| CertificateHash { algorithm: "sha-256", value: hash.to_string() })
            .collect(),
        sign_up: facts.sign_up,
    })
}

/// What the client asked, if that is a host and perhaps a port.
fn asked_authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let from_header = || headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = uri.authority().cloned().or_else(from_header)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    (!authority.host().is_empty() && authority.as_str().bytes().all(plain)).then_some(authority)
}
