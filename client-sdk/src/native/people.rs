//! Friends, users, devices, groups and their members: what is done over HTTP.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use suda_schema::entry::Role;
use suda_schema::summary::{ChannelKind, ChannelSummary, Mute};
use suda_schema::{DeviceId, MediaId, UserId};

use super::channel::Channel;
use super::client::Client;
use super::error::Error;
use super::types::{Device, Invitation, Listed, Member, Profile, ProfileChange, PushKind, Requested, User};

/// The most pages of a list that are read.
const PAGES_MAX: usize = 1_000;

/// Friends, requests and blocks, from [`Client::friends`].
///
/// ```no_run
/// # async fn run(client: suda_client::Client) -> Result<(), suda_client::Error> {
/// let lee = client.users().by_handle("lee").await?;
/// client.friends().request(lee.user).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Friends {
    client: Client,
}

#[derive(Deserialize)]
struct UsersPage {
    users: Vec<Listed>,
    next: Option<UserId>,
}

impl Friends {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// All friends.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.all("friends?list=friends").await
    }

    /// Those who ask to be friends.
    pub async fn received(&self) -> Result<Vec<Listed>, Error> {
        self.all("friends?list=received").await
    }

    /// Those who were asked.
    pub async fn sent(&self) -> Result<Vec<Listed>, Error> {
        self.all("friends?list=sent").await
    }

    /// Those who are blocked.
    pub async fn blocked(&self) -> Result<Vec<Listed>, Error> {
        self.all("blocks?limit=500").await
    }

    async fn all(&self, list: &str) -> Result<Vec<Listed>, Error> {
        let (mut users, mut path) = (Vec::new(), list.to_owned());
        for _ in 0..PAGES_MAX {
            let page: UsersPage = self.client.shared().api.ask(Method::GET, &path).await?;
            users.extend(page.users);
            match page.next {
                Some(next) => path = format!("{list}&after={next}"),
                None => break,
            }
        }
        Ok(users)
    }

    /// Asks somebody to be a friend. Two who ask each other are friends.
    pub async fn request(&self, user: UserId) -> Result<Requested, Error> {
        #[derive(Deserialize)]
        struct Answer {
            state: Requested,
        }
        let answer: Answer = self.client.shared().api.ask(Method::PUT, &format!("friends/{user}")).await?;
        Ok(answer.state)
    }

    /// Accepts somebody's request.
    pub async fn accept(&self, user: UserId) -> Result<(), Error> {
        self.client.shared().api.once(Method::POST, &format!("friends/{user}/accept"), None).await
    }

    /// Refuses somebody's request.
    pub async fn refuse(&self, user: UserId) -> Result<(), Error> {
        self.client.shared().api.ask(Method::POST, &format!("friends/{user}/refuse")).await
    }

    /// Ends a friendship, or takes a request back.
    pub async fn remove(&self, user: UserId) -> Result<(), Error> {
        self.client.shared().api.ask(Method::DELETE, &format!("friends/{user}")).await
    }

    /// Blocks somebody: neither can write to the other. They are not told.
    pub async fn block(&self, user: UserId) -> Result<(), Error> {
        self.client.shared().api.ask(Method::PUT, &format!("blocks/{user}")).await
    }

    /// Takes a block back.
    pub async fn unblock(&self, user: UserId) -> Result<(), Error> {
        self.client.shared().api.ask(Method::DELETE, &format!("blocks/{user}")).await
    }
}

/// Profiles, from [`Client::users`].
#[derive(Debug, Clone)]
pub struct Users {
    client: Client,
}

#[derive(Deserialize)]
struct Found {
    users: Vec<User>,
}

impl Users {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Oneself, as others see one.
    pub async fn me(&self) -> Result<User, Error> {
        #[derive(Deserialize)]
        struct Me {
            public: User,
        }
        let me: Me = self.client.shared().api.ask(Method::GET, "me").await?;
        Ok(me.public)
    }

    /// One's own profile, with what others do not see.
    pub async fn my_profile(&self) -> Result<Profile, Error> {
        #[derive(Deserialize)]
        struct Me {
            profile: Profile,
        }
        let me: Me = self.client.shared().api.ask(Method::GET, "me").await?;
        Ok(me.profile)
    }

    /// Changes one's own profile; how it is then.
    pub async fn change_me(&self, change: &ProfileChange) -> Result<Profile, Error> {
        self.client.shared().api.put(Method::PATCH, "me", change).await
    }

