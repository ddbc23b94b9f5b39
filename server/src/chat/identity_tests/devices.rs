use suda_schema::DeviceId;
use suda_schema::event::{DeviceRef, UserEvent};

use super::events;
use crate::chat::auth::SessionState;
use crate::chat::devices::PushKind;
use crate::chat::testing::{NOW_MS, PASSWORD, chat, config, faulty_chat, over, phone, sign_up};
use crate::chat::{Chat, ChatError, Topic};
use crate::store::{Faults, Store};

async fn state(chat: &Chat, access: &str) -> SessionState {
    let caller = chat.authenticate(access, Default::default()).await.unwrap();
    chat.session_check(&caller).await.unwrap()
}

#[tokio::test]
async fn an_access_token_runs_out_and_a_refresh_renews_it() {
    let (chat, _) = chat();
    let login = sign_up(&chat, "kim").await;
    assert_eq!(login.tokens.access_expires_at_ms, NOW_MS + 15 * 60_000);
    let caller = chat.authenticate(&login.tokens.access, Default::default()).await.unwrap();
    chat.clock().advance_ms(15 * 60_000);
    let late = chat.authenticate(&login.tokens.access, Default::default()).await;
    assert!(matches!(late, Err(ChatError::TokenExpired)));
    assert_eq!(chat.session_check(&caller).await.unwrap(), SessionState::TokenExpired);
    let renewed = chat.refresh(&login.tokens.refresh).await.unwrap();
    assert_eq!((renewed.user, renewed.device), (login.user, login.device));
    assert_eq!(state(&chat, &renewed.tokens.access).await, SessionState::Live);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let (chat, _) = chat();
    let (other, _) = over(Store::memory(), config());
    let login = sign_up(&chat, "kim").await;
    other.clock().advance_ms(1);
    let foreign = sign_up(&other, "kim").await;
    let [header, claims, signature] = login.tokens.access.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let [_, foreign_claims, _] = foreign.tokens.access.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let forged = [
        String::new(),
        "x".repeat(9_000),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}.{foreign_claims}.{signature}"),
        format!("{header}.{claims}.{signature}A"),
        // {"alg":"none","typ":"suda+jwt","kid":"1"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoic3VkYStqd3QiLCJraWQiOiIxIn0.{claims}."),
    ];
    for token in forged {
        let result = chat.authenticate(&token, Default::default()).await;
        assert!(matches!(result, Err(ChatError::Unauthenticated(_))), "{token}: {result:?}");
    }
}

#[tokio::test]
async fn signing_keys_rotate_and_every_node_follows() {
    let store = Store::memory();
    let (one, _) = over(store.clone(), config());
    let (other, _) = over(store, config());
    let login = sign_up(&one, "kim").await;
    assert_eq!(state(&other, &login.tokens.access).await, SessionState::Live);

    one.rotate_signing_key(false).await.unwrap();
    let renewed = one.refresh(&login.tokens.refresh).await.unwrap();
    // The other node has just read the keys: it does so again for an unknown one after a second.
    other.clock().advance_ms(1_000);
    assert_eq!(state(&other, &renewed.tokens.access).await, SessionState::Live);
    assert_eq!(state(&other, &login.tokens.access).await, SessionState::Live);

    one.rotate_signing_key(true).await.unwrap();
    other.clock().advance_ms(60_000);
    for token in [&login.tokens.access, &renewed.tokens.access] {
        assert!(matches!(other.authenticate(token, Default::default()).await, Err(ChatError::Unauthenticated(_))));
    }
}

#[tokio::test]
async fn a_refresh_token_used_twice_logs_the_device_out() {
    let (chat, rung) = chat();
    let login = sign_up(&chat, "kim").await;
    let next = chat.refresh(&login.tokens.refresh).await.unwrap();
    chat.clock().advance_ms(30_000);
    let again = chat.refresh(&login.tokens.refresh).await.unwrap();
    assert_eq!(again.tokens.refresh, next.tokens.refresh, "within the grace the same token comes again");
    rung.take();

    chat.clock().advance_ms(1);
    assert!(matches!(chat.refresh(&login.tokens.refresh).await, Err(ChatError::Unauthenticated(_))));
    assert_eq!(rung.take(), [Topic::User(login.user)]);
    assert_eq!(state(&chat, &next.tokens.access).await, SessionState::DeviceRevoked);
    assert!(matches!(chat.refresh(&next.tokens.refresh).await, Err(ChatError::Unauthenticated(_))));
    let removed = UserEvent::DeviceRemoved(DeviceRef { device: login.device });
    assert_eq!(events(&chat, login.user).await.last(), Some(&removed));
}

#[tokio::test]
async fn refreshes_at_once_get_the_same_token() {
    for seed in 0..8 {
        let faults = Faults {
            seed,
            conflict_permille: 200,
            unknown_applied_permille: 200,
            unknown_dropped_permille: 200,
            ..Faults::default()
        };
        let (chat, _) = faulty_chat(faults);
        let login = sign_up(&chat, "kim").await;
        let refreshes = (0..5).map(|_| {
            let (chat, token) = (chat.clone(), login.tokens.refresh.clone());
            tokio::spawn(async move { chat.refresh(&token).await.unwrap().tokens.refresh })
        });
        let mut tokens = Vec::new();
        for refresh in refreshes.collect::<Vec<_>>() {
            tokens.push(refresh.await.unwrap());
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 1);
        assert!(chat.refresh(&tokens[0]).await.is_ok());
    }
}

