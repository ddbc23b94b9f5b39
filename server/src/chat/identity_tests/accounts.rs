use suda_schema::event::{DeviceRef, UserEvent};

use super::events;
use crate::chat::auth::{AuthConfig, PasswordConfig, SessionState};
use crate::chat::testing::{PASSWORD, chat, config, faulty_chat, over, phone, sign_up, wish};
use crate::chat::{ChatConfig, ChatError, Topic};
use crate::store::{Faults, Store};

#[tokio::test]
async fn a_new_account_is_logged_in() {
    let (chat, rung) = chat();
    let login = sign_up(&chat, "Kim.Lee_1").await;
    assert_eq!(rung.take(), [Topic::User(login.user)]);
    let caller = chat.authorize(&login.tokens.access, Default::default()).await.unwrap();
    assert_eq!((caller.user, caller.device), (login.user, login.device));
    let (public, profile) = chat.own_profile(login.user).await.unwrap();
    assert_eq!((public.handle.as_str(), profile.display_name.as_str()), ("kim.lee_1", "kim.lee_1"));
    assert_eq!(events(&chat, login.user).await, [UserEvent::DeviceAdded(DeviceRef { device: login.device })]);
}

#[tokio::test]
async fn handles_and_passwords_have_rules() {
    let (chat, _) = chat();
    for handle in ["", "ki", "k m", "kïm", "kim-lee", "kim\0", &"k".repeat(33)] {
        let result = chat.sign_up(&wish(handle)).await;
        assert!(matches!(result, Err(ChatError::Invalid { field: "handle", .. })), "{handle:?}");
    }
    let mut short = wish("kim");
    short.password = "1234567".to_owned();
    assert!(matches!(chat.sign_up(&short).await, Err(ChatError::Invalid { field: "password", .. })));
    let mut long_name = wish("kim");
    long_name.display_name = "x".repeat(65);
    assert!(matches!(chat.sign_up(&long_name).await, Err(ChatError::TooLarge { .. })));
    let mut device = wish("kim");
    device.device.name = "x\ny".to_owned();
    assert!(matches!(chat.sign_up(&device).await, Err(ChatError::Invalid { .. })));
    sign_up(&chat, &"k".repeat(32)).await;
}

#[tokio::test]
async fn one_handle_is_given_once_however_many_want_it() {
    for seed in 0..8 {
        let faults = Faults { seed, conflict_permille: 300, unknown_applied_permille: 200, ..Faults::default() };
        let (chat, _) = faulty_chat(faults);
        let tries = (0..6).map(|_| {
            let chat = chat.clone();
            tokio::spawn(async move { chat.sign_up(&wish("kim")).await })
        });
        let mut made = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            match one.await.unwrap() {
                Ok(login) => made.push(login),
                Err(error) => assert!(matches!(error, ChatError::Conflict(_)), "{error}"),
            }
        }
        let [login] = &made[..] else { panic!("{made:?}") };
        assert_eq!(chat.user_by_handle(login.user, "KIM").await.unwrap().user, login.user);
        assert_eq!(chat.devices(login.user).await.unwrap().len(), 1);
        assert!(chat.refresh(&login.tokens.refresh).await.is_ok());
    }
}

