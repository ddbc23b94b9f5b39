//! The stand-in for the providers, in a process of its own, so that what it costs is not the sender's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use suda_server::chat::push::{PushKind, PushToken};
use suda_server::notifier::{ApnsConfig, Exempt, FcmConfig, Hidden, NotifierConfig, WebPushConfig};
use suda_tests::providers::{KEY_ID, Providers, TEAM, TOPIC};

/// What the other process says of itself.
#[derive(Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) root_pem: String,
    apns_key: String,
    fcm_account: String,
    vapid_key: String,
    subscription: String,
}

pub(crate) struct StandIn {
    pub(crate) facts: Facts,
    child: Child,
}

/// What the other process does: it stands in until its input ends.
pub(crate) fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let providers = Providers::start().await;
        providers.keep_none();
        let facts = Facts {
            url: providers.url(),
            root_pem: providers.root_pem().to_owned(),
            apns_key: providers.apns_key(),
            fcm_account: providers.fcm_account(),
            vapid_key: providers.vapid_key(),
            subscription: providers.subscribe("bench"),
        };
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&facts)?)?;
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
        Ok(())
    })
}

impl StandIn {
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("stand-in").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        Ok(Self { facts: serde_json::from_str(&line)?, child })
    }

    /// How a notifier is told to push to it.
    pub(crate) fn config(&self) -> NotifierConfig {
        let Facts { url, root_pem, apns_key, fcm_account, vapid_key, .. } = &self.facts;
        NotifierConfig {
            apns: Some(ApnsConfig {
                team_id: TEAM.to_owned(),
                key_id: KEY_ID.to_owned(),
                key: Hidden(apns_key.clone()),
                topic: TOPIC.to_owned(),
                production_url: url.clone(),
                sandbox_url: url.clone(),
                sandbox: false,
            }),
            fcm: Some(FcmConfig {
                account: Hidden(fcm_account.clone()),
                url: url.clone(),
                token_url: None,
                data_only: false,
            }),
            webpush: Some(WebPushConfig {
                key: Hidden(vapid_key.clone()),
                contact: "mailto:push@suda.example".to_owned(),
                exempt: Exempt(vec![[127, 0, 0, 1].into()]),
                dismiss: false,
            }),
            extra_roots: Some(root_pem.clone()),
            wait_ms: 0,
            ..NotifierConfig::default()
        }
    }

    /// An address of this kind.
    pub(crate) fn token(&self, kind: PushKind) -> PushToken {
        let token = match kind {
            PushKind::Apns => format!("{:064x}", 7),
            PushKind::Fcm => "google".to_owned(),
            PushKind::Webpush => self.facts.subscription.clone(),
        };
        PushToken { kind, token, registered_at_ms: 0 }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
