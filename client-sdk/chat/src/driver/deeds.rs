//! What is done over HTTP: each in a task of its own, and the answer told.

use suda_client::schema::limits::PRESENCE_USERS_MAX;
use suda_client::schema::summary::Mute;
use suda_client::{Client, Error, ErrorCode, ProfileChange, Requested, UserId};
use tokio::sync::mpsc;

use super::bridge::Bridge;
use crate::model::say::{Cmd, News, Whom};

/// How many entries of history are fetched at once.
const PAGE: u16 = 50;

/// Begins it.
pub(super) fn begin(bridge: &Bridge, cmd: Cmd) {
    let deed = Deed { client: bridge.client.clone(), news: bridge.news.clone() };
    tokio::spawn(async move {
        let news = match cmd {
            Cmd::SignIn { handle, password, is_new } => deed.sign_in(&handle, &password, is_new).await,
            Cmd::Older(id) => {
                let more = deed.client.channel(id).load_older(PAGE).await;
                Some(News::Older(id, more.map_err(|error| error.to_string())))
            }
            // Names are asked for quietly, and again at the next occasion.
            Cmd::LookUp(users) => deed.client.users().get(&users).await.ok().map(News::People),
            cmd => match deed.carry_out(cmd).await {
                Ok(news) => news,
                Err(error) => Some(News::Failed(in_words(&error))),
            },
        };
        if let Some(news) = news {
            // Nobody may listen any more.
            let _ = deed.news.send(news).await;
        }
    });
}

struct Deed {
    client: Client,
    news: mpsc::Sender<News>,
}

fn in_words(error: &Error) -> String {
    match error {
        Error::Refused(refused) => refused.message.clone(),
        error => error.to_string(),
    }
}

impl Deed {
    async fn sign_in(&self, handle: &str, password: &str, is_new: bool) -> Option<News> {
        let done = match is_new {
            true => self.client.sign_up(handle, password).await,
            false => self.client.login(handle, password).await,
        };
        match done {
            Ok(login) => Some(News::LoggedIn { user: login.user }),
            Err(error) => Some(News::Denied(in_words(&error))),
        }
    }

    async fn who(&self, whom: Whom) -> Result<UserId, Error> {
        match whom {
            Whom::User(user) => Ok(user),
            Whom::Handle(handle) => match self.client.users().by_handle(&handle).await {
                Ok(user) => {
                    let id = user.user;
                    let _ = self.news.send(News::People(vec![user])).await;
                    Ok(id)
                }
                Err(error) if error.code() == Some(ErrorCode::NOT_FOUND) => {
                    Err(Error::System(format!("There is nobody called @{handle}.")))
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn all(&self, handles: Vec<String>) -> Result<Vec<UserId>, Error> {
        let mut users = Vec::new();
        for handle in handles {
            users.push(self.who(Whom::Handle(handle)).await?);
        }
        Ok(users)
    }

    /// Who of these is there. Nobody is told that it can't be known just now.
    async fn presence(&self, users: &[UserId]) -> Option<News> {
        if users.is_empty() {
            return None;
        }
        self.client.ask_presence(users).await.ok().map(News::Presence)
    }

    async fn friends(&self) -> Result<Option<News>, Error> {
        let friends = self.client.friends();
        let (received, sent, friends) = tokio::try_join!(friends.received(), friends.sent(), friends.list())?;
        let users: Vec<UserId> = friends.iter().map(|friend| friend.user).take(PRESENCE_USERS_MAX).collect();
        let _ = self.news.send(News::Friends { friends, received, sent }).await;
        Ok(self.presence(&users).await)
    }

    async fn carry_out(&self, cmd: Cmd) -> Result<Option<News>, Error> {
        let client = &self.client;
        let said = |text: &str| Ok(Some(News::Said(text.to_owned())));
        match cmd {
            Cmd::Direct(whom) => {
                let channel = client.direct(self.who(whom).await?).await?;
                self.show(channel.id()).await
            }
            Cmd::Group { title, handles } => {
                let channel = client.create_group(&title, &self.all(handles).await?).await?;
                self.show(channel.id()).await
            }
            Cmd::Join(code) => {
                let channel = client.join(&code).await?;
                self.show(channel.id()).await
            }
            Cmd::Invite(id) => {
                let channel = client.channel(id);
                let code = match channel.invite_code().await? {
                    Some(code) => code,
                    None => channel.make_invite_code().await?,
                };
                said(&format!("Others join by: /join {code}"))
            }
            Cmd::Befriend(whom) => {
                let state = client.friends().request(self.who(whom).await?).await?;
                said(if state == Requested::Friends { "You are friends." } else { "Asked." })
            }
            Cmd::Accept(whom) => {
                client.friends().accept(self.who(whom).await?).await?;
                let _ = self.news.send(News::Said("You are friends.".to_owned())).await;
                self.friends().await
            }
            Cmd::Unfriend(whom) => {
                let user = self.who(whom).await?;
                match client.friends().received().await?.iter().any(|one| one.user == user) {
                    true => client.friends().refuse(user).await?,
                    false => client.friends().remove(user).await?,
                }
                self.friends().await
            }
            Cmd::Friends => self.friends().await,
            Cmd::Members(id) => {
                let members = client.channel(id).members().await?;
                let users: Vec<UserId> = members.iter().map(|member| member.user).take(PRESENCE_USERS_MAX).collect();
                let _ = self.news.send(News::Members(id, members)).await;
                Ok(self.presence(&users).await)
            }
            Cmd::AddMembers { channel, handles } => {
                client.channel(channel).add_members(&self.all(handles).await?).await?;
                Ok(None)
            }
            Cmd::Remove { channel, whom } => {
                client.channel(channel).remove_member(self.who(whom).await?).await?;
                Ok(None)
            }
            Cmd::Leave(id) => client.channel(id).leave().await.map(|()| None),
            Cmd::Title { channel, title } => client.channel(channel).set_title(&title).await.map(|()| None),
            Cmd::Name(name) => {
                let change = ProfileChange { display_name: Some(name), ..ProfileChange::default() };
                client.users().change_me(&change).await?;
                Ok(Some(News::People(vec![client.users().me().await?])))
            }
            Cmd::Mute { channel, mute } => {
                client.channel(channel).set_mute(mute).await?;
                said(if mute == Mute::Off { "Not muted any more." } else { "Muted." })
            }
            _ => Ok(None),
        }
    }

    async fn show(&self, channel: suda_client::ChannelId) -> Result<Option<News>, Error> {
        let _ = self.news.send(News::Rows(self.client.channels())).await;
        Ok(Some(News::Show(channel)))
    }
}
