//! Channels and who is in them: making, joining, leaving, roles, and what each may do.

use suda_schema::entry::{MemberChange, Role};
use suda_schema::event::UserEvent;

use super::*;
use crate::chat::members::MemberState;
use crate::chat::settings::{Audience, SettingsChange};
use crate::store::Faults;

impl World {
    /// What the log says of members.
    async fn said(&self, channel: ChannelId) -> Vec<(UserId, MemberChange)> {
        let said = self.log(channel).await.into_iter().filter_map(|entry| match entry.what {
            What::Member(member) => Some((member.user, member.change)),
            _ => None,
        });
        said.collect()
    }

    /// What the user's own log says.
    async fn told(&self, user: UserId) -> Vec<UserEvent> {
        let page = self.chat.user_log_after(user, Seq::ZERO, 500).await.unwrap();
        page.entries.into_iter().map(|entry| entry.event).collect()
    }

    async fn role(&self, channel: ChannelId, user: UserId) -> Option<Role> {
        self.chat.member_state(channel, user).await.unwrap().map(|state| state.role)
    }

    async fn rights(&self, channel: ChannelId) -> u64 {
        self.chat.pulse(channel).await.unwrap().unwrap().rights
    }
}

#[tokio::test]
async fn a_group_begins_with_its_owner_and_members() {
    let world = World::new(3).await;
    let (a, b, c) = (world.user(0), world.user(1), world.user(2));
    let request = Some(ClientMsgId([1; 16]));
    let new = NewChannel {
        kind: ChannelKind::Group,
        title: "수다".to_owned(),
        picture: None,
        members: vec![b, c, b, a],
        request,
    };
    let made = world.chat.create_channel(a, &new).await.unwrap();
    assert_eq!((made.role, made.members, made.unread, made.title.as_str()), (Role::Owner, 3, 0, "수다"));
    assert_eq!(world.chat.create_channel(a, &new).await.unwrap().channel, made.channel, "the same request again");
    assert_ne!(world.chat.create_channel(b, &new).await.unwrap().channel, made.channel, "of another user");
    let joined = |role| MemberChange::Joined(role);
    let members = [(a, joined(Role::Owner)), (b, joined(Role::Member)), (c, joined(Role::Member))];
    assert_eq!(world.said(made.channel).await, members);
    let other = world.chat.channel(c, made.channel).await.unwrap();
    assert_eq!((other.role, other.unread, other.read), (Role::Member, 0, other.head));
    assert!(world.told(b).await.contains(&UserEvent::ChannelJoined(ChannelRef { channel: made.channel })));
}

#[tokio::test]
async fn what_a_channel_may_not_be_made_of() {
    let mut world = World::with(3, |config| config.limits.group_members_max = 3).await;
    let (a, b) = (world.user(0), world.user(1));
    let group = |members: &[UserId]| NewChannel {
        kind: ChannelKind::Group,
        title: "t".to_owned(),
        picture: None,
        members: members.to_vec(),
        request: None,
    };
    for (new, expected) in [
        (NewChannel { title: " ".to_owned(), ..group(&[]) }, ErrorCode::INVALID),
        (NewChannel { title: "x".repeat(401), ..group(&[]) }, ErrorCode::TOO_LARGE),
        (NewChannel { kind: ChannelKind::Direct, ..group(&[]) }, ErrorCode::INVALID),
        (group(&[UserId(99)]), ErrorCode::NOT_FOUND),
        (group(&vec![b; 101]), ErrorCode::TOO_LARGE),
    ] {
        assert_eq!(code(world.chat.create_channel(a, &new).await), expected, "{new:?}");
    }
    let fourth = world.join_in().await;
    let everybody = world.users.clone();
    assert_eq!(code(world.chat.create_channel(a, &group(&everybody)).await), ErrorCode::LIMIT_REACHED);
    let full = world.chat.create_channel(a, &group(&everybody[..3])).await.unwrap().channel;
    assert_eq!(code(world.chat.add_members(a, full, &[fourth]).await), ErrorCode::LIMIT_REACHED);
    let code_of = world.chat.make_invite(a, full).await.unwrap();
    assert_eq!(code(world.chat.join(fourth, &code_of).await), ErrorCode::LIMIT_REACHED);
    world.chat.leave(b, full).await.unwrap();
    world.chat.join(fourth, &code_of).await.unwrap();
}

