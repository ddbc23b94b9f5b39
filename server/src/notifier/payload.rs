//! What a push says, for each platform. Pure.

use serde_json::{Value, json};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, Seq};

use crate::chat::outbox::{OutboxRow, Told};
use crate::chat::telling::{Said, Words};

/// Something to be shown, or to be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub channel: ChannelId,
    /// Which entry; of `Read`, up to which.
    pub seq: Seq,
    /// When it happened.
    pub at_ms: u64,
    /// After that it is worth nothing.
    pub expires_at_ms: u64,
    /// What the badge shows.
    pub badge: u64,
    /// What it is.
    pub show: Show,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// A notification.
    Alert(Alert),
    /// Notifications of the channel up to the seq are taken away.
    Read,
}

/// A notification's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alert {
    /// The channel's title, or the sender; empty where nothing is to be given away.
    pub title: String,
    /// The sender, in channels of many.
    pub subtitle: String,
    /// The text; empty where there is a key.
    pub body: String,
    /// What the app says in its own language.
    pub key: &'static str,
    /// What it fills in.
    pub args: Vec<String>,
    /// Only the app can read it.
    pub opaque: bool,
}

impl Notice {
    /// What one user is shown.
    #[must_use]
    pub fn new(row: &OutboxRow, words: Option<&Words>, preview: bool, badge: u64, useful_ms: u64) -> Option<Self> {
        let show = match (&row.what, words) {
            (Told::Read, _) => Show::Read,
            (_, Some(words)) => Show::Alert(alert(words, preview)),
            (_, None) => return None,
        };
        let expires_at_ms = row.at_ms.saturating_add(useful_ms);
        Some(Self { channel: row.channel, seq: row.seq, at_ms: row.at_ms, expires_at_ms, badge, show })
    }

    /// The same for each try of the same thing, so that the platform shows it once. At most 32 characters of base64url's.
    #[must_use]
    pub fn collapse_id(&self) -> String {
        match self.show {
            Show::Alert(_) => format!("{:x}-{:x}", self.channel.0, self.seq.0),
            Show::Read => format!("r-{:x}", self.channel.0),
        }
    }

    /// APNs.
    #[must_use]
    pub fn apns(&self) -> Value {
        let mut aps = json!({ "badge": self.badge });
        match &self.show {
            Show::Alert(alert) => {
                let mut text = json!({});
                put(&mut text, "title", &alert.title);
                put(&mut text, "subtitle", &alert.subtitle);
                put(&mut text, "body", &alert.body);
                if !alert.key.is_empty() {
                    text["loc-key"] = json!(alert.key);
                    text["loc-args"] = json!(alert.args);
                }
                aps["alert"] = text;
                aps["sound"] = json!("default");
                aps["thread-id"] = json!(self.channel.to_string());
                if alert.opaque {
                    aps["mutable-content"] = json!(1);
                }
            }
            Show::Read => aps["content-available"] = json!(1),
        }
        json!({ "aps": aps, "suda": self.data() })
    }

