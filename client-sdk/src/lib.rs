//! The client of suda: an app that uses it never loses, doubles or reorders a message, however bad the network.
//!
#![cfg_attr(feature = "native", doc = "```no_run")]
#![cfg_attr(not(feature = "native"), doc = "```ignore")]
//! use suda_client::{Client, Error};
//!
//! # async fn run() -> Result<(), Error> {
//! let client = Client::builder("http://localhost:8080").connect().await?;
//! client.sign_up("kim", "correct horse battery").await?;
//! let notes = client.direct(client.user()).await?;
//! notes.send("Buy milk").await?;
//! let (mut timeline, mut shown) = (notes.timeline(), Vec::new());
//! while let Some(update) = timeline.next().await {
//!     update.apply(&mut shown);
//!     for item in &shown {
//!         println!("{:?} {}", item.delivery, item.text().unwrap_or("…"));
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # What to know
//!
//! - A [`Client`] is one device of one user. It connects in the background, by whichever transport works, notices within
//!   seconds when that does not work any more, and comes back where it was. An app needs to do nothing about it, and shows
//!   [`Client::status`] if it likes.
//! - A [`Channel`] is a channel that is looked at; its messages come live while there is a handle. [`Channel::timeline`]
//!   says what to show; [`Channel::entries`] is for programs that want each entry of the log once.
//! - [`Channel::send`] never fails for want of a network. What is sent is in the timeline at once, in an outbox until it is
//!   durable on the server, and arrives in the order it was sent. With a [folder](ClientBuilder::folder) the outbox
//!   survives the app.
//! - [`Error::retry`] says whether trying again can help.
//!
//! # What is where
//!
//! | module | idea |
//! |---|---|
//! | [`core`] | the client without I/O: bytes and the time in, effects and events out. Builds for wasm |
//! | [`backoff`] | when to try again |
//! | [`frames`] | frames out of bytes that come in pieces |
//! | [`schema`] | what is on the wire |
//!
//! Everything else is the feature `native`, which is on unless one says `default-features = false`: sockets, HTTP and
//! files, on tokio.

#![deny(missing_docs)]

pub mod backoff;
pub mod core;
pub mod frames;
#[cfg(feature = "native")]
mod native;

pub use suda_schema as schema;
pub use suda_schema::{ChannelId, ClientMsgId, DeviceId, ErrorCode, MediaId, Seq, UserId, WireError};

pub use crate::core::config::Config;
pub use crate::core::io::{Candidate, Event, Kind, Outcome, Status, Stopped};
pub use crate::core::storage::Storage;
pub use crate::core::timeline::{Delivery, Item, Update};
#[cfg(feature = "native")]
pub use native::{
    Account, Ack, Acknowledged, Audience, Channel, Client, ClientBuilder, Device, Devices, Draft, Entries, Error,
    Events, Export, FileStorage, Friends, Invitation, Listed, Login, Member, Network, NewDevice, Profile,
    ProfileChange, PushKind, QuietHours, Requested, Sending, Settings, SettingsChange, Timeline, User, Users,
};
