//! The whole key layout, here, in `hot`, in `nodes` and in `pushes`.
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
//! | `pushtok` | hash of kind and push token | user, device | devices |
//! | `password` | user | the password, hashed | accounts |
//! | `settings` | user | settings | settings |
//! | `signing` | number | a key that signs access tokens | auth |
//! | `extuser` | issuer, subject | the user that an identity provider's subject is | auth |
//! | `extdev` | user, name | the device that an identity provider or client named so | auth |
//! | `leaving` | user | nothing: a deleted account that is not erased yet | leaving |
//! | `presence` | user | status, and when they were last online | presence |
//! | `online` | user, device | which link says that the device is there, and how | presence |
//! | `onnode` | node, user, device | nothing: whose links a node has | presence |
//! | `partner` | user, other user | nothing: they have a direct channel | presence |
//! | `rel` | user, other user | what the other is to the first: friend, asked, blocked … | friends |
//! | `rellist` | user, list, other user | since when the other is in the list | friends |
//! | `relcount` | user | how many are in each list | friends |
//! | `uhead` | user | head of the user's own log | user log |
//! | `ulog` | user, seq | entry of the user's own log | user log |
//! | `channel` | channel | what the channel is: kind, title, … | channels |
//! | `direct` | lower user, higher user | their direct channel | channels |
//! | `made` | user, the client's id | the channel that this request made | channels |
//! | `invite` | code | the channel that it lets into | invites |
//! | `doomed` | channel | nothing: a deleted channel whose rows are being swept away | channels |
//! | `pulse` | channel, name | how often something changed, or how much there is of it (atomic numbers) | roster, marks |
//! | `head` | channel | head of the channel's log and its counters | append |
//! | `log` | channel, seq | entry of the channel's log (big) | append |
//! | `edits` | channel, message's seq, edit's seq | the edits of a message: time, id | append |
//! | `react` | channel, message's seq, emoji, user | nothing: who reacted how | append |
//! | `thread` | channel, first message's seq, seq | nothing: the messages of a thread | append |
//! | `retry` | channel, user, client_msg_id | seq and time of the entry it made | append |
//! | `own` | channel, user, seq | how many messages of their own up to here | append |
//! | `wrote` | user, channel | nothing: the user has sent messages there, member still or not | append |
//! | `hot` | channel, name | which node appends for all, and how often something was handed to it | append |
//! | `handed` | channel, node number | sends that a node hands to the one that appends for all | append |
//! | `member` | channel, user | role and since when | roster |
//! | `staff` | channel, user | the same again, of those whose role is above `member` | roster |
//! | `banned` | channel, user | since when and by whom | members |
//! | `joined` | user, channel | the channel in the user's list: mute, … | roster |
//! | `joins` | user | how many channels the user is in (an atomic number) | roster |
//! | `mark` | channel, user | delivered and read positions | marks |
//! | `cursor` | user, device, channel | delivered position of one device (an atomic number) | marks |
//! | `push` | shard, versionstamp | a message that offline people must be told of | push outbox |
//! | `pushed` | channel, user | the newest message pushed to the user (an atomic number) | notifier |
//! | `pushheld` | shard, channel, user, what for, device, seq | somebody to be told later | notifier |
//! | `pushdead` | time, random number | somebody who could not be told, and why | notifier |
//! | `pushlease` | shard | which notifier works on the shard | notifier |
//! | `pushnode` | incarnation | a notifier that lives, and how often it has said so | notifier |
//! | `node` | node number | who holds the number, and where that node is reached | cluster |
//! | `beat` | node number | the node's sign of life: a count, and how it is | cluster |
//! | `gone` | node number | a node that is no more and has rows yet to be swept away | cluster |
//! | `bell` | node number | how often there was something for the node (an atomic number) | cluster |
//! | `inbox` | node number, kind of topic, id | nothing: something was committed about the topic | cluster |
//! | `interest` | kind of topic, id, node number | nothing: somebody on the node listens | cluster |
//! | `hears` | node number, kind of topic, id | the same again, by node | cluster |
//! | `pass` | node number, versionstamp | what passes by and is in no log, for the node: who types | cluster |
//! | `media` | media | a stored picture or file | media |

use suda_schema::{ChannelId, ClientMsgId, DeviceId, MediaId, Seq, UserId};

use super::Range;
use super::tuple::{Pack, Unpack};

mod hot;
mod nodes;
mod pushes;

pub use hot::*;
pub use nodes::*;
pub use pushes::*;

fn table(name: &str) -> Pack {
    Pack::new().text(name)
}

