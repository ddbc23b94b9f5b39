//! Pages of history.

use proptest::prelude::*;
use suda_schema::channel::{HistoryAt, HistoryQuery};
use suda_schema::entry::Opaque;
use suda_schema::limits::ENTRIES_BYTES_TARGET;

use super::*;
use crate::chat::history::StoredPage;
use crate::chat::testing::{NOW_MS, cases};

impl World {
    async fn page(&self, channel: ChannelId, at: HistoryAt, limit: u16) -> (Vec<u64>, bool, bool) {
        seen(&self.ask(channel, at, limit, None).await.unwrap())
    }

    async fn ask(
        &self,
        channel: ChannelId,
        at: HistoryAt,
        limit: u16,
        thread: Option<Seq>,
    ) -> Result<StoredPage, ChatError> {
        self.chat.history(self.user(0), channel, &HistoryQuery { request: 1, at, limit, thread }).await
    }

    /// A channel with this many entries: notes of the first user.
    async fn notes(&self, entries: u64) -> ChannelId {
        let user = self.user(0);
        let channel = self.chat.open_direct(user, user).await.unwrap().channel;
        for n in 1..=entries {
            self.say(channel, user, &format!("note {n}")).await;
            self.chat.clock().advance_ms(10);
        }
        channel
    }
}

fn seen(page: &StoredPage) -> (Vec<u64>, bool, bool) {
    (page.entries.iter().map(|entry| entry.seq.0).collect(), page.more_before, page.more_after)
}

#[tokio::test]
async fn pages_lie_where_they_are_asked_for() {
    let world = World::new(1).await;
    let channel = world.notes(10).await;
    for (at, expected) in [
        (HistoryAt::Newest, (vec![7, 8, 9, 10], true, false)),
        (HistoryAt::Before(Seq(7)), (vec![3, 4, 5, 6], true, true)),
        (HistoryAt::Before(Seq(3)), (vec![1, 2], false, true)),
        (HistoryAt::Before(Seq(1)), (vec![], false, true)),
        (HistoryAt::Before(Seq(0)), (vec![], false, true)),
        (HistoryAt::Before(Seq(u64::MAX)), (vec![7, 8, 9, 10], true, false)),
        (HistoryAt::After(Seq(0)), (vec![1, 2, 3, 4], false, true)),
        (HistoryAt::After(Seq(8)), (vec![9, 10], true, false)),
        (HistoryAt::After(Seq(10)), (vec![], true, false)),
        (HistoryAt::Around(Seq(5)), (vec![3, 4, 5, 6], true, true)),
        (HistoryAt::Around(Seq(1)), (vec![1, 2, 3, 4], false, true)),
        (HistoryAt::Around(Seq(0)), (vec![1, 2, 3, 4], false, true)),
        (HistoryAt::Around(Seq(10)), (vec![7, 8, 9, 10], true, false)),
        (HistoryAt::Time(0), (vec![1, 2, 3, 4], false, true)),
        (HistoryAt::Time(NOW_MS + 40), (vec![3, 4, 5, 6], true, true)),
        (HistoryAt::Time(NOW_MS + 41), (vec![4, 5, 6, 7], true, true)),
        (HistoryAt::Time(NOW_MS + 1_000), (vec![7, 8, 9, 10], true, false)),
        (HistoryAt::Unread, (vec![7, 8, 9, 10], true, false)),
    ] {
        assert_eq!(world.page(channel, at, 4).await, expected, "{at:?}");
    }
    assert_eq!(world.page(channel, HistoryAt::Around(Seq(5)), 1).await, (vec![5], true, true));
    assert_eq!(world.page(channel, HistoryAt::Newest, u16::MAX).await.0.len(), 10);
    for ahead in [HistoryAt::After(Seq(11)), HistoryAt::Around(Seq(11)), HistoryAt::After(Seq(u64::MAX))] {
        assert_eq!(code(world.ask(channel, ahead, 4, None).await), ErrorCode::CURSOR_AHEAD);
    }
    assert_eq!(code(world.ask(channel, HistoryAt::Newest, 0, None).await), ErrorCode::INVALID);
    let page = world.ask(channel, HistoryAt::Newest, 2, None).await.unwrap().decode(9).unwrap();
    assert_eq!((page.request, page.entries.len(), page.more_before), (9, 2, true));
}

