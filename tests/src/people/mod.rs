//! People on a node: their accounts and channels over HTTP, their devices over links.

#![expect(clippy::panic, reason = "helpers of tests: where something is not as it must be, the test is over")]

mod device;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use suda_schema::{ChannelId, ClientMsgId, DeviceId, UserId};

use crate::node::NodeProcess;

pub use device::{Device, Hi, View, hello, message, text_of};

/// Everybody's.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody, logged in on one device.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// Their handle.
    pub handle: String,
    /// On which device.
    pub device: DeviceId,
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

/// An id that nobody has had before.
#[must_use]
pub fn new_id() -> ClientMsgId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    let mut id = [0; 16];
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    id[..8].copy_from_slice(&PROCESS.to_be_bytes());
    id[8..].copy_from_slice(&next.to_be_bytes());
    // Version 4, as others make them.
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    ClientMsgId(id)
}

impl Person {
    fn from(handle: &str, login: &Value) -> Self {
        let text = |field: &str| login[field].as_str().unwrap_or_else(|| panic!("{field} in {login}")).to_owned();
        Self {
            user: text("user").parse().expect("an id"),
            handle: handle.to_owned(),
            device: text("device").parse().expect("an id"),
            access: text("access"),
            refresh: text("refresh"),
        }
    }

    /// The same person with what a refresh or a change of the password has given this device.
    #[must_use]
    pub fn with(&self, login: &Value) -> Self {
        Self::from(&self.handle, login)
    }
}

impl NodeProcess {
    /// A new account.
    pub async fn sign_up(&self, handle: &str) -> Person {
        let body = json!({ "handle": handle, "password": PASSWORD, "device": { "name": "first" } });
        Person::from(handle, &self.call("POST", "/v1/accounts", None, Some(&body)).await.expect(201))
    }

    /// Many new accounts, whose handles begin like this.
    pub async fn sign_up_all(&self, handle: &str, count: usize) -> Vec<Person> {
        let mut people = Vec::with_capacity(count);
        let handles: Vec<String> = (0..count).map(|number| format!("{handle}{number}")).collect();
        for some in handles.chunks(32) {
            people.extend(futures_util::future::join_all(some.iter().map(|handle| self.sign_up(handle))).await);
        }
        people
    }

    /// Another device of somebody's.
    pub async fn log_in(&self, person: &Person) -> Person {
        let body = json!({ "handle": person.handle, "password": PASSWORD, "device": { "name": "another" } });
        Person::from(&person.handle, &self.call("POST", "/v1/login", None, Some(&body)).await.expect(200))
    }

    /// A call that somebody makes, and that must be answered with this status.
    pub async fn ask(&self, who: &Person, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        self.call(method, path, Some(&who.access), body.as_ref()).await.expect(status)
    }

    /// The direct channel of two.
    pub async fn direct(&self, one: &Person, other: &Person) -> ChannelId {
        channel(&self.ask(one, "PUT", &format!("/v1/direct/{}", other.user), None, 200).await)
    }

    /// A group.
    pub async fn group(&self, owner: &Person, title: &str, members: &[&Person]) -> ChannelId {
        self.make_channel("group", owner, title, members).await
    }

    /// A broadcast channel.
    pub async fn broadcast(&self, owner: &Person, title: &str, members: &[&Person]) -> ChannelId {
        self.make_channel("broadcast", owner, title, members).await
    }

    async fn make_channel(&self, kind: &str, owner: &Person, title: &str, members: &[&Person]) -> ChannelId {
        let members: Vec<String> = members.iter().map(|member| member.user.to_string()).collect();
        let body = json!({ "kind": kind, "title": title, "members": members });
        channel(&self.ask(owner, "POST", "/v1/channels", Some(body), 201).await)
    }
}

fn channel(summary: &Value) -> ChannelId {
    summary["channel"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("a channel in {summary}"))
}
