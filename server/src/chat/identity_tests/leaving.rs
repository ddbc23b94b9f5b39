use serde_json::Value;
use suda_schema::channel::{NewMessage, Op, Send};
use suda_schema::entry::{Body, What};
use suda_schema::event::{UserEvent, UserRef};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId};

use super::events_of_others;
use crate::chat::append::Publish;
use crate::chat::auth::SessionState;
use crate::chat::channels::NewChannel;
use crate::chat::friends::{List, Relation};
use crate::chat::log::PageLimit;
use crate::chat::presence::LinkId;
use crate::chat::testing::{PASSWORD, chat, faulty_chat, phone, sign_up, users, wish};
use crate::chat::{Chat, ChatError, Topic};
use crate::store::{Faults, Range};

const ALL: PageLimit = PageLimit { rows: 1_000, bytes: 1 << 20 };

async fn group(chat: &Chat, owner: UserId, members: &[UserId]) -> ChannelId {
    let new = NewChannel {
        kind: ChannelKind::Group,
        title: "room".to_owned(),
        picture: None,
        members: members.to_vec(),
        request: None,
    };
    chat.create_channel(owner, &new).await.unwrap().channel
}

async fn say(chat: &Chat, channel: ChannelId, user: UserId, number: u128, text: &str) -> Seq {
    let message =
        NewMessage { body: Body::Text(text.to_owned()), reply_to: None, mentions: Vec::new(), attachments: Vec::new() };
    let send = Send { client_msg_id: ClientMsgId(number.to_be_bytes()), op: Op::Message(message) };
    let sent = chat.append(channel, &[Publish { user, device: DeviceId(1), send }]).await.unwrap();
    sent.results[0].clone().unwrap().seq
}

async fn bodies(chat: &Chat, channel: ChannelId) -> Vec<(UserId, Body)> {
    let page = chat.read_log(channel, Seq::ZERO, ALL).await.unwrap();
    let messages = page.entries.iter().map(|entry| entry.decode().unwrap());
    messages
        .filter_map(|entry| match entry.what {
            What::Message(message) => Some((entry.by, message.body)),
            _ => None,
        })
        .collect()
}

/// Works through the erasure, as a node would that keeps trying.
async fn erase(chat: &Chat) {
    while !matches!(chat.erase_leaving().await, Ok(0)) {}
}

#[tokio::test]
async fn a_deleted_account_is_over_at_once() {
    let (chat, rung) = chat();
    let login = sign_up(&chat, "kim").await;
    let caller = chat.authorize(&login.tokens.access, Default::default()).await.unwrap();
    let link = LinkId { node: 1, number: 1 };
    chat.presence_set(login.user, login.device, link, Some(Default::default())).await.unwrap();
    rung.take();
    for password in [None, Some("wrong password")] {
        let refused = chat.delete_account(login.user, password).await;
        assert!(matches!(refused, Err(ChatError::WrongCredentials)));
    }
    chat.delete_account(login.user, Some(PASSWORD)).await.unwrap();
    assert_eq!(rung.take()[..2], [Topic::User(login.user), Topic::Presence(login.user)]);
    assert_eq!(chat.session_check(&caller).await.unwrap(), SessionState::AccountGone);
    assert!(matches!(chat.refresh(&login.tokens.refresh).await, Err(ChatError::Unauthenticated(_))));
    assert!(matches!(chat.login("kim", PASSWORD, &phone()).await, Err(ChatError::WrongCredentials)));
    assert!(matches!(chat.own_profile(login.user).await, Err(ChatError::NotFound(_))));
    let [public] = &chat.users(&[login.user]).await.unwrap()[..] else { panic!() };
    assert!(public.gone && public.handle.is_empty() && public.display_name.is_empty());
    assert!(matches!(chat.sign_up(&wish("kim")).await, Err(ChatError::Conflict(_))), "a handle is given once");
    assert_eq!(chat.account_count().await.unwrap(), 0);
    // Again is once.
    chat.delete_account_as_operator(login.user).await.unwrap();
}