#[tokio::test]
async fn nobody_is_added_who_does_not_want_to_be() {
    let world = World::new(4).await;
    let (a, blocker, shy, friendly) = (world.user(0), world.user(1), world.user(2), world.user(3));
    let alone =
        NewChannel { kind: ChannelKind::Group, title: "t".to_owned(), picture: None, members: vec![], request: None };
    let channel = world.chat.create_channel(a, &alone).await.unwrap().channel;
    world.chat.block(blocker, a).await.unwrap();
    let nobody = SettingsChange { invites_from: Some(Audience::Nobody), ..SettingsChange::default() };
    world.chat.change_settings(shy, &nobody).await.unwrap();
    assert_eq!(code(world.chat.add_members(a, channel, &[blocker]).await), ErrorCode::BLOCKED);
    assert_eq!(code(world.chat.add_members(a, channel, &[friendly, shy]).await), ErrorCode::FORBIDDEN);
    assert_eq!(world.role(channel, friendly).await, None, "all or nobody");
    let invite = world.chat.make_invite(a, channel).await.unwrap();
    assert_eq!(world.chat.join(shy, &invite).await.unwrap().members, 2);
}

#[tokio::test]
async fn a_direct_channel_is_one_from_both_sides() {
    let world = World::new(3).await;
    let (a, b, c) = (world.user(0), world.user(1), world.user(2));
    let (one, two) = tokio::join!(world.chat.open_direct(a, b), world.chat.open_direct(b, a));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.channel, two.channel);
    assert_eq!((one.peer, two.peer, one.members, one.head), (Some(b), Some(a), 2, Seq::ZERO));
    let channel = one.channel;
    world.say(channel, a, "hello").await;
    assert_eq!(world.chat.channel(b, channel).await.unwrap().unread, 1);
    assert_eq!(refusal(world.send(channel, c, message("me too")).await), ErrorCode::NOT_FOUND);
    for refused in [
        world.chat.leave(a, channel).await,
        world.chat.set_title(a, channel, "x").await,
        world.chat.add_members(a, channel, &[c]).await,
        world.chat.kick(a, channel, b).await,
        world.chat.delete_channel(a, channel).await,
        world.chat.make_invite(a, channel).await.map(drop),
    ] {
        assert_eq!(code(refused), ErrorCode::FORBIDDEN);
    }
    let seq = world.head(channel).await;
    assert_eq!(refusal(world.send(channel, b, delete(seq)).await), ErrorCode::FORBIDDEN, "nobody is an admin");
    let notes = world.chat.open_direct(a, a).await.unwrap();
    assert_eq!((notes.peer, notes.members), (Some(a), 1));
    world.say(notes.channel, a, "buy milk").await;
    assert_eq!(code(world.chat.open_direct(a, UserId(99)).await), ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn a_block_ends_a_conversation_until_it_is_taken_back() {
    let world = World::new(3).await;
    let (a, b, c) = (world.user(0), world.user(1), world.user(2));
    let channel = world.chat.open_direct(a, b).await.unwrap().channel;
    let seq = world.say(channel, a, "hello").await;
    let rights = world.rights(channel).await;
    world.rung.take();
    world.chat.block(b, a).await.unwrap();
    assert!(world.rung.take().contains(&Topic::Channel(channel)));
    assert!(world.rights(channel).await > rights);
    for user in [a, b] {
        assert_eq!(refusal(world.send(channel, user, message("?")).await), ErrorCode::BLOCKED);
        assert_eq!(refusal(world.send(channel, user, react(seq, "x", true)).await), ErrorCode::BLOCKED);
        assert!(!world.chat.member_state(channel, user).await.unwrap().unwrap().can_post);
    }
    assert_eq!(refusal(world.send(channel, a, edit(seq, "?")).await), ErrorCode::BLOCKED);
    world.send(channel, a, delete(seq)).await.unwrap();
    assert_eq!(world.chat.open_direct(a, b).await.unwrap().channel, channel, "what was said can be read");
    world.chat.block(b, c).await.unwrap();
    assert_eq!(code(world.chat.open_direct(c, b).await), ErrorCode::BLOCKED);
    world.chat.unblock(b, a).await.unwrap();
    world.say(channel, a, "sorry").await;
}

#[tokio::test]
async fn a_direct_channel_is_opened_only_by_whom_the_other_lets() {
    let world = World::new(2).await;
    let (a, b) = (world.user(0), world.user(1));
    let friends = SettingsChange { direct_from: Some(Audience::Friends), ..SettingsChange::default() };
    world.chat.change_settings(b, &friends).await.unwrap();
    assert_eq!(code(world.chat.open_direct(a, b).await), ErrorCode::FORBIDDEN);
    world.chat.request_friend(a, b).await.unwrap();
    world.chat.accept_friend(b, a).await.unwrap();
    world.chat.open_direct(a, b).await.unwrap();
}

#[tokio::test]
async fn removal_is_said_told_and_rung() {
    let world = World::new(4).await;
    let channel = world.group().await;
    let (a, b, c) = (world.user(0), world.user(1), world.user(2));
    let rights = world.rights(channel).await;
    world.rung.take();
    world.chat.kick(a, channel, b).await.unwrap();
    assert_eq!(world.rung.take(), [Topic::Channel(channel), Topic::User(b)]);
    assert!(world.rights(channel).await > rights);
    assert_eq!(world.role(channel, b).await, None);
    assert_eq!(world.said(channel).await.last(), Some(&(b, MemberChange::Kicked)));
    assert_eq!(world.told(b).await.last(), Some(&UserEvent::ChannelLeft(ChannelRef { channel })));
    assert_eq!(refusal(world.send(channel, b, message("still here?")).await), ErrorCode::NOT_FOUND);
    assert_eq!(code(world.chat.channel(b, channel).await), ErrorCode::NOT_FOUND);
    assert_eq!(code(world.chat.kick(a, channel, b).await), ErrorCode::NOT_FOUND);
    assert!(!world.chat.joined_channels(b).await.unwrap().contains(&channel));
    assert_eq!(world.chat.channel(a, channel).await.unwrap().members, 3);
    world.chat.add_members(a, channel, &[b, c]).await.unwrap();
    assert_eq!(world.chat.channel(b, channel).await.unwrap().members, 4);

    world.chat.ban(a, channel, b).await.unwrap();
    world.chat.ban(a, channel, b).await.unwrap();
    assert_eq!(world.said(channel).await.last(), Some(&(b, MemberChange::Banned)));
    let invite = world.chat.make_invite(a, channel).await.unwrap();
    assert_eq!(code(world.chat.join(b, &invite).await), ErrorCode::FORBIDDEN);
    assert_eq!(code(world.chat.add_members(a, channel, &[b]).await), ErrorCode::FORBIDDEN);
    let bans = world.chat.bans(a, channel, None, 10).await.unwrap();
    assert_eq!(bans.items.iter().map(|ban| (ban.user, ban.by)).collect::<Vec<_>>(), [(b, a)]);
    assert_eq!(code(world.chat.bans(c, channel, None, 10).await), ErrorCode::FORBIDDEN);
    world.chat.unban(a, channel, b).await.unwrap();
    world.chat.join(b, &invite).await.unwrap();
}

#[tokio::test]
async fn one_who_was_never_in_can_be_banned() {
    let mut world = World::new(2).await;
    let channel = world.group().await;
    let troll = world.join_in().await;
    let a = world.user(0);
    world.chat.ban(a, channel, troll).await.unwrap();
    assert_eq!(code(world.chat.add_members(a, channel, &[troll]).await), ErrorCode::FORBIDDEN);
    assert_eq!(code(world.chat.ban(a, channel, UserId(99)).await), ErrorCode::NOT_FOUND);
    assert_eq!(code(world.chat.ban(a, channel, a).await), ErrorCode::FORBIDDEN);
    assert_eq!(world.chat.channel(a, channel).await.unwrap().members, 2);
}

#[tokio::test]
async fn a_role_rules_over_those_below() {
    let world = World::new(5).await;
    let channel = world.group().await;
    let [owner, admin, other_admin, poster, member] = [0, 1, 2, 3, 4].map(|index| world.user(index));
    let chat = &world.chat;
    chat.set_role(owner, channel, admin, Role::Admin).await.unwrap();
    chat.set_role(owner, channel, other_admin, Role::Admin).await.unwrap();
    chat.set_role(admin, channel, poster, Role::Poster).await.unwrap();
    for refused in [
        chat.set_role(member, channel, poster, Role::Member).await,
        chat.set_role(admin, channel, other_admin, Role::Member).await,
        chat.set_role(admin, channel, member, Role::Admin).await,
        chat.set_role(owner, channel, admin, Role::Owner).await,
        chat.set_role(admin, channel, owner, Role::Member).await,
        chat.set_role(admin, channel, admin, Role::Member).await,
        chat.set_role(owner, channel, owner, Role::Admin).await,
        chat.kick(admin, channel, owner).await,
        chat.kick(admin, channel, other_admin).await,
        chat.kick(admin, channel, admin).await,
        chat.kick(poster, channel, member).await,
        chat.ban(admin, channel, owner).await,
        chat.set_title(poster, channel, "mine").await,
        chat.set_picture(member, channel, None).await,
        chat.add_members(member, channel, &[owner]).await,
        chat.make_invite(poster, channel).await.map(drop),
        chat.revoke_invite(member, channel).await,
        chat.transfer(admin, channel, member).await,
        chat.delete_channel(admin, channel).await,
    ] {
        assert_eq!(code(refused), ErrorCode::FORBIDDEN);
    }
    assert_eq!(code(chat.set_role(owner, channel, UserId(99), Role::Admin).await), ErrorCode::NOT_FOUND);
    assert_eq!(code(chat.set_title(UserId(99), channel, "x").await), ErrorCode::NOT_FOUND);
    chat.transfer(owner, channel, member).await.unwrap();
    assert_eq!(
        (world.role(channel, member).await, world.role(channel, owner).await),
        (Some(Role::Owner), Some(Role::Admin))
    );
    let said = world.said(channel).await;
    assert!(said.ends_with(&[(member, MemberChange::Role(Role::Owner)), (owner, MemberChange::Role(Role::Admin))]));
    chat.set_role(member, channel, admin, Role::Member).await.unwrap();
    assert_eq!(world.role(channel, admin).await, Some(Role::Member));
}

#[tokio::test]
async fn who_leaves_last_takes_the_channel_along() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let [a, b, c] = [0, 1, 2].map(|index| world.user(index));
    let notes = world.chat.open_direct(a, a).await.unwrap().channel;
    world.say(channel, b, "needle").await;
    world.chat.set_role(a, channel, c, Role::Poster).await.unwrap();
    world.chat.leave(a, channel).await.unwrap();
    assert_eq!(world.role(channel, c).await, Some(Role::Owner), "the higher role inherits");
    world.chat.leave(c, channel).await.unwrap();
    assert_eq!(world.role(channel, b).await, Some(Role::Owner));
    assert!(world.said(channel).await.ends_with(&[(c, MemberChange::Left), (b, MemberChange::Role(Role::Owner))]));
    world.chat.leave(b, channel).await.unwrap();
    assert_eq!(world.chat.pulse(channel).await.unwrap(), None);
    assert!(!world.holds("needle").await);
    assert_eq!(world.chat.joined_channels(a).await.unwrap(), [notes]);
}

