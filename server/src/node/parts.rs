//! From the operator's settings to what each part of the node is given.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Ready;
use crate::api::{self, ApiConfig, ApiRates};
use crate::channel::HubConfig;
use crate::chat::auth::jwks::JwksConfig;
use crate::chat::auth::{ExternalConfig, ExternalKey, PasswordConfig};
use crate::chat::{AuthConfig, ChatConfig, ChatLimits};
use crate::cluster::{Address, ClusterConfig};
use crate::config::{self, Secret, Settings};
use crate::link::{LinkConfig, QuicConfig, STREAMS_BESIDE_ATTACHMENTS, TcpConfig};
use crate::notifier::{ApnsConfig, Backoff, BreakerConfig, Exempt, FcmConfig, Hidden, NotifierConfig, WebPushConfig};
use crate::session::SessionConfig;
use crate::tls::TlsConfig;

/// The certificate's.
#[must_use]
pub fn tls(settings: &Settings) -> TlsConfig {
    let tls = &settings.tls;
    TlsConfig {
        cert: tls.certificate_file.clone(),
        key: tls.key_file.clone(),
        names: tls.names.iter().chain(&settings.node.public_host).cloned().collect(),
        check_every_ms: tls.check_ms,
    }
}

/// The links'.
#[must_use]
pub(super) fn link(settings: &Settings) -> LinkConfig {
    let Settings { listen, link, session, http, .. } = settings;
    let ms = Duration::from_millis;
    let attachments_max = u32::try_from(session.attachments_max).unwrap_or(u32::MAX);
    LinkConfig {
        listen: SocketAddr::new(listen.host, listen.port),
        http_listen: Some(SocketAddr::new(listen.http_host, listen.http_port)),
        trusted_proxies: listen.trusted_proxies.clone(),
        origins: listen.origins.clone(),
        links_max: link.links_max,
        links_per_address_max: link.links_per_address_max,
        handshakes_max: link.handshakes_max,
        retry_from_handshakes: link.retry_from_handshakes,
        handshake_timeout: ms(link.handshake_ms),
        streams_max: attachments_max.saturating_add(STREAMS_BESIDE_ATTACHMENTS),
        idle_timeout: ms(session.dead_after_ms.into()),
        keep_alive: ms(link.keep_alive_ms),
        quic: QuicConfig {
            uni_streams_max: link.uni_streams_max,
            stream_window_bytes: link.stream_window_bytes,
            receive_window_bytes: link.receive_window_bytes,
            send_window_bytes: link.send_window_bytes,
            datagram_buffer_bytes: link.datagram_buffer_bytes,
            initial_rtt: ms(link.initial_rtt_ms),
            mtu_discovery: link.mtu_discovery,
            ack_every_packets: link.ack_every_packets,
            socket_buffer_bytes: link.udp_buffer_bytes,
        },
        tcp: TcpConfig {
            connections_max: http.connections_max,
            connections_per_address_max: http.connections_per_address_max,
            header_timeout: ms(http.head_ms),
            stall_timeout: ms(http.stall_ms),
            http2_streams_max: http.http2_streams_max,
            ws_stream_out_bytes: link.ws_stream_out_bytes,
            ws_out_bytes: link.ws_out_bytes,
            ws_in_bytes: link.ws_in_bytes,
            ws_unsent_bytes: link.ws_unsent_bytes,
            ws_close_timeout: ms(link.ws_close_ms),
        },
    }
}

/// The sessions'.
#[must_use]
pub(super) fn session(settings: &Settings) -> SessionConfig {
    let Settings { session, rate, link, .. } = settings;
    SessionConfig {
        hello_within_ms: session.hello_ms,
        heartbeat_ms: session.heartbeat_ms,
        dead_after_ms: session.dead_after_ms,
        token_warning_ms: session.token_warning_ms,
        links_max: link.links_max,
        links_per_user_max: session.links_per_user_max,
        attachments_max: session.attachments_max,
        opening_max: session.opening_max,
        requests_max: session.requests_max,
        request_within_ms: session.request_ms,
        outbox_bytes_max: session.outbox_bytes_max,
        stuck_ms: session.stuck_ms,
        closing_ms: session.closing_ms,
        hint_interval_ms: session.hint_ms,
        watched_max: session.watched_max,
        typing_ms: session.typing_ms,
        typing_members_max: session.typing_members_max,
        mark_delivered_ms: session.mark_delivered_ms,
        mark_read_ms: session.mark_read_ms,
        marks_pending_max: session.marks_pending_max,
        presence_grace_ms: session.presence_grace_ms,
        connects: rate.connects,
        sends: rate.sends,
        attaches: rate.attaches,
        typings: rate.typings,
        queries: rate.queries,
        rate_ignored_max: rate.ignored_max,
        rate_forgiven_ms: rate.forgiven_ms,
    }
}

/// Where the node is reached.
#[must_use]
pub(super) fn address(settings: &Settings, ready: &Ready) -> Address {
    Address {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        region: settings.node.region.clone(),
        host: settings.node.public_host.clone(),
        port: settings.node.public_port.unwrap_or(ready.addr.port()),
        http_port: ready.http.map(|addr| addr.port()),
        http3_port: ready.http3.map(|addr| addr.port()),
        links_max: u32::try_from(settings.link.links_max).unwrap_or(u32::MAX),
    }
}