#[tokio::test]
async fn what_it_left_behind_is_erased() {
    for seed in 0..6 {
        let faults = Faults {
            seed,
            conflict_permille: 100,
            unknown_applied_permille: 100,
            unknown_dropped_permille: 100,
            ..Faults::default()
        };
        let (chat, _) = faulty_chat(faults);
        let [kim, friend, asked, blocked, blocker] = users(&chat).await;
        chat.request_friend(kim, friend).await.unwrap();
        chat.accept_friend(friend, kim).await.unwrap();
        chat.request_friend(kim, asked).await.unwrap();
        chat.block(kim, blocked).await.unwrap();
        chat.block(blocker, kim).await.unwrap();
        let direct = chat.open_direct(kim, friend).await.unwrap().channel;
        let room = group(&chat, kim, &[friend, asked]).await;
        let left = group(&chat, friend, &[kim]).await;
        for (number, channel) in [direct, room, left].into_iter().enumerate() {
            say(&chat, channel, kim, number as u128, "a secret").await;
            say(&chat, channel, friend, 100 + number as u128, "an answer").await;
        }
        while chat.leave(kim, left).await.is_err() && chat.joined_channels(kim).await.unwrap().contains(&left) {}

        chat.delete_account(kim, Some(PASSWORD)).await.unwrap();
        erase(&chat).await;
        for channel in [direct, room, left] {
            let [(by, secret), (_, answer)] = &bodies(&chat, channel).await[..] else { panic!() };
            assert!(*by == kim && matches!(secret, Body::Erased(_)), "{secret:?}");
            assert_eq!(answer, &Body::Text("an answer".to_owned()));
        }
        for other in [friend, asked, blocked, blocker] {
            assert_eq!(chat.relation(other, kim).await.unwrap(), Relation::default());
        }
        assert_eq!(chat.list_users(blocker, List::Blocked, None, 10).await.unwrap().users, []);
        assert!(chat.joined_channels(kim).await.unwrap().is_empty());
        assert!(!chat.presence_watch_list(friend).await.unwrap().watched.contains(&kim));
        let gone = UserRef { user: kim };
        assert!(events_of_others(&chat, friend).await.contains(&UserEvent::FriendRemoved(gone)));
        assert!(events_of_others(&chat, asked).await.contains(&UserEvent::FriendRemoved(gone)));
        assert_eq!(events_of_others(&chat, blocked).await, []);
        assert_eq!(events_of_others(&chat, kim).await, []);
    }
}

#[tokio::test]
async fn no_row_holds_what_was_said_or_who_said_it() {
    let (chat, _) = chat();
    let mut request = wish("kim_the_first");
    request.display_name = "Kim the Zeroth".to_owned();
    let kim = chat.sign_up(&request).await.unwrap();
    let [friend] = users(&chat).await;
    let room = group(&chat, friend, &[kim.user]).await;
    say(&chat, room, kim.user, 1, "a secret that was told").await;
    chat.delete_account(kim.user, Some(PASSWORD)).await.unwrap();
    erase(&chat).await;
    let rows = chat.read(|tx| async move { tx.all_rows(Range::all()).await }).await.unwrap();
    for (key, value) in rows {
        for trace in ["secret", "Zeroth"] {
            let holds = |bytes: &[u8]| bytes.windows(trace.len()).any(|window| window == trace.as_bytes());
            assert!(!holds(&key) && !holds(&value), "{trace} in {key:?}");
        }
    }
}

#[tokio::test]
async fn an_export_has_everything_of_ones_own_and_nothing_else() {
    let (chat, _) = chat();
    let [kim, friend] = users(&chat).await;
    chat.request_friend(kim, friend).await.unwrap();
    chat.accept_friend(friend, kim).await.unwrap();
    let room = group(&chat, kim, &[friend]).await;
    let left = group(&chat, friend, &[kim]).await;
    for number in 0..250 {
        say(&chat, room, kim, number, &format!("mine {number}")).await;
    }
    say(&chat, room, friend, 1_000, "not mine").await;
    say(&chat, left, kim, 1_001, "before I left").await;
    chat.leave(kim, left).await.unwrap();

    let mut export = chat.export(kim);
    let mut values: Vec<Value> = Vec::new();
    let mut pages = 0;
    while let Some(page) = export.page().await.unwrap() {
        values.extend(page);
        pages += 1;
    }
    assert!(pages > 8);
    let of = |kind: &str| values.iter().filter(|value| value["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of("account")[0]["handle"], "user_0");
    assert_eq!(of("device")[0]["name"], "phone");
    assert_eq!((of("relation").len(), &of("relation")[0]["list"]), (1, &Value::from("friends")));
    assert_eq!(of("channel").len(), 1);
    let messages = of("message");
    assert_eq!(messages.len(), 251);
    assert!(messages.iter().any(|message| message.to_string().contains("before I left")));
    assert!(!messages.iter().any(|message| message.to_string().contains("not mine")));
}
