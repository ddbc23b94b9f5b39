use crate::chat::ChatError;
use crate::chat::testing::{PASSWORD, chat, phone, sign_up, users};

#[tokio::test]
async fn the_operator_finds_lists_and_helps() {
    let (chat, _) = chat();
    let [one, two, three] = users(&chat).await;
    let page = chat.accounts(None, 2).await.unwrap();
    assert_eq!(page.accounts.iter().map(|info| info.user).collect::<Vec<_>>(), [one, two]);
    let page = chat.accounts(page.next, 2).await.unwrap();
    assert_eq!((page.accounts[0].user, page.next), (three, None));
    assert_eq!(chat.account_count().await.unwrap(), 3);

    let twin = sign_up(&chat, &one.to_string()).await.user;
    assert_eq!(chat.account(&one.to_string()).await.unwrap().user, one);
    assert_eq!(chat.account(&format!("@{one}")).await.unwrap().user, twin);
    assert_eq!(chat.account("USER_1").await.unwrap().user, two);
    assert!(matches!(chat.account("nobody").await, Err(ChatError::NotFound(_))));

    chat.reset_password(two, "battery staple").await.unwrap();
    assert!(chat.devices(two).await.unwrap().is_empty());
    assert!(chat.login("user_1", PASSWORD, &phone()).await.is_err());
    assert!(chat.login("user_1", "battery staple", &phone()).await.is_ok());
}
