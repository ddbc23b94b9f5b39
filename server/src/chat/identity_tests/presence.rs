use suda_schema::control::{Presence, Status};
use suda_schema::open::Activity;
use suda_schema::{ChannelId, DeviceId, UserId};

use crate::chat::presence::{self, LinkId, WatchList};
use crate::chat::settings::SettingsChange;
use crate::chat::testing::{NOW_MS, PASSWORD, chat, config, over, phone, sign_up, users};
use crate::chat::{Chat, ChatError, Topic};
use crate::store::{Store, keys};

const LINK: LinkId = LinkId { node: 1, number: 1 };
const NEWER: LinkId = LinkId { node: 2, number: 7 };

async fn device(chat: &Chat, user: UserId) -> DeviceId {
    chat.devices(user).await.unwrap()[0].device
}

async fn seen(chat: &Chat, viewer: UserId, user: UserId) -> Option<(Status, u64)> {
    let seen = chat.presence_of(viewer, &[user]).await.unwrap();
    seen.first().map(|Presence { status, last_active_at_ms, .. }| (*status, *last_active_at_ms))
}

async fn befriend(chat: &Chat, one: UserId, other: UserId) {
    chat.request_friend(one, other).await.unwrap();
    chat.accept_friend(other, one).await.unwrap();
}

#[tokio::test]
async fn a_user_is_what_the_most_active_device_says() {
    let (chat, rung) = chat();
    let login = sign_up(&chat, "kim").await;
    let (kim, phone_id) = (login.user, login.device);
    let laptop = chat.login("kim", PASSWORD, &phone()).await.unwrap().device;
    let [lee] = users(&chat).await;
    befriend(&chat, kim, lee).await;
    assert_eq!(seen(&chat, lee, kim).await, Some((Status::Offline, 0)));
    rung.take();

    let set = async |device, activity| chat.presence_set(kim, device, LINK, activity).await.unwrap();
    let rings = async || rung.take().contains(&Topic::Presence(kim));
    set(phone_id, Some(Activity::Idle)).await;
    assert!(rings().await);
    assert_eq!(seen(&chat, lee, kim).await, Some((Status::Idle, 0)));
    set(laptop, Some(Activity::Active)).await;
    assert!(rings().await);
    assert_eq!(seen(&chat, lee, kim).await, Some((Status::Online, NOW_MS)));
    set(phone_id, Some(Activity::Active)).await;
    set(phone_id, Some(Activity::Active)).await;
    assert!(!rings().await);
    chat.clock().advance_ms(1_000);
    set(laptop, None).await;
    assert!(!rings().await);
    set(phone_id, Some(Activity::Idle)).await;
    assert!(rings().await);
    chat.clock().advance_ms(1_000);
    assert_eq!(seen(&chat, lee, kim).await, Some((Status::Idle, NOW_MS + 1_000)));
    set(phone_id, None).await;
    assert!(rings().await);
    set(phone_id, None).await;
    assert!(!rings().await);
    assert_eq!(seen(&chat, lee, kim).await, Some((Status::Offline, NOW_MS + 1_000)));
    assert_eq!(chat.devices(kim).await.unwrap()[0].seen_at_ms, NOW_MS + 2_000);
}

#[tokio::test]
async fn a_link_that_was_replaced_counts_no_more() {
    let (chat, rung) = chat();
    let [kim] = users(&chat).await;
    let phone = device(&chat, kim).await;
    chat.presence_set(kim, phone, LINK, Some(Activity::Active)).await.unwrap();
    chat.presence_set(kim, phone, NEWER, Some(Activity::Active)).await.unwrap();
    rung.take();
    chat.presence_set(kim, phone, LINK, None).await.unwrap();
    assert_eq!(rung.take(), []);
    assert_eq!(seen(&chat, kim, kim).await, Some((Status::Online, NOW_MS)));
    chat.presence_set(kim, phone, NEWER, None).await.unwrap();
    assert_eq!(seen(&chat, kim, kim).await, Some((Status::Offline, NOW_MS)));
}

#[tokio::test]
async fn a_device_that_was_logged_out_is_gone_for_good() {
    let (chat, rung) = chat();
    let [kim] = users(&chat).await;
    let phone = device(&chat, kim).await;
    chat.presence_set(kim, phone, LINK, Some(Activity::Active)).await.unwrap();
    rung.take();
    chat.log_out(kim, phone).await.unwrap();
    assert_eq!(rung.take(), [Topic::User(kim), Topic::Presence(kim)]);
    // Its session has not noticed yet.
    chat.presence_set(kim, phone, LINK, Some(Activity::Idle)).await.unwrap();
    assert_eq!(seen(&chat, kim, kim).await.unwrap().0, Status::Offline);
}

