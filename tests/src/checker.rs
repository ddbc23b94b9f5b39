//! Judges what devices have sent, been told and seen in one channel against what its log holds in the end: nothing
//! acknowledged is lost, nothing is doubled, there is one order, and every device's view is a stretch of the log.

use std::collections::HashMap;

use suda_schema::entry::Entry;
use suda_schema::{ClientMsgId, Seq, UserId};

use crate::people::text_of;

/// An entry, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its place.
    pub seq: Seq,
    /// Who did it.
    pub by: UserId,
    /// The sender's id; none on what the server made.
    pub id: Option<ClientMsgId>,
    /// Its text, if it is a message.
    pub text: Option<String>,
}

impl From<&Entry> for Seen {
    fn from(entry: &Entry) -> Self {
        Self { seq: entry.seq, by: entry.by, id: entry.client_msg_id, text: text_of(entry).map(str::to_owned) }
    }
}

/// What one device did and was told.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    /// Who.
    pub user: UserId,
    /// What it sent, in order, each id once however often it was sent.
    pub sent: Vec<(ClientMsgId, String)>,
    /// What was acknowledged to it: every ack that ever came.
    pub acks: Vec<(ClientMsgId, Seq)>,
    /// What it saw, from all its attachments one after the other.
    pub view: Vec<Seen>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The log has a gap, or does not begin at 1.
    #[error("the log has {found:?} where {wanted:?} should be")]
    Gap {
        /// What should be there.
        wanted: Seq,
        /// What is.
        found: Seq,
    },
    /// One id made two entries.
    #[error("{id} is in the log at {first:?} and at {second:?}")]
    Doubled {
        /// Which.
        id: ClientMsgId,
        /// Where first.
        first: Seq,
        /// Where again.
        second: Seq,
    },
    /// An entry was acknowledged and is not there, or somewhere else.
    #[error("{id} was acknowledged at {acked:?}, and is at {found:?}")]
    Lost {
        /// Which.
        id: ClientMsgId,
        /// Where it should be.
        acked: Seq,
        /// Where it is.
        found: Option<Seq>,
    },
    /// An entry is not what its sender sent.
    #[error("{id} is not what was sent")]
    Altered {
        /// Which.
        id: ClientMsgId,
    },
    /// An entry that nobody sent.
    #[error("nobody sent what is at {seq:?}")]
    Invented {
        /// Where.
        seq: Seq,
    },
    /// One sender's entries are in another order than they were sent.
    #[error("{id} at {seq:?} was sent before what is at {before:?}")]
    Reordered {
        /// Which came too late.
        id: ClientMsgId,
        /// Where it is.
        seq: Seq,
        /// What was sent later and stands earlier.
        before: Seq,
    },
    /// A device saw something else than the log has, or with a gap or a double.
    #[error("witness {witness} saw something else at {seq:?}")]
    ViewDiffers {
        /// Which device.
        witness: usize,
        /// Where.
        seq: Seq,
    },
}

/// Judges. `log` is the whole log as it is in the end.
pub fn check(log: &[Seen], witnesses: &[Witness]) -> Result<(), Fault> {
    let places = places(log)?;
    let mut sent: HashMap<ClientMsgId, (UserId, &str)> = HashMap::new();
    for witness in witnesses {
        sent.extend(witness.sent.iter().map(|(id, text)| (*id, (witness.user, text.as_str()))));
    }
    for entry in log {
        let Some(id) = entry.id else { continue };
        let Some((by, text)) = sent.get(&id) else { return Err(Fault::Invented { seq: entry.seq }) };
        if entry.by != *by || entry.text.as_deref() != Some(*text) {
            return Err(Fault::Altered { id });
        }
    }
    for (number, witness) in witnesses.iter().enumerate() {
        for &(id, acked) in &witness.acks {
            let found = places.get(&id).copied();
            if found != Some(acked) {
                return Err(Fault::Lost { id, acked, found });
            }
        }
        in_order(witness, &places)?;
        is_a_stretch(number, &witness.view, log)?;
    }
    Ok(())
}

fn places(log: &[Seen]) -> Result<HashMap<ClientMsgId, Seq>, Fault> {
    let mut places = HashMap::new();
    let mut wanted = Seq(1);
    for entry in log {
        if entry.seq != wanted {
            return Err(Fault::Gap { wanted, found: entry.seq });
        }
        wanted = wanted.next();
        if let Some(id) = entry.id
            && let Some(first) = places.insert(id, entry.seq)
        {
            return Err(Fault::Doubled { id, first, second: entry.seq });
        }
    }
    Ok(places)
}

fn in_order(witness: &Witness, places: &HashMap<ClientMsgId, Seq>) -> Result<(), Fault> {
    let mut last = Seq::ZERO;
    for (id, _) in &witness.sent {
        let Some(&seq) = places.get(id) else { continue };
        if seq < last {
            return Err(Fault::Reordered { id: *id, seq, before: last });
        }
        last = seq;
    }
    Ok(())
}

