//! What the links of a node are allowed, and what each setting costs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The streams that a link may have beside its attachments: control, and a few that are just being closed or refused.
pub const STREAMS_BESIDE_ATTACHMENTS: u32 = 4;

/// Everything about links that an operator can set. The defaults are for a few ten thousand links on a machine of
/// ordinary size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// Where UDP (QUIC, WebTransport) and TCP (HTTPS, `wss`) listen, on the same port number. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where plain HTTP and `ws` listen, if anywhere.
    pub http_listen: Option<SocketAddr>,
    /// Proxies whose `X-Forwarded-For` is believed on the TCP listeners.
    pub trusted_proxies: Vec<IpAddr>,
    /// Origins whose pages may open a link, beside pages of this node's own host and of localhost; `*` allows all.
    /// Native clients send no origin and are always allowed.
    pub origins: Vec<String>,

    /// How many links at once, of all kinds. An idle one with one stream costs, without its session: 9 KiB on WebSocket,
    /// 19 KiB with TLS, 35 KiB on raw QUIC, 68 KiB on WebTransport.
    pub links_max: usize,
    /// How many links from one IPv4 address, or one IPv6 /64, at once. A household or an office behind one address
    /// shares it.
    pub links_per_address_max: usize,
    /// How many handshakes (QUIC and TLS each) at once; more are refused. Each costs about 30 kB and a signature.
    pub handshakes_max: usize,
    /// From so many QUIC handshakes at once, a client must prove its address first (Retry): one round trip more for it,
    /// and a sender of forged addresses gets nothing done.
    pub retry_from_handshakes: usize,
    /// How long a handshake may take, from the first packet to the link.
    pub handshake_timeout: Duration,
    /// Streams per link at once, [`STREAMS_BESIDE_ATTACHMENTS`] more than attachments. On QUIC one more waits, and a link
    /// that has opened ten gets room for all, for about 70 bytes each. On WebSocket a client that opens more is
    /// disconnected.
    pub streams_max: u32,
    /// A link that says nothing for so long has ended.
    pub idle_timeout: Duration,
    /// After so much silence the node asks whether the client is still there. Browsers give a silent connection up after
    /// 10 s or more, NAT routers after 30 s or more. An idle link costs two packets each time; a heartbeat of the
    /// client's in between saves it.
    pub keep_alive: Duration,

    /// QUIC and WebTransport.
    pub quic: QuicConfig,
    /// HTTP and WebSocket.
    pub tcp: TcpConfig,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv6Addr::UNSPECIFIED, 4433).into(),
            http_listen: Some((Ipv4Addr::LOCALHOST, 8080).into()),
            trusted_proxies: Vec::new(),
            origins: Vec::new(),
            links_max: 100_000,
            links_per_address_max: 1_000,
            handshakes_max: 1_000,
            retry_from_handshakes: 200,
            handshake_timeout: Duration::from_secs(10),
            streams_max: 256 + STREAMS_BESIDE_ATTACHMENTS,
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(5),
            quic: QuicConfig::default(),
            tcp: TcpConfig::default(),
        }
    }
}

/// QUIC and WebTransport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuicConfig {
    /// Unidirectional streams per connection. HTTP/3 needs three, browsers greet with one or two more; suda has none.
    /// Costs about 70 bytes each.
    pub uni_streams_max: u32,
    /// How much a client may send on one stream before it is read. The most memory that an unread stream costs. With
    /// 100 ms of round trip, 256 KiB are 2.6 MB/s.
    pub stream_window_bytes: u32,
    /// The same for all streams of a connection together: the most memory that a client's unread bytes cost.
    pub receive_window_bytes: u32,
    /// How much may be on its way to one client, sent and not acknowledged. The most memory that a slow or lossy link
    /// costs in this direction, though what many links are sent is held once for all of them.
    pub send_window_bytes: u32,
    /// Datagrams that wait to be read or sent, in bytes each way; older ones are dropped.
    pub datagram_buffer_bytes: usize,
    /// What the round trip is taken for before it is measured: a lost first packet is repeated after three times this.
    pub initial_rtt: Duration,
    /// Finds out whether packets may be larger than 1,200 bytes: a few probes at the start and each ten minutes, for
    /// up to 20 % fewer packets.
    pub mtu_discovery: bool,
    /// Asks native clients to acknowledge each tenth packet rather than each second: less work for both in bursts.
    pub ack_every_packets: u32,
    /// Buffers of the UDP socket, for all links together: what arrives or leaves while the node is busy. The kernel may
    /// grant less (`net.core.rmem_max`, `wmem_max`).
    pub socket_buffer_bytes: usize,
}

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            uni_streams_max: 8,
            stream_window_bytes: 256 << 10,
            receive_window_bytes: 512 << 10,
            send_window_bytes: 512 << 10,
            datagram_buffer_bytes: 16 << 10,
            initial_rtt: Duration::from_millis(150),
            mtu_discovery: true,
            ack_every_packets: 10,
            socket_buffer_bytes: 4 << 20,
        }
    }
}

/// HTTP and WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpConfig {
    /// How many HTTP connections at once, beside WebSocket links. Each costs about 40 kB.
    pub connections_max: usize,
    /// How many HTTP connections from one address at once, beside WebSocket links.
    pub connections_per_address_max: usize,
    /// How long a client may take to send a request's head, and a connection without requests may stay open.
    pub header_timeout: Duration,
    /// How long a client may stop in the middle of a request's body or of reading an answer.
    pub stall_timeout: Duration,
    /// HTTP/2 requests at once on one connection.
    pub http2_streams_max: u32,
    /// What waits to be sent on one stream of a WebSocket before its sender here waits. At least 40 KiB are used.
    pub ws_stream_out_bytes: usize,
    /// The same for all its streams together.
    pub ws_out_bytes: usize,
    /// What waits to be read here on all streams of a WebSocket before nothing more is taken from the network.
    pub ws_in_bytes: usize,
    /// What the kernel may hold unsent for one WebSocket: it delays what comes after it, on other streams too.
    pub ws_unsent_bytes: u32,
    /// How long a closing WebSocket waits for the client's half of the goodbye.
    pub ws_close_timeout: Duration,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 200,
            header_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            http2_streams_max: 64,
            ws_stream_out_bytes: 64 << 10,
            ws_out_bytes: 256 << 10,
            ws_in_bytes: 256 << 10,
            ws_unsent_bytes: 64 << 10,
            ws_close_timeout: Duration::from_secs(2),
        }
    }
}
