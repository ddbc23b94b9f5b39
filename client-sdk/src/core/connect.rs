//! Getting a link, and another one when it is lost, stalled or to be left.

use suda_schema::CloseCode;
use suda_schema::control::{Authenticate, ControlUp};
use suda_schema::error::Retry;
use suda_schema::open::{Hello, Open};

use super::Core;
use super::config::{CANDIDATES_MAX, LINKS_MAX};
use super::connection::Replace;
use super::dial::Race;
use super::io::{Candidate, Effect, Event, Failure, Kind, LinkId, Stopped, StreamId, Token};
use super::link::{Link, Phase};

/// A link that was left without the node knowing may still take its place, late, and have this one closed as replaced.
const GHOST_WITHIN_MS: u64 = 60_000;
/// The least wait after the node has lost its patience.
const RATE_IGNORED_WAIT_MS: u64 = 60_000;
/// How often the node may refuse a token that has just been renewed.
const AUTH_FAILURES_MAX: u32 = 3;
/// How long getting a token may take, with all that the driver does about it.
const REFRESH_WITHIN_MS: u64 = 60_000;

impl Core {
    /// Connects, and stays connected.
    pub fn connect(&mut self, now_ms: u64) {
        if self.connection.stopped.take().is_some() {
            self.connection.auth_failures = 0;
            self.connection.backoff.reset();
            self.connection.dial_at_ms = Some(now_ms);
        }
        self.tick(now_ms);
    }

    /// Closes whatever there is, and does not connect any more.
    pub fn disconnect(&mut self, now_ms: u64) {
        self.stop(Stopped::ByApp);
        self.save();
        self.tick(now_ms);
    }

    /// The network is another one: what is known of the old one does not count, and waiting is over. A link that stands
    /// is asked for a sign of life.
    pub fn network_changed(&mut self, now_ms: u64) {
        self.connection.memory.forget();
        self.connection.backoff.reset();
        if let Some(at_ms) = &mut self.connection.dial_at_ms {
            *at_ms = now_ms;
        }
        self.ping(now_ms);
        self.tick(now_ms);
    }

    /// Somebody is waiting: tries now rather than when it is time.
    pub fn retry_now(&mut self, now_ms: u64) {
        if let Some(at_ms) = &mut self.connection.dial_at_ms {
            *at_ms = now_ms;
        }
        self.tick(now_ms);
    }

    /// Where to connect, best first, or why that is not known.
    pub fn discovered(&mut self, now_ms: u64, found: Result<Vec<Candidate>, Failure>) {
        let waited = self.connection.discovering_until_ms.take().is_some();
        match found {
            Ok(mut candidates) => {
                candidates.truncate(CANDIDATES_MAX);
                self.connection.candidates = candidates;
                if waited {
                    self.start_race(now_ms);
                }
            }
            // Where it was the last time is better than nowhere.
            Err(failure) if waited && self.connection.candidates.is_empty() => {
                self.attempt_failed(now_ms, failure.retry_after_ms);
            }
            Err(_) if waited => self.start_race(now_ms),
            Err(_) => {}
        }
        self.tick(now_ms);
    }

    /// A link that was dialed stands, and its control stream is open.
    pub fn dialed(&mut self, now_ms: u64, link: LinkId) {
        let running = self.connection.race.as_ref().is_some_and(|race| race.running().any(|other| other == link));
        if !running {
            if self.connection.links.contains_key(&link) {
                self.drop_link(link, CloseCode::NORMAL);
            }
            return self.tick(now_ms);
        }
        self.end_race(Some(link));
        let hello = Open::Control(Hello {
            token: self.connection.token.access.clone(),
            client: self.config.client_name.clone(),
            user_cursor: self.user_cursor,
            sync_limit: self.config.sync_limit,
            activity: self.activity,
        });
        if let Some(state) = self.connection.links.get_mut(&link) {
            state.phase = Phase::Greeting { until_ms: now_ms.saturating_add(self.config.welcome_within_ms) };
            state.heard(now_ms);
            state.write(StreamId::CONTROL, &hello);
            self.connection.upcoming = Some(link);
            self.choose = true;
        }
        self.tick(now_ms);
    }

    /// A link is over, or its dial failed. `code` is what the node closed it with, if it did.
    pub fn link_ended(&mut self, now_ms: u64, link: LinkId, code: Option<CloseCode>) {
        self.lost(now_ms, link, code, None);
        self.tick(now_ms);
    }

