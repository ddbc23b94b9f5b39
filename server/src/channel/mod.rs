//! One hub per active channel: it batches appends, holds the hot tail and wakes attachments.
//!
//! The way of a message: an attachment (or the HTTP API) hands a send to the hub's bounded queue; the hub's task takes
//! all that wait and appends them in one transaction, while the next batch collects; after the commit the entries are
//! encoded once into a frame in the tail, the senders are answered, and the attachments are woken. Each of them is a
//! cursor: it takes the shared frame that follows its cursor, and writes it when its stream has room.
//!
//! | file | idea |
//! |---|---|
//! | [`hubs`] | all active channels: made on demand, dropped when nobody uses them |
//! | [`hub`] | one channel: queue, tail, listeners |
//! | [`worker`] | the task that appends and reads what others appended; it runs only while there is something to do |
//! | [`hot`] | who appends, where several nodes write to the channel |
//! | [`tail`], [`batch`] | the newest entries as shared frames, bounded |
//! | [`attachment`], [`slot`] | a cursor, and what waits for one listener |
//! | [`news`], [`positions`] | what is not in the log: typing, members' positions |
//!
//! What must hold:
//!
//! - Nothing is acknowledged before the store has it. An unknown outcome is run again by the sends' own ids.
//! - There is no queue of entries per listener. Who is behind the tail reads the store, one page at a time.
//! - A cursor only ever moves to the entry after it: whatever the tail forgets or skips, no reader sees a gap or a double.
//! - The tail never holds a text that has been deleted: rows that an entry changed are read again, or forgotten, before
//!   that entry is given out.
//! - An entry that removes a member ends their attachments before it, or anything after it, is given to them.

mod attachment;
mod batch;
mod config;
mod hot;
mod hub;
mod hubs;
mod log;
mod metrics;
mod news;
mod positions;
mod slot;
mod tail;
#[cfg(test)]
mod tests;
mod worker;

pub use attachment::{Attachment, AttachmentHandle, Out};
pub use config::HubConfig;
pub use hubs::Hubs;
pub use metrics::HubMetrics;
pub use news::News;
pub use slot::{Ended, SendResult};
