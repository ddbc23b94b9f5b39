//! Pages of history, for a member: anywhere in the log, or in one thread of it.

use suda_schema::channel::{HistoryAt, HistoryPage, HistoryQuery};
use suda_schema::limits::{ENTRIES_BYTES_TARGET, HISTORY_PAGE_MAX};
use suda_schema::{ChannelId, Seq, UserId};

use super::log::{self, PageLimit};
use super::row::{About, StoredEntry};
use super::summary::View;
use super::{Chat, ChatError, Tx, members};
use crate::store::keys;

/// A page of history, as it was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPage {
    /// In order of seq, each in its current state.
    pub entries: Vec<StoredEntry>,
    /// Whether there are entries before the first of these.
    pub more_before: bool,
    /// Whether there are entries after the last of these.
    pub more_after: bool,
}

impl StoredPage {
    /// The page as the answer to a request.
    pub fn decode(&self, request: u32) -> Result<HistoryPage, ChatError> {
        let entries = self.entries.iter().map(StoredEntry::decode).collect::<Result<_, _>>()?;
        Ok(HistoryPage { request, entries, more_before: self.more_before, more_after: self.more_after })
    }
}

impl Chat {
    /// A page of history. A limit above [`HISTORY_PAGE_MAX`] is that; the page also ends at about
    /// [`ENTRIES_BYTES_TARGET`] bytes, but has at least one entry if there is any.
    pub async fn history(
        &self,
        user: UserId,
        channel: ChannelId,
        query: &HistoryQuery,
    ) -> Result<StoredPage, ChatError> {
        if query.limit == 0 {
            return Err(ChatError::invalid("limit", "0 entries are no page"));
        }
        let limit = PageLimit { rows: query.limit.min(HISTORY_PAGE_MAX).into(), bytes: ENTRIES_BYTES_TARGET };
        self.read(|tx| async move {
            members::require(&tx, channel, user).await?;
            let head = log::head(&tx, channel).await?.seq;
            let thread = match query.thread {
                Some(seq) => Some(root_of(&tx, channel, seq).await?),
                None => None,
            };
            let source = Source { tx: &tx, channel, head, thread };
            match place(&tx, user, channel, head, query.at).await? {
                Place::Before(seq) => source.before(seq, limit).await,
                Place::After(seq) => source.after(seq, limit).await,
                Place::Around(seq) => source.around(seq, limit).await,
            }
        })
        .await
    }
}

/// Where a page lies, once times and read positions have become seqs.
enum Place {
    Before(Seq),
    After(Seq),
    Around(Seq),
}

async fn place(tx: &Tx, user: UserId, channel: ChannelId, head: Seq, at: HistoryAt) -> Result<Place, ChatError> {
    let newest = Place::Before(head.next());
    match at {
        HistoryAt::Before(seq) => Ok(Place::Before(seq.min(head.next()))),
        HistoryAt::After(seq) | HistoryAt::Around(seq) if seq > head => Err(ChatError::CursorAhead { head }),
        HistoryAt::After(seq) => Ok(Place::After(seq)),
        HistoryAt::Around(seq) => Ok(Place::Around(seq.max(Seq(1)))),
        HistoryAt::Newest => Ok(newest),
        HistoryAt::Unread => Ok(first_unread(tx, user, channel).await?.map_or(newest, Place::Around)),
        HistoryAt::Time(at_ms) => {
            let reached = |seq| async move { Ok(glance(tx, channel, seq).await?.at_ms >= at_ms) };
            Ok(log::first_where(head, reached).await?.map_or(newest, Place::Around))
        }
    }
}

/// The first message of others that is unread. The unread are counted by a subtraction at any seq, so it takes a
/// logarithm of reads, not a walk over all that may lie between.
async fn first_unread(tx: &Tx, user: UserId, channel: ChannelId) -> Result<Option<Seq>, ChatError> {
    let view = View::read(tx, user, channel).await?;
    if view.unread() == 0 {
        return Ok(None);
    }
    let mark = &view.mark;
    let reached = |seq: Seq| async move {
        if seq <= mark.read {
            return Ok(false);
        }
        let (msgs, own) = (glance(tx, channel, seq).await?.msgs, log::own_count(tx, channel, user, seq).await?);
        Ok(mark.unread(msgs, own) > 0)
    };
    log::first_where(view.head.seq, reached).await
}

async fn glance(tx: &Tx, channel: ChannelId, seq: Seq) -> Result<log::Glance, ChatError> {
    log::glance(tx, channel, seq).await?.ok_or(ChatError::BadRow("entry"))
}

/// The first message of the thread that a message is in; itself, if it answers nothing.
async fn root_of(tx: &Tx, channel: ChannelId, seq: Seq) -> Result<Seq, ChatError> {
    match log::glance(tx, channel, seq).await?.map(|glance| glance.about) {
        Some(About::Message { thread }) => Ok(thread.unwrap_or(seq)),
        _ => Err(ChatError::NotFound("message")),
    }
}