#[tokio::test]
async fn a_commit_that_was_lost_is_made_again_and_one_that_was_not_is_found() {
    for seed in 0..20 {
        let faults = Faults { seed, unknown_applied_permille: 400, unknown_dropped_permille: 400, ..Faults::default() };
        let (chat, _) = faulty_chat(faults);
        let login = sign_up(&chat, "kim").await;
        let second = chat.login("kim", PASSWORD, &phone()).await.unwrap();
        assert_eq!(chat.devices(login.user).await.unwrap().len(), 2);
        let changed = chat.change_password(login.user, second.device, PASSWORD, "battery staple").await.unwrap();
        assert!(chat.login("kim", PASSWORD, &phone()).await.is_err());
        assert!(chat.refresh(&changed.tokens.refresh).await.is_ok());
        assert_eq!(chat.devices(login.user).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_failed_login_says_not_why() {
    let (chat, _) = chat();
    sign_up(&chat, "kim").await;
    let wrong = [("kim", "wrong password"), ("lee", PASSWORD), ("kim", "short"), ("not a handle", PASSWORD), ("", "")];
    for (handle, password) in wrong {
        let error = chat.login(handle, password, &phone()).await.unwrap_err();
        assert!(matches!(error, ChatError::WrongCredentials), "{handle}: {error}");
    }
    assert!(chat.login("KIM", PASSWORD, &phone()).await.is_ok());
}

#[tokio::test]
async fn an_unknown_handle_costs_a_hash_too() {
    // With no turn to be had, whoever needs a hash is refused: so both do.
    let passwords = PasswordConfig { running_max: 1, waiting_max: 0, wait_ms_max: 0, ..config().auth.passwords };
    let auth = AuthConfig { passwords, ..AuthConfig::default() };
    let (chat, _) = over(Store::memory(), ChatConfig { auth, ..ChatConfig::default() });
    sign_up(&chat, "kim").await;
    let _turn = chat.auth().passwords.hold_all_turns();
    for handle in ["kim", "lee"] {
        let result = chat.login(handle, PASSWORD, &phone()).await;
        assert!(matches!(result, Err(ChatError::Overloaded { .. })), "{handle}");
    }
}

#[tokio::test]
async fn a_password_change_leaves_only_this_device_with_new_tokens() {
    let (chat, rung) = chat();
    let first = sign_up(&chat, "kim").await;
    let second = chat.login("kim", PASSWORD, &phone()).await.unwrap();
    let access = |token: &str| {
        let (chat, token) = (chat.clone(), token.to_owned());
        async move { chat.authenticate(&token, Default::default()).await.unwrap() }
    };
    let (old_first, old_second) = (access(&first.tokens.access).await, access(&second.tokens.access).await);
    rung.take();

    let wrong = chat.change_password(second.user, second.device, "wrong password", "battery staple").await;
    assert!(matches!(wrong, Err(ChatError::WrongCredentials)));
    let changed = chat.change_password(second.user, second.device, PASSWORD, "battery staple").await.unwrap();
    assert_eq!(changed.logged_out, [first.device]);
    assert_eq!(rung.take(), [Topic::User(first.user)]);

    assert_eq!(chat.session_check(&old_first).await.unwrap(), SessionState::DeviceRevoked);
    assert_eq!(chat.session_check(&old_second).await.unwrap(), SessionState::TokenExpired);
    let new = access(&changed.tokens.access).await;
    assert_eq!(chat.session_check(&new).await.unwrap(), SessionState::Live);
    assert!(new.is_same_device(&old_second));
    for old in [&first, &second] {
        assert!(matches!(chat.refresh(&old.tokens.refresh).await, Err(ChatError::Unauthenticated(_))));
    }
    // The old token of this device was a stranger's at worst: it must not log the device out.
    assert!(chat.refresh(&changed.tokens.refresh).await.is_ok());
    assert!(chat.login("kim", PASSWORD, &phone()).await.is_err());
    assert!(chat.login("kim", "battery staple", &phone()).await.is_ok());
}

#[tokio::test]
async fn two_password_changes_at_once_do_not_both_count() {
    let (chat, _) = chat();
    let login = sign_up(&chat, "kim").await;
    let (one, other) = tokio::join!(
        chat.change_password(login.user, login.device, PASSWORD, "battery staple"),
        chat.change_password(login.user, login.device, PASSWORD, "tomato soup"),
    );
    assert_ne!(one.is_ok(), other.is_ok());
    let kept = if one.is_ok() { "battery staple" } else { "tomato soup" };
    assert!(chat.login("kim", kept, &phone()).await.is_ok());
}

#[tokio::test]
async fn a_hash_of_old_parameters_is_made_anew_at_login() {
    let store = Store::memory();
    let (old, _) = over(store.clone(), config());
    sign_up(&old, "kim").await;
    let mut harder = config();
    harder.auth.passwords.passes = 2;
    let (new, _) = over(store, harder);
    new.login("kim", PASSWORD, &phone()).await.unwrap();
    // For the old parameters the new hash is now the outdated one, and both still log in.
    old.login("kim", PASSWORD, &phone()).await.unwrap();
    assert!(new.login("kim", "wrong password", &phone()).await.is_err());
}

#[tokio::test]
async fn an_operator_can_close_sign_up_and_own_accounts() {
    let mut closed = config();
    closed.auth.open_sign_up = false;
    let (chat, _) = over(Store::memory(), closed);
    assert!(matches!(chat.sign_up(&wish("kim")).await, Err(ChatError::Forbidden(_))));
    assert!(chat.make_account(&wish("kim")).await.is_ok());
    assert!(chat.login("kim", PASSWORD, &phone()).await.is_ok());

    let mut none = config();
    none.auth.own_accounts = false;
    let (chat, _) = over(Store::memory(), none);
    assert!(matches!(chat.sign_up(&wish("kim")).await, Err(ChatError::Forbidden(_))));
    assert!(matches!(chat.login("kim", PASSWORD, &phone()).await, Err(ChatError::Forbidden(_))));
}
