//! What sessions count.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use suda_schema::{CloseCode, ErrorCode};

use crate::link::LinkKind;
use crate::telemetry::ErrorLabel;

/// The sessions' metrics. Cloning shares them.
#[derive(Debug, Clone)]
pub struct SessionMetrics {
    /// Live links, by kind.
    pub links: Family<KindLabel, Gauge>,
    /// Handshakes that became a session, by kind.
    pub handshakes: Family<KindLabel, Counter>,
    /// How long the handshake took from the first stream to `welcome`, in seconds.
    pub handshake_seconds: Histogram,
    /// Links that ended, by why.
    pub closes: Family<CloseLabel, Counter>,
    /// Attaches that became an attachment.
    pub attaches: Counter,
    /// Attachments that ended by this node's doing, or were refused, by why.
    pub detaches: Family<CloseLabel, Counter>,
    /// Inputs that were refused, by why.
    pub rejected: Family<ErrorLabel, Counter>,
    /// Frames of a kind that this build does not know.
    pub unknown_frames: Counter,
    /// Hints sent.
    pub hints: Counter,
    /// Marks written to the store.
    pub marks: Counter,
    /// Marks that could not be written and were given up.
    pub marks_lost: Counter,
    /// Typing notices taken from clients.
    pub typings: Counter,
    /// Typing notices that were not passed on because the receiver's stream was full.
    pub typings_dropped: Counter,
    /// Entries of users' own logs sent.
    pub user_entries: Counter,
    /// Changes of presence sent.
    pub presences: Counter,
}

/// The kind of a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    kind: &'static str,
}

impl From<LinkKind> for KindLabel {
    fn from(kind: LinkKind) -> Self {
        Self { kind: kind.name() }
    }
}

/// A close code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CloseLabel {
    reason: Reason,
}

/// The name of a code of the schema's tables.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Reason(&'static str);

impl EncodeLabelValue for Reason {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

impl From<CloseCode> for CloseLabel {
    fn from(code: CloseCode) -> Self {
        Self { reason: Reason(code.name()) }
    }
}

impl Default for SessionMetrics {
    fn default() -> Self {
        Self {
            links: Family::default(),
            handshakes: Family::default(),
            handshake_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 19)),
            closes: Family::default(),
            attaches: Counter::default(),
            detaches: Family::default(),
            rejected: Family::default(),
            unknown_frames: Counter::default(),
            hints: Counter::default(),
            marks: Counter::default(),
            marks_lost: Counter::default(),
            typings: Counter::default(),
            typings_dropped: Counter::default(),
            user_entries: Counter::default(),
            presences: Counter::default(),
        }
    }
}

impl SessionMetrics {
    /// Puts them into the node's registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("sessions", "Sessions that stand", self.links.clone());
        registry.register("sessions_begun", "Links that became a session", self.handshakes.clone());
        registry.register("session_begin_seconds", "From the first stream to welcome", self.handshake_seconds.clone());
        registry.register("link_closes", "Links that ended", self.closes.clone());
        registry.register("attaches", "Attaches that became an attachment", self.attaches.clone());
        registry.register("detaches", "Attachments ended or refused by the node", self.detaches.clone());
        registry.register("rejected_inputs", "Inputs that were refused", self.rejected.clone());
        registry.register("unknown_frames", "Frames of a newer version", self.unknown_frames.clone());
        registry.register("hints", "Hints sent", self.hints.clone());
        registry.register("marks", "Marks written", self.marks.clone());
        registry.register("marks_lost", "Marks given up", self.marks_lost.clone());
        registry.register("typings", "Typing notices taken", self.typings.clone());
        registry.register("typings_dropped", "Typing notices not passed on", self.typings_dropped.clone());
        registry.register("user_entries", "Entries of users' own logs sent", self.user_entries.clone());
        registry.register("presence_changes", "Changes of presence sent", self.presences.clone());
    }

    pub(super) fn rejected(&self, code: ErrorCode) {
        self.rejected.get_or_create(&code.into()).inc();
    }
}
