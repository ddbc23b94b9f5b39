//! The whole key layout, in this one file.
//!
//! Keys are tuples (see [`tuple`](super::tuple)) that begin with the name of their table, so that `fdbcli` shows
//! `\x02member\x00\x15\x07\x15\x09` for user 9 in channel 7. One function makes each key, one each range that is
//! read. What a value holds is said by whoever writes it.
//!
//! | table | key after its name | value | written by |
//! |---|---|---|---|
//! | `meta` | name | what holds for the whole store, such as its layout version | store |
//! | `user` | user | the account | accounts |
//! | `handle` | handle, in its comparable form | user | accounts |
//! | `device` | user, device | the device | devices |
//! | `refresh` | hash of the refresh token | its family | auth |
//! | `family` | user, device, family | the refresh family | auth |
//! | `settings` | user | profile and settings | settings |
//! | `presence` | user | last transition | presence |
//! | `friend` | user, other user | state of the friendship, as seen by the first | friends |
//! | `block` | user, blocked user | since when | friends |
//! | `uhead` | user | head of the user's own log | user log |
//! | `ulog` | user, seq | entry of the user's own log | user log |
//! | `channel` | channel | what the channel is: kind, title, … | channels |
//! | `direct` | lower user, higher user | their direct channel | channels |
//! | `head` | channel | head of the channel's log and its counters | append |
//! | `log` | channel, seq | entry of the channel's log (big) | append |
//! | `edits` | channel, message's seq, edit's seq | nothing: the edits of a message | append |
//! | `react` | channel, message's seq, emoji, user | when: who reacted how | append |
//! | `thread` | channel, first message's seq, seq | nothing: the messages of a thread | append |
//! | `retry` | channel, user, client_msg_id | seq and time of the entry it made | append |
//! | `own` | channel, user, seq | how many messages of their own up to here | append |
//! | `member` | channel, user | role and since when | members |
//! | `banned` | channel, user | since when and by whom | members |
//! | `joined` | user, channel | the channel in the user's list: mute, … | members |
//! | `mark` | channel, user | delivered and read positions | marks |
//! | `cursor` | user, device, channel | delivered position of one device | marks |
//! | `push` | shard, versionstamp | a message that offline people must be told of | push outbox |
//! | `node` | node number | the node's lease | cluster |
//! | `media` | media | a stored picture or file | media |

use suda_schema::{ChannelId, ClientMsgId, DeviceId, MediaId, Seq, UserId};

use super::Range;
use super::tuple::Pack;

fn table(name: &str) -> Pack {
    Pack::new().text(name)
}

/// What holds for the whole store, by name.
#[must_use]
pub fn meta(name: &str) -> Vec<u8> {
    table("meta").text(name).done()
}

/// An account.
#[must_use]
pub fn user(user: UserId) -> Vec<u8> {
    table("user").uint(user.0).done()
}

/// All accounts.
#[must_use]
pub fn users() -> Range {
    Range::children(table("user").done())
}

/// Who has a handle. `comparable` is the form in which handles are told apart.
#[must_use]
pub fn handle(comparable: &str) -> Vec<u8> {
    table("handle").text(comparable).done()
}

/// A device of a user.
#[must_use]
pub fn device(user: UserId, device: DeviceId) -> Vec<u8> {
    table("device").uint(user.0).uint(device.0).done()
}

/// All devices of a user.
#[must_use]
pub fn devices(user: UserId) -> Range {
    Range::children(table("device").uint(user.0).done())
}

/// A refresh token, by its hash.
#[must_use]
pub fn refresh(hash: &[u8]) -> Vec<u8> {
    table("refresh").bytes(hash).done()
}

/// A family of refresh tokens: all that came of one login.
#[must_use]
pub fn family(user: UserId, device: DeviceId, family: u64) -> Vec<u8> {
    table("family").uint(user.0).uint(device.0).uint(family).done()
}

/// The families of a device.
#[must_use]
pub fn families(user: UserId, device: DeviceId) -> Range {
    Range::children(table("family").uint(user.0).uint(device.0).done())
}

/// Profile and settings of a user.
#[must_use]
pub fn settings(user: UserId) -> Vec<u8> {
    table("settings").uint(user.0).done()
}

/// The last presence transition of a user.
#[must_use]
pub fn presence(user: UserId) -> Vec<u8> {
    table("presence").uint(user.0).done()
}