#[tokio::test]
async fn of_equals_the_one_who_came_first_inherits() {
    let mut world = World::new(1).await;
    let channel = world.group().await;
    let a = world.user(0);
    let (second, third) = (world.join_in().await, world.join_in().await);
    world.chat.add_members(a, channel, &[third]).await.unwrap();
    world.chat.clock().advance_ms(1);
    world.chat.add_members(a, channel, &[second]).await.unwrap();
    world.chat.leave(a, channel).await.unwrap();
    assert_eq!(world.role(channel, third).await, Some(Role::Owner));
}

#[tokio::test]
async fn in_a_broadcast_few_post_and_nobody_is_announced() {
    let mut world = World::new(4).await;
    let channel = world.channel(ChannelKind::Broadcast).await;
    let [a, b, c] = [0, 1, 2].map(|index| world.user(index));
    let seq = world.say(channel, a, "news").await;
    for op in [message("me too").into_op(), react(seq, "👍", true).into_op(), edit(seq, "x").into_op()] {
        assert_eq!(refusal(world.send(channel, b, op).await), ErrorCode::FORBIDDEN);
    }
    let state = |role, can_post| Some(MemberState { kind: ChannelKind::Broadcast, role, can_post });
    let states = world.chat.member_states(channel, &[a, b, UserId(99)]).await.unwrap();
    assert_eq!(states, [state(Role::Owner, true), state(Role::Member, false), None]);
    world.chat.set_role(a, channel, b, Role::Poster).await.unwrap();
    let posted = world.say(channel, b, "more news").await;
    world.send(channel, b, react(seq, "👍", true)).await.unwrap();
    world.chat.set_role(a, channel, b, Role::Member).await.unwrap();
    assert_eq!(refusal(world.send(channel, b, edit(posted, "x")).await), ErrorCode::FORBIDDEN);
    world.send(channel, b, delete(posted)).await.unwrap();

    let head = world.head(channel).await;
    let new = world.join_in().await;
    let rights = world.rights(channel).await;
    world.rung.take();
    world.chat.add_members(a, channel, &[new]).await.unwrap();
    assert_eq!(world.rung.take(), [Topic::User(new)], "nobody else is woken");
    world.chat.kick(a, channel, c).await.unwrap();
    world.chat.ban(a, channel, new).await.unwrap();
    world.chat.leave(b, channel).await.unwrap();
    assert_eq!(world.head(channel).await, head, "nothing is said in the log");
    assert_eq!(world.rights(channel).await, rights + 3);
    assert_eq!(world.chat.channel(a, channel).await.unwrap().members, 2);
    assert_eq!(code(world.chat.leave(a, channel).await), ErrorCode::FORBIDDEN, "nobody else posts");
    world.chat.set_role(a, channel, world.user(3), Role::Poster).await.unwrap();
    world.chat.leave(a, channel).await.unwrap();
    assert_eq!(world.role(channel, world.user(3)).await, Some(Role::Owner));
}