/// The view begins somewhere in the log and goes on without a gap.
fn is_a_stretch(witness: usize, view: &[Seen], log: &[Seen]) -> Result<(), Fault> {
    let Some(first) = view.first() else { return Ok(()) };
    let from = usize::try_from(first.seq.0).unwrap_or(0).saturating_sub(1);
    for (index, seen) in view.iter().enumerate() {
        if log.get(from + index) != Some(seen) {
            return Err(Fault::ViewDiffers { witness, seq: seen.seq });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ClientMsgId {
        ClientMsgId([number; 16])
    }

    fn seen(seq: u64, number: u8) -> Seen {
        Seen { seq: Seq(seq), by: UserId(1), id: Some(id(number)), text: Some(format!("text {number}")) }
    }

    /// Four messages of one sender, all acknowledged and seen.
    fn good() -> (Vec<Seen>, Witness) {
        let joined = Seen { seq: Seq(1), by: UserId(1), id: None, text: None };
        let log: Vec<Seen> = [joined].into_iter().chain((2..6).map(|seq| seen(seq.into(), seq))).collect();
        let witness = Witness {
            user: UserId(1),
            sent: (2..6).map(|number| (id(number), format!("text {number}"))).collect(),
            acks: (2..6).map(|number| (id(number), Seq(number.into()))).collect(),
            view: log.clone(),
        };
        (log, witness)
    }

    fn fault(change: impl FnOnce(&mut Vec<Seen>, &mut Witness)) -> Fault {
        let (mut log, mut witness) = good();
        change(&mut log, &mut witness);
        check(&log, &[witness]).unwrap_err()
    }

    #[test]
    fn what_is_right_is_right() {
        let (log, witness) = good();
        assert_eq!(check(&log, std::slice::from_ref(&witness)), Ok(()));
        // What was not acknowledged may be there or not, and a view may begin late and end early.
        let unsure = Witness {
            sent: [witness.sent.clone(), vec![(id(9), "never came".to_owned())]].concat(),
            acks: witness.acks[..2].to_vec(),
            view: witness.view[1..3].to_vec(),
            ..witness
        };
        assert_eq!(check(&log, &[unsure]), Ok(()));
    }

    #[test]
    fn loss_is_seen() {
        let end = |log: &mut Vec<Seen>, witness: &mut Witness| {
            log.pop();
            witness.view.pop();
        };
        assert_eq!(fault(end), Fault::Lost { id: id(5), acked: Seq(5), found: None });
        let middle = |log: &mut Vec<Seen>, _: &mut Witness| drop(log.remove(2));
        assert_eq!(fault(middle), Fault::Gap { wanted: Seq(3), found: Seq(4) });
        // A second ack that names another place.
        let elsewhere = |_: &mut Vec<Seen>, witness: &mut Witness| witness.acks.push((id(3), Seq(4)));
        assert_eq!(fault(elsewhere), Fault::Lost { id: id(3), acked: Seq(4), found: Some(Seq(3)) });
    }

    #[test]
    fn doubles_are_seen() {
        let twice = |log: &mut Vec<Seen>, _: &mut Witness| log.push(seen(6, 3));
        assert_eq!(fault(twice), Fault::Doubled { id: id(3), first: Seq(3), second: Seq(6) });
        let view = |_: &mut Vec<Seen>, witness: &mut Witness| {
            let again = witness.view[2].clone();
            witness.view.insert(3, again);
        };
        assert_eq!(fault(view), Fault::ViewDiffers { witness: 0, seq: Seq(3) });
    }

    #[test]
    fn another_order_is_seen() {
        let swap = |log: &mut Vec<Seen>, witness: &mut Witness| {
            (log[2], log[3]) = (seen(3, 4), seen(4, 3));
            witness.view = log.clone();
            witness.acks.clear();
        };
        assert_eq!(fault(swap), Fault::Reordered { id: id(4), seq: Seq(3), before: Seq(4) });
        let view = |_: &mut Vec<Seen>, witness: &mut Witness| witness.view.swap(2, 3);
        assert_eq!(fault(view), Fault::ViewDiffers { witness: 0, seq: Seq(4) });
        let gap = |_: &mut Vec<Seen>, witness: &mut Witness| drop(witness.view.remove(2));
        assert_eq!(fault(gap), Fault::ViewDiffers { witness: 0, seq: Seq(4) });
    }

    #[test]
    fn what_nobody_sent_is_seen() {
        let forged = |log: &mut Vec<Seen>, _: &mut Witness| log.push(seen(6, 9));
        assert_eq!(fault(forged), Fault::Invented { seq: Seq(6) });
        let altered = |log: &mut Vec<Seen>, _: &mut Witness| log[3].text = Some("else".to_owned());
        assert_eq!(fault(altered), Fault::Altered { id: id(4) });
        let by_another = |log: &mut Vec<Seen>, _: &mut Witness| log[3].by = UserId(2);
        assert_eq!(fault(by_another), Fault::Altered { id: id(4) });
    }
}
