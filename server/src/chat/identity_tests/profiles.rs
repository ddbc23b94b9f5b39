use suda_schema::event::{UserEvent, UserRef};
use suda_schema::{MediaId, UserId};

use super::events_of_others;
use crate::chat::ChatError;
use crate::chat::profile::ProfileChange;
use crate::chat::settings::{Audience, QuietHours, SettingsChange};
use crate::chat::testing::{chat, sign_up, users};

#[tokio::test]
async fn a_profile_changes_in_parts() {
    let (chat, _) = chat();
    let [kim] = users(&chat).await;
    let change = ProfileChange {
        display_name: Some("  Kim 🌊 ".to_owned()),
        bio: Some("one\ntwo".to_owned()),
        picture: Some(Some(MediaId(5))),
        time_zone: Some("Asia/Seoul".to_owned()),
        ..ProfileChange::default()
    };
    let profile = chat.change_profile(kim, &change).await.unwrap();
    assert_eq!((profile.display_name.as_str(), profile.bio.as_str()), ("Kim 🌊", "one\ntwo"));
    let rest = ProfileChange { picture: Some(None), display_name: Some(" ".to_owned()), ..ProfileChange::default() };
    let profile = chat.change_profile(kim, &rest).await.unwrap();
    assert_eq!((profile.picture, profile.display_name.as_str()), (None, "user_0"));
    assert_eq!(profile.bio, "one\ntwo");
    chat.change_profile(kim, &ProfileChange::default()).await.unwrap();
    let changed = UserEvent::ProfileChanged(UserRef { user: kim });
    assert_eq!(events_of_others(&chat, kim).await, [changed.clone(), changed]);
}

#[tokio::test]
async fn what_does_not_fit_a_profile_is_refused() {
    let (chat, _) = chat();
    let [kim] = users(&chat).await;
    let text = |text: &str| Some(text.to_owned());
    let bad = [
        ProfileChange { display_name: Some("x".repeat(65)), ..ProfileChange::default() },
        ProfileChange { display_name: text("a\nb"), ..ProfileChange::default() },
        ProfileChange { bio: Some("é".repeat(501)), ..ProfileChange::default() },
        ProfileChange { bio: text("a\0b"), ..ProfileChange::default() },
        ProfileChange { status_text: text("a\u{1b}[0m"), ..ProfileChange::default() },
        ProfileChange { locale: text("ko KR"), ..ProfileChange::default() },
        ProfileChange { time_zone: Some("x".repeat(65)), ..ProfileChange::default() },
    ];
    for change in bad {
        let result = chat.change_profile(kim, &change).await;
        assert!(matches!(result, Err(ChatError::Invalid { .. } | ChatError::TooLarge { .. })), "{change:?}");
    }
    assert!(matches!(chat.change_profile(UserId(1), &ProfileChange::default()).await, Err(ChatError::NotFound(_))));
}

#[tokio::test]
async fn users_are_looked_up_in_the_order_asked_for() {
    let (chat, _) = chat();
    let [kim, lee] = users(&chat).await;
    let found = chat.users(&[lee, UserId(1), kim]).await.unwrap();
    assert_eq!(found.iter().map(|user| user.user).collect::<Vec<_>>(), [lee, kim]);
    assert!(matches!(chat.users(&[kim; 201]).await, Err(ChatError::TooLarge { .. })));
}

#[tokio::test]
async fn handles_are_found_by_their_beginning_unless_their_owners_mind() {
    let (chat, _) = chat();
    let kim = sign_up(&chat, "kim").await.user;
    let kimchi = sign_up(&chat, "kimchi").await.user;
    let kimono = sign_up(&chat, "kimono").await.user;
    let viewer = sign_up(&chat, "viewer").await.user;
    let search = async |beginning: &str| -> Vec<UserId> {
        let found = chat.search_users(viewer, beginning, 50).await.unwrap();
        found.iter().map(|user| user.user).collect()
    };
    assert_eq!(search("KIM").await, [kim, kimchi, kimono]);
    assert_eq!(search("kimc").await, [kimchi]);
    assert_eq!(search("").await, []);
    assert_eq!(search("k m").await, []);
    assert_eq!(chat.search_users(viewer, "kim", 2).await.unwrap().len(), 2);

    let find = |by| SettingsChange { find_by_handle: Some(by), ..SettingsChange::default() };
    chat.change_settings(kim, &find(Audience::Friends)).await.unwrap();
    chat.change_settings(kimchi, &find(Audience::Nobody)).await.unwrap();
    chat.block(kimono, viewer).await.unwrap();
    assert_eq!(search("kim").await, []);
    for handle in ["kim", "kimchi", "kimono", "nobody", "?"] {
        assert!(matches!(chat.user_by_handle(viewer, handle).await, Err(ChatError::NotFound(_))), "{handle}");
    }
    chat.request_friend(viewer, kim).await.unwrap();
    chat.accept_friend(kim, viewer).await.unwrap();
    assert_eq!(search("kim").await, [kim]);
    assert_eq!(chat.user_by_handle(kimchi, "kimchi").await.unwrap().user, kimchi);
}

#[tokio::test]
async fn settings_change_in_parts() {
    let (chat, _) = chat();
    let [kim] = users(&chat).await;
    let quiet = QuietHours { from_minute: 22 * 60, to_minute: 7 * 60, days: 0b001_1111 };
    let change = SettingsChange { quiet_hours: Some(Some(quiet)), push_preview: Some(false), ..Default::default() };
    chat.change_settings(kim, &change).await.unwrap();
    let appear = SettingsChange { appear_offline: Some(true), ..Default::default() };
    chat.change_settings(kim, &appear).await.unwrap();
    let settings = chat.settings(kim).await.unwrap();
    assert_eq!((settings.quiet_hours, settings.push_preview, settings.appear_offline), (Some(quiet), false, true));
    for bad in [QuietHours { from_minute: 1_440, ..quiet }, QuietHours { days: 0x80, ..quiet }] {
        let change = SettingsChange { quiet_hours: Some(Some(bad)), ..Default::default() };
        assert!(matches!(chat.change_settings(kim, &change).await, Err(ChatError::Invalid { .. })));
    }
    let none = SettingsChange { quiet_hours: Some(None), ..Default::default() };
    assert_eq!(chat.change_settings(kim, &none).await.unwrap().quiet_hours, None);
}

#[test]
fn json_tells_null_from_nothing() {
    let change: SettingsChange = serde_json::from_str(r#"{"push_preview":true}"#).unwrap();
    assert_eq!((change.push_preview, change.quiet_hours), (Some(true), None));
    let change: SettingsChange = serde_json::from_str(r#"{"quiet_hours":null}"#).unwrap();
    assert_eq!(change.quiet_hours, Some(None));
    let change: ProfileChange = serde_json::from_str(r#"{"picture":null}"#).unwrap();
    assert_eq!(change.picture, Some(None));
    assert!(serde_json::from_str::<ProfileChange>(r#"{"image":null}"#).is_err());
}
