//! Dead letters: pushes that were given up, for the operator to look at, send again or throw away.

use serde::{Deserialize, Serialize};
use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::rows::DeadRow;
use crate::chat::outbox::{self, Told};
use crate::chat::push::PushKind;
use crate::chat::tx::decode_row;
use crate::chat::{Chat, ChatError, Tx};
use crate::store::{Range, after_key, keys};

/// The most in one page, and in one step of sending again or throwing away.
pub const DEAD_PAGE_MAX: usize = 500;

/// A push that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// By what it is called.
    pub id: String,
    /// When it was given up.
    pub at_ms: u64,
    /// Who was to be told.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// By whom.
    pub kind: PushKind,
    /// Under which address, shortened.
    pub token: String,
    /// Of which channel.
    pub channel: ChannelId,
    /// Of which entry.
    pub seq: Seq,
    /// Why it was given up.
    pub reason: String,
    /// How often it was tried in vain.
    pub failures: u32,
}

/// Some of them, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadPage {
    /// Which.
    pub dead: Vec<DeadLetter>,
    /// How to go on.
    pub next: Option<String>,
}

/// Which ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// Only this one.
    pub id: Option<String>,
    /// Only with this reason.
    pub reason: Option<String>,
}

impl Which {
    fn fits(&self, letter: &DeadLetter) -> bool {
        self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
    }

    fn range(&self, after: Option<&str>) -> Result<Range, ChatError> {
        let parse = |id: &str| {
            let (at_ms, own) = id.split_once('-')?;
            Some(keys::push_dead(at_ms.parse().ok()?, u64::from_str_radix(own, 16).ok()?))
        };
        let all = keys::all_push_dead();
        let key = |id: &str| parse(id).ok_or_else(|| ChatError::invalid("id", "is none of a dead letter"));
        Ok(match (&self.id, after) {
            (Some(id), _) => {
                let key = key(id)?;
                Range::new(&key, after_key(&key))
            }
            (None, Some(after)) => Range::new(after_key(&key(after)?), all.end()),
            (None, None) => all,
        })
    }
}

/// Dead letters after this one.
pub async fn list(chat: &Chat, after: Option<&str>, limit: usize) -> Result<DeadPage, ChatError> {
    let range = Which::default().range(after)?.limit(limit.clamp(1, DEAD_PAGE_MAX));
    let range = &range;
    chat.read(|tx| async move {
        let page = tx.range(range.clone()).await?;
        let dead: Vec<DeadLetter> =
            page.rows.iter().map(|(key, value)| letter(key, value)).collect::<Result<_, _>>()?;
        let next = dead.last().filter(|_| page.next().is_some()).map(|last| last.id.clone());
        Ok(DeadPage { dead, next })
    })
    .await
}

/// Sends them again, as if they had just happened; says how many.
pub async fn requeue(chat: &Chat, which: &Which) -> Result<u64, ChatError> {
    take(chat, which, true).await
}

/// Throws them away; says how many.
pub async fn purge(chat: &Chat, which: &Which) -> Result<u64, ChatError> {
    take(chat, which, false).await
}

/// Throws away what is too old, and the oldest of what is too many.
pub(super) async fn sweep(chat: &Chat, dead_ms: u64, dead_max: usize) -> Result<(), ChatError> {
    let before_ms = chat.clock().now_ms().saturating_sub(dead_ms);
    chat.run_idempotent(|tx| async move {
        let all = keys::all_push_dead();
        tx.clear_range(all.begin(), keys::push_dead(before_ms, 0));
        let mut next = Some(all.reverse().snapshot());
        let mut kept = 0usize;
        while let Some(range) = next {
            let page = tx.range(range).await?;
            if let Some((key, _)) = dead_max.checked_sub(kept).and_then(|room| page.rows.get(room)) {
                tx.clear_range(keys::all_push_dead().begin(), after_key(key));
                return Ok(());
            }
            kept += page.rows.len();
            next = page.next();
        }
        Ok(())
    })
    .await
}

async fn take(chat: &Chat, which: &Which, again: bool) -> Result<u64, ChatError> {
    let (mut taken, mut after) = (0, None::<String>);
    loop {
        let range = which.range(after.as_deref())?.limit(DEAD_PAGE_MAX);
        let range = &range;
        let (some, last) = chat.run(|tx| async move { take_page(&tx, which, range.clone(), again).await }).await?;
        taken += some;
        match last {
            Some(last) if which.id.is_none() => after = Some(last),
            _ => return Ok(taken),
        }
    }
}

async fn take_page(tx: &Tx, which: &Which, range: Range, again: bool) -> Result<(u64, Option<String>), ChatError> {
    let page = tx.range(range).await?;
    let (mut taken, mut last) = (0u16, None);
    for (key, value) in &page.rows {
        let letter = letter(key, value)?;
        if which.fits(&letter) {
            tx.clear(key);
            if again {
                let DeadRow { mut row, user, device, kind, .. } = decode_row(value)?;
                row.at_ms = tx.now_ms();
                if row.what == Told::Message {
                    row.what = Told::Again { user, device, kind };
                }
                outbox::put(tx, taken, &row);
            }
            taken += 1;
        }
        last = Some(letter.id);
    }
    Ok((taken.into(), last.filter(|_| page.next().is_some())))
}

fn letter(key: &[u8], value: &[u8]) -> Result<DeadLetter, ChatError> {
    let (at_ms, own) = keys::push_dead_of(key).ok_or(ChatError::BadRow("dead push"))?;
    let DeadRow { row, user, device, kind, token, why, failures } = decode_row(value)?;
    let (id, channel, seq) = (format!("{at_ms}-{own:x}"), row.channel, row.seq);
    Ok(DeadLetter { id, at_ms, user, device, kind, token, channel, seq, reason: why, failures })
}