    /// Users by id; at most 200. Those that never were are left out.
    pub async fn get(&self, users: &[UserId]) -> Result<Vec<User>, Error> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = users.iter().map(UserId::to_string).collect();
        self.find("ids", &ids.join(",")).await
    }

    /// The user with this handle.
    pub async fn by_handle(&self, handle: &str) -> Result<User, Error> {
        let found = self.find("handle", handle).await?;
        found.into_iter().next().ok_or_else(|| Error::BadAnswer("no user, and no error".to_owned()))
    }

    /// Users whose handle begins like this.
    pub async fn search(&self, beginning: &str) -> Result<Vec<User>, Error> {
        self.find("search", beginning).await
    }

    async fn find(&self, by: &str, value: &str) -> Result<Vec<User>, Error> {
        let value = escaped(value);
        let found: Found = self.client.shared().api.ask(Method::GET, &format!("users?{by}={value}")).await?;
        Ok(found.users)
    }
}

/// As part of a query.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The user's devices, from [`Client::devices`].
///
/// ```no_run
/// # async fn run(client: suda_client::Client, token: &str) -> Result<(), suda_client::Error> {
/// use suda_client::PushKind;
///
/// let devices = client.devices();
/// devices.register_push(PushKind::Fcm, token).await?;
/// for device in devices.list().await? {
///     println!("{}, a {}", device.name, device.platform);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Devices {
    client: Client,
}

impl Devices {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// All of them, the one that was seen last first.
    pub async fn list(&self) -> Result<Vec<Device>, Error> {
        #[derive(Deserialize)]
        struct Listing {
            devices: Vec<Device>,
        }
        let listing: Listing = self.client.shared().api.ask(Method::GET, "devices").await?;
        Ok(listing.devices)
    }

    /// Gives one another name.
    pub async fn rename(&self, device: DeviceId, name: &str) -> Result<(), Error> {
        self.client.shared().api.put(Method::PATCH, &format!("devices/{device}"), &json!({ "name": name })).await
    }

    /// Logs one out: its links end within a second.
    pub async fn log_out(&self, device: DeviceId) -> Result<(), Error> {
        self.client.shared().api.ask(Method::DELETE, &format!("devices/{device}")).await
    }

    /// Logs all others out.
    pub async fn log_out_others(&self) -> Result<(), Error> {
        let _: Value = self.client.shared().api.ask(Method::POST, "devices/logout-others").await?;
        Ok(())
    }

    /// Says where this device can be pushed to. An address belongs to one device: whoever had it before is no longer
    /// pushed there. To be said at each start of the app, and whenever the address changes.
    pub async fn register_push(&self, kind: PushKind, token: &str) -> Result<(), Error> {
        self.push(Method::PUT, kind, token).await
    }

    /// Takes an address back. One that is not there is taken back.
    pub async fn unregister_push(&self, kind: PushKind, token: &str) -> Result<(), Error> {
        self.push(Method::DELETE, kind, token).await
    }

    async fn push(&self, method: Method, kind: PushKind, token: &str) -> Result<(), Error> {
        let body = json!({ "kind": kind, "token": token });
        self.client.shared().api.put(method, "push-tokens", &body).await
    }
}

impl Client {
    /// The direct channel with somebody; with oneself it is for notes.
    pub async fn direct(&self, user: UserId) -> Result<Channel, Error> {
        let summary: ChannelSummary = self.shared().api.ask(Method::PUT, &format!("direct/{user}")).await?;
        Ok(self.made(summary))
    }

    /// Makes a group.
    pub async fn create_group(&self, title: &str, members: &[UserId]) -> Result<Channel, Error> {
        self.create(ChannelKind::Group, title, members).await
    }

    /// Makes a channel in which few may post.
    pub async fn create_broadcast(&self, title: &str, members: &[UserId]) -> Result<Channel, Error> {
        self.create(ChannelKind::Broadcast, title, members).await
    }

    async fn create(&self, kind: ChannelKind, title: &str, members: &[UserId]) -> Result<Channel, Error> {
        // The same request again makes no second channel.
        let request = self.shared().act(|core, _| core.new_id());
        let body = json!({ "kind": kind, "title": title, "members": members, "request": request });
        let summary: ChannelSummary = self.shared().api.put(Method::POST, "channels", &body).await?;
        Ok(self.made(summary))
    }

    /// What an invitation's code leads to.
    pub async fn invitation(&self, code: &str) -> Result<Invitation, Error> {
        self.shared().api.ask(Method::GET, &format!("invites/{}", escaped(code))).await
    }