    /// A fresh token, or why there is none.
    pub fn token(&mut self, now_ms: u64, token: Result<Token, Failure>) {
        self.connection.refreshing_until_ms = None;
        match token {
            Ok(token) => {
                self.connection.token = token;
                self.connection.refresh_backoff.reset();
                self.plan_refresh(now_ms);
                let frame = ControlUp::Authenticate(Authenticate { token: self.connection.token.access.clone() });
                if let Some(link) = self.connection.current_mut() {
                    link.write(StreamId::CONTROL, &frame);
                }
            }
            Err(failure) if failure.retry == Retry::Later => {
                let at_ms = self.connection.refresh_backoff.failed(now_ms, failure.retry_after_ms);
                self.connection.refresh_at_ms = Some(at_ms);
            }
            Err(_) => self.stop(Stopped::LoggedOut),
        }
        self.tick(now_ms);
    }

    /// The token is to be renewed in time, by the server's clock.
    pub(super) fn plan_refresh(&mut self, now_ms: u64) {
        let expires_at_ms = self.connection.token.expires_at_ms;
        // Before the node's clock is known, this device's may be anything.
        if expires_at_ms > 0 && self.session.knows_clock() {
            let left_ms = expires_at_ms.saturating_sub(self.session.server_ms(now_ms));
            let in_ms = left_ms.saturating_sub(self.config.token_margin_ms).max(1_000);
            self.connection.refresh_at_ms = Some(now_ms.saturating_add(in_ms));
        }
    }

    /// A fresh token is wanted now.
    pub(super) fn refresh(&mut self, now_ms: u64) {
        if self.connection.refreshing_until_ms.is_none() {
            self.connection.refreshing_until_ms = Some(now_ms.saturating_add(REFRESH_WITHIN_MS));
            self.connection.refresh_at_ms = None;
            self.effects.push_back(Effect::RefreshToken);
        }
    }

    /// When the node says that the token runs out.
    pub(super) fn token_expires(&mut self, now_ms: u64, at_ms: u64) {
        self.connection.token.expires_at_ms = at_ms;
        self.plan_refresh(now_ms);
    }

    /// The node wants this device to go elsewhere, after a while.
    pub(super) fn move_after(&mut self, now_ms: u64, delay_ms: u64) {
        self.connection.move_at_ms = Some(now_ms.saturating_add(delay_ms));
    }

    /// The link in use gives no sign of life, or does so again.
    pub(super) fn stalled(&mut self, now_ms: u64, stalled: bool) {
        let link = self.connection.current_mut().map(|link| (link.kind, link.node));
        match (self.connection.replace, stalled) {
            (None | Some(Replace::Moving), true) => {
                self.connection.replace = Some(Replace::Stalled);
                self.avoid(now_ms, self.connection.current);
                if let Some((kind, node)) = link.filter(|(kind, _)| kind.is_udp()) {
                    self.connection.memory.failed(kind, node, now_ms.saturating_add(self.config.remember_ms));
                }
                if !self.connection.is_trying() {
                    self.connection.dial_at_ms = Some(now_ms);
                }
            }
            // One that has said hello goes on: the node takes it for the newer one.
            (Some(Replace::Stalled), false) if self.connection.upcoming.is_none() => {
                self.connection.replace = None;
                self.connection.dial_at_ms = None;
                self.connection.discovering_until_ms = None;
                self.end_race(None);
                if let Some((kind, node)) = link {
                    self.connection.memory.worked(kind, node, now_ms.saturating_add(self.config.remember_ms));
                }
            }
            _ => {}
        }
    }

    /// The session on this link stands: it is the one in use from now on.
    pub(super) fn stands(&mut self, now_ms: u64, link: LinkId) {
        let old = self.connection.current.replace(link);
        self.connection.upcoming = None;
        self.connection.replace = None;
        self.connection.dial_at_ms = None;
        self.connection.move_at_ms = None;
        self.connection.auth_failures = 0;
        self.connection.backoff.succeeded(now_ms);
        if let Some(old) = old.filter(|old| *old != link) {
            self.detach_all();
            self.leave_link(now_ms, old, CloseCode::NORMAL);
        }
        if let Some((kind, node)) = self.connection.links.get(&link).map(|link| (link.kind, link.node)) {
            self.connection.memory.worked(kind, node, now_ms.saturating_add(self.config.remember_ms));
        }
    }

