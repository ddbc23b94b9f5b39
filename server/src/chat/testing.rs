//! A chat in memory, with a clock that stands still and a bell that remembers.

use std::sync::{Arc, Mutex, PoisonError};

use proptest::test_runner::Config as ProptestConfig;
use suda_schema::UserId;

use super::accounts::SignUp;
use super::auth::{AuthConfig, Login, PasswordConfig};
use super::devices::{NewDevice, Platform};
use super::{Bell, Chat, ChatConfig, Topic};
use crate::clock::Clock;
use crate::store::{Faults, Store};

/// When the tests' clock stands still.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// A bell that remembers what was rung.
#[derive(Clone, Default)]
pub(crate) struct Rung(Arc<Mutex<Vec<Topic>>>);

impl Rung {
    /// What was rung since this was last asked, sorted, each once.
    pub(crate) fn take(&self) -> Vec<Topic> {
        let mut topics = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        topics.sort();
        topics.dedup();
        topics
    }
}

impl Bell for Rung {
    fn ring(&self, topic: Topic) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(topic);
    }
}

/// How many cases a property has. `PROPTEST_CASES` changes it in proportion to its own default.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: (usual * default.cases / 256).max(1), ..default }
}

/// The default configuration, with passwords that cost nothing.
pub(crate) fn config() -> ChatConfig {
    let passwords = PasswordConfig { memory_kib: 8, passes: 1, ..PasswordConfig::default() };
    ChatConfig { auth: AuthConfig { passwords, ..AuthConfig::default() }, ..ChatConfig::default() }
}

/// A chat over a fresh store in memory, and its bell.
pub(crate) fn chat() -> (Chat, Rung) {
    over(Store::memory(), config())
}

/// The same over a store that fails on purpose.
pub(crate) fn faulty_chat(faults: Faults) -> (Chat, Rung) {
    faulty_chat_with(faults, config())
}

/// The same, configured so.
pub(crate) fn faulty_chat_with(faults: Faults, config: ChatConfig) -> (Chat, Rung) {
    over(Store::memory_with(faults), config)
}

/// A chat over this store, configured so.
pub(crate) fn over(store: Store, config: ChatConfig) -> (Chat, Rung) {
    on_node(store, 1, config)
}

/// The same on the node of this number: each node draws other random numbers.
pub(crate) fn on_node(store: Store, node: u16, config: ChatConfig) -> (Chat, Rung) {
    let rung = Rung::default();
    let clock = Clock::manual(NOW_MS, node.into());
    (Chat::new(store, clock, node, Arc::new(rung.clone()), config).unwrap(), rung)
}

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse";

/// A device of no special kind.
pub(crate) fn phone() -> NewDevice {
    NewDevice { name: "phone".to_owned(), platform: Platform::Ios }
}

/// A request for an account with this handle and everybody's password.
pub(crate) fn wish(handle: &str) -> SignUp {
    SignUp { handle: handle.to_owned(), display_name: String::new(), password: PASSWORD.to_owned(), device: phone() }
}

/// A new account, logged in.
pub(crate) async fn sign_up(chat: &Chat, handle: &str) -> Login {
    chat.sign_up(&wish(handle)).await.unwrap()
}

/// So many new accounts.
pub(crate) async fn users<const N: usize>(chat: &Chat) -> [UserId; N] {
    let mut users = [UserId(0); N];
    for (number, user) in users.iter_mut().enumerate() {
        *user = sign_up(chat, &format!("user_{number}")).await.user;
    }
    users
}
