//! Specimens of every frame and every embedded enum: for golden bytes, fuzz seeds, the documentation, and the tests
//! of clients in other languages. A test keeps that no kind lacks one.

mod channel;
mod control;
mod entry;
mod event;

use crate::{AppendOnly, ChannelId, ClientMsgId, DeviceId, Seq, UserId, WireError};

/// An enum of the wire with a specimen of each kind at least.
pub trait Samples: AppendOnly {
    /// The enum's name in `golden/`.
    const NAME: &'static str;

    /// Specimens, each with a name of its own: the kind's, or the kind's, a dot, and what is special about it.
    fn samples() -> Vec<(&'static str, Self)>;
}

/// Milliseconds since the Unix epoch at which everything in the specimens happens.
pub const AT_MS: u64 = 1_767_312_000_123;
/// The user who speaks in the specimens.
pub const ALICE: UserId = UserId(362_387_865_600_001);
/// The user who is spoken to.
pub const BOB: UserId = UserId(362_387_865_600_002);
/// Their channel.
pub const CHANNEL: ChannelId = ChannelId(362_387_869_794_304);
/// Alice's device.
pub const DEVICE: DeviceId = DeviceId(362_387_869_794_305);
/// The id of what Alice sends.
pub const CLIENT_MSG_ID: ClientMsgId =
    ClientMsgId(*b"\x67\xe5\x50\x44\x10\xb1\x42\x6f\x92\x47\xbb\x68\x0e\x5f\xe0\xc8");

fn error() -> WireError {
    WireError::new(crate::ErrorCode::RATE_LIMITED, "more than 20 sends in a second").retry_after(1_500)
}

const SEQ: Seq = Seq(1_042);
