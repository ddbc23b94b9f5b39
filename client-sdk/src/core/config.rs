//! What may be set, and every limit that the core keeps.

use super::io::Kind;
use crate::backoff;

/// The most links a client has at once: the one in use, and those that race to replace it.
pub const LINKS_MAX: usize = 16;
/// The most nodes that one attempt to connect tries: the first ones that discovery names.
pub const NODES_MAX: usize = 3;
/// The most links to nodes that discovery may name; what is more is ignored.
pub const CANDIDATES_MAX: usize = 32;
/// The most bytes that are handed to a transport at once for one stream.
pub const CHUNK_BYTES_MAX: usize = suda_schema::limits::WS_CHUNK_BYTES_MAX;
/// The most channels attached before the node has said how many it allows.
pub const EARLY_ATTACHMENTS_MAX: usize = 8;
/// The most pages of history that wait for an answer in one channel.
pub const HISTORY_WAITING_MAX: usize = 16;
/// The most questions about presence that wait for an answer.
pub const PRESENCE_WAITING_MAX: usize = 64;
/// The most users whose presence is remembered; the one that was heard of least recently is forgotten.
pub const PRESENCE_MAX: usize = 10_000;
/// The most users shown as typing in one channel.
pub const TYPING_MAX: usize = 16;
/// The most members whose marks are remembered in one channel.
pub const MARKS_MAX: usize = 1_000;
/// The most channels in the list.
pub const CHANNELS_MAX: usize = 20_000;
/// The most events that wait for the app. Beyond it, the oldest that tell of something that can be read again are
/// replaced by one that says so.
pub const EVENTS_MAX: usize = 4_096;
/// The most changes of one timeline that can be told one by one; who has missed more reads it anew.
pub const REMOVED_MAX: usize = 256;

/// The settings of a client. The defaults need no thought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Name and version of the program, for the operator's statistics.
    pub client_name: String,
    /// When to try again.
    pub backoff: backoff::Config,
    /// Which transports, best first. One over UDP gets a head start before WebSocket.
    pub transports: Vec<Kind>,
    /// How long an attempt may try alone before the next transport, and the next node, begin as well.
    pub head_start_ms: u64,
    /// How long a dial may take.
    pub dial_within_ms: u64,
    /// How long the node may take to answer `hello`.
    pub welcome_within_ms: u64,
    /// How long discovery is waited for, if the addresses of the last time are there to go on with.
    pub discover_within_ms: u64,
    /// With something on its way, the node is asked for a sign of life after so long a silence.
    pub probe_after_ms: u64,
    /// A link that has given no sign of life for so long after it was asked is stalled, and another is made beside it.
    pub pong_within_ms: u64,
    /// How long it is remembered which transport worked.
    pub remember_ms: u64,
    /// How long a node that drained or fell silent comes after the others.
    pub avoid_node_ms: u64,
    /// How many channels are attached at once, at most; the node may allow fewer.
    pub attachments_max: usize,
    /// How many entries of a channel that was never seen here are fetched first.
    pub tail: u32,
    /// How many sends of a channel may be on their way. Only 1 keeps their order when the node refuses one for the
    /// moment, such as over a rate limit, and takes the next.
    pub sends_in_flight: usize,
    /// How many sends may wait in the outbox.
    pub outbox_max: usize,
    /// How many bytes.
    pub outbox_bytes_max: usize,
    /// How many entries of a channel are kept in memory: the newest.
    pub entries_cached_max: usize,
    /// Of how many channels entries are kept in memory, beside those that are open.
    pub logs_cached_max: usize,
    /// How many channels the first page of the list has.
    pub sync_limit: u16,
    /// Whether the others are told what has reached this device.
    pub delivered_marks: bool,
    /// Whether the driver sends datagrams, where a transport has them: typing goes by them then.
    pub datagrams: bool,
    /// A token is renewed so long before it runs out.
    pub token_margin_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_name: concat!("suda-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            backoff: backoff::Config::default(),
            transports: vec![Kind::Quic, Kind::WebTransport, Kind::WebSocket],
            head_start_ms: 500,
            dial_within_ms: 10_000,
            welcome_within_ms: 5_000,
            discover_within_ms: 3_000,
            probe_after_ms: 1_500,
            pong_within_ms: 3_000,
            remember_ms: 600_000,
            avoid_node_ms: 60_000,
            attachments_max: 32,
            tail: 50,
            sends_in_flight: 1,
            outbox_max: 1_000,
            outbox_bytes_max: 16 << 20,
            entries_cached_max: 2_000,
            logs_cached_max: 64,
            sync_limit: 50,
            delivered_marks: true,
            datagrams: false,
            token_margin_ms: 30_000,
        }
    }
}