    /// Joins by an invitation's code.
    pub async fn join(&self, code: &str) -> Result<Channel, Error> {
        let path = format!("invites/{}/join", escaped(code));
        let summary: ChannelSummary = self.shared().api.ask(Method::POST, &path).await?;
        Ok(self.made(summary))
    }

    fn made(&self, summary: ChannelSummary) -> Channel {
        let id = summary.channel;
        self.shared().act(|core, now_ms| core.learn(now_ms, summary));
        self.channel(id)
    }
}

#[derive(Deserialize)]
struct Code {
    code: Option<String>,
}

impl Channel {
    fn path(&self, rest: &str) -> String {
        format!("channels/{}{rest}", self.id())
    }

    async fn ask(&self, method: Method, rest: &str) -> Result<(), Error> {
        self.client().shared().api.ask(method, &self.path(rest)).await
    }

    async fn put(&self, method: Method, rest: &str, body: &Value) -> Result<(), Error> {
        self.client().shared().api.put(method, &self.path(rest), body).await
    }

    /// All members.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        #[derive(Deserialize)]
        struct Page {
            members: Vec<Member>,
            next: Option<UserId>,
        }
        let (mut members, mut path) = (Vec::new(), self.path("/members"));
        for _ in 0..PAGES_MAX {
            let page: Page = self.client().shared().api.ask(Method::GET, &path).await?;
            members.extend(page.members);
            match page.next {
                Some(next) => path = self.path(&format!("/members?after={next}")),
                None => break,
            }
        }
        Ok(members)
    }

    /// Adds members. For admins; at most 100 at once.
    pub async fn add_members(&self, users: &[UserId]) -> Result<(), Error> {
        self.put(Method::POST, "/members", &json!({ "users": users })).await
    }

    /// Removes a member, who may be added again. For admins.
    pub async fn remove_member(&self, user: UserId) -> Result<(), Error> {
        self.client().shared().api.once(Method::DELETE, &self.path(&format!("/members/{user}")), None).await
    }

    /// Gives a member another role. For admins, about members below them.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<(), Error> {
        self.put(Method::PUT, &format!("/members/{user}/role"), &json!({ "role": role })).await
    }

    /// Keeps somebody out. For admins.
    pub async fn ban(&self, user: UserId) -> Result<(), Error> {
        self.ask(Method::PUT, &format!("/bans/{user}")).await
    }

    /// Lets somebody in again. For admins.
    pub async fn unban(&self, user: UserId) -> Result<(), Error> {
        self.ask(Method::DELETE, &format!("/bans/{user}")).await
    }

    /// Hands the channel over. For its owner, who becomes an admin.
    pub async fn hand_over(&self, user: UserId) -> Result<(), Error> {
        self.client().shared().api.once(Method::PUT, &self.path("/owner"), Some(&json!({ "user": user }))).await
    }

    /// Leaves the channel.
    pub async fn leave(&self) -> Result<(), Error> {
        self.client().shared().api.once(Method::POST, &self.path("/leave"), None).await
    }

    /// Deletes the channel with everything in it. For its owner.
    pub async fn delete_channel(&self) -> Result<(), Error> {
        self.client().shared().api.once(Method::DELETE, &self.path(""), None).await
    }

    /// Gives the channel another title. For admins.
    pub async fn set_title(&self, title: &str) -> Result<(), Error> {
        let _: ChannelSummary =
            self.client().shared().api.put(Method::PATCH, &self.path(""), &json!({ "title": title })).await?;
        Ok(())
    }

    /// Gives the channel another picture, or none. For admins.
    pub async fn set_picture(&self, picture: Option<MediaId>) -> Result<(), Error> {
        let _: ChannelSummary =
            self.client().shared().api.put(Method::PATCH, &self.path(""), &json!({ "picture": picture })).await?;
        Ok(())
    }

    /// Says what the channel notifies of.
    pub async fn set_mute(&self, mute: Mute) -> Result<(), Error> {
        self.put(Method::PUT, "/mute", &json!({ "mute": mute })).await
    }

    /// The code by which others can join, if there is one. For admins.
    pub async fn invite_code(&self) -> Result<Option<String>, Error> {
        let code: Code = self.client().shared().api.ask(Method::GET, &self.path("/invite")).await?;
        Ok(code.code)
    }

    /// Makes a code by which others can join; the one before is worth nothing from now on. For admins.
    pub async fn make_invite_code(&self) -> Result<String, Error> {
        let code: Code = self.client().shared().api.once(Method::POST, &self.path("/invite"), None).await?;
        code.code.ok_or_else(|| Error::BadAnswer("no code".to_owned()))
    }
}