#[tokio::test]
async fn an_empty_log_has_empty_pages() {
    let world = World::new(1).await;
    let channel = world.notes(0).await;
    for at in
        [HistoryAt::Newest, HistoryAt::After(Seq(0)), HistoryAt::Before(Seq(9)), HistoryAt::Unread, HistoryAt::Time(5)]
    {
        assert_eq!(world.page(channel, at, 4).await, (vec![], false, false), "{at:?}");
    }
}

#[tokio::test]
async fn a_page_has_at_most_so_many_bytes_but_always_one_entry() {
    let world = World::new(1).await;
    let user = world.user(0);
    let channel = world.notes(2).await;
    let opaque = || Body::Opaque(Opaque { scheme: "x".to_owned(), bytes: vec![7; 300_000] });
    for _ in 0..3 {
        world.send(channel, user, NewMessage { body: opaque(), ..message("") }).await.unwrap();
    }
    world.say(channel, user, &"x".repeat(40_000)).await;
    world.say(channel, user, &"x".repeat(40_000)).await;
    for (at, expected) in [
        (HistoryAt::After(Seq(0)), vec![1, 2]),
        (HistoryAt::After(Seq(2)), vec![3]),
        (HistoryAt::Before(Seq(6)), vec![5]),
        (HistoryAt::Around(Seq(4)), vec![4]),
        (HistoryAt::Around(Seq(2)), vec![1, 2]),
        (HistoryAt::Around(Seq(6)), vec![6]),
        (HistoryAt::Newest, vec![7]),
    ] {
        assert_eq!(world.page(channel, at, 100).await.0, expected, "{at:?}");
    }
    let limit = PageLimit { rows: 100, bytes: ENTRIES_BYTES_TARGET };
    let (mut after, mut seen) = (Seq(0), Vec::new());
    while after < Seq(7) {
        let page = world.chat.read_log(channel, after, limit).await.unwrap();
        after = page.entries.last().unwrap().seq;
        seen.extend(page.entries.iter().map(|entry| entry.seq.0));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn resume_reads_from_any_cursor_and_none_beyond_the_head() {
    let world = World::new(1).await;
    let channel = world.notes(5).await;
    let read = async |after| world.chat.read_log(channel, Seq(after), PageLimit { rows: 2, bytes: 1 << 20 }).await;
    let seqs = |entries: &[StoredEntry]| entries.iter().map(|entry| entry.seq.0).collect::<Vec<_>>();
    assert_eq!(seqs(&read(0).await.unwrap().entries), [1, 2]);
    assert_eq!(seqs(&read(4).await.unwrap().entries), [5]);
    let page = read(5).await.unwrap();
    assert_eq!((page.entries.len(), page.head), (0, Seq(5)));
    assert_eq!(code(read(6).await), ErrorCode::CURSOR_AHEAD);
}

#[tokio::test]
async fn the_first_unread_is_found_wherever_it_is() {
    let world = World::new(2).await;
    let (a, b) = (world.user(0), world.user(1));
    let channel = world.chat.open_direct(a, b).await.unwrap().channel;
    for _ in 0..20 {
        world.say(channel, a, "monologue").await;
    }
    assert_eq!(world.page(channel, HistoryAt::Unread, 2).await.0, [19, 20], "one's own are not unread");
    let unread = world.say(channel, b, "?").await;
    world.say(channel, b, "??").await;
    for reaction in 0..10 {
        world.send(channel, b, react(Seq(1), &format!("{reaction}"), true)).await.unwrap();
    }
    let page = world.page(channel, HistoryAt::Unread, 1).await.0;
    assert_eq!(page, [unread.0]);
    let marks = Marks { read: Some(unread), delivered: None };
    world.chat.mark(a, None, &[(channel, marks)]).await.unwrap();
    assert_eq!(world.page(channel, HistoryAt::Unread, 1).await.0, [unread.0 + 1]);
}

#[tokio::test]
async fn a_thread_is_read_alone() {
    let world = World::new(1).await;
    let channel = world.notes(3).await;
    let user = world.user(0);
    let mut thread = vec![2];
    for n in 0..5 {
        world.say(channel, user, "aside").await;
        let parent = Seq(if n % 2 == 0 { 2 } else { *thread.last().unwrap() });
        thread.push(world.send(channel, user, reply(parent, "answer")).await.unwrap().seq.0);
    }
    let ask = async |at, limit, thread| seen(&world.ask(channel, at, limit, Some(Seq(thread))).await.unwrap());
    assert_eq!(ask(HistoryAt::Newest, 100, 2).await, (thread.clone(), false, false));
    assert_eq!(ask(HistoryAt::Newest, 100, thread[3]).await.0, thread, "asked for by any of its messages");
    assert_eq!(ask(HistoryAt::Newest, 2, 2).await, (thread[4..].to_vec(), true, false));
    assert_eq!(ask(HistoryAt::Before(Seq(thread[4])), 2, 2).await, (thread[2..4].to_vec(), true, true));
    assert_eq!(ask(HistoryAt::After(Seq(0)), 2, 2).await, (thread[..2].to_vec(), false, true));
    assert_eq!(ask(HistoryAt::After(Seq(thread[5])), 2, 2).await, (vec![], true, false));
    assert_eq!(ask(HistoryAt::Around(Seq(thread[2])), 3, 2).await, (thread[1..4].to_vec(), true, true));
    assert_eq!(ask(HistoryAt::Newest, 9, 3).await, (vec![3], false, false), "nobody has answered");
    assert_eq!(ask(HistoryAt::Before(Seq(3)), 9, 3).await, (vec![], false, true));
    assert_eq!(code(world.ask(channel, HistoryAt::Newest, 9, Some(Seq(99))).await), ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn history_is_for_members() {
    let world = World::new(2).await;
    let channel = world.group().await;
    let query = HistoryQuery { request: 1, at: HistoryAt::Newest, limit: 5, thread: None };
    let (a, b) = (world.user(0), world.user(1));
    world.chat.history(b, channel, &query).await.unwrap();
    world.chat.kick(a, channel, b).await.unwrap();
    assert_eq!(code(world.chat.history(b, channel, &query).await), ErrorCode::NOT_FOUND);
    assert_eq!(code(world.chat.history(b, ChannelId(1), &query).await), ErrorCode::NOT_FOUND);
    world.chat.add_members(a, channel, &[b]).await.unwrap();
    let page = world.chat.history(b, channel, &HistoryQuery { at: HistoryAt::After(Seq(0)), ..query }).await.unwrap();
    assert_eq!(page.entries[0].seq, Seq(1), "members see the whole history");
}

proptest! {
    #![proptest_config(cases(25))]

    /// Whatever the sizes and limits: going through a log or a thread page by page, either way, shows each entry once,
    /// and a page around an entry is one piece of the whole.
    #[test]
    fn pages_are_pieces_of_the_whole(
        sends in prop::collection::vec((prop_oneof![4 => 1..200usize, 1 => 20_000..90_000usize], 0..6u64), 1..40),
        limit in 1..12u16,
        in_thread in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new(1).await;
            let (user, channel) = (world.user(0), world.notes(1).await);
            let mut whole = vec![1];
            for (len, back) in sends {
                let new = message(&"x".repeat(len));
                let parent = whole.iter().rev().nth(usize::try_from(back).unwrap()).copied().filter(|_| back > 2);
                let new = NewMessage { reply_to: parent.filter(|_| in_thread).map(Seq), ..new };
                let seq = world.send(channel, user, new).await.unwrap().seq.0;
                if !in_thread || parent.is_some() {
                    whole.push(seq);
                }
            }
            let thread = in_thread.then_some(Seq(1));
            let ask = async |at| {
                let page = world.ask(channel, at, limit, thread).await.unwrap();
                let bytes: usize = page.entries.iter().map(|entry| entry.bytes.len()).sum();
                assert!(page.entries.len() <= limit.into() && (bytes <= ENTRIES_BYTES_TARGET || page.entries.len() == 1));
                page
            };
            let (mut onward, mut page) = (Vec::new(), ask(HistoryAt::After(Seq(0))).await);
            loop {
                assert!(page.more_before != onward.is_empty());
                onward.extend(seen(&page).0);
                if !page.more_after {
                    break;
                }
                page = ask(HistoryAt::After(Seq(*onward.last().unwrap()))).await;
            }
            assert_eq!(onward, whole);
            let (mut back, mut page) = (Vec::new(), ask(HistoryAt::Newest).await);
            loop {
                assert!(page.more_after != back.is_empty());
                back.splice(..0, seen(&page).0);
                if !page.more_before {
                    break;
                }
                page = ask(HistoryAt::Before(Seq(back[0]))).await;
            }
            assert_eq!(back, whole);
            for &seq in &whole {
                let (around, more_before, more_after) = seen(&ask(HistoryAt::Around(Seq(seq))).await);
                let first = whole.iter().position(|other| *other == around[0]).unwrap();
                assert!(around.contains(&seq) && whole[first..].starts_with(&around));
                assert_eq!((more_before, more_after), (first > 0, first + around.len() < whole.len()));
            }
        });
    }
}