#[tokio::test]
async fn only_some_may_see() {
    let (chat, _) = chat();
    let [kim, friend, partner, colleague, stranger] = users(&chat).await;
    let phone = device(&chat, kim).await;
    chat.presence_set(kim, phone, LINK, Some(Activity::Active)).await.unwrap();
    befriend(&chat, kim, friend).await;
    chat.run(|tx| async move {
        presence::became_partners(&tx, kim, partner);
        tx.set(keys::joined(kim, ChannelId(7)), Vec::new());
        tx.set(keys::joined(colleague, ChannelId(7)), Vec::new());
        tx.set(keys::joined(stranger, ChannelId(8)), Vec::new());
        Ok(())
    })
    .await
    .unwrap();
    for viewer in [kim, friend, partner, colleague] {
        assert_eq!(seen(&chat, viewer, kim).await, Some((Status::Online, NOW_MS)), "{viewer}");
    }
    assert_eq!(seen(&chat, stranger, kim).await, None);
    assert_eq!(seen(&chat, kim, UserId(1)).await, None);
    for viewer in [friend, partner, colleague] {
        chat.block(kim, viewer).await.unwrap();
        assert_eq!(seen(&chat, viewer, kim).await, None);
        assert_eq!(seen(&chat, kim, viewer).await, None);
    }
    assert!(matches!(chat.presence_of(kim, &[kim; 201]).await, Err(ChatError::TooLarge { .. })));
}

#[tokio::test]
async fn who_appears_offline_does_and_rings_nobody() {
    let (chat, rung) = chat();
    let [kim, lee] = users(&chat).await;
    befriend(&chat, kim, lee).await;
    let phone = device(&chat, kim).await;
    chat.presence_set(kim, phone, LINK, Some(Activity::Active)).await.unwrap();
    let appear = |offline| SettingsChange { appear_offline: Some(offline), ..SettingsChange::default() };
    rung.take();
    chat.change_settings(kim, &appear(true)).await.unwrap();
    assert!(rung.take().contains(&Topic::Presence(kim)));
    assert_eq!(seen(&chat, lee, kim).await, Some((Status::Offline, 0)));
    assert_eq!(seen(&chat, kim, kim).await, Some((Status::Online, NOW_MS)));
    chat.presence_set(kim, phone, LINK, None).await.unwrap();
    chat.presence_set(kim, phone, LINK, Some(Activity::Idle)).await.unwrap();
    assert!(!rung.take().contains(&Topic::Presence(kim)));
    chat.change_settings(kim, &appear(false)).await.unwrap();
    assert!(rung.take().contains(&Topic::Presence(kim)));
    assert_eq!(seen(&chat, lee, kim).await.unwrap().0, Status::Idle);
}

#[tokio::test]
async fn a_dead_nodes_devices_are_swept() {
    let (chat, rung) = chat();
    let users: [UserId; 120] = users(&chat).await;
    for user in users {
        let phone = device(&chat, user).await;
        let link = if user == users[0] { NEWER } else { LINK };
        chat.presence_set(user, phone, link, Some(Activity::Active)).await.unwrap();
    }
    rung.take();
    let mut steps = 0;
    while chat.presence_sweep(LINK.node, None).await.unwrap() {
        steps += 1;
    }
    assert_eq!(steps, 2);
    assert_eq!(rung.take().len(), 119);
    assert_eq!(seen(&chat, users[0], users[0]).await.unwrap().0, Status::Online);
    assert_eq!(seen(&chat, users[1], users[1]).await.unwrap().0, Status::Offline);
}

#[tokio::test]
async fn friends_and_partners_are_watched_up_to_a_limit() {
    let mut few = config();
    few.limits.presence_watched_max = 3;
    let (chat, _) = over(Store::memory(), few);
    let [kim, a, b, c, d] = users(&chat).await;
    befriend(&chat, kim, a).await;
    chat.run(|tx| async move {
        for partner in [kim, a, b, c, d] {
            presence::became_partners(&tx, kim, partner);
        }
        Ok(())
    })
    .await
    .unwrap();
    chat.block(b, kim).await.unwrap();
    let watched = vec![a, b, c];
    assert_eq!(chat.presence_watch_list(kim).await.unwrap(), WatchList { watched, hidden: [b].into() });
    chat.unblock(b, kim).await.unwrap();
    let watched = vec![a, b, c];
    assert_eq!(chat.presence_watch_list(kim).await.unwrap(), WatchList { watched, hidden: [].into() });
}