/// The cluster's.
pub(super) fn cluster(settings: &Settings) -> anyhow::Result<ClusterConfig> {
    let Settings { cluster, session, .. } = settings;
    if cluster.dead_after_ms < cluster.beat_ms.saturating_mul(4) {
        bail!("cluster.dead_after_ms: at least four times cluster.beat_ms, so that one late sign of life is no death");
    }
    Ok(ClusterConfig {
        beat: Duration::from_millis(cluster.beat_ms),
        dead_after: Duration::from_millis(cluster.dead_after_ms),
        presence_grace: Duration::from_millis(session.presence_grace_ms),
        interest_idle: Duration::from_millis(cluster.interest_idle_ms),
        passing_interval: Duration::from_millis(cluster.typing_ms),
    })
}

/// The hubs'.
#[must_use]
pub(super) fn hub(settings: &Settings) -> HubConfig {
    let hub = &settings.hub;
    HubConfig {
        hubs_max: hub.hubs_max,
        idle_ms: hub.idle_ms,
        queue_sends_max: hub.queue_sends_max,
        queue_bytes_max: hub.queue_bytes_max,
        batch_sends_max: hub.batch_sends_max,
        batch_bytes_max: hub.batch_bytes_max,
        append_patience_ms: hub.append_patience_ms,
        tail_entries_max: hub.tail_entries_max,
        tail_bytes_max: hub.tail_bytes_max,
        tails_bytes_max: hub.tails_bytes_max,
        catch_up_reads_max: hub.catch_up_reads_max,
        marks_interval_ms: hub.marks_ms,
        news_max: hub.news_max,
        in_flight_max: hub.in_flight_max,
    }
}

/// Chat's. Reads the file with the provider's key, if there is one.
pub(super) fn chat(settings: &Settings) -> anyhow::Result<ChatConfig> {
    let Settings { accounts, limits, .. } = settings;
    let passwords = PasswordConfig {
        memory_kib: accounts.hash_memory_kib,
        passes: accounts.hash_passes,
        waiting_max: accounts.hashes_waiting_max,
        wait_ms_max: accounts.hash_wait_ms,
        ..PasswordConfig::default()
    };
    let running_max = accounts.hashes_at_once.unwrap_or(passwords.running_max);
    Ok(ChatConfig {
        limits: ChatLimits {
            group_members_max: limits.group_members_max,
            broadcast_members_max: limits.broadcast_members_max,
            channels_per_user_max: limits.channels_per_user_max,
            marks_members_max: limits.marks_members_max,
            devices_per_user_max: limits.devices_per_user_max,
            push_tokens_per_device_max: limits.push_tokens_per_device_max,
            friends_max: limits.friends_max,
            friend_requests_max: limits.friend_requests_max,
            blocks_max: limits.blocks_max,
            presence_watched_max: limits.presence_watched_max,
            push_outbox: notifier(settings)?.is_on(),
        },
        auth: AuthConfig {
            own_accounts: accounts.own,
            open_sign_up: accounts.sign_up == config::SignUp::Open,
            passwords: PasswordConfig { running_max, ..passwords },
            access_ms: accounts.access_token_ms,
            refresh_ms: accounts.refresh_token_ms,
            refresh_grace_ms: accounts.refresh_grace_ms,
            external: external(settings)?,
        },
    })
}

/// The notifier's. Reads the files with the providers' keys.
pub(super) fn notifier(settings: &Settings) -> anyhow::Result<NotifierConfig> {
    let push = &settings.push;
    let apns_key = secret("push.apns_key_file", push.apns_key_file.as_deref(), push.apns_key.as_ref())?;
    let apns = apns_key.map(|key| ApnsConfig {
        team_id: push.apns_team_id.clone().unwrap_or_default(),
        key_id: push.apns_key_id.clone().unwrap_or_default(),
        key,
        topic: push.apns_topic.clone().unwrap_or_default(),
        production_url: push.apns_url.clone(),
        sandbox_url: push.apns_sandbox_url.clone(),
        sandbox: push.apns_sandbox,
    });
    let account = secret("push.fcm_account_file", push.fcm_account_file.as_deref(), push.fcm_account.as_ref())?;
    let fcm = account.map(|account| FcmConfig {
        account,
        url: push.fcm_url.clone(),
        token_url: push.fcm_token_url.clone(),
        data_only: push.fcm_data_only,
    });
    let vapid_key = secret("push.vapid_key_file", push.vapid_key_file.as_deref(), push.vapid_key.as_ref())?;
    let webpush = vapid_key.map(|key| WebPushConfig {
        key,
        contact: push.vapid_contact.clone().unwrap_or_default(),
        exempt: Exempt(push.webpush_exempt.clone()),
        dismiss: push.webpush_dismiss,
    });
    let roots = secret("push.extra_roots_file", push.extra_roots_file.as_deref(), None)?;
    Ok(NotifierConfig {
        apns,
        fcm,
        webpush,
        extra_roots: roots.map(|Hidden(roots)| roots),
        wait_ms: push.wait_ms,
        idle_ms: push.idle_ms,
        recheck_ms: push.recheck_ms,
        useful_ms: push.useful_ms,
        backoff: Backoff { first_ms: push.retry_first_ms, most_ms: push.retry_most_ms },
        breaker: BreakerConfig {
            failures: push.breaker_failures,
            open_ms: push.breaker_open_ms,
            open_ms_max: push.breaker_open_most_ms,
        },
        request_ms: push.request_ms,
        connections: push.connections,
        streams: push.streams,
        page_users: push.page_users,
        lease_ms: push.lease_ms,
        dead_ms: push.dead_ms,
        dead_max: push.dead_max,
    })
}

