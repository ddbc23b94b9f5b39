//! Where clients connect, and how.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use suda_schema::{ALPN_QUIC, CONNECT_PATH, PROTOCOL_VERSION, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON, WireError};
use utoipa::{IntoParams, ToSchema};

use super::extract::Query;
use super::routes::Routes;
use super::{Api, NodeFacts};
use crate::cluster::Address;
use crate::link::PlainHttp;

pub(super) fn routes() -> Routes<Api> {
    Routes::new().get("/v1/discovery", discovery)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(discovery))]
pub(super) struct Doc;

/// How to reach the node that is recommended first, and then others.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Discovery {
    /// The protocol that nodes speak.
    protocol: u16,
    /// The clock of the node that answers, in milliseconds since the Unix epoch.
    server_time_ms: u64,
    /// Who may make an account with `POST /v1/accounts`.
    sign_up: SignUp,
    /// The `applicationServerKey` with which a browser subscribes to pushes, in base64url; absent where there are none.
    web_push_key: Option<String>,
    /// The node to try first.
    #[serde(flatten)]
    first: NodeAddress,
    /// All nodes to try, in this order; the first is the one above.
    nodes: Vec<NodeAddress>,
}

/// How to reach a node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct NodeAddress {
    /// Its number.
    node: u16,
    /// Its region.
    region: String,
    /// Its version.
    version: String,
    /// The links it takes, best first.
    links: Vec<LinkAddress>,
    /// Where the HTTP API is over HTTPS.
    api: String,
    /// The HTTP API over HTTP/3, if it is there.
    api_http3: Option<String>,
    /// The HTTP API in the clear, for those who have come that way themselves.
    api_http: Option<String>,
    /// Hashes of the certificate that the node made for itself: for a browser's `serverCertificateHashes`, and for
    /// native clients to pin. Empty with a certificate that needs none.
    certificate_hashes: Vec<CertificateHash>,
}

/// One kind of link.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct LinkAddress {
    /// `webtransport`, `quic` or `websocket`.
    kind: &'static str,
    /// Where.
    url: String,
    /// What to negotiate: the ALPN of QUIC, the subprotocols of WebSocket.
    protocols: Vec<&'static str>,
}

/// The hash of a certificate.
#[derive(Debug, Clone, Serialize, ToSchema)]
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

/// From where.
#[derive(Deserialize, IntoParams)]
struct DiscoveryQuery {
    /// The region whose nodes are to come first; left out, that of the node that answers.
    region: Option<String>,
}

/// Where clients connect, and how
///
/// Nodes that drain, are full or have not been heard of for a while are left out. Of the others those of the region come
/// first, and among them those with room, with some chance in it.
#[utoipa::path(get, path = "/v1/discovery", tag = "node", params(DiscoveryQuery), responses(
    (status = 200, body = Discovery),
    (status = "default", body = WireError),
))]
async fn discovery(
    State(api): State<Api>,
    Query(query): Query<DiscoveryQuery>,
    plain: Option<Extension<PlainHttp>>,
    uri: Uri,
    headers: HeaderMap,
) -> Json<Discovery> {
    let facts = api.facts();
    let asked = Asked { plain: plain.is_some(), authority: asked_authority(&uri, &headers) };
    let this = || {
        let hashes = facts.certificate.pinned_hashes();
        // Where the client has found it is where it is, whatever port the node thinks it has.
        let plain = asked.authority.as_ref().map(Authority::to_string);
        asked.address(facts.node, &facts.address, plain, hashes.iter().map(ToString::to_string))
    };
    let listed = facts.cluster.as_ref().map(|cluster| cluster.recommend(query.region.as_deref())).unwrap_or_default();
    let nodes = listed.into_iter().map(|node| {
        // Of itself the node knows more than others have heard.
        if node.node == facts.node {
            return this();
        }
        let plain = asked.authority.as_ref().zip(node.address.http_port);
        let plain = plain.map(|(authority, port)| format!("{}:{port}", authority.host()));
        asked.address(node.node, &node.address, plain, node.certificate_hashes.into_iter())
    });
    let mut nodes: Vec<NodeAddress> = nodes.collect();
    if nodes.is_empty() {
        nodes.push(this());
    }
    Json(Discovery {
        protocol: PROTOCOL_VERSION,
        server_time_ms: api.clock().now_ms(),
        sign_up: facts.sign_up,
        web_push_key: facts.web_push_key.clone(),
        first: nodes.first().cloned().unwrap_or_else(this),
        nodes,
    })
}

/// How the client has come.
struct Asked {
    plain: bool,
    authority: Option<Authority>,
}

impl Asked {
    /// A node's address as this client is told it.
    fn address(
        &self,
        node: u16,
        address: &Address,
        plain: Option<String>,
        hashes: impl Iterator<Item = String>,
    ) -> NodeAddress {
        let host = self.host(address);
        let port = address.port;
        let subprotocols = vec![SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON];
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
        let plain = plain.filter(|_| self.sees_plain(address));
        if let Some(plain) = &plain {
            links.push(LinkAddress {
                kind: "websocket",
                url: format!("ws://{plain}{CONNECT_PATH}"),
                protocols: subprotocols,
            });
        }
        NodeAddress {
            node,
            region: address.region.clone(),
            version: address.version.clone(),
            links,
            api: format!("https://{host}:{port}/v1"),
            api_http3: address.http3_port.map(|port| format!("https://{host}:{port}/v1")),
            api_http: plain.map(|plain| format!("http://{plain}/v1")),
            certificate_hashes: hashes.map(|value| CertificateHash { algorithm: "sha-256", value }).collect(),
        }
    }

    fn host<'a>(&'a self, address: &'a Address) -> &'a str {
        address.host.as_deref().or(self.authority.as_ref().map(Authority::host)).unwrap_or("localhost")
    }

    /// Plain WebSocket is only for those who have come this way themselves: behind a proxy it is not there for the client.
    fn sees_plain(&self, address: &Address) -> bool {
        self.plain && address.host.is_none()
    }
}

/// What a page from here may connect to beside its own origin, for its policy: the addresses that discovery gives.
pub(super) fn page_sources(facts: &NodeFacts, plain: bool, uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    let asked = Asked { plain, authority: asked_authority(uri, headers) };
    let plain = asked.sees_plain(&facts.address);
    if facts.cluster.is_some() {
        // A page outlives the nodes it was told of, and moves to those that come after them.
        let schemes = ["https:", "wss:", "http:", "ws:"];
        return schemes.into_iter().take(if plain { 4 } else { 2 }).map(str::to_owned).collect();
    }
    let (host, port) = (asked.host(&facts.address), facts.address.port);
    let mut sources = vec![format!("https://{host}:{port}"), format!("wss://{host}:{port}")];
    // Older browsers do not count a page's own WebSocket among 'self'.
    sources.extend(asked.authority.as_ref().filter(|_| plain).map(|authority| format!("ws://{authority}")));
    sources
}

/// What the client asked, if that is a host and perhaps a port.
fn asked_authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let from_header = || headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = uri.authority().cloned().or_else(from_header)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    (!authority.host().is_empty() && authority.as_str().bytes().all(plain)).then_some(authority)
}