/// The friendship of two users, as the first sees it.
#[must_use]
pub fn friend(user: UserId, other: UserId) -> Vec<u8> {
    table("friend").uint(user.0).uint(other.0).done()
}

/// All friendships and requests of a user.
#[must_use]
pub fn friends(user: UserId) -> Range {
    Range::children(table("friend").uint(user.0).done())
}

/// That a user has blocked another.
#[must_use]
pub fn block(user: UserId, blocked: UserId) -> Vec<u8> {
    table("block").uint(user.0).uint(blocked.0).done()
}

/// All whom a user has blocked.
#[must_use]
pub fn blocks(user: UserId) -> Range {
    Range::children(table("block").uint(user.0).done())
}

/// The head of a user's own log.
#[must_use]
pub fn user_head(user: UserId) -> Vec<u8> {
    table("uhead").uint(user.0).done()
}

/// An entry of a user's own log.
#[must_use]
pub fn user_entry(user: UserId, seq: Seq) -> Vec<u8> {
    table("ulog").uint(user.0).uint(seq.0).done()
}

/// The entries of a user's own log after a cursor.
#[must_use]
pub fn user_entries_after(user: UserId, cursor: Seq) -> Range {
    let all = Range::children(table("ulog").uint(user.0).done());
    Range::new(user_entry(user, cursor.next()), all.end())
}

/// What a channel is.
#[must_use]
pub fn channel(channel: ChannelId) -> Vec<u8> {
    table("channel").uint(channel.0).done()
}

/// The direct channel of two users, whichever comes first.
#[must_use]
pub fn direct(one: UserId, other: UserId) -> Vec<u8> {
    table("direct").uint(one.0.min(other.0)).uint(one.0.max(other.0)).done()
}

/// The head of a channel's log.
#[must_use]
pub fn head(channel: ChannelId) -> Vec<u8> {
    table("head").uint(channel.0).done()
}

/// An entry of a channel's log: a big value.
#[must_use]
pub fn entry(channel: ChannelId, seq: Seq) -> Vec<u8> {
    table("log").uint(channel.0).uint(seq.0).done()
}

/// The entries of a channel's log from one seq to another, both included: big values.
#[must_use]
pub fn entries(channel: ChannelId, first: Seq, last: Seq) -> Range {
    let all = Range::children(table("log").uint(channel.0).done());
    if last.0 == u64::MAX {
        return Range::new(entry(channel, first), all.end());
    }
    Range::new(entry(channel, first), entry(channel, last.next()))
}

/// That an edit belongs to a message.
#[must_use]
pub fn edit(channel: ChannelId, target: Seq, edit: Seq) -> Vec<u8> {
    table("edits").uint(channel.0).uint(target.0).uint(edit.0).done()
}

/// All edits of a message.
#[must_use]
pub fn edits(channel: ChannelId, target: Seq) -> Range {
    Range::children(table("edits").uint(channel.0).uint(target.0).done())
}

/// That a user has reacted to a message.
#[must_use]
pub fn reaction(channel: ChannelId, target: Seq, emoji: &str, user: UserId) -> Vec<u8> {
    table("react").uint(channel.0).uint(target.0).text(emoji).uint(user.0).done()
}

/// Who has reacted to a message with one emoji.
#[must_use]
pub fn reactions_with(channel: ChannelId, target: Seq, emoji: &str) -> Range {
    Range::children(table("react").uint(channel.0).uint(target.0).text(emoji).done())
}

/// All reactions to a message.
#[must_use]
pub fn reactions(channel: ChannelId, target: Seq) -> Range {
    Range::children(table("react").uint(channel.0).uint(target.0).done())
}

/// That a message belongs to a thread.
#[must_use]
pub fn in_thread(channel: ChannelId, thread: Seq, seq: Seq) -> Vec<u8> {
    table("thread").uint(channel.0).uint(thread.0).uint(seq.0).done()
}

/// The messages of a thread.
#[must_use]
pub fn thread(channel: ChannelId, thread: Seq) -> Range {
    Range::children(table("thread").uint(channel.0).uint(thread.0).done())
}

/// What a client's id has become.
#[must_use]
pub fn retry(channel: ChannelId, user: UserId, id: ClientMsgId) -> Vec<u8> {
    table("retry").uint(channel.0).uint(user.0).uuid(id.0).done()
}