/// What comes after the user in a key whose first element is one.
fn after_user<'a>(name: &str, key: &'a [u8]) -> Option<(Unpack<'a>, UserId)> {
    let mut rest = Unpack::new(key);
    rest.skip(&table(name).done()).ok()?;
    let user = UserId(rest.uint().ok()?);
    Some((rest, user))
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

/// Who has a handle that begins so.
#[must_use]
pub fn handles_beginning(beginning: &str) -> Range {
    let mut begin = handle(beginning);
    // Without the end mark of the text: what continues it is in the range too.
    begin.pop();
    Range::prefix(begin)
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

/// The device in a key of [`devices`].
#[must_use]
pub fn device_of(key: &[u8]) -> Option<DeviceId> {
    let (mut rest, _user) = after_user("device", key)?;
    rest.uint().ok().map(DeviceId)
}

/// Whose a push token is, by its hash.
#[must_use]
pub fn push_token(hash: &[u8; 32]) -> Vec<u8> {
    table("pushtok").bytes(hash).done()
}

/// A user's password.
#[must_use]
pub fn password(user: UserId) -> Vec<u8> {
    table("password").uint(user.0).done()
}

/// A user's settings.
#[must_use]
pub fn settings(user: UserId) -> Vec<u8> {
    table("settings").uint(user.0).done()
}

/// A key that signs access tokens.
#[must_use]
pub fn signing_key(number: u32) -> Vec<u8> {
    table("signing").uint(number.into()).done()
}

/// All keys that sign access tokens, the newest last.
#[must_use]
pub fn signing_keys() -> Range {
    Range::children(table("signing").done())
}

/// The number in a key of [`signing_keys`].
#[must_use]
pub fn signing_key_of(key: &[u8]) -> Option<u32> {
    let mut rest = Unpack::new(key);
    rest.skip(&table("signing").done()).ok()?;
    rest.uint().ok()?.try_into().ok()
}

/// Who an identity provider's subject is.
#[must_use]
pub fn external_user(issuer: &str, subject: &str) -> Vec<u8> {
    table("extuser").text(issuer).text(subject).done()
}

/// Which device an identity provider, or the client, calls so.
#[must_use]
pub fn external_device(user: UserId, name: &str) -> Vec<u8> {
    table("extdev").uint(user.0).text(name).done()
}

/// All names of devices of a user at an identity provider.
#[must_use]
pub fn external_devices(user: UserId) -> Range {
    Range::children(table("extdev").uint(user.0).done())
}

/// That a deleted account is not erased yet.
#[must_use]
pub fn leaving(user: UserId) -> Vec<u8> {
    table("leaving").uint(user.0).done()
}

/// All accounts whose erasure is not done yet.
#[must_use]
pub fn all_leaving() -> Range {
    Range::children(table("leaving").done())
}

/// The user in a key of [`all_leaving`].
#[must_use]
pub fn leaving_of(key: &[u8]) -> Option<UserId> {
    after_user("leaving", key).map(|(_, user)| user)
}

/// Whether a user is there, over all devices.
#[must_use]
pub fn presence(user: UserId) -> Vec<u8> {
    table("presence").uint(user.0).done()
}

/// Whether a device is there.
#[must_use]
pub fn online(user: UserId, device: DeviceId) -> Vec<u8> {
    table("online").uint(user.0).uint(device.0).done()
}

/// The devices of a user that are there.
#[must_use]
pub fn all_online(user: UserId) -> Range {
    Range::children(table("online").uint(user.0).done())
}

/// The device in a key of [`all_online`].
#[must_use]
pub fn online_device(key: &[u8]) -> Option<DeviceId> {
    let (mut rest, _user) = after_user("online", key)?;
    rest.uint().ok().map(DeviceId)
}

/// That a device is there by a link to this node.
#[must_use]
pub fn on_node(node: u16, user: UserId, device: DeviceId) -> Vec<u8> {
    table("onnode").uint(node.into()).uint(user.0).uint(device.0).done()
}

/// All devices that are there by a link to this node.
#[must_use]
pub fn all_on_node(node: u16) -> Range {
    Range::children(table("onnode").uint(node.into()).done())
}

/// The user and device in a key of [`all_on_node`].
#[must_use]
pub fn on_node_of(key: &[u8]) -> Option<(UserId, DeviceId)> {
    let mut rest = Unpack::new(key);
    rest.skip(&table("onnode").done()).ok()?;
    rest.uint().ok()?;
    Some((UserId(rest.uint().ok()?), DeviceId(rest.uint().ok()?)))
}

/// That two users have a direct channel, as the first sees it.
#[must_use]
pub fn partner(user: UserId, other: UserId) -> Vec<u8> {
    table("partner").uint(user.0).uint(other.0).done()
}

/// All with whom a user has a direct channel.
#[must_use]
pub fn partners(user: UserId) -> Range {
    Range::children(table("partner").uint(user.0).done())
}

/// The other user in a key of [`partners`].
#[must_use]
pub fn partner_of(key: &[u8]) -> Option<UserId> {
    let (mut rest, _user) = after_user("partner", key)?;
    rest.uint().ok().map(UserId)
}

/// What another user is to this one.
#[must_use]
pub fn relation(user: UserId, other: UserId) -> Vec<u8> {
    table("rel").uint(user.0).uint(other.0).done()
}

/// All who are something to a user.
#[must_use]
pub fn relations(user: UserId) -> Range {
    Range::children(table("rel").uint(user.0).done())
}

/// The other user in a key of [`relations`].
#[must_use]
pub fn relation_other(key: &[u8]) -> Option<UserId> {
    let (mut rest, _user) = after_user("rel", key)?;
    rest.uint().ok().map(UserId)
}

/// That another user is in one of a user's lists.
#[must_use]
pub fn listed(user: UserId, list: u64, other: UserId) -> Vec<u8> {
    table("rellist").uint(user.0).uint(list).uint(other.0).done()
}

/// One of a user's lists, after another user.
#[must_use]
pub fn listed_after(user: UserId, list: u64, after: Option<UserId>) -> Range {
    let all = Range::children(table("rellist").uint(user.0).uint(list).done());
    match after {
        Some(after) => Range::new(super::after_key(&listed(user, list, after)), all.end()),
        None => all,
    }
}

/// The other user in a key of [`listed_after`].
#[must_use]
pub fn listed_other(key: &[u8]) -> Option<UserId> {
    let (mut rest, _user) = after_user("rellist", key)?;
    rest.uint().ok()?;
    rest.uint().ok().map(UserId)
}

/// How many are in each of a user's lists.
#[must_use]
pub fn list_counts(user: UserId) -> Vec<u8> {
    table("relcount").uint(user.0).done()
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

/// All channels.
#[must_use]
pub fn channels() -> Range {
    Range::children(table("channel").done())
}

/// The direct channel of two users, whichever comes first.
#[must_use]
pub fn direct(one: UserId, other: UserId) -> Vec<u8> {
    table("direct").uint(one.0.min(other.0)).uint(one.0.max(other.0)).done()
}

/// The channel that a user's request has made.
#[must_use]
pub fn made(user: UserId, id: ClientMsgId) -> Vec<u8> {
    table("made").uint(user.0).uuid(id.0).done()
}

/// The channel that an invite code lets into.
#[must_use]
pub fn invite(code: &str) -> Vec<u8> {
    table("invite").text(code).done()
}

/// That a deleted channel is still to be swept away.
#[must_use]
pub fn doomed(channel: ChannelId) -> Vec<u8> {
    table("doomed").uint(channel.0).done()
}

/// All channels that are still to be swept away.
#[must_use]
pub fn all_doomed() -> Range {
    Range::children(table("doomed").done())
}

/// How often it has changed who may do what in a channel.
#[must_use]
pub fn rights_changes(channel: ChannelId) -> Vec<u8> {
    table("pulse").uint(channel.0).text("rights").done()
}

/// How often members' positions in a channel have changed.
#[must_use]
pub fn marks_changes(channel: ChannelId) -> Vec<u8> {
    table("pulse").uint(channel.0).text("marks").done()
}

/// How many members a channel has.
#[must_use]
pub fn member_count(channel: ChannelId) -> Vec<u8> {
    table("pulse").uint(channel.0).text("members").done()
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

/// The messages of a thread from one seq to another, both included.
#[must_use]
pub fn thread_between(channel: ChannelId, thread: Seq, first: Seq, last: Seq) -> Range {
    Range::new(in_thread(channel, thread, first), super::after_key(&in_thread(channel, thread, last)))
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

/// A user's own messages after a seq, oldest first.
#[must_use]
pub fn own_after(channel: ChannelId, user: UserId, seq: Seq) -> Range {
    let all = Range::children(table("own").uint(channel.0).uint(user.0).done());
    Range::new(super::after_key(&own(channel, user, seq)), all.end())
}

/// That a user has sent messages to a channel.
#[must_use]
pub fn wrote(user: UserId, channel: ChannelId) -> Vec<u8> {
    table("wrote").uint(user.0).uint(channel.0).done()
}

/// The channels to which a user has sent messages, after one of them.
#[must_use]
pub fn wrote_after(user: UserId, channel: ChannelId) -> Range {
    let all = Range::children(table("wrote").uint(user.0).done());
    Range::new(super::after_key(&wrote(user, channel)), all.end())
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

/// The members of a channel after a user, by id.
#[must_use]
pub fn members_after(channel: ChannelId, user: UserId) -> Range {
    Range::new(super::after_key(&member(channel, user)), members(channel).end())
}

/// A member of a channel whose role is above `member`.
#[must_use]
pub fn staff(channel: ChannelId, user: UserId) -> Vec<u8> {
    table("staff").uint(channel.0).uint(user.0).done()
}

/// All members of a channel whose role is above `member`.
#[must_use]
pub fn all_staff(channel: ChannelId) -> Range {
    Range::children(table("staff").uint(channel.0).done())
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

/// Those who are banned from a channel after a user, by id.
#[must_use]
pub fn banned_after(channel: ChannelId, user: UserId) -> Range {
    Range::new(super::after_key(&banned(channel, user)), all_banned(channel).end())
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

/// The channel in a key of [`all_joined`].
#[must_use]
pub fn joined_channel(key: &[u8]) -> Option<ChannelId> {
    let (mut rest, _user) = after_user("joined", key)?;
    rest.uint().ok().map(ChannelId)
}

/// How many channels a user is in.
#[must_use]
pub fn joins(user: UserId) -> Vec<u8> {
    table("joins").uint(user.0).done()
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

/// Everything that lies under a channel's id, for when it is deleted. Its members' lists are theirs.
#[must_use]
pub fn all_of_channel(channel: ChannelId) -> Vec<Range> {
    const TABLES: [&str; 14] = [
        "pulse", "log", "edits", "react", "thread", "retry", "own", "hot", "handed", "member", "staff", "banned",
        "mark", "pushed",
    ];
    TABLES.iter().map(|name| Range::children(table(name).uint(channel.0).done())).collect()
}

/// The last element of a key that consists of its table's name and numbers.
#[must_use]
pub fn last_number(key: &[u8]) -> Option<u64> {
    let mut elements = Unpack::new(key);
    elements.text().ok()?;
    let mut last = None;
    while !elements.is_done() {
        last = Some(elements.uint().ok()?);
    }
    last
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
    fn keys_of_users_come_apart_again() {
        assert_eq!(device_of(&device(UserId(7), DeviceId(300))), Some(DeviceId(300)));
        assert_eq!(online_device(&online(UserId(7), DeviceId(300))), Some(DeviceId(300)));
        assert_eq!(on_node_of(&on_node(3, UserId(7), DeviceId(9))), Some((UserId(7), DeviceId(9))));
        assert_eq!(relation_other(&relation(UserId(7), UserId(0))), Some(UserId(0)));
        assert_eq!(listed_other(&listed(UserId(7), 2, UserId(8))), Some(UserId(8)));
        assert_eq!(signing_key_of(&signing_key(70_000)), Some(70_000));
        assert_eq!(leaving_of(&leaving(UserId(7))), Some(UserId(7)));
        assert_eq!(device_of(&online(UserId(7), DeviceId(300))), None);
    }

    #[test]
    fn a_list_goes_on_after_its_cursor() {
        let range = listed_after(UserId(7), 1, Some(UserId(255)));
        let inside = |key: Vec<u8>| range.begin() <= &key[..] && &key[..] < range.end();
        assert!(inside(listed(UserId(7), 1, UserId(256))) && !inside(listed(UserId(7), 1, UserId(255))));
        assert!(!inside(listed(UserId(7), 2, UserId(256))) && !inside(listed(UserId(8), 1, UserId(256))));
    }

    #[test]
    fn handles_are_found_by_their_beginning() {
        let range = handles_beginning("kim");
        let inside = |text: &str| range.begin() <= &handle(text)[..] && &handle(text)[..] < range.end();
        assert!(inside("kim") && inside("kim.lee") && inside("kimzzz"));
        assert!(!inside("ki") && !inside("kin") && !inside("ka"));
    }

    #[test]
    fn the_last_number_of_a_key_is_found() {
        assert_eq!(last_number(&member(ChannelId(7), UserId(u64::MAX))), Some(u64::MAX));
        assert_eq!(last_number(&edit(ChannelId(7), Seq(300), Seq(0))), Some(0));
        assert_eq!(last_number(&retry(ChannelId(7), UserId(1), ClientMsgId([0; 16]))), None);
        assert_eq!(last_number(b"junk"), None);
    }

    #[test]
    fn a_list_goes_on_after_the_last_seen() {
        let range = members_after(ChannelId(7), UserId(9));
        let inside =
            |user| range.begin() <= &member(ChannelId(7), user)[..] && &member(ChannelId(7), user)[..] < range.end();
        assert!(!inside(UserId(9)) && inside(UserId(10)) && inside(UserId(u64::MAX)));
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
