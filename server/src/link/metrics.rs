//! What is counted about links.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::LinkKind;

/// Counters of everything that happens to links. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LinkMetrics {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    open: Family<KindLabel, Gauge>,
    opened: Family<KindLabel, Counter>,
    streams: Family<KindLabel, Counter>,
    bytes: Family<BytesLabel, Counter>,
    handshakes: Family<HandshakeLabel, Counter>,
    handshaking: Gauge,
    rejected: Family<RejectedLabel, Counter>,
    retries: Counter,
    http_open: Gauge,
}

/// How a handshake went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Well.
    Ok,
    /// The peer broke it off, or its bytes were bad.
    Failed,
    /// It took too long.
    TimedOut,
}

/// Whose handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// QUIC, with the WebTransport session where there is one.
    Quic,
    /// TLS over TCP.
    Tls,
}

/// Why something was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// The node is draining.
    Draining,
    /// `links_max`.
    NodeFull,
    /// `links_per_address_max`.
    AddressFull,
    /// `handshakes_max`.
    Handshakes,
    /// `connections_max` or `connections_per_address_max`.
    Connections,
    /// The page's origin is not allowed.
    Origin,
    /// No such path for a link.
    Path,
    /// A WebSocket request without a subprotocol that is known here, or not well-formed.
    Upgrade,
    /// Neither `suda/1` nor `h3`, or something else in QUIC.
    Alpn,
    /// A WebSocket message that is not what the protocol says.
    Malformed,
    /// A WebSocket message longer than allowed.
    TooLarge,
    /// More streams on a WebSocket than allowed.
    Streams,
    /// Bytes on a WebSocket stream that nobody reads any more, beyond what may have been on its way.
    Stray,
}

impl Rejected {
    fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::NodeFull => "node_full",
            Self::AddressFull => "address_full",
            Self::Handshakes => "handshakes",
            Self::Connections => "connections",
            Self::Origin => "origin",
            Self::Path => "path",
            Self::Upgrade => "upgrade",
            Self::Alpn => "alpn",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Streams => "streams",
            Self::Stray => "stray",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: LinkKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BytesLabel {
    kind: LinkKind,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    In,
    Out,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabel {
    layer: Layer,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabel {
    reason: Rejected,
}

macro_rules! label {
    ($type:ty, |$value:ident| $name:expr) => {
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                let $value = *self;
                EncodeLabelValue::encode(&$name, encoder)
            }
        }
    };
}
label!(LinkKind, |kind| kind.name());
label!(Rejected, |rejected| rejected.name());
label!(Direction, |direction| if direction == Direction::In { "in" } else { "out" });
label!(Layer, |layer| if layer == Layer::Quic { "quic" } else { "tls" });
label!(Outcome, |outcome| match outcome {
    Outcome::Ok => "ok",
    Outcome::Failed => "failed",
    Outcome::TimedOut => "timed_out",
});

impl LinkMetrics {
    /// Adds them to the registry.
    pub fn register(&self, registry: &mut Registry) {
        let Shared { open, opened, streams, bytes, handshakes, handshaking, rejected, retries, http_open } =
            &*self.shared;
        registry.register("links", "Links that are open", open.clone());
        registry.register("links_opened", "Links that were opened", opened.clone());
        registry.register("link_streams_opened", "Streams that clients opened", streams.clone());
        registry.register_with_unit("link", "Bytes of frames on links", Unit::Bytes, bytes.clone());
        registry.register("handshakes", "Handshakes that ended", handshakes.clone());
        registry.register("handshakes_in_flight", "Handshakes under way", handshaking.clone());
        registry.register("links_rejected", "What was turned away, or disconnected", rejected.clone());
        registry.register("quic_retries", "Clients that were asked to prove their address", retries.clone());
        registry.register("http_connections", "HTTP connections that are open", http_open.clone());
    }

    /// How many of something were turned away.
    #[must_use]
    pub fn rejections(&self, reason: Rejected) -> u64 {
        self.shared.rejected.get_or_create(&RejectedLabel { reason }).get()
    }

    /// How many links of a kind are open.
    #[must_use]
    pub fn open(&self, kind: LinkKind) -> i64 {
        self.shared.open.get_or_create(&KindLabel { kind }).get()
    }

    /// How many handshakes ended so.
    #[must_use]
    pub fn handshakes(&self, layer: Layer, outcome: Outcome) -> u64 {
        self.shared.handshakes.get_or_create(&HandshakeLabel { layer, outcome }).get()
    }

    /// How many clients were asked to prove their address.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.shared.retries.get()
    }

    pub(super) fn rejected(&self, reason: Rejected) {
        self.shared.rejected.get_or_create(&RejectedLabel { reason }).inc();
    }

    pub(super) fn retried(&self) {
        self.shared.retries.inc();
    }

    pub(super) fn handshook(&self, layer: Layer, outcome: Outcome) {
        self.shared.handshakes.get_or_create(&HandshakeLabel { layer, outcome }).inc();
    }

    pub(super) fn link_opened(&self, kind: LinkKind) {
        self.shared.opened.get_or_create(&KindLabel { kind }).inc();
        self.shared.open.get_or_create(&KindLabel { kind }).inc();
    }

    pub(super) fn link_closed(&self, kind: LinkKind) {
        self.shared.open.get_or_create(&KindLabel { kind }).dec();
    }

    pub(super) fn handshaking(&self) -> &Gauge {
        &self.shared.handshaking
    }

    pub(super) fn http_open(&self) -> &Gauge {
        &self.shared.http_open
    }

    /// The counters that the streams of a link of this kind keep at hand.
    pub(super) fn of_streams(&self, kind: LinkKind) -> StreamMetrics {
        let bytes = |direction| self.shared.bytes.get_or_create_owned(&BytesLabel { kind, direction });
        StreamMetrics {
            opened: self.shared.streams.get_or_create_owned(&KindLabel { kind }),
            bytes_in: bytes(Direction::In),
            bytes_out: bytes(Direction::Out),
        }
    }
}

/// What streams count without looking it up.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamMetrics {
    pub(super) opened: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
}
