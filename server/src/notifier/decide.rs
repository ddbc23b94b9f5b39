//! Who is told, from what is known of them. No I/O and no clock.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::chat::outbox::{OutboxRow, Told};
use crate::chat::settings::QuietHours;
use crate::chat::telling::{Facts, lets_through};

/// What is to be done about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are told.
    Tell,
    /// They are asked about again at this time.
    Later(u64),
    /// They are not told, because of this.
    Skip(&'static str),
}

/// How long devices that are there may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One at which nobody is.
    pub idle_ms: u64,
    /// One that has not fetched it. 0 where it has been waited for already.
    pub recheck_ms: u64,
}

/// Decides.
#[must_use]
pub fn decide(row: &OutboxRow, facts: &Facts, now_ms: u64, patience: Patience) -> Verdict {
    let Some(mute) = facts.mute else { return Verdict::Skip("no_member") };
    if row.what != Told::Read {
        if facts.user == row.by {
            return Verdict::Skip("own");
        }
        if !lets_through(mute, row.is_for(facts.user), now_ms) {
            return Verdict::Skip("muted");
        }
    }
    if facts.tokens.is_empty() {
        return Verdict::Skip("no_address");
    }
    match row.what {
        Told::Read => return Verdict::Tell,
        Told::Again { .. } => {}
        _ if facts.blocked => return Verdict::Skip("blocked"),
        _ if is_quiet(facts, now_ms) => return Verdict::Skip("quiet_hours"),
        _ => {}
    }
    if facts.read >= row.seq {
        return Verdict::Skip("read");
    }
    if facts.here.iter().any(|here| here.active) {
        let waiting = facts.delivered < row.seq && patience.recheck_ms > 0;
        return if waiting { Verdict::Later(now_ms + patience.recheck_ms) } else { Verdict::Skip("online") };
    }
    match facts.here.iter().map(|here| here.since_ms.saturating_add(patience.idle_ms)).max() {
        Some(idle_ms) if idle_ms > now_ms => Verdict::Later(idle_ms),
        _ => Verdict::Tell,
    }
}

fn is_quiet(facts: &Facts, now_ms: u64) -> bool {
    let Some(quiet) = facts.quiet_hours else { return false };
    let zone = TimeZone::get(&facts.time_zone).unwrap_or(TimeZone::UTC);
    let Ok(now) = Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or(i64::MAX)) else { return false };
    let now = now.to_zoned_datetime(zone);
    let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
    covers(quiet, minute, now.weekday().to_monday_zero_offset())
}

/// Whether quiet hours cover this minute of this day; Monday is 0.
fn covers(quiet: QuietHours, minute: i32, weekday: i8) -> bool {
    let on = |weekday: i8| quiet.days & (1 << weekday.rem_euclid(7)) != 0;
    let (from, to) = (i32::from(quiet.from_minute), i32::from(quiet.to_minute));
    if from < to {
        return on(weekday) && (from..to).contains(&minute);
    }
    (on(weekday) && minute >= from) || (on(weekday - 1) && minute < to)
}

#[cfg(test)]
mod tests {
    use suda_schema::summary::Mute;
    use suda_schema::{ChannelId, DeviceId, Seq, UserId};

    use super::*;
    use crate::chat::presence::Here;
    use crate::chat::push::{PushKind, PushToken};

    const NOW: u64 = 1_800_000_000_000;
    const PATIENCE: Patience = Patience { idle_ms: 60_000, recheck_ms: 30_000 };

    fn row() -> OutboxRow {
        OutboxRow::message(ChannelId(1), (Seq(5), NOW), UserId(1))
    }

    fn facts() -> Facts {
        let token = PushToken { kind: PushKind::Apns, token: "aa".to_owned(), registered_at_ms: 0 };
        Facts {
            user: UserId(2),
            mute: Some(Mute::Off),
            tokens: vec![(DeviceId(3), token)],
            read: Seq(4),
            delivered: Seq(4),
            here: Vec::new(),
            blocked: false,
            quiet_hours: None,
            time_zone: "Asia/Seoul".to_owned(),
            preview: true,
        }
    }

    fn of(facts: &Facts) -> Verdict {
        decide(&row(), facts, NOW, PATIENCE)
    }

    #[test]
    fn who_is_told() {
        assert_eq!(of(&facts()), Verdict::Tell);
        assert_eq!(of(&Facts { user: UserId(1), ..facts() }), Verdict::Skip("own"));
        assert_eq!(of(&Facts { mute: None, ..facts() }), Verdict::Skip("no_member"));
        assert_eq!(of(&Facts { tokens: Vec::new(), ..facts() }), Verdict::Skip("no_address"));
        assert_eq!(of(&Facts { read: Seq(5), ..facts() }), Verdict::Skip("read"));
        assert_eq!(of(&Facts { blocked: true, ..facts() }), Verdict::Skip("blocked"));
        assert_eq!(of(&Facts { mute: Some(Mute::Until(NOW + 1)), ..facts() }), Verdict::Skip("muted"));
        assert_eq!(of(&Facts { mute: Some(Mute::Until(NOW)), ..facts() }), Verdict::Tell);
        let mentions_only = Facts { mute: Some(Mute::MentionsOnly), ..facts() };
        assert_eq!(of(&mentions_only), Verdict::Skip("muted"));
        let mentioned = OutboxRow { mentions: vec![UserId(2)], ..row() };
        assert_eq!(decide(&mentioned, &mentions_only, NOW, PATIENCE), Verdict::Tell);
        let answered = OutboxRow { answers: Some(UserId(2)), ..row() };
        assert_eq!(decide(&answered, &mentions_only, NOW, PATIENCE), Verdict::Tell);
    }

    #[test]
    fn devices_that_are_there_are_waited_for() {
        let here = |active, since_ms| Facts { here: vec![Here { active, since_ms }], ..facts() };
        let delivered = |facts: Facts| Facts { delivered: Seq(5), ..facts };
        assert_eq!(of(&delivered(here(true, 0))), Verdict::Skip("online"));
        assert_eq!(of(&here(true, 0)), Verdict::Later(NOW + 30_000));
        let again = Patience { recheck_ms: 0, ..PATIENCE };
        assert_eq!(decide(&row(), &here(true, 0), NOW, again), Verdict::Skip("online"));
        assert_eq!(of(&delivered(here(false, NOW - 10))), Verdict::Later(NOW + 59_990));
        assert_eq!(of(&here(false, NOW - 60_000)), Verdict::Tell);
    }

    #[test]
    fn quiet_hours_go_by_the_users_clock() {
        // 2027-01-15 08:00 UTC is a Friday, 17:00 in Seoul.
        let quiet = |from_minute, to_minute, days| QuietHours { from_minute, to_minute, days };
        let at = |quiet| of(&Facts { quiet_hours: Some(quiet), ..facts() });
        let friday = 1 << 4;
        assert_eq!(at(quiet(16 * 60, 18 * 60, friday)), Verdict::Skip("quiet_hours"));
        assert_eq!(at(quiet(18 * 60, 16 * 60, friday)), Verdict::Tell);
        assert_eq!(at(quiet(8 * 60, 9 * 60, friday)), Verdict::Tell);
        assert_eq!(at(quiet(16 * 60, 18 * 60, 0b0110_1111)), Verdict::Tell);
        // Over midnight it is the day on which they begin that counts.
        assert!(covers(quiet(22 * 60, 7 * 60, friday), 60, 5) && !covers(quiet(22 * 60, 7 * 60, friday), 60, 4));
        assert!(covers(quiet(60, 60, 1), 30, 1) && covers(quiet(60, 60, 1), 90, 0));
    }
}
