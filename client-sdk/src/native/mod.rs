//! The SDK for native apps: the core over real links, on tokio.

mod account;
mod channel;
mod client;
mod driver;
mod error;
mod events;
mod file;
mod http;
mod link;
mod network;
mod nodes;
mod people;
mod quic;
mod tls;
mod types;
mod wakers;
mod websocket;
mod webtransport;

pub use account::{Account, Export};
pub use channel::{Ack, Acknowledged, Channel, Draft, Entries, Sending, Timeline};
pub use client::{Client, ClientBuilder};
pub use error::Error;
pub use events::Events;
pub use file::FileStorage;
pub use network::Network;
pub use people::{Devices, Friends, Users};
pub use types::{
    Audience, Device, Invitation, Listed, Login, Member, NewDevice, Profile, ProfileChange, PushKind, QuietHours,
    Requested, Settings, SettingsChange, User,
};