/// The entries that pages are cut from: those of a log, or the messages of one of its threads.
struct Source<'a> {
    tx: &'a Tx,
    channel: ChannelId,
    head: Seq,
    thread: Option<Seq>,
}

impl Source<'_> {
    async fn before(&self, seq: Seq, limit: PageLimit) -> Result<StoredPage, ChatError> {
        let entries = self.read_back(seq, limit).await?;
        let after = entries.last().map_or(Seq(seq.0.saturating_sub(1)), |last| last.seq);
        self.page(entries, seq, after).await
    }

    async fn after(&self, seq: Seq, limit: PageLimit) -> Result<StoredPage, ChatError> {
        let entries = self.read_on(seq, limit).await?;
        let before = entries.first().map_or(seq.next(), |first| first.seq);
        self.page(entries, before, seq).await
    }

    /// About as many entries on both sides; more on one where the other has fewer. What lies at the seq itself comes
    /// in any case, the others as long as there is room.
    async fn around(&self, seq: Seq, limit: PageLimit) -> Result<StoredPage, ChatError> {
        let before = Seq(seq.0.saturating_sub(1));
        let half = PageLimit { rows: limit.rows.div_ceil(2), ..limit };
        let mut entries = self.read_on(before, half).await?;
        let mut earlier = self.read_back(seq, rest(limit, &entries)).await?;
        if !entries.is_empty() {
            earlier.reverse();
            cut(&mut earlier, rest(limit, &entries).bytes);
            earlier.reverse();
        }
        entries.splice(..0, earlier);
        if let Some(last) = entries.last() {
            let mut later = self.read_on(last.seq, rest(limit, &entries)).await?;
            cut(&mut later, rest(limit, &entries).bytes);
            entries.append(&mut later);
        }
        self.page(entries, seq, before).await
    }

    /// With what lies beyond the entries; for no entries, before `first` and after `last`.
    async fn page(&self, entries: Vec<StoredEntry>, first: Seq, last: Seq) -> Result<StoredPage, ChatError> {
        let first = entries.first().map_or(first, |entry| entry.seq);
        let last = entries.last().map_or(last, |entry| entry.seq);
        let (more_before, more_after) = match self.thread {
            None => (first > Seq(1), last < self.head),
            Some(_) => {
                let before = self.seqs(Seq(1), Seq(first.0.saturating_sub(1)), true, 1).await?;
                let after = self.seqs(last.next(), self.head, false, 1).await?;
                (!before.is_empty(), !after.is_empty())
            }
        };
        Ok(StoredPage { entries, more_before, more_after })
    }

    /// Entries after a seq, from the nearest on.
    async fn read_on(&self, after: Seq, limit: PageLimit) -> Result<Vec<StoredEntry>, ChatError> {
        if self.thread.is_none() {
            return log::forward(self.tx, self.channel, after, self.head, limit).await;
        }
        let seqs = self.seqs(after.next(), self.head, false, limit.rows).await?;
        log::entries_at(self.tx, self.channel, seqs, limit.bytes).await
    }

    /// Entries before a seq, from the nearest back; the oldest first.
    async fn read_back(&self, before: Seq, limit: PageLimit) -> Result<Vec<StoredEntry>, ChatError> {
        if self.thread.is_none() {
            return log::backward(self.tx, self.channel, Seq(1), before, limit).await;
        }
        let seqs = self.seqs(Seq(1), Seq(before.0.saturating_sub(1)), true, limit.rows).await?;
        let mut entries = log::entries_at(self.tx, self.channel, seqs, limit.bytes).await?;
        entries.reverse();
        Ok(entries)
    }

    /// The seqs of the thread's messages between two, both included.
    async fn seqs(&self, first: Seq, last: Seq, reverse: bool, rows: usize) -> Result<Vec<Seq>, ChatError> {
        let Some(root) = self.thread else { return Ok(Vec::new()) };
        if first > last || rows == 0 {
            return Ok(Vec::new());
        }
        let range = keys::thread_between(self.channel, root, first, last).limit(rows);
        let page = self.tx.range(if reverse { range.reverse() } else { range }).await?;
        let seqs = page.rows.iter().map(|(key, _)| keys::last_number(key).map(Seq).ok_or(ChatError::BadRow("thread")));
        let mut seqs: Vec<Seq> = seqs.collect::<Result<_, _>>()?;
        // The index begins with the first answer; before that the thread is its first message.
        if seqs.is_empty() && (first..=last).contains(&root) {
            seqs.push(root);
        }
        Ok(seqs)
    }
}

/// What a page has room for beside these entries.
fn rest(limit: PageLimit, entries: &[StoredEntry]) -> PageLimit {
    let bytes: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
    PageLimit { rows: limit.rows.saturating_sub(entries.len()), bytes: limit.bytes.saturating_sub(bytes) }
}

/// Keeps the first entries, as long as there is room.
fn cut(entries: &mut Vec<StoredEntry>, mut room: usize) {
    let fits = |entry: &&StoredEntry| room.checked_sub(entry.bytes.len()).inspect(|left| room = *left).is_some();
    entries.truncate(entries.iter().take_while(fits).count());
}
