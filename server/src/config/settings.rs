//! The settings: one declaration of each, with its default, bounds, unit, meaning and cost.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::declare::settings;
use super::value::{Secret, choice};
use crate::rate::Rate;
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
    SignUp {
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
        /// The data folder: the embedded store, the development certificate, the admin token. Made if it is not there, for its owner only.
        data: PathBuf = PathBuf::from("data"), cost "The embedded store: see Disk below.";
        /// The number of this node on the embedded store. On FoundationDB each node takes one that is free.
        number: u16 = 1, in 0 ..= 1_023;
        /// The region that discovery and metrics name.
        region: String = "local".to_owned();
        /// The host name or address under which clients reach the node; discovery gives it to them. Empty: the name under which the client asked.
        public_host: Option<String> = None;
        /// The port that discovery gives to clients, where it is not `listen.port`. Empty: `listen.port`.
        public_port: Option<u16> = None;
        /// A folder with a web app, served at `/`. Empty: a plain page that says what this is.
        web: Option<PathBuf> = None;
        /// How long a stopping node goes on serving: `/readyz` fails, no new links are taken, and clients are asked to move at times spread over three quarters of it. One of several nodes ends sooner if all have moved.
        drain_ms: u64 = 0, in 0 ..= 600_000, unit "ms", cost "A longer stop.";
        /// How long a stop may take after that, before connections are cut. Nothing acknowledged is lost either way.
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
        /// Origins whose pages may open links and call the API, beside this node's own and, for links, localhost; `*` allows all. Native clients send none and always may.
        origins: Vec<String> = Vec::new();
    }

    /// The certificate. Without files the node makes itself one for development, in the data folder.
    tls Tls {
        /// PEM file with the certificate and its chain.
        certificate_file: Option<PathBuf> = None;
        /// PEM file with its private key.
        key_file: Option<PathBuf> = None;
        /// More host names and addresses for the certificate that the node makes itself, beside localhost.
        names: Vec<String> = Vec::new();
        /// How often to look whether the files have changed, or the node's own certificate is due. Links that stand keep theirs.
        check_ms: u64 = 5_000, in 100 ..= 86_400_000, unit "ms", cost "Two file lookups each time.";
    }

    /// The store.
    store Store {
        /// Which engine.
        engine: EngineKind = EngineKind::Embedded;
        /// Embedded: the cache of blocks read from the disk.
        cache_bytes: u64 = 64 << 20, in 1_048_576 ..= 1_099_511_627_776, unit "bytes", cost "So much memory.";
        /// Embedded: what is gathered in memory before it is written out to a table. A folder stays with what it was made with.
        memtable_bytes: u64 = 32 << 20, in 1_048_576 ..= 1_073_741_824, unit "bytes", cost "Several times so much memory.";
        /// Embedded: writes are refused while the disk has less room than this.
        reserve_bytes: u64 = 512 << 20, in 16_777_216 ..= 1_099_511_627_776, unit "bytes", cost "So much disk that stays free.";
        /// FoundationDB: the cluster file. Empty: where FoundationDB's own tools look.
        fdb_cluster_file: Option<PathBuf> = None;
        /// FoundationDB: what all keys begin with, so that one cluster can serve several systems.
        fdb_prefix: String = "suda".to_owned();
        /// FoundationDB: an operation that takes longer fails.
        fdb_timeout_ms: u32 = 5_000, in 100 ..= 60_000, unit "ms";
    }

    /// Several nodes over one FoundationDB.
    cluster ClusterSettings {
        /// How often a node gives a sign of life. Nodes of one store should agree.
        beat_ms: u64 = 1_000, in 50 ..= 60_000, unit "ms", cost "One commit of each node each time, and one read of all nodes.";
        /// A node whose sign of life stands still for so long is taken for dead; it stops by itself before. At least four times `beat_ms`. Nodes of one store should agree.
        dead_after_ms: u64 = 10_000, in 200 ..= 600_000, unit "ms", cost "Longer: it takes longer until the users of a dead node are offline. Shorter: a node is given up after a shorter pause.";
        /// After so long without a listener a topic is not registered for this node any more.
        interest_idle_ms: u64 = 60_000, in 100 ..= 3_600_000, unit "ms", cost "Longer: marks for nobody. Shorter: more writes when people look away and back.";
        /// How long typing may wait for others to go along with it to other nodes.
        typing_ms: u64 = 50, in 0 ..= 5_000, unit "ms", cost "Shorter: more commits.";
    }

    /// Accounts, and how long a login lasts.
    accounts Accounts {
        /// Whether suda has accounts of its own, with handle and password.
        own: bool = true;
        /// Who may make one.
        sign_up: SignUp = SignUp::Open;
        /// How long an access token lasts. A revoked device's links end at once, whatever this is.
        access_token_ms: u64 = 900_000, in 10_000 ..= 86_400_000, unit "ms", cost "Shorter: more refreshes.";
        /// How long a refresh token lasts; a device that stays away longer has to log in again.
        refresh_token_ms: u64 = 7_776_000_000, in 60_000 ..= 63_072_000_000, unit "ms";
        /// How long the refresh token before the newest still gets the newest, for clients that lost the answer.
        refresh_grace_ms: u64 = 30_000, in 0 ..= 600_000, unit "ms";
        /// Memory of one password hash (argon2id).
        hash_memory_kib: u32 = 19_456, in 8 ..= 4_194_304, unit "KiB", cost "So much memory for each of `hashes_at_once`.";
        /// Passes over that memory.
        hash_passes: u32 = 2, in 1 ..= 100, cost "Processor time of each login.";
        /// How many passwords are hashed at once. Empty: half as many as there are processors.
        hashes_at_once: Option<usize> = None, in 1 ..= 1_024, cost "So many processors while people log in.";
        /// How many logins may wait for that; the next is refused.
        hashes_waiting_max: usize = 64, in 1 ..= 100_000, unit "logins";
        /// How long a login waits before it is refused.
        hash_wait_ms: u64 = 5_000, in 100 ..= 60_000, unit "ms";
    }

    /// An identity provider of your own, whose tokens (JWT) are taken as logins. Users are made at first sight.
    identity Identity {
        /// What `iss` must be. Empty: there is no provider.
        issuer: Option<String> = None;
        /// One of these must be in `aud`. Empty: anything goes, which is only right where the provider serves nobody else.
        audiences: Vec<String> = Vec::new();
        /// The address of its public keys, for RS256, ES256 and EdDSA.
        jwks_url: Option<String> = None;
        /// How old the keys may become before they are fetched again.
        jwks_refresh_ms: u64 = 600_000, in 1_000 ..= 86_400_000, unit "ms";
        /// A key that both sides know, of at least 32 bytes, for HS256, instead of public keys.
        shared_key: Option<Secret> = None;
        /// A file with that key.
        shared_key_file: Option<PathBuf> = None;
        /// The claim that names the device.
        device_claim: String = "sid".to_owned();
        /// The claim with the handle that a new user gets if it is free.
        handle_claim: String = "preferred_username".to_owned();
        /// The claim with the name that is shown of a new user.
        name_claim: String = "name".to_owned();
        /// How far the provider's clock may be off.
        leeway_ms: u64 = 30_000, in 0 ..= 600_000, unit "ms";
    }

    /// How much there may be of everything that people make.
    limits Limits {
        /// Members of a group.
        group_members_max: u32 = 100, in 2 ..= 10_000, unit "users", cost "Each message is told to each member.";
        /// Members of a broadcast channel.
        broadcast_members_max: u32 = 100_000, in 2 ..= 10_000_000, unit "users";
        /// Channels that one user is in.
        channels_per_user_max: u32 = 5_000, in 1 ..= 100_000, unit "channels", cost "Each is listened to while a device of the user's is connected, about 100 bytes.";
        /// Up to so many members, all see how far the others have read.
        marks_members_max: u32 = 200, in 0 ..= 10_000, unit "users", cost "Each read mark is told to each member.";
        /// Devices of one user. At the limit a new login removes the one that was seen least recently.
        devices_per_user_max: usize = 32, in 1 ..= 1_000, unit "devices";
        /// Push tokens of one device.
        push_tokens_per_device_max: usize = 4, in 1 ..= 100, unit "tokens";
        /// Friends of one user.
        friends_max: u32 = 5_000, in 0 ..= 100_000, unit "users";
        /// Friend requests that wait for an answer, of one user, each way.
        friend_requests_max: u32 = 500, in 0 ..= 100_000, unit "requests";
        /// Users that one user has blocked.
        blocks_max: u32 = 5_000, in 0 ..= 100_000, unit "users";
        /// Users whose presence one user is told of without asking.
        presence_watched_max: usize = 2_000, in 0 ..= 100_000, unit "users", cost "About 100 bytes each while connected.";
    }

    /// Links: the connections of devices, whatever their transport.
    link Link {
        /// Links at once, of all kinds.
        links_max: usize = 100_000, in 1 ..= 10_000_000, unit "links", cost "Idle, with its control stream and without its session: 9 KiB on WebSocket, 19 KiB with TLS, 35 KiB on raw QUIC, 68 KiB on WebTransport.";
        /// Links of one IPv4 address or IPv6 /64 at once. A household or an office shares it.
        links_per_address_max: usize = 1_000, in 1 ..= 10_000_000, unit "links";
        /// Handshakes at once (QUIC and TLS each); more are refused.
        handshakes_max: usize = 1_000, in 1 ..= 100_000, unit "handshakes", cost "About 30 kB and a signature each.";
        /// From so many QUIC handshakes at once, clients must prove their address first.
        retry_from_handshakes: usize = 200, in 0 ..= 100_000, unit "handshakes", cost "One round trip more for each client then.";
        /// How long a handshake may take.
        handshake_ms: u64 = 10_000, in 500 ..= 120_000, unit "ms";
        /// After so much silence the node asks whether the client is still there.
        keep_alive_ms: u64 = 5_000, in 500 ..= 600_000, unit "ms", cost "Two packets of each idle link each time.";
        /// QUIC: what a client may send on one stream before it is read.
        stream_window_bytes: u32 = 256 << 10, in 16_384 ..= 67_108_864, unit "bytes", cost "So much memory for a stream that is not read.";
        /// QUIC: the same for all streams of a connection.
        receive_window_bytes: u32 = 512 << 10, in 16_384 ..= 268_435_456, unit "bytes", cost "So much memory for each link that is not read.";
        /// QUIC: what may be on its way to a client without being acknowledged.
        send_window_bytes: u32 = 512 << 10, in 16_384 ..= 268_435_456, unit "bytes", cost "So much memory for each slow link.";
        /// QUIC: streams of one direction per connection. HTTP/3 needs three and browsers greet with one or two more.
        uni_streams_max: u32 = 8, in 3 ..= 1_024, unit "streams", cost "About 70 bytes each for every link.";
        /// QUIC: datagrams that wait, each way; older ones are dropped.
        datagram_buffer_bytes: usize = 16 << 10, in 1_024 ..= 1_048_576, unit "bytes", cost "So much memory for each link.";
        /// QUIC: what the round trip is taken for before it is measured.
        initial_rtt_ms: u64 = 150, in 1 ..= 5_000, unit "ms";
        /// QUIC: find out whether packets may be larger than 1,200 bytes.
        mtu_discovery: bool = true, cost "A few probes at the start and every ten minutes.";
        /// QUIC: native clients acknowledge only so often.
        ack_every_packets: u32 = 10, in 1 ..= 100, unit "packets";
        /// UDP: the socket's buffers, for all links together. The kernel may grant less.
        udp_buffer_bytes: usize = 4 << 20, in 65_536 ..= 1_073_741_824, unit "bytes", cost "So much memory, once each way.";
        /// WebSocket: what waits to be sent on one stream before its sender waits.
        ws_stream_out_bytes: usize = 64 << 10, in 40_960 ..= 16_777_216, unit "bytes", cost "So much memory for each stream of a slow link.";
        /// WebSocket: the same for all streams of a link.
        ws_out_bytes: usize = 256 << 10, in 16_384 ..= 67_108_864, unit "bytes", cost "So much memory for each slow link.";
        /// WebSocket: what waits to be read before nothing more is taken from the network.
        ws_in_bytes: usize = 256 << 10, in 16_384 ..= 67_108_864, unit "bytes", cost "So much memory for each link that is not read.";
        /// WebSocket: what the kernel may hold unsent.
        ws_unsent_bytes: u32 = 64 << 10, in 4_096 ..= 16_777_216, unit "bytes", cost "Delays what comes after it.";
        /// WebSocket: how long a closing link waits for the client's goodbye.
        ws_close_ms: u64 = 2_000, in 10 ..= 60_000, unit "ms";
    }

    /// Sessions: what a device on a link may do.
    session Session {
        /// How long a link may take to send its `hello`, and a stream its first frame.
        hello_ms: u64 = 10_000, in 100 ..= 120_000, unit "ms";
        /// How often a client is asked to send `ping`.
        heartbeat_ms: u32 = 5_000, in 500 ..= 300_000, unit "ms", cost "One frame each way of each link.";
        /// A link that says nothing for so long is taken for dead.
        dead_after_ms: u32 = 30_000, in 1_000 ..= 900_000, unit "ms";
        /// How long a user may be without a link before that is announced.
        presence_grace_ms: u64 = 30_000, in 0 ..= 900_000, unit "ms";
        /// How long before its token runs out a client is told.
        token_warning_ms: u64 = 60_000, in 0 ..= 3_600_000, unit "ms";
        /// Links of one user at once on this node.
        links_per_user_max: usize = 32, in 1 ..= 10_000, unit "links";
        /// Attachments of one link at once.
        attachments_max: usize = 256, in 1 ..= 10_000, unit "attachments", cost "About 3 KiB each, and on QUIC about 70 bytes, even unused, for every link that has opened ten streams.";
        /// Streams of a link on their way to being an attachment; others wait.
        opening_max: usize = 16, in 1 ..= 1_024, unit "streams";
        /// Requests of a control stream that wait for the store; then it is not read.
        requests_max: usize = 16, in 1 ..= 1_024, unit "requests";
        /// How long such a request may take.
        request_ms: u64 = 15_000, in 100 ..= 120_000, unit "ms";
        /// What may wait to be written on a control stream.
        outbox_bytes_max: usize = 256 << 10, in 65_536 ..= 16_777_216, unit "bytes", cost "So much memory for each slow link.";
        /// A client that reads nothing for so long, while there is something for it, loses the stream.
        stuck_ms: u64 = 300_000, in 1_000 ..= 3_600_000, unit "ms";
        /// How long a link that is closed may take to let the last frame through.
        closing_ms: u64 = 2_000, in 10 ..= 60_000, unit "ms";
        /// Hints about channels without an attachment are sent at most so often.
        hint_ms: u64 = 1_000, in 10 ..= 60_000, unit "ms";
        /// Friends and partners one session is told of when they come and go.
        watched_max: usize = 5_000, in 0 ..= 100_000, unit "users", cost "About 100 bytes each.";
        /// How long somebody is shown as typing.
        typing_ms: u32 = 6_000, in 500 ..= 60_000, unit "ms";
        /// In channels with more members typing is not passed on.
        typing_members_max: u32 = 200, in 0 ..= 10_000, unit "users", cost "Each notice is told to each member.";
        /// How long a delivered mark may wait for others to go along with it.
        mark_delivered_ms: u64 = 1_000, in 0 ..= 60_000, unit "ms", cost "Shorter: more commits.";
        /// The same for a read mark.
        mark_read_ms: u64 = 100, in 0 ..= 60_000, unit "ms", cost "Shorter: more commits.";
        /// Channels of a session that may have marks waiting.
        marks_pending_max: usize = 256, in 1 ..= 100_000, unit "channels";
    }

    /// Hubs: the active channels of the node.
    hub Hub {
        /// Channels active at once.
        hubs_max: usize = 100_000, in 16 ..= 10_000_000, unit "channels", cost "About 1 KiB each, and its tail.";
        /// After so long without attachment or send a channel is no longer active.
        idle_ms: u64 = 60_000, in 100 ..= 3_600_000, unit "ms";
        /// Sends that may wait in one channel.
        queue_sends_max: usize = 4_096, in 1 ..= 1_000_000, unit "sends";
        /// Bytes of sends that may wait in one channel.
        queue_bytes_max: usize = 16 << 20, in 1_048_576 ..= 1_073_741_824, unit "bytes", cost "So much memory for each channel that is flooded.";
        /// Sends in one transaction.
        batch_sends_max: usize = 512, in 1 ..= 4_096, unit "sends";
        /// Bytes of sends in one transaction.
        batch_bytes_max: usize = 2 << 20, in 524_288 ..= 4_194_304, unit "bytes";
        /// How long a batch whose outcome is unknown is tried again.
        append_patience_ms: u64 = 10_000, in 0 ..= 120_000, unit "ms";
        /// The newest entries that an active channel holds in memory.
        tail_entries_max: usize = 1_024, in 1 ..= 100_000, unit "entries";
        /// Bytes of them.
        tail_bytes_max: usize = 256 << 10, in 4_096 ..= 67_108_864, unit "bytes", cost "So much memory for each busy channel.";
        /// Bytes of them in all channels together.
        tails_bytes_max: usize = 512 << 20, in 1_048_576 ..= 1_099_511_627_776, unit "bytes", cost "So much memory.";
        /// Readers that have fallen behind and read from the store at once; others wait their turn.
        catch_up_reads_max: usize = 64, in 1 ..= 10_000, unit "reads", cost "One page of 64 KiB each.";
        /// Members' positions are told at most so often in a channel.
        marks_ms: u64 = 500, in 0 ..= 60_000, unit "ms";
        /// Typing and position changes that a channel holds for slower attachments.
        news_max: usize = 64, in 1 ..= 10_000, unit "changes";
        /// Sends of an attachment that may be unanswered.
        in_flight_max: usize = 64, in 1 ..= 4_096, unit "sends";
    }

    /// Pushes to people whose app is closed, by Apple (`apns_…`), Google (`fcm_…`) and browsers (`vapid_…`). Without any of the three nothing is written for it. All nodes of a store need the same.
    push Push {
        /// Apple: the file with the key (`.p8`) that signs for the team.
        apns_key_file: Option<PathBuf> = None;
        /// Apple: that key itself, instead of the file.
        apns_key: Option<Secret> = None;
        /// Apple: the key's id.
        apns_key_id: Option<String> = None;
        /// Apple: the team's id.
        apns_team_id: Option<String> = None;
        /// Apple: the app's bundle id.
        apns_topic: Option<String> = None;
        /// Apple: whether tokens are of apps under development. A token that begins with `sandbox:` always is.
        apns_sandbox: bool = false;
        /// Apple: the address of production.
        apns_url: String = "https://api.push.apple.com".to_owned();
        /// Apple: the address of the sandbox.
        apns_sandbox_url: String = "https://api.sandbox.push.apple.com".to_owned();
        /// Google: the service account's JSON file.
        fcm_account_file: Option<PathBuf> = None;
        /// Google: its content, instead of the file.
        fcm_account: Option<Secret> = None;
        /// Google: the address.
        fcm_url: String = "https://fcm.googleapis.com".to_owned();
        /// Google: where access tokens come from. Empty: where the account says.
        fcm_token_url: Option<String> = None;
        /// Google: send only data, for apps that show notifications themselves.
        fcm_data_only: bool = false;
        /// Browsers: the file with the VAPID key, EC P-256, PKCS #8 in PEM. Its public half is in discovery.
        vapid_key_file: Option<PathBuf> = None;
        /// Browsers: that key itself, instead of the file.
        vapid_key: Option<Secret> = None;
        /// Browsers: whom a push service may write to, `mailto:` or `https:`.
        vapid_contact: Option<String> = None;
        /// Browsers: whether they are told to take away what was read elsewhere. Some show a notice of their own for a push that shows nothing.
        webpush_dismiss: bool = false;
        /// Browsers: addresses that may be pushed to though they are not public. For tests: clients name where they are pushed to.
        webpush_exempt: Vec<IpAddr> = Vec::new();
        /// A PEM file with root certificates to trust beside the machine's own.
        extra_roots_file: Option<PathBuf> = None;
        /// How long an online device has to read a message before others are told.
        wait_ms: u64 = 1_500, in 0 ..= 600_000, unit "ms";
        /// A connected device at which nobody has been for so long keeps nobody from being told.
        idle_ms: u64 = 120_000, in 0 ..= 86_400_000, unit "ms";
        /// When a connected device has not fetched a message, it is looked at again after so long: it may be gone. More than `session.dead_after_ms`.
        recheck_ms: u64 = 35_000, in 0 ..= 3_600_000, unit "ms";
        /// For how long a message is worth a push.
        useful_ms: u64 = 86_400_000, in 1_000 ..= 2_419_200_000, unit "ms";
        /// The pause before a push is tried again, doubled each time.
        retry_first_ms: u64 = 1_000, in 10 ..= 3_600_000, unit "ms";
        /// The longest such pause.
        retry_most_ms: u64 = 300_000, in 10 ..= 86_400_000, unit "ms";
        /// After so many failures in a row a provider is left alone.
        breaker_failures: u32 = 10, in 1 ..= 10_000, unit "failures";
        /// For so long, doubled each time it fails again.
        breaker_open_ms: u64 = 5_000, in 10 ..= 3_600_000, unit "ms";
        /// At most so long.
        breaker_open_most_ms: u64 = 120_000, in 10 ..= 86_400_000, unit "ms";
        /// How long a provider may take to answer.
        request_ms: u64 = 15_000, in 100 ..= 120_000, unit "ms";
        /// Connections to one provider.
        connections: usize = 2, in 1 ..= 64, unit "connections";
        /// Pushes under way on one of them. Large channels get half of it all.
        streams: usize = 200, in 1 ..= 10_000, unit "pushes";
        /// Members of a large channel that are looked at in one go.
        page_users: usize = 200, in 1 ..= 2_000, unit "users";
        /// A node that says nothing for so long loses its part of the outbox to others.
        lease_ms: u64 = 10_000, in 100 ..= 600_000, unit "ms", cost "One write in a fifth of that.";
        /// How long pushes that were given up are kept.
        dead_ms: u64 = 604_800_000, in 1_000 ..= 31_536_000_000, unit "ms";
        /// How many of them.
        dead_max: usize = 10_000, in 0 ..= 1_000_000, unit "pushes", cost "About 200 bytes each.";
    }

    /// How often. A rate is so many a second (`s`), minute (`min`) or hour (`h`), and so many at once after a rest. Who goes over gets `rate_limited` with the time to wait.
    rate Rates {
        /// Connects of a user.
        connects: Rate = Rate::new(30, 1.0);
        /// Sends of a user.
        sends: Rate = Rate::new(200, 50.0);
        /// Attaches of a user.
        attaches: Rate = Rate::new(512, 50.0);
        /// Typing notices of a user.
        typings: Rate = Rate::new(20, 4.0);
        /// Other requests of a user on a link: history, sync, presence, marks.
        queries: Rate = Rate::new(400, 50.0);
        /// HTTP calls of a user.
        http_user: Rate = Rate::new(400, 50.0);
        /// HTTP calls of an address.
        http_address: Rate = Rate::new(1_000, 200.0);
        /// Passwords tried from an address.
        login_address: Rate = Rate::new(30, 0.5);
        /// Passwords tried for a handle.
        login_handle: Rate = Rate::new(10, 0.1);
        /// Accounts made from an address.
        sign_up_address: Rate = Rate::new(20, 0.1);
        /// So many requests over the limit, without a rest of `forgiven_ms`, end the link.
        ignored_max: u32 = 500, in 1 ..= 1_000_000, unit "requests";
        /// After so long without a request over the limit the count begins anew.
        forgiven_ms: u64 = 10_000, in 100 ..= 3_600_000, unit "ms";
    }

    /// HTTP.
    http Http {
        /// Connections at once, beside WebSocket links.
        connections_max: usize = 10_000, in 1 ..= 1_000_000, unit "connections", cost "About 40 kB each.";
        /// Connections of one address at once.
        connections_per_address_max: usize = 200, in 1 ..= 1_000_000, unit "connections";
        /// How long a client may take to send a request's head.
        head_ms: u64 = 10_000, in 500 ..= 600_000, unit "ms";
        /// How long a client may stop in the middle of a body, or of reading an answer.
        stall_ms: u64 = 30_000, in 500 ..= 600_000, unit "ms";
        /// HTTP/2: requests at once on one connection.
        http2_streams_max: u32 = 64, in 1 ..= 1_000, unit "requests";
        /// The longest request body. A text of 100,000 characters can need 1.2 MB of JSON.
        body_bytes_max: usize = 2 << 20, in 65_536 ..= 67_108_864, unit "bytes", cost "So much memory for each request at work.";
        /// How long a request may take, long polls and exports apart.
        request_ms: u64 = 30_000, in 1_000 ..= 600_000, unit "ms";
        /// The longest wait of `/v1/sync`.
        sync_wait_ms: u64 = 60_000, in 0 ..= 60_000, unit "ms";
        /// How many `/v1/sync` may wait at once.
        sync_waiters_max: usize = 10_000, in 1 ..= 1_000_000, unit "requests", cost "About 20 kB each.";
        /// Whether `/metrics` is served on the public port too, not only over plain HTTP.
        metrics_public: bool = false;
    }

    /// Logs, on stderr.
    log Log {
        /// A level (error, warn, info, debug, trace), and others for parts: `info,quinn=debug`.
        level: String = "info,fjall=warn,lsm_tree=warn".to_owned(), cost "`debug` writes several lines for each link and request.";
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
        let identity = &self.identity;
        let keys = [identity.jwks_url.is_some(), identity.shared_key.is_some(), identity.shared_key_file.is_some()];
        match (identity.issuer.is_some(), keys.iter().filter(|given| **given).count()) {
            (true, 1) | (false, 0) => {}
            (true, _) => wrong("identity.issuer", "needs exactly one of jwks_url, shared_key, shared_key_file"),
            (false, _) => wrong("identity.issuer", "is missing; the keys are of no use without it"),
        }
        if identity.issuer.is_none() && !self.accounts.own {
            wrong("accounts.own", "is off, and there is no identity provider: nobody could log in");
        }
        if self.session.dead_after_ms <= self.session.heartbeat_ms {
            wrong("session.dead_after_ms", "must be more than session.heartbeat_ms");
        }
        let listen = &self.listen;
        if listen.port != 0 && listen.port == listen.http_port {
            wrong("listen.http_port", "is the same as listen.port; both are TCP ports");
        }
        if listen.port != 0 && listen.h3_port == Some(listen.port) {
            wrong("listen.h3_port", "is the same as listen.port, where UDP is QUIC and WebTransport");
        }
        let push = &self.push;
        let apns =
            [&push.apns_key_id, &push.apns_team_id, &push.apns_topic].iter().filter(|given| given.is_some()).count();
        let twice = |file: &Option<PathBuf>, secret: &Option<Secret>| file.is_some() && secret.is_some();
        if twice(&push.apns_key_file, &push.apns_key) {
            wrong("push.apns_key", "is given twice, with apns_key_file");
        }
        if twice(&push.fcm_account_file, &push.fcm_account) {
            wrong("push.fcm_account", "is given twice, with fcm_account_file");
        }
        if twice(&push.vapid_key_file, &push.vapid_key) {
            wrong("push.vapid_key", "is given twice, with vapid_key_file");
        }
        match (push.apns_key_file.is_some() || push.apns_key.is_some(), apns) {
            (true, 3) | (false, 0) => {}
            (true, _) => wrong("push.apns_key", "needs apns_key_id, apns_team_id and apns_topic too"),
            (false, _) => wrong("push.apns_key", "is missing"),
        }
        if (push.vapid_key_file.is_some() || push.vapid_key.is_some()) != push.vapid_contact.is_some() {
            wrong("push.vapid_contact", "goes together with the key");
        }
        if self.store.engine == EngineKind::FoundationDb && !cfg!(feature = "foundationdb") {
            wrong("store.engine", "this build has no FoundationDB: build it with --features foundationdb");
        }
        found
    }
}
