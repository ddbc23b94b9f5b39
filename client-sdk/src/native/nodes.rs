//! Which nodes there are, and which of them is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::core::config::CANDIDATES_MAX;
use crate::core::io::{Candidate, Kind};

/// The most nodes that are remembered beside the address that the app has given.
const KNOWN_MAX: usize = 8;

/// Where the HTTP API is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    #[serde(with = "as_text")]
    pub(super) url: Url,
    /// Of the certificates to trust there; empty: those that the platform trusts.
    pub(super) hashes: Vec<[u8; 32]>,
}

mod as_text {
    use reqwest::Url;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(url.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        Url::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The address that the app has given, and those of other nodes that discovery has named.
pub(super) struct Bases {
    /// Trusted beside what discovery says.
    pinned: Vec<[u8; 32]>,
    state: Mutex<State>,
}

struct State {
    /// Of all of them, the app's first.
    all: Vec<Base>,
    /// Which one is asked first.
    at: usize,
}

impl Bases {
    pub(super) fn new(url: Url, pinned: Vec<[u8; 32]>) -> Self {
        let all = vec![Base { url, hashes: pinned.clone() }];
        Self { pinned, state: Mutex::new(State { all, at: 0 }) }
    }

    pub(super) fn pinned(&self) -> &[[u8; 32]] {
        &self.pinned
    }

    /// All of them, the one to ask first at the head.
    pub(super) fn in_order(&self) -> Vec<Base> {
        let state = self.lock();
        let (before, from) = state.all.split_at_checked(state.at).unwrap_or((&[], &state.all));
        from.iter().chain(before).cloned().collect()
    }

    /// Those that the app has not given.
    pub(super) fn others(&self) -> Vec<Base> {
        self.lock().all.iter().skip(1).cloned().collect()
    }

    /// This one did not answer: the next one is asked first from now on.
    pub(super) fn failed(&self, base: &Base) {
        let mut state = self.lock();
        if state.all.get(state.at) == Some(base) {
            state.at = (state.at + 1) % state.all.len();
        }
    }

    /// What discovery has named, in its order, before what it named earlier; whether that is news. A node that is not named
    /// may start again where it was, when those that are named now are gone. Nothing leads from TLS to a place without it.
    pub(super) fn learn(&self, named: Vec<Base>) -> bool {
        let mut state = self.lock();
        let Some(first) = state.all.first().cloned() else { return false };
        let is_plain = first.url.scheme() == "http";
        let mut all = vec![first];
        for base in named.into_iter().chain(state.all.iter().skip(1).cloned()) {
            let is_safe = is_plain || base.url.scheme() == "https";
            if is_safe && all.len() <= KNOWN_MAX && all.iter().all(|known| known.url != base.url) {
                all.push(base);
            }
        }
        let is_new = all != state.all;
        // Where it went well it goes on, if that is still there.
        let now = state.all.get(state.at).and_then(|now| all.iter().position(|base| base.url == now.url));
        (state.at, state.all) = (now.unwrap_or(0), all);
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer of discovery.
#[derive(Deserialize)]
pub(super) struct Discovery {
    #[serde(flatten)]
    first: Node,
    /// All of them; those before there were several name one.
    #[serde(default)]
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    node: u16,
    links: Vec<Link>,
    #[serde(default)]
    api: Option<String>,
    #[serde(default)]
    api_http: Option<String>,
    #[serde(default)]
    certificate_hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Link {
    kind: String,
    url: String,
}

#[derive(Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

impl Discovery {
    /// The links to dial, and where else the HTTP API is, to who has asked at `asked`.
    pub(super) fn read(self, asked: &Url, pinned: &[[u8; 32]]) -> (Vec<Candidate>, Vec<Base>) {
        let nodes = if self.nodes.is_empty() { vec![self.first] } else { self.nodes };
        let (mut candidates, mut bases) = (Vec::new(), Vec::new());
        // What came over TLS does not lead to a place without it.
        let is_plain = asked.scheme() == "http";
        for node in nodes {
            let hashes = node.trusted(pinned);
            let api = node.api_http.as_deref().filter(|_| is_plain).map(|api| (api, pinned));
            let api = api.or(node.api.as_deref().map(|api| (api, hashes.as_slice())));
            let base = api.and_then(|(api, hashes)| {
                // Paths are added with the version.
                let url = Url::parse(api.trim_end_matches('/').strip_suffix("/v1")?).ok()?;
                let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
                is_web.then(|| Base { url, hashes: hashes.to_vec() })
            });
            bases.extend(base);
            for link in node.links {
                let kind = match link.kind.as_str() {
                    "quic" => Kind::Quic,
                    "webtransport" => Kind::WebTransport,
                    "websocket" => Kind::WebSocket,
                    _ => continue,
                };
                if is_plain || !link.url.starts_with("ws:") {
                    let certificate_hashes = hashes.clone();
                    candidates.push(Candidate { node: node.node, kind, url: link.url, certificate_hashes });
                }
            }
        }
        candidates.truncate(CANDIDATES_MAX);
        (candidates, bases)
    }
}

impl Node {
    /// The certificates to trust: those that discovery names, and those of the app.
    fn trusted(&self, pinned: &[[u8; 32]]) -> Vec<[u8; 32]> {
        let sha256 = |hash: &Hash| (hash.algorithm == "sha-256").then(|| from_hex(&hash.value)).flatten();
        let mut hashes: Vec<[u8; 32]> = self.certificate_hashes.iter().filter_map(sha256).collect();
        let more: Vec<[u8; 32]> = pinned.iter().filter(|pinned| !hashes.contains(pinned)).copied().collect();
        hashes.extend(more);
        hashes
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(number: u16, host: &str, plain: bool) -> serde_json::Value {
        json!({
            "node": number,
            "links": [
                { "kind": "quic", "url": format!("quic://{host}:1") },
                { "kind": "pigeon", "url": format!("pigeon://{host}") },
                { "kind": "websocket", "url": format!("ws://{host}:2/connect") },
            ],
            "api": format!("https://{host}:1/v1"),
            "api_http": plain.then(|| format!("http://{host}:2/v1")),
            "certificate_hashes": [{ "algorithm": "sha-256", "value": format!("{number:02x}").repeat(32) }],
        })
    }

    fn answer(nodes: &[serde_json::Value]) -> Discovery {
        let mut answer = nodes[0].clone();
        answer["nodes"] = json!(nodes);
        serde_json::from_value(answer).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn every_node_is_read_with_its_own_certificates() {
        let both = || answer(&[node(7, "a", true), node(3, "b", true)]);
        let (links, bases) = both().read(&url("http://a:2"), &[[9; 32]]);
        let read: Vec<_> =
            links.iter().map(|link| (link.node, link.url.as_str(), link.certificate_hashes[0])).collect();
        let wanted = [
            (7, "quic://a:1", [7; 32]),
            (7, "ws://a:2/connect", [7; 32]),
            (3, "quic://b:1", [3; 32]),
            (3, "ws://b:2/connect", [3; 32]),
        ];
        assert_eq!(read, wanted);
        assert!(links.iter().all(|link| link.certificate_hashes[1] == [9; 32]), "what the app trusts");
        assert_eq!(bases.iter().map(|base| base.url.as_str()).collect::<Vec<_>>(), ["http://a:2/", "http://b:2/"]);
        // Over TLS, nothing in the clear.
        let (links, bases) = both().read(&url("https://a:1"), &[]);
        assert_eq!(links.iter().map(|link| link.url.as_str()).collect::<Vec<_>>(), ["quic://a:1", "quic://b:1"]);
        assert_eq!((bases[1].url.as_str(), &bases[1].hashes), ("https://b:1/", &vec![[3; 32]]));
        // One that knows of no others.
        let alone = serde_json::from_value::<Discovery>(node(7, "a", false)).unwrap();
        let (links, bases) = alone.read(&url("http://a:2"), &[]);
        assert_eq!((links.len(), bases[0].url.as_str()), (2, "https://a:1/"));
    }

    #[test]
    fn who_fails_is_asked_last_until_another_fails() {
        let bases = Bases::new(url("http://a:2"), Vec::new());
        let other = |host: &str| Base { url: url(&format!("http://{host}:2")), hashes: Vec::new() };
        let order = || bases.in_order().iter().map(|base| base.url.host_str().unwrap().to_owned()).collect::<String>();
        bases.failed(&other("a"));
        assert_eq!(order(), "a", "there is no other");
        assert!(bases.learn(vec![other("b"), other("a"), other("c")]));
        assert!(!bases.learn(vec![other("b"), other("c")]), "that was known");
        assert_eq!(order(), "abc");
        bases.failed(&other("a"));
        bases.failed(&other("a"));
        assert_eq!(order(), "bca", "a late failure changes nothing");
        // The app's own address stays, the one that works is still asked first, and what is not named any more comes last.
        bases.learn(vec![other("d"), other("b")]);
        assert_eq!(order(), "bcad");
        assert!(!bases.learn(vec![other("d")]));
        bases.failed(&other("b"));
        bases.failed(&other("c"));
        assert_eq!(order(), "adbc");
        bases.learn((0..100).map(|number| other(&format!("n{number}"))).collect());
        assert_eq!(bases.in_order().len(), 1 + KNOWN_MAX);
    }

    #[test]
    fn nothing_leads_from_tls_to_a_place_without() {
        let bases = Bases::new(url("https://a"), Vec::new());
        bases.learn(vec![Base { url: url("http://b"), hashes: Vec::new() }]);
        assert_eq!(bases.in_order().len(), 1);
    }
}