/// What a file holds, or the setting itself.
fn secret(name: &str, file: Option<&Path>, value: Option<&Secret>) -> anyhow::Result<Option<Hidden>> {
    match (file, value) {
        (Some(path), _) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("{name}: can't read {}", path.display()))?;
            Ok(Some(Hidden(text)))
        }
        (None, Some(Secret(text))) => Ok(Some(Hidden(text.clone()))),
        (None, None) => Ok(None),
    }
}

fn external(settings: &Settings) -> anyhow::Result<Option<ExternalConfig>> {
    let identity = &settings.identity;
    let Some(issuer) = identity.issuer.clone() else { return Ok(None) };
    let key = match (&identity.jwks_url, &identity.shared_key, &identity.shared_key_file) {
        (Some(url), None, None) => {
            ExternalKey::Jwks(JwksConfig { refresh_ms: identity.jwks_refresh_ms, ..JwksConfig::new(url.clone()) })
        }
        (None, Some(Secret(key)), None) => ExternalKey::Shared(key.clone().into_bytes()),
        (None, None, Some(path)) => {
            let key = std::fs::read_to_string(path)
                .with_context(|| format!("identity.shared_key_file: can't read {}", path.display()))?;
            ExternalKey::Shared(key.trim().to_owned().into_bytes())
        }
        // The settings have been checked for it.
        _ => bail!("identity: give exactly one of jwks_url, shared_key, shared_key_file"),
    };
    Ok(Some(ExternalConfig {
        audiences: identity.audiences.clone(),
        device_claim: identity.device_claim.clone(),
        handle_claim: identity.handle_claim.clone(),
        name_claim: identity.name_claim.clone(),
        leeway_ms: identity.leeway_ms,
        ..ExternalConfig::new(issuer, key)
    }))
}

/// The HTTP API's.
#[must_use]
pub(super) fn api(settings: &Settings) -> ApiConfig {
    let Settings { listen, http, rate, node, .. } = settings;
    ApiConfig {
        body_bytes_max: http.body_bytes_max,
        request_ms_max: http.request_ms,
        cors_origins: listen.origins.clone(),
        metrics_public: http.metrics_public,
        rates: ApiRates {
            address: rate.http_address,
            user: rate.http_user,
            send: rate.sends,
            login_address: rate.login_address,
            login_handle: rate.login_handle,
            sign_up_address: rate.sign_up_address,
        },
        sync_wait_ms_max: http.sync_wait_ms,
        sync_waiters_max: http.sync_waiters_max,
        web: node.web.clone(),
    }
}

/// Who may make an account, as discovery says it.
#[must_use]
pub(super) fn sign_up(settings: &Settings) -> api::SignUp {
    match (settings.accounts.own, settings.accounts.sign_up) {
        (false, _) => api::SignUp::External,
        (true, config::SignUp::Open) => api::SignUp::Open,
        (true, config::SignUp::Closed) => api::SignUp::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the settings declare and what the parts take for themselves in tests is the same, so that the parts' own
    /// documentation is true of a node that nobody has configured.
    #[test]
    fn the_parts_defaults_are_the_settings_defaults() {
        let settings = Settings::default();
        assert_eq!(link(&settings), LinkConfig::default());
        assert_eq!(hub(&settings), HubConfig::default());
        assert_eq!(cluster(&settings).unwrap(), ClusterConfig::default());
        assert_eq!(tls(&settings), TlsConfig::default());
        assert_eq!(chat(&settings).unwrap(), ChatConfig::default());
        assert_eq!(api(&settings).rates, ApiRates::default());
        assert_eq!(session(&settings), SessionConfig::default());
        assert_eq!(notifier(&settings).unwrap(), NotifierConfig::default());
    }

    #[test]
    fn a_provider_has_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        let mut settings = Settings::default();
        settings.identity.issuer = Some("https://id.example".to_owned());
        assert!(chat(&settings).is_err());
        settings.identity.shared_key_file = Some(file);
        let key = chat(&settings).unwrap().auth.external.unwrap().key;
        assert!(key == ExternalKey::Shared(b"0123456789abcdef0123456789abcdef".to_vec()));
        settings.identity.shared_key_file = Some(folder.path().join("nothing"));
        let error = chat(&settings).unwrap_err();
        assert!(format!("{error:#}").contains("shared_key_file"), "{error:#}");
    }
}