#[tokio::test]
async fn invites_can_be_looked_at_replaced_and_revoked() {
    let mut world = World::new(2).await;
    let channel = world.group().await;
    let a = world.user(0);
    let new = world.join_in().await;
    assert_eq!(world.chat.invite(a, channel).await.unwrap(), None);
    let first = world.chat.make_invite(a, channel).await.unwrap();
    let second = world.chat.make_invite(a, channel).await.unwrap();
    assert!(first != second && second.len() >= 22);
    assert_eq!(world.chat.invite(a, channel).await.unwrap(), Some(second.clone()));
    for wrong in [&first, "", "x", &"x".repeat(10_000)] {
        assert_eq!(code(world.chat.join(new, wrong).await), ErrorCode::NOT_FOUND);
    }
    let preview = world.chat.look_at_invite(&second).await.unwrap();
    assert_eq!((preview.channel, preview.title.as_str(), preview.members), (channel, "room", 2));
    world.chat.join(new, &second).await.unwrap();
    assert_eq!(world.chat.join(new, &second).await.unwrap().members, 3);
    assert_eq!(world.said(channel).await.last(), Some(&(new, MemberChange::Joined(Role::Member))));
    world.chat.revoke_invite(a, channel).await.unwrap();
    assert_eq!(code(world.chat.join(new, &second).await), ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn titles_and_pictures_are_entries() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    world.chat.set_title(a, channel, "new").await.unwrap();
    let head = world.head(channel).await;
    world.chat.set_title(a, channel, "new").await.unwrap();
    assert_eq!(world.head(channel).await, head, "what is so already changes nothing");
    world.chat.set_picture(a, channel, Some(suda_schema::MediaId(5))).await.unwrap();
    let summary = world.chat.channel(b, channel).await.unwrap();
    assert_eq!((summary.title.as_str(), summary.picture, summary.unread), ("new", Some(suda_schema::MediaId(5)), 0));
    let kinds: Vec<What> = world.log(channel).await.into_iter().rev().take(2).map(|entry| entry.what).collect();
    assert!(matches!(&kinds[..], [What::Picture(_), What::Title(_)]));
}

#[tokio::test]
async fn a_deleted_channel_is_gone_for_everybody_and_from_the_store() {
    let world = World::new(3).await;
    let channel = world.group().await;
    let (a, b) = (world.user(0), world.user(1));
    let invite = world.chat.make_invite(a, channel).await.unwrap();
    let seq = world.say(channel, b, "needle").await;
    world.send(channel, b, edit(seq, "needle two")).await.unwrap();
    world.chat.ban(a, channel, world.user(2)).await.unwrap();
    world.rung.take();
    world.chat.delete_channel(a, channel).await.unwrap();
    assert!(world.rung.take().contains(&Topic::Channel(channel)));
    assert_eq!(world.chat.member_state(channel, b).await.unwrap(), None);
    assert_eq!(refusal(world.send(channel, b, message("x")).await), ErrorCode::NOT_FOUND);
    assert_eq!(code(world.chat.join(b, &invite).await), ErrorCode::NOT_FOUND);
    assert_eq!(world.told(b).await.last(), Some(&UserEvent::ChannelLeft(ChannelRef { channel })));
    assert!(world.chat.sync(b, None, 10).await.unwrap().channels.is_empty());
    assert!(!world.holds("needle").await);
    let left: Vec<_> = world
        .rows()
        .await
        .into_iter()
        .filter(|(key, _)| {
            let id = crate::store::tuple::Pack::new().uint(channel.0).done();
            key.windows(id.len()).any(|bytes| bytes == id) && !key.starts_with(b"\x02wrote")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(world.chat.sweep_channels().await.unwrap(), 0);
}

#[tokio::test]
async fn members_are_listed_in_pages() {
    let world = World::new(7).await;
    let channel = world.group().await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.chat.members(world.user(3), channel, after, 3).await.unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.iter().map(|member| member.user));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, world.users);
    assert_eq!(code(world.chat.members(UserId(99), channel, None, 3).await), ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn a_user_can_be_in_so_many_channels() {
    let world = World::with(2, |config| config.limits.channels_per_user_max = 2).await;
    let (a, b) = (world.user(0), world.user(1));
    world.chat.open_direct(a, b).await.unwrap();
    let channel = world.group().await;
    assert_eq!(code(world.chat.open_direct(a, a).await), ErrorCode::LIMIT_REACHED);
    world.chat.leave(a, channel).await.unwrap();
    world.chat.open_direct(a, a).await.unwrap();
}

/// Such a channel's log says nothing of a kick, so nothing but the member's row stands between it and a send.
#[tokio::test]
async fn nothing_is_taken_after_a_kick_from_a_broadcast() {
    let slow = Faults { seed: 1, delay_permille: 200, delay_ms_max: 1, ..Faults::default() };
    let (chat, rung) = testing::faulty_chat(slow);
    let world = World::over(chat, rung, 2).await;
    let (owner, poster) = (world.user(0), world.user(1));
    let mut taken = 0;
    for _ in 0..20 {
        let channel = world.channel(ChannelKind::Broadcast).await;
        world.chat.set_role(owner, channel, poster, Role::Poster).await.unwrap();
        let sends = futures_util::future::join_all((0..8).map(|_| world.send(channel, poster, message("x"))));
        let kick = async {
            world.chat.kick(owner, channel, poster).await.unwrap();
            world.head(channel).await
        };
        let (results, head) = tokio::join!(sends, kick);
        for ack in results.into_iter().flatten() {
            assert!(ack.seq <= head, "taken after the kick");
            taken += 1;
        }
    }
    assert!(taken > 0);
}