    /// FCM: the `message`, without its token.
    #[must_use]
    pub fn fcm(&self, data_only: bool, now_ms: u64) -> Value {
        let ttl = format!("{}s", self.ttl_s(now_ms));
        let texts = self.data();
        let mut data = json!({});
        for (name, value) in texts.as_object().into_iter().flatten() {
            data[name] = json!(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        data["badge"] = json!(self.badge.to_string());
        let urgent = matches!(self.show, Show::Alert(_));
        let mut android = json!({ "priority": if urgent { "high" } else { "normal" }, "ttl": ttl });
        android["collapse_key"] = json!(self.collapse_id());
        let mut message = json!({
            "webpush": { "headers": { "TTL": self.ttl_s(now_ms).to_string(), "Urgency": if urgent { "high" } else { "low" } } },
        });
        if let Show::Alert(alert) = &self.show {
            for (name, text) in [("title", &alert.title), ("subtitle", &alert.subtitle), ("body", &alert.body)] {
                put(&mut data, name, text);
            }
            if !alert.key.is_empty() {
                data["loc_key"] = json!(alert.key);
                data["loc_args"] = json!(json!(alert.args).to_string());
            }
            if !data_only {
                let mut shown = json!({ "tag": self.collapse_id(), "notification_count": self.badge.min(9_999) });
                put(&mut shown, "title", &alert.title);
                put(&mut shown, "body", &alert.line());
                if !alert.key.is_empty() {
                    shown["body_loc_key"] = json!(alert.key.to_ascii_lowercase());
                    shown["body_loc_args"] = json!(alert.args);
                }
                android["notification"] = shown;
                let mut shown = json!({ "tag": self.collapse_id(), "title": alert.title, "body": alert.english() });
                shown["data"] = texts.clone();
                message["webpush"]["notification"] = shown;
            }
        }
        message["android"] = android;
        message["data"] = data;
        message
    }

    /// Web Push: what the app's service worker is given.
    #[must_use]
    pub fn webpush(&self) -> Value {
        let mut payload = self.data();
        payload["badge"] = json!(self.badge);
        payload["tag"] = json!(self.collapse_id());
        payload["at_ms"] = json!(self.at_ms);
        if let Show::Alert(alert) = &self.show {
            put(&mut payload, "title", &alert.title);
            put(&mut payload, "subtitle", &alert.subtitle);
            put(&mut payload, "body", &alert.english());
            if !alert.key.is_empty() {
                payload["loc_key"] = json!(alert.key);
                payload["loc_args"] = json!(alert.args);
            }
        }
        payload
    }

    /// For how many seconds it is still worth something.
    #[must_use]
    pub fn ttl_s(&self, now_ms: u64) -> u64 {
        self.expires_at_ms.saturating_sub(now_ms) / 1_000
    }

    /// Where a tap leads to.
    fn data(&self) -> Value {
        let what = if self.show == Show::Read { "read" } else { "message" };
        json!({ "v": 1, "type": what, "channel": self.channel.to_string(), "seq": self.seq.0 })
    }
}

impl Alert {
    /// One line that has the sender in it.
    fn line(&self) -> String {
        if self.subtitle.is_empty() || self.body.is_empty() {
            return self.body.clone();
        }
        format!("{}: {}", self.subtitle, self.body)
    }

    /// In English, where nobody translates.
    fn english(&self) -> String {
        let arg = |at: usize| self.args.get(at).map_or("", String::as_str);
        match self.key {
            "SUDA_NEW_MESSAGE" => "New message".to_owned(),
            "SUDA_PICTURE" => "Picture".to_owned(),
            "SUDA_FILE" => "File".to_owned(),
            "SUDA_REACTION" => format!("{} reacted {}", arg(0), arg(1)),
            _ => self.line(),
        }
    }
}

fn alert(words: &Words, preview: bool) -> Alert {
    if !preview || words.said == Said::Opaque {
        let opaque = words.said == Said::Opaque;
        return Alert { key: "SUDA_NEW_MESSAGE", opaque, ..Alert::default() };
    }
    let (title, subtitle) = match words.kind {
        ChannelKind::Direct => (words.by_name.clone(), String::new()),
        _ => (words.title.clone(), words.by_name.clone()),
    };
    let alert = Alert { title, subtitle, ..Alert::default() };
    if let Some(emoji) = &words.reaction {
        return Alert { key: "SUDA_REACTION", args: vec![words.by_name.clone(), emoji.clone()], ..alert };
    }
    match &words.said {
        Said::Text(text) => Alert { body: text.clone(), ..alert },
        Said::Picture => Alert { key: "SUDA_PICTURE", ..alert },
        Said::File => Alert { key: "SUDA_FILE", ..alert },
        Said::Opaque => alert,
    }
}

fn put(object: &mut Value, name: &str, text: &str) {
    if !text.is_empty() {
        object[name] = json!(text);
    }
}

#[cfg(test)]
mod tests {
    use suda_schema::UserId;

    use super::*;

    fn notice(said: Said, preview: bool) -> Notice {
        let words = Words {
            kind: ChannelKind::Group,
            title: "Lunch".to_owned(),
            by_name: "Kim".to_owned(),
            said,
            reaction: None,
        };
        let row = OutboxRow::message(ChannelId(7), (Seq(300), 1_000), UserId(1));
        Notice::new(&row, Some(&words), preview, 4, 60_000).unwrap()
    }

    #[test]
    fn apple_is_told() {
        assert_eq!(
            notice(Said::Text("hello".to_owned()), true).apns(),
            json!({
                "aps": {
                    "alert": { "title": "Lunch", "subtitle": "Kim", "body": "hello" },
                    "badge": 4, "sound": "default", "thread-id": "7",
                },
                "suda": { "v": 1, "type": "message", "channel": "7", "seq": 300 },
            })
        );
    }

    #[test]
    fn nothing_is_given_away_where_nothing_may() {
        for notice in [notice(Said::Text("secret".to_owned()), false), notice(Said::Opaque, true)] {
            for payload in [notice.apns(), notice.fcm(false, 0), notice.fcm(true, 0), notice.webpush()] {
                let text = payload.to_string();
                assert!(!text.contains("secret") && !text.contains("Kim") && !text.contains("Lunch"), "{text}");
                assert!(text.to_ascii_lowercase().contains("suda_new_message"), "{text}");
            }
        }
    }

    #[test]
    fn google_gets_texts_only() {
        let message = notice(Said::Text("hello".to_owned()), true).fcm(false, 1_000);
        assert!(message["data"].as_object().unwrap().values().all(Value::is_string), "{message}");
        assert_eq!(message["android"]["ttl"], "60s");
        assert_eq!(message["android"]["notification"]["body"], "Kim: hello");
        assert_eq!(notice(Said::File, true).fcm(true, 0)["android"].get("notification"), None);
    }

    #[test]
    fn the_longest_text_fits_apples_limit() {
        let text: String = std::iter::repeat_n('\u{1F389}', suda_schema::limits::PREVIEW_CHARS_MAX).collect();
        assert!(notice(Said::Text(text), true).apns().to_string().len() < 4_096);
    }

    #[test]
    fn the_collapse_id_fits_everywhere() {
        let row = OutboxRow::message(ChannelId(u64::MAX >> 1), (Seq(u64::MAX >> 8), 0), UserId(1));
        let words = Words {
            kind: ChannelKind::Direct,
            title: String::new(),
            by_name: String::new(),
            said: Said::File,
            reaction: None,
        };
        assert!(Notice::new(&row, Some(&words), true, 0, 0).unwrap().collapse_id().len() <= 32);
    }
}
