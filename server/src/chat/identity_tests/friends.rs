use std::collections::BTreeSet;

use suda_schema::UserId;
use suda_schema::event::{UserEvent, UserRef};

use super::events_of_others;
use crate::chat::friends::{List, Relation, Requested};
use crate::chat::settings::{Audience, SettingsChange};
use crate::chat::testing::{chat, config, faulty_chat, over, users};
use crate::chat::{Chat, ChatError, Topic};
use crate::clock::Clock;
use crate::store::{Faults, Store};

fn of(user: UserId) -> UserRef {
    UserRef { user }
}

async fn list(chat: &Chat, user: UserId, list: List) -> Vec<UserId> {
    let page = chat.list_users(user, list, None, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.users.into_iter().map(|listed| listed.user).collect()
}

/// Both views must always say the same thing.
async fn assert_mirrored(chat: &Chat, one: UserId, other: UserId) {
    let (mine, theirs) = (chat.relation(one, other).await.unwrap(), chat.relation(other, one).await.unwrap());
    assert_eq!(mine.friend_since_ms, theirs.friend_since_ms);
    assert_eq!((mine.sent_at_ms, mine.received_at_ms), (theirs.received_at_ms, theirs.sent_at_ms));
    assert_eq!((mine.blocked_at_ms, mine.blocked_by_at_ms), (theirs.blocked_by_at_ms, theirs.blocked_at_ms));
    for (user, other, relation) in [(one, other, mine), (other, one, theirs)] {
        assert_eq!(list(chat, user, List::Friends).await.contains(&other), relation.is_friend());
        assert_eq!(list(chat, user, List::Sent).await.contains(&other), relation.sent_at_ms.is_some());
        assert_eq!(list(chat, user, List::Received).await.contains(&other), relation.received_at_ms.is_some());
        assert_eq!(list(chat, user, List::Blocked).await.contains(&other), relation.blocked_at_ms.is_some());
    }
}

#[tokio::test]
async fn a_request_is_accepted_and_both_know() {
    let (chat, rung) = chat();
    let [kim, lee] = users(&chat).await;
    rung.take();
    assert_eq!(chat.request_friend(kim, lee).await.unwrap(), Requested::Sent);
    let both = [Topic::User(kim), Topic::User(lee), Topic::Presence(kim), Topic::Presence(lee)];
    assert_eq!(rung.take(), both);
    assert_eq!(chat.request_friend(kim, lee).await.unwrap(), Requested::Sent);
    assert_eq!(rung.take(), []);
    assert_mirrored(&chat, kim, lee).await;
    assert!(matches!(chat.accept_friend(kim, lee).await, Err(ChatError::NotFound(_))));

    chat.accept_friend(lee, kim).await.unwrap();
    chat.accept_friend(lee, kim).await.unwrap();
    assert_eq!(chat.request_friend(kim, lee).await.unwrap(), Requested::Friends);
    assert_mirrored(&chat, kim, lee).await;
    assert_eq!(list(&chat, kim, List::Friends).await, [lee]);
    assert_eq!(
        events_of_others(&chat, kim).await,
        [UserEvent::FriendRequestSent(of(lee)), UserEvent::FriendAdded(of(lee))]
    );
    assert_eq!(
        events_of_others(&chat, lee).await,
        [UserEvent::FriendRequest(of(kim)), UserEvent::FriendAdded(of(kim))]
    );
}

#[tokio::test]
async fn requests_are_refused_and_taken_back_and_friendships_end() {
    let (chat, _) = chat();
    let [kim, lee] = users(&chat).await;
    chat.request_friend(kim, lee).await.unwrap();
    // Neither is the one's to do whose it is not.
    chat.refuse_friend(kim, lee).await.unwrap();
    chat.cancel_friend_request(lee, kim).await.unwrap();
    chat.remove_friend(kim, lee).await.unwrap();
    assert!(chat.relation(kim, lee).await.unwrap().sent_at_ms.is_some());

    chat.refuse_friend(lee, kim).await.unwrap();
    assert_eq!(chat.relation(kim, lee).await.unwrap(), Relation::default());
    chat.request_friend(kim, lee).await.unwrap();
    chat.cancel_friend_request(kim, lee).await.unwrap();
    chat.request_friend(kim, lee).await.unwrap();
    chat.accept_friend(lee, kim).await.unwrap();
    chat.remove_friend(lee, kim).await.unwrap();
    assert_eq!(chat.relation(kim, lee).await.unwrap(), Relation::default());
    assert_mirrored(&chat, kim, lee).await;
    let removals = events_of_others(&chat, kim).await;
    assert_eq!(removals.iter().filter(|event| **event == UserEvent::FriendRemoved(of(lee))).count(), 3);
}

#[tokio::test]
async fn requests_that_cross_make_one_friendship() {
    for seed in 0..12 {
        let faults = Faults { seed, conflict_permille: 200, unknown_applied_permille: 200, ..Faults::default() };
        let (chat, _) = faulty_chat(faults);
        let [kim, lee] = users(&chat).await;
        let ask = |me, other| {
            let chat = chat.clone();
            tokio::spawn(async move { chat.request_friend(me, other).await.unwrap() })
        };
        let (one, other) = (ask(kim, lee), ask(lee, kim));
        let answers = [one.await.unwrap(), other.await.unwrap()];
        assert!(answers.contains(&Requested::Friends));
        assert_mirrored(&chat, kim, lee).await;
        assert!(chat.relation(kim, lee).await.unwrap().is_friend());
        for (user, friend) in [(kim, lee), (lee, kim)] {
            let added = UserEvent::FriendAdded(of(friend));
            let events = events_of_others(&chat, user).await;
            assert_eq!(events.iter().filter(|event| **event == added).count(), 1, "{events:?}");
        }
    }
}

#[tokio::test]
async fn a_block_ends_what_there_was_and_is_not_told() {
    let (chat, rung) = chat();
    let [kim, lee] = users(&chat).await;
    chat.request_friend(kim, lee).await.unwrap();
    chat.accept_friend(lee, kim).await.unwrap();
    rung.take();
    chat.block(kim, lee).await.unwrap();
    assert!(rung.take().contains(&Topic::Presence(kim)));
    chat.block(kim, lee).await.unwrap();
    assert_mirrored(&chat, kim, lee).await;
    assert!(!chat.relation(kim, lee).await.unwrap().is_friend());
    for (me, other) in [(kim, lee), (lee, kim)] {
        assert!(matches!(chat.request_friend(me, other).await, Err(ChatError::Blocked)));
    }
    assert_eq!(
        events_of_others(&chat, kim).await[2..],
        [UserEvent::FriendRemoved(of(lee)), UserEvent::Blocked(of(lee))]
    );
    assert_eq!(events_of_others(&chat, lee).await[2..], [UserEvent::FriendRemoved(of(kim))]);

    // Each may block the other; taking one back leaves the other's.
    chat.block(lee, kim).await.unwrap();
    chat.unblock(kim, lee).await.unwrap();
    chat.unblock(kim, lee).await.unwrap();
    assert_mirrored(&chat, kim, lee).await;
    assert!(matches!(chat.request_friend(kim, lee).await, Err(ChatError::Blocked)));
    chat.unblock(lee, kim).await.unwrap();
    assert_eq!(chat.request_friend(kim, lee).await.unwrap(), Requested::Sent);
}

#[tokio::test]
async fn a_stranger_who_is_blocked_learns_nothing() {
    let (chat, rung) = chat();
    let [kim, lee] = users(&chat).await;
    rung.take();
    chat.block(kim, lee).await.unwrap();
    assert_eq!(events_of_others(&chat, lee).await, []);
    assert!(!rung.take().contains(&Topic::User(lee)));
}

#[tokio::test]
async fn nobody_is_their_own_friend_nor_that_of_nobody() {
    let (chat, _) = chat();
    let [kim] = users(&chat).await;
    assert!(matches!(chat.request_friend(kim, kim).await, Err(ChatError::Invalid { .. })));
    assert!(matches!(chat.block(kim, kim).await, Err(ChatError::Invalid { .. })));
    assert!(matches!(chat.request_friend(kim, UserId(1)).await, Err(ChatError::NotFound(_))));
    assert!(matches!(chat.block(kim, UserId(1)).await, Err(ChatError::NotFound(_))));
}

#[tokio::test]
async fn who_does_not_want_requests_gets_none() {
    let (chat, _) = chat();
    let [kim, lee] = users(&chat).await;
    let nobody = SettingsChange { friend_requests_from: Some(Audience::Nobody), ..SettingsChange::default() };
    chat.change_settings(lee, &nobody).await.unwrap();
    assert!(matches!(chat.request_friend(kim, lee).await, Err(ChatError::Forbidden(_))));
    // But who asks has said yes.
    chat.request_friend(lee, kim).await.unwrap();
    assert_eq!(chat.request_friend(kim, lee).await.unwrap(), Requested::Friends);
}

#[tokio::test]
async fn lists_have_limits_and_pages() {
    let mut few = config();
    (few.limits.friend_requests_max, few.limits.blocks_max, few.limits.friends_max) = (2, 2, 1);
    let (chat, _) = over(Store::memory(), few);
    let [kim, a, b, c] = users(&chat).await;
    for other in [a, b] {
        chat.request_friend(kim, other).await.unwrap();
        chat.block(c, other).await.unwrap();
    }
    let full = chat.request_friend(kim, c).await;
    assert!(matches!(full, Err(ChatError::LimitReached { what: "friend requests", max: 2 })));
    assert!(matches!(chat.block(c, kim).await, Err(ChatError::LimitReached { what: "blocked users", .. })));
    let first = chat.list_users(kim, List::Sent, None, 1).await.unwrap();
    assert_eq!((first.users.len(), first.next), (1, Some(a)));
    let second = chat.list_users(kim, List::Sent, first.next, 1).await.unwrap();
    assert_eq!((second.users[0].user, second.next), (b, None));

    chat.accept_friend(a, kim).await.unwrap();
    assert!(matches!(chat.accept_friend(b, kim).await, Err(ChatError::LimitReached { what: "friends", .. })));
    assert_mirrored(&chat, kim, b).await;
    chat.remove_friend(kim, a).await.unwrap();
    chat.accept_friend(b, kim).await.unwrap();
    assert_mirrored(&chat, kim, b).await;
}

/// What is between users, without a store: pairs in both orders.
#[derive(Default)]
struct Model {
    friends: BTreeSet<(UserId, UserId)>,
    asked: BTreeSet<(UserId, UserId)>,
    blocked: BTreeSet<(UserId, UserId)>,
}

impl Model {
    fn step(&mut self, step: u64, me: UserId, other: UserId) {
        let (to, from) = ((me, other), (other, me));
        let blocked = self.blocked.contains(&to) || self.blocked.contains(&from);
        match step {
            0 if !blocked && self.asked.contains(&from) => self.befriend(to),
            0 if !blocked && !self.friends.contains(&to) => drop(self.asked.insert(to)),
            1 if self.asked.contains(&from) => self.befriend(to),
            2 => drop(self.asked.remove(&from)),
            3 => drop(self.asked.remove(&to)),
            4 => self.part(to),
            5 => {
                self.part(to);
                self.asked.retain(|pair| *pair != to && *pair != from);
                self.blocked.insert(to);
            }
            6 => drop(self.blocked.remove(&to)),
            _ => {}
        }
    }

    fn befriend(&mut self, (me, other): (UserId, UserId)) {
        self.asked.retain(|pair| *pair != (me, other) && *pair != (other, me));
        self.friends.extend([(me, other), (other, me)]);
    }

    fn part(&mut self, (me, other): (UserId, UserId)) {
        self.friends.retain(|pair| *pair != (me, other) && *pair != (other, me));
    }
}

#[tokio::test]
async fn whatever_people_do_to_each_other_both_views_agree() {
    for seed in 0..6 {
        let faults = Faults {
            seed,
            conflict_permille: 100,
            unknown_applied_permille: 100,
            unknown_dropped_permille: 100,
            ..Faults::default()
        };
        let (chat, _) = faulty_chat(faults);
        let people: [UserId; 3] = users(&chat).await;
        let dice = Clock::manual(0, seed);
        let mut model = Model::default();
        for _ in 0..80 {
            let [me, other] = [dice.below(3), dice.below(3)].map(|index| people[usize::try_from(index).unwrap()]);
            let step = dice.below(7);
            if me == other {
                continue;
            }
            // Refusals are the model's to know: what matters is what is there afterwards.
            let _ = match step {
                0 => chat.request_friend(me, other).await.map(drop),
                1 => chat.accept_friend(me, other).await,
                2 => chat.refuse_friend(me, other).await,
                3 => chat.cancel_friend_request(me, other).await,
                4 => chat.remove_friend(me, other).await,
                5 => chat.block(me, other).await,
                _ => chat.unblock(me, other).await,
            };
            model.step(step, me, other);
            let relation = chat.relation(me, other).await.unwrap();
            assert_eq!(relation.is_friend(), model.friends.contains(&(me, other)), "seed {seed}, step {step}");
            assert_eq!(relation.sent_at_ms.is_some(), model.asked.contains(&(me, other)));
            assert_eq!(relation.received_at_ms.is_some(), model.asked.contains(&(other, me)));
            assert_eq!(relation.blocked_at_ms.is_some(), model.blocked.contains(&(me, other)));
            assert_mirrored(&chat, me, other).await;
        }
    }
}
