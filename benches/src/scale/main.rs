//! `suda-scale`: how large a system is that serves so many people, and where it breaks first.
//!
//! A seeded simulation plays a thousandth of the people on the full number of nodes: who is online where, what is said in which
//! channel, which nodes listen to what, and what is written for it. What comes out is scaled up and held against what nodes and
//! FoundationDB can do. It prints the tables of `docs/scale.md`; a test holds that page to it.

#![expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "estimates")]

mod report;
mod world;

use std::process::ExitCode;

/// What is assumed of people. Everything else follows, or was measured.
#[derive(Debug, Clone)]
struct People {
    daily: f64,
    online_share: f64,
    messages_a_day: f64,
    /// How much busier the busiest hour is than the mean.
    peak: f64,
    /// How long somebody stays, in seconds.
    session: f64,
    /// Of ten sends, how many go to one other person; the rest to groups.
    direct_of_ten: u64,
    partners: usize,
    groups: usize,
    group_members: usize,
    friends: usize,
    /// How many sends of those to one other person go to somebody online, of ten, if there is one.
    to_online_of_ten: u64,
    /// Of ten links, how many end in the middle and are back within the grace.
    lost_of_ten: u64,
}

impl People {
    fn of_the_issue() -> Self {
        Self {
            daily: 50e6,
            online_share: 0.1,
            messages_a_day: 40.0,
            peak: 2.5,
            session: 600.0,
            direct_of_ten: 6,
            partners: 20,
            groups: 10,
            group_members: 10,
            friends: 30,
            to_online_of_ten: 5,
            lost_of_ten: 2,
        }
    }

    fn online(&self) -> f64 {
        self.daily * self.online_share
    }

    fn messages_a_second(&self) -> f64 {
        self.daily * self.messages_a_day / 86_400.0
    }
}

fn main() -> ExitCode {
    let seed = std::env::args().nth(1).map_or(Some(1), |seed| seed.parse().ok());
    let Some(seed) = seed else {
        eprintln!("usage: suda-scale [SEED]");
        return ExitCode::from(2);
    };
    #[expect(clippy::print_stdout, reason = "it is what it is for")]
    {
        print!("{}", report::page(&People::of_the_issue(), seed));
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_what_the_program_says() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scale.md");
        let page = std::fs::read_to_string(page).expect("the page");
        let (_, rest) = page.split_once("<!-- suda-scale -->\n").expect("where the tables begin");
        let (tables, _) = rest.split_once("<!-- end of suda-scale -->").expect("where they end");
        let said = report::page(&People::of_the_issue(), 1);
        assert!(tables == said, "docs/scale.md is old: put the output of suda-scale between its two marks");
    }

    #[test]
    fn twice_the_people_are_twice_the_work_and_another_seed_is_the_same_work() {
        let people = People { daily: 10e6, ..People::of_the_issue() };
        let one = world::play(&people, 4, 1);
        let again = world::play(&people, 4, 1);
        assert_eq!(one, again, "a seed is played the same twice");
        let other = world::play(&people, 4, 2);
        let near = |a: u64, b: u64| (a as f64 - b as f64).abs() < 0.1 * a as f64;
        assert!(near(one.sends, other.sends) && near(one.deliveries, other.deliveries), "{one:?} {other:?}");
        let more = world::play(&People { daily: 20e6, ..people }, 4, 1);
        assert!(near(2 * one.sends, more.sends), "{one:?} {more:?}");
        assert!(near(2 * one.registered, more.registered), "{one:?} {more:?}");
    }

    /// On one node nobody is told over the inbox; on many, almost everybody is.
    #[test]
    fn more_nodes_are_more_marks_and_never_more_than_listeners() {
        let people = People { daily: 10e6, ..People::of_the_issue() };
        let [one, four, many] = [1, 4, 64].map(|nodes| world::play(&people, nodes, 1));
        assert_eq!((one.message_marks, one.presence_marks), (0, 0));
        assert!(four.message_marks > 0 && many.message_marks > four.message_marks, "{four:?} {many:?}");
        // Nodes that nobody listens at any more are told for a while.
        assert!(many.message_marks <= many.recipients, "{many:?}");
        assert!(many.registered >= four.registered && four.registered > one.registered, "{one:?} {four:?} {many:?}");
    }
}