#[tokio::test]
async fn who_guesses_a_refresh_token_logs_nobody_out() {
    let (chat, _) = chat();
    let login = sign_up(&chat, "kim").await;
    let (ids, secret) = login.tokens.refresh.split_at(40);
    let guess = format!("{ids}{}", "0".repeat(secret.len()));
    for token in ["", "suda_r1_00", &guess] {
        assert!(matches!(chat.refresh(token).await, Err(ChatError::Unauthenticated(_))));
    }
    assert!(chat.refresh(&login.tokens.refresh).await.is_ok());
}

#[tokio::test]
async fn a_device_that_stays_away_too_long_is_logged_out() {
    let (chat, _) = chat();
    let login = sign_up(&chat, "kim").await;
    chat.clock().advance_ms(90 * 24 * 3_600_000);
    assert!(matches!(chat.refresh(&login.tokens.refresh).await, Err(ChatError::Unauthenticated(_))));
    assert!(chat.devices(login.user).await.unwrap().is_empty());
}

#[tokio::test]
async fn logging_out_ends_the_session_and_rings_for_it() {
    let (chat, rung) = chat();
    let first = sign_up(&chat, "kim").await;
    let second = chat.login("kim", PASSWORD, &phone()).await.unwrap();
    let third = chat.login("kim", PASSWORD, &phone()).await.unwrap();
    rung.take();
    chat.log_out(first.user, first.device).await.unwrap();
    assert_eq!(rung.take(), [Topic::User(first.user)]);
    assert_eq!(state(&chat, &first.tokens.access).await, SessionState::DeviceRevoked);
    chat.log_out(first.user, first.device).await.unwrap();
    assert_eq!(rung.take(), []);
    assert_eq!(chat.log_out_all(first.user, Some(third.device)).await.unwrap(), [second.device]);
    assert_eq!(state(&chat, &third.tokens.access).await, SessionState::Live);
    assert_eq!(chat.log_out_all(first.user, None).await.unwrap(), [third.device]);
}

#[tokio::test]
async fn at_the_limit_the_device_goes_that_was_seen_least_recently() {
    let mut few = config();
    few.limits.devices_per_user_max = 2;
    let (chat, _) = over(Store::memory(), few);
    let first = sign_up(&chat, "kim").await;
    chat.clock().advance_ms(1);
    let second = chat.login("kim", PASSWORD, &phone()).await.unwrap();
    chat.clock().advance_ms(1);
    chat.refresh(&first.tokens.refresh).await.unwrap();
    let third = chat.login("kim", PASSWORD, &phone()).await.unwrap();
    assert_eq!(third.logged_out, [second.device]);
    let listed: Vec<DeviceId> = chat.devices(first.user).await.unwrap().iter().map(|info| info.device).collect();
    assert_eq!(listed, [third.device, first.device]);
}

#[tokio::test]
async fn devices_are_renamed_but_only_ones_own() {
    let (chat, _) = chat();
    let kim = sign_up(&chat, "kim").await;
    let lee = sign_up(&chat, "lee").await;
    chat.rename_device(kim.user, kim.device, " tablet ").await.unwrap();
    assert_eq!(chat.devices(kim.user).await.unwrap()[0].name, "tablet");
    assert!(matches!(chat.rename_device(lee.user, kim.device, "mine").await, Err(ChatError::NotFound(_))));
    chat.log_out(lee.user, kim.device).await.unwrap();
    assert_eq!(chat.devices(kim.user).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_push_token_belongs_to_the_last_who_says_so() {
    let (chat, _) = chat();
    let kim = sign_up(&chat, "kim").await;
    let lee = sign_up(&chat, "lee").await;
    let register = async |login: &crate::chat::auth::Login, token: &str| {
        chat.register_push(login.user, login.device, PushKind::Apns, token).await
    };
    let pushes = async |login: &crate::chat::auth::Login| chat.devices(login.user).await.unwrap()[0].push.len();
    register(&kim, "one").await.unwrap();
    register(&kim, "one").await.unwrap();
    assert_eq!(pushes(&kim).await, 1);
    // The same phone, now somebody else's.
    register(&lee, "one").await.unwrap();
    assert_eq!((pushes(&kim).await, pushes(&lee).await), (0, 1));
    let tokens = chat.push_tokens(lee.user).await.unwrap();
    assert_eq!((tokens[0].0, tokens[0].1.token.as_str()), (lee.device, "one"));
    // Kim's old device can't take it away again by being logged out.
    chat.log_out(kim.user, kim.device).await.unwrap();
    assert_eq!(pushes(&lee).await, 1);
    for number in 0..6 {
        register(&lee, &format!("token {number}")).await.unwrap();
    }
    assert_eq!(pushes(&lee).await, 4);
    chat.unregister_push(lee.user, lee.device, PushKind::Apns, "token 5").await.unwrap();
    assert_eq!(pushes(&lee).await, 3);
    for bad in ["", "a\nb", &"x".repeat(5_000)] {
        assert!(register(&lee, bad).await.is_err());
    }
}