/// How many messages of their own a user has up to a seq.
#[must_use]
pub fn own(channel: ChannelId, user: UserId, seq: Seq) -> Vec<u8> {
    table("own").uint(channel.0).uint(user.0).uint(seq.0).done()
}

/// A user's own messages up to a seq, newest first: the first row has the count.
#[must_use]
pub fn own_up_to(channel: ChannelId, user: UserId, seq: Seq) -> Range {
    let all = Range::children(table("own").uint(channel.0).uint(user.0).done());
    Range::new(all.begin(), super::after_key(&own(channel, user, seq))).reverse()
}

/// A member of a channel.
#[must_use]
pub fn member(channel: ChannelId, user: UserId) -> Vec<u8> {
    table("member").uint(channel.0).uint(user.0).done()
}

/// All members of a channel.
#[must_use]
pub fn members(channel: ChannelId) -> Range {
    Range::children(table("member").uint(channel.0).done())
}

/// That a user is banned from a channel.
#[must_use]
pub fn banned(channel: ChannelId, user: UserId) -> Vec<u8> {
    table("banned").uint(channel.0).uint(user.0).done()
}

/// All who are banned from a channel.
#[must_use]
pub fn all_banned(channel: ChannelId) -> Range {
    Range::children(table("banned").uint(channel.0).done())
}

/// A channel in a user's list.
#[must_use]
pub fn joined(user: UserId, channel: ChannelId) -> Vec<u8> {
    table("joined").uint(user.0).uint(channel.0).done()
}

/// All channels of a user.
#[must_use]
pub fn all_joined(user: UserId) -> Range {
    Range::children(table("joined").uint(user.0).done())
}

/// A member's positions in a channel.
#[must_use]
pub fn mark(channel: ChannelId, user: UserId) -> Vec<u8> {
    table("mark").uint(channel.0).uint(user.0).done()
}

/// All members' positions in a channel.
#[must_use]
pub fn marks(channel: ChannelId) -> Range {
    Range::children(table("mark").uint(channel.0).done())
}

/// The position of one device in a channel.
#[must_use]
pub fn cursor(user: UserId, device: DeviceId, channel: ChannelId) -> Vec<u8> {
    table("cursor").uint(user.0).uint(device.0).uint(channel.0).done()
}

/// The positions of one device.
#[must_use]
pub fn cursors(user: UserId, device: DeviceId) -> Range {
    Range::children(table("cursor").uint(user.0).uint(device.0).done())
}

/// A row of the push outbox, before and behind its versionstamp. Several in one transaction differ by `own`.
#[must_use]
pub fn push_to_come(shard: u64, own: u16) -> (Vec<u8>, Vec<u8>) {
    table("push").uint(shard).versionstamp_to_come(own)
}

/// One shard of the push outbox, oldest first.
#[must_use]
pub fn pushes(shard: u64) -> Range {
    Range::children(table("push").uint(shard).done())
}

/// A node's lease.
#[must_use]
pub fn node(number: u16) -> Vec<u8> {
    table("node").uint(number.into()).done()
}

/// All nodes' leases.
#[must_use]
pub fn nodes() -> Range {
    Range::children(table("node").done())
}

/// A stored picture or file.
#[must_use]
pub fn media(media: MediaId) -> Vec<u8> {
    table("media").uint(media.0).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_documented() {
        assert_eq!(member(ChannelId(7), UserId(9)), b"\x02member\x00\x15\x07\x15\x09");
        assert_eq!(direct(UserId(300), UserId(2)), direct(UserId(2), UserId(300)));
    }

    #[test]
    fn a_log_lies_in_order_and_apart_from_others() {
        let range = entries(ChannelId(1), Seq(255), Seq(256));
        let inside = |key: Vec<u8>| range.begin() <= &key[..] && &key[..] < range.end();
        assert!(inside(entry(ChannelId(1), Seq(255))) && inside(entry(ChannelId(1), Seq(256))));
        assert!(!inside(entry(ChannelId(1), Seq(254))) && !inside(entry(ChannelId(1), Seq(257))));
        assert!(!inside(entry(ChannelId(2), Seq(255))));
        assert!(entries(ChannelId(1), Seq(1), Seq(u64::MAX)).end() > &entry(ChannelId(1), Seq(u64::MAX))[..]);
    }
}
