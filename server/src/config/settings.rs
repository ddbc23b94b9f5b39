//! The settings: one declaration of each, with its default, bounds, unit, meaning and cost.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::declare::settings;
use super::value::{Secret, choice};
use crate::telemetry::LogFormat;

choice! {
    /// Which engine stores.
    EngineKind {
        /// In the data folder; one node.
        Embedded "embedded",
        /// Nowhere: all is gone when the process ends.
        Memory "memory",
        /// In a FoundationDB cluster.
        FoundationDb "foundationdb",
    }
    "\"embedded\", \"memory\" or \"foundationdb\""
}

choice! {
    /// Who may make an account.
    Signup {
        /// Everybody.
        Open "open",
        /// Nobody over HTTP; `suda admin users create` does.
        Closed "closed",
    }
    "\"open\" or \"closed\""
}

choice! {
    /// How log lines look.
    Format {
        /// For people on a terminal, JSON otherwise.
        Auto "auto",
        /// For people.
        Human "human",
        /// JSON.
        Json "json",
    }
    "\"auto\", \"human\" or \"json\""
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::Auto,
            Format::Human => Self::Human,
            Format::Json => Self::Json,
        }
    }
}

settings! {
    /// The node as a whole.
    node Node {
        /// The data folder: the embedded store, the development certificate, the signing key, the admin token. Made if it is not there, readable by its owner only.
        data: PathBuf = PathBuf::from("data"), cost "The store: see docs/operations.md, Disk.";
        /// The host name or address under which clients reach the node; discovery gives it to them. Empty: the name under which the client asked.
        public_host: Option<String> = None;
        /// The region that discovery and metrics name.
        region: String = "local".to_owned();
        /// A folder with a web app, served at `/`. Empty: a plain page that says what this is.
        web: Option<PathBuf> = None;
        /// How long a stopping node goes on serving after `/readyz` has begun to fail, so that balancers notice.
        drain_ms: u64 = 0, in 0 ..= 600_000, unit "ms", cost "A longer stop.";
        /// How long a stop may take after that, before links are cut. Nothing acknowledged is lost either way.
        stop_within_ms: u64 = 10_000, in 100 ..= 600_000, unit "ms", cost "A longer stop.";
    }

    /// Addresses to listen on. Port 0 takes any free one; the ready line says which.
    listen Listen {
        /// Where QUIC and WebTransport (UDP) and HTTPS and WebSocket (TCP) listen.
        host: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        /// The port of both, UDP and TCP.
        port: u16 = 4433;
        /// Where plain HTTP listens: for development, a proxy on the same machine, metrics and `suda admin`. Anything but a loopback address sends passwords over the network in the clear.
        http_host: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        /// The port of plain HTTP.
        http_port: u16 = 8080;
        /// The UDP port on which the HTTP API is also served over HTTP/3, announced by Alt-Svc. Empty: no HTTP/3.
        h3_port: Option<u16> = None, cost "One UDP socket.";
        /// Proxies whose `X-Forwarded-For` is believed. Without it all clients behind a proxy count as one address for the limits.
        trusted_proxies: Vec<IpAddr> = Vec::new();
    }

    /// The certificate. Without files the node makes itself one for development, in the data folder.
    tls Tls {
        /// PEM file with the certificate chain.
        certificate_file: Option<PathBuf> = None;
        /// PEM file with its private key.
        key_file: Option<PathBuf> = None;
        /// How often to look whether the files have changed. New links get the new certificate, old ones stay.
        reload_check_ms: u64 = 10_000, in 100 ..= 86_400_000, unit "ms", cost "Two file lookups each time.";
    }

    /// The store.
    store Store {
        /// Which engine.
        engine: EngineKind = EngineKind::Embedded;
        /// The embedded engine's cache of blocks.
        cache_bytes: u64 = 64 << 20, in 1_048_576 ..= 1_099_511_627_776, unit "bytes", cost "So much memory.";
        /// FoundationDB's cluster file. Empty: the system's default.
        fdb_cluster_file: Option<PathBuf> = None;
        /// What all keys in FoundationDB begin with, so that one cluster can serve several.
        fdb_prefix: String = "suda".to_owned();
    }

    /// Accounts and who may log in.
    accounts Accounts {
        /// Who may make an account.
        signup: Signup = Signup::Open;
        /// A key shared with an identity provider of your own, whose HS256 tokens are taken instead of suda's. Empty: suda's own accounts.
        jwt_shared_key: Option<Secret> = None;
    }

    /// The HTTP API.
    http Http {
        /// The longest request body. Sending a text of 100,000 characters needs up to 2.5 MB of JSON.
        body_bytes_max: usize = 4 << 20, in 65_536 ..= 67_108_864, unit "bytes", cost "So much memory for each request at work.";
        /// How long a request may take, apart from long polls and exports.
        request_ms_max: u64 = 30_000, in 1_000 ..= 600_000, unit "ms";
        /// How long a client may take to send a request's head.
        head_ms_max: u64 = 10_000, in 500 ..= 600_000, unit "ms";
        /// Origins whose pages may call the API from a browser; `*` allows all. Empty: only pages from this node.
        cors_origins: Vec<String> = Vec::new();
        /// The longest wait of `/v1/sync`.
        sync_wait_ms_max: u64 = 60_000, in 0 ..= 60_000, unit "ms";
        /// How many `/v1/sync` may wait at once.
        sync_waiters_max: usize = 10_000, in 1 ..= 1_000_000, unit "requests", cost "About 20 kB each while waiting.";
        /// Whether `/metrics` is served on the public port too, not only over plain HTTP.
        metrics_public: bool = false;
    }

    /// Logs, on stderr.
    log Log {
        /// A level (error, warn, info, debug, trace), and others for parts: `info,quinn=debug`.
        level: String = "info".to_owned(), cost "`debug` writes several lines for each link and request.";
        /// How a line looks.
        format: Format = Format::Auto;
    }
}

impl Settings {
    /// Values that are right each by itself and wrong together: the setting, and what is wrong.
    pub(super) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut wrong = |key: &'static str, what: &str| found.push((key, what.to_owned()));
        match (&self.tls.certificate_file, &self.tls.key_file) {
            (Some(_), None) => wrong("tls.certificate_file", "needs tls.key_file too"),
            (None, Some(_)) => wrong("tls.key_file", "needs tls.certificate_file too"),
            _ => {}
        }
        let listen = &self.listen;
        if listen.port != 0 && listen.port == listen.http_port {
            wrong("listen.http_port", "is the same as listen.port; both are TCP ports");
        }
        if listen.port != 0 && listen.h3_port == Some(listen.port) {
            wrong("listen.h3_port", "is the same as listen.port, where UDP is QUIC and WebTransport");
        }
        if self.store.engine == EngineKind::FoundationDb && !cfg!(feature = "foundationdb") {
            wrong("store.engine", "this build has no FoundationDB: build it with --features foundationdb");
        }
        found
    }
}
