//! One's own account: settings, password, export, and its end.

use std::collections::VecDeque;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::error::Error;
use super::types::{Login, Settings, SettingsChange};
use crate::core::io::Status;

/// The longest line of an export.
const LINE_BYTES_MAX: usize = 4 << 20;

/// One's own account, from [`Client::account`].
///
/// ```no_run
/// # async fn run(client: suda_client::Client) -> Result<(), suda_client::Error> {
/// use suda_client::{Audience, SettingsChange};
///
/// let account = client.account();
/// account.change_settings(&SettingsChange { direct_from: Some(Audience::Friends), ..Default::default() }).await?;
/// let mut export = account.export().await?;
/// while let Some(part) = export.next().await? {
///     println!("{part}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Account {
    client: Client,
}

impl Account {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The settings.
    pub async fn settings(&self) -> Result<Settings, Error> {
        self.client.shared().api.ask(Method::GET, "me/settings").await
    }

    /// Changes settings; how they are then.
    pub async fn change_settings(&self, change: &SettingsChange) -> Result<Settings, Error> {
        self.client.shared().api.put(Method::PATCH, "me/settings", change).await
    }

    /// Changes the password. All other devices are logged out; this one gets new tokens and connects anew. It is done even
    /// if nobody waits for it any more.
    pub async fn change_password(&self, old: &str, new: &str) -> Result<(), Error> {
        let body = json!({ "old": old, "new": new });
        let client = self.client.clone();
        let changing = tokio::spawn(async move {
            // The node ends links of the tokens before: this one is to end before that, lest it be taken for a logout.
            let was_stopped = matches!(client.status(), Status::Stopped(_));
            client.disconnect();
            // Once: if its answer is lost, the same again finds another password than the old one.
            let answer = client.shared().api.once::<Login>(Method::PUT, "account/password", Some(&body)).await;
            let done = answer.map(|login| client.renewed(login));
            if !was_stopped {
                client.reconnect();
            }
            done
        });
        changing.await.map_err(|error| Error::System(error.to_string()))?
    }

    /// Everything that the server has of one, bit by bit: see [`Export::next`].
    pub async fn export(&self) -> Result<Export, Error> {
        let answer = self.client.shared().api.open("account/export").await?;
        Ok(Export { answer, rest: Vec::new(), ready: VecDeque::new(), is_complete: false })
    }

    /// Deletes the account, at once and for good: on all devices it is over, and the text of one's messages is erased.
    /// Accounts of an identity provider have no password.
    pub async fn delete(&self, password: Option<&str>) -> Result<(), Error> {
        let body = json!({ "password": password });
        let api = &self.client.shared().api;
        api.once::<()>(Method::DELETE, "account", Some(&body)).await?;
        self.client.forget();
        Ok(())
    }
}

/// An export under way, from [`Account::export`]. It is read as it comes: neither side holds it whole.
#[derive(Debug)]
pub struct Export {
    answer: reqwest::Response,
    rest: Vec<u8>,
    ready: VecDeque<Value>,
    is_complete: bool,
}

impl Export {
    /// The next part, a JSON object with a `kind`: the account, devices, lists of others, channels, one's own messages.
    /// `None` after the last. One that breaks off ends with an error, never with `None`.
    pub async fn next(&mut self) -> Result<Option<Value>, Error> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Ok(Some(part));
            }
            if self.is_complete {
                return Ok(None);
            }
            let chunk = self.answer.chunk().await.map_err(|error| Error::Unreachable(error.to_string()))?;
            let Some(chunk) = chunk else { return Err(Error::Unreachable("the export broke off".to_owned())) };
            self.read(&chunk)?;
        }
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.rest.extend_from_slice(chunk);
        let Some(last) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return match self.rest.len() > LINE_BYTES_MAX {
                true => Err(Error::BadAnswer("a line of the export is too long".to_owned())),
                false => Ok(()),
            };
        };
        let rest = self.rest.split_off(last + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let part: Value = serde_json::from_slice(line).map_err(|error| Error::BadAnswer(error.to_string()))?;
            if part.get("kind").and_then(Value::as_str) == Some("end") {
                self.is_complete = true;
            } else {
                self.ready.push_back(part);
            }
        }
        Ok(())
    }
}