    pub(super) fn connect_due(&mut self, now_ms: u64) {
        if self.connection.stopped.is_none() {
            if self.connection.refreshing_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
                self.connection.refreshing_until_ms = None;
                self.connection.refresh_at_ms = Some(now_ms);
            }
            if self.connection.refresh_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                self.refresh(now_ms);
            }
            if self.connection.move_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                self.connection.move_at_ms = None;
                self.connection.replace.get_or_insert(Replace::Moving);
                self.avoid(now_ms, self.connection.current);
                if !self.connection.is_trying() {
                    self.connection.dial_at_ms = Some(now_ms);
                }
            }
            if self.connection.discovering_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
                self.connection.discovering_until_ms = None;
                self.start_race(now_ms);
            }
            if self.connection.dial_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                self.attempt(now_ms);
            }
            self.race_due(now_ms);
        }
        let status = self.status();
        if self.connection.told != Some(status) {
            self.connection.told = Some(status);
            self.events.push(Event::Status(status));
        }
    }

    pub(super) fn connect_next(&self) -> Option<u64> {
        let connection = &self.connection;
        if connection.stopped.is_some() {
            return None;
        }
        let race = connection.race.as_ref().and_then(Race::next_at);
        // While a token is waited for, there is nothing to dial with.
        let dial = connection.dial_at_ms.filter(|_| !self.waits_for_token());
        let times = [
            race,
            dial,
            connection.discovering_until_ms,
            connection.move_at_ms,
            connection.refresh_at_ms,
            connection.refreshing_until_ms,
        ];
        times.into_iter().flatten().min()
    }

    fn waits_for_token(&self) -> bool {
        self.connection.current.is_none()
            && (self.connection.refreshing_until_ms.is_some() || self.connection.refresh_at_ms.is_some())
            && self.connection.token.access.is_empty()
    }

    fn attempt(&mut self, now_ms: u64) {
        if self.connection.is_trying() || self.waits_for_token() {
            return;
        }
        let expires_at_ms = self.connection.token.expires_at_ms;
        if expires_at_ms > 0 && self.session.knows_clock() && self.session.server_ms(now_ms) >= expires_at_ms {
            self.connection.token.access.clear();
        }
        if self.connection.token.access.is_empty() {
            return self.refresh(now_ms);
        }
        self.connection.dial_at_ms = None;
        self.connection.discovering_until_ms = Some(now_ms.saturating_add(self.config.discover_within_ms));
        self.effects.push_back(Effect::Discover);
    }

    fn start_race(&mut self, now_ms: u64) {
        if self.connection.candidates.is_empty() {
            return self.attempt_failed(now_ms, None);
        }
        let hurry = self.connection.replace == Some(Replace::Stalled);
        let race = Race::new(&self.config, &self.connection.candidates, &self.connection.memory, now_ms, hurry);
        self.connection.race = Some(race);
        self.race_due(now_ms);
    }

    fn race_due(&mut self, now_ms: u64) {
        while let Some(late) = self.connection.race.as_ref().and_then(|race| race.late(now_ms)) {
            if let Some(race) = &mut self.connection.race {
                race.failed(late);
            }
            self.drop_link(late, CloseCode::NORMAL);
        }
        while self.connection.links.len() < LINKS_MAX {
            let link = LinkId(self.connection.next_link);
            let Some(race) = &mut self.connection.race else { return };
            let Some(candidate) = race.next(now_ms, self.config.dial_within_ms, link) else { break };
            self.connection.next_link += 1;
            self.connection.links.insert(link, Link::new(candidate.node, candidate.kind, now_ms));
            self.effects.push_back(Effect::Dial { link, candidate });
        }
        if self.connection.race.as_ref().is_some_and(Race::is_lost) {
            self.connection.race = None;
            self.attempt_failed(now_ms, None);
        }
    }

    /// Ends the race; all but the winner are given up.
    fn end_race(&mut self, winner: Option<LinkId>) {
        if let Some(race) = self.connection.race.take() {
            for link in race.running().filter(|link| Some(*link) != winner) {
                self.drop_link(link, CloseCode::NORMAL);
            }
        }
    }

    fn attempt_failed(&mut self, now_ms: u64, retry_after_ms: Option<u64>) {
        // With a link that works, only the wish to replace it is over.
        if self.connection.current.is_some() && self.connection.replace.is_none() {
            return;
        }
        let at_ms = self.connection.backoff.failed(now_ms, retry_after_ms);
        self.connection.dial_at_ms = Some(at_ms);
    }

    /// The node of this link comes after the others for a while, if there are any.
    fn avoid(&mut self, now_ms: u64, link: Option<LinkId>) {
        if let Some(link) = link.and_then(|link| self.connection.links.get(&link)) {
            self.connection.memory.left(link.node, now_ms.saturating_add(self.config.avoid_node_ms));
        }
    }

    /// A link that has said hello is left.
    fn leave_link(&mut self, now_ms: u64, link: LinkId, code: CloseCode) {
        self.connection.left_ms = Some(now_ms);
        self.drop_link(link, code);
    }

    fn drop_link(&mut self, link: LinkId, code: CloseCode) {
        if self.connection.links.remove(&link).is_some() {
            self.effects.push_back(Effect::Close { link, code });
        }
    }

    /// A link takes too long, or has been silent for too long, or talks nonsense.
    pub(super) fn give_up(&mut self, now_ms: u64, link: LinkId, code: CloseCode) {
        self.effects.push_back(Effect::Close { link, code });
        self.avoid(now_ms, Some(link));
        if let Some((kind, node)) = self.connection.links.get(&link).map(|link| (link.kind, link.node)) {
            self.connection.memory.failed(kind, node, now_ms.saturating_add(self.config.remember_ms));
        }
        self.connection.left_ms = Some(now_ms);
        self.lost(now_ms, link, None, None);
    }

    /// A link is gone; what follows from it.
    pub(super) fn lost(&mut self, now_ms: u64, id: LinkId, code: Option<CloseCode>, retry_after_ms: Option<u64>) {
        if self.connection.links.remove(&id).is_none() {
            return;
        }
        if let Some(race) = &mut self.connection.race {
            race.failed(id);
        }
        let is_current = self.connection.current == Some(id);
        let is_upcoming = self.connection.upcoming == Some(id);
        if !is_current && !is_upcoming {
            return;
        }
        if self.connection.carrier() == Some(id) {
            self.detach_all();
        }
        if is_current {
            self.connection.current = None;
            self.connection.replace = None;
            self.connection.move_at_ms = None;
            self.session_over();
            self.choose = true;
        }
        if is_upcoming {
            self.connection.upcoming = None;
        }
        self.consequence(now_ms, code.unwrap_or(CloseCode::IDLE), retry_after_ms);
    }

    fn consequence(&mut self, now_ms: u64, code: CloseCode, retry_after_ms: Option<u64>) {
        match code {
            CloseCode::UNAUTHENTICATED | CloseCode::TOKEN_EXPIRED => {
                self.connection.auth_failures += 1;
                if self.connection.auth_failures > AUTH_FAILURES_MAX {
                    return self.stop(Stopped::LoggedOut);
                }
                self.connection.token.access.clear();
                self.refresh(now_ms);
            }
            CloseCode::DEVICE_REVOKED | CloseCode::ACCOUNT_GONE => return self.stop(Stopped::LoggedOut),
            CloseCode::REPLACED => {
                let ghost = |left_ms: u64| now_ms.saturating_sub(left_ms) < GHOST_WITHIN_MS;
                let another = self.connection.is_trying() || self.connection.current.is_some();
                if !another && !self.connection.left_ms.is_some_and(ghost) {
                    return self.stop(Stopped::Replaced);
                }
            }
            code if code.retry() == Retry::Never => return self.stop(Stopped::Closed(code)),
            _ => {}
        }
        let least_ms = if code == CloseCode::RATE_IGNORED { RATE_IGNORED_WAIT_MS } else { 0 };
        let wanted = self.connection.current.is_none() || self.connection.replace.is_some();
        if wanted && !self.connection.is_trying() {
            self.attempt_failed(now_ms, Some(retry_after_ms.unwrap_or(0).max(least_ms)));
        }
    }

    fn stop(&mut self, why: Stopped) {
        self.connection.stopped = Some(why);
        self.detach_all();
        for link in self.connection.links.keys().copied().collect::<Vec<_>>() {
            self.drop_link(link, CloseCode::NORMAL);
        }
        let connection = &mut self.connection;
        (connection.current, connection.upcoming, connection.race) = (None, None, None);
        (connection.dial_at_ms, connection.discovering_until_ms) = (None, None);
        (connection.replace, connection.move_at_ms) = (None, None);
        (connection.refreshing_until_ms, connection.refresh_at_ms) = (None, None);
        self.session_over();
    }

    /// Over which transport the session is.
    #[must_use]
    pub fn transport(&self) -> Option<Kind> {
        self.connection.links.get(&self.connection.current?).map(|link| link.kind)
    }
}
