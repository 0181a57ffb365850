//! Whose query runs next: organizations take turns.
//!
//! At most `slots` queries run at once; others wait, each organization in a line of its own, and a slot that becomes
//! free goes to the organizations in turn. An organization that has no query running does not wait for one that has
//! many: it may use a slot beyond `slots`, of which there are as many again. And while others want to run, queries of an
//! organization that has used much time already should yield the processor to them, and stand still while one that has
//! used little runs: it will have ended before they are missed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rules::{Error, OrgId, Result};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

/// What an organization's queries may use before they should yield to those of others.
const GRACE: Duration = Duration::from_millis(100);

/// Who asks one short query after another has the next one here so soon; until then the others keep still, so that the
/// server's own work for it finds the processor free.
const PAUSE_BETWEEN: Duration = Duration::from_millis(10);

/// The queries that run and those that wait.
#[derive(Debug)]
pub(super) struct Queue {
    slots: usize,
    /// Queries of one organization that may wait.
    waiting_max: usize,
    state: Mutex<State>,
    /// Told of every query that starts.
    starts: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    organizations: HashMap<OrgId, Line>,
    /// The organizations with a query that waits, the next one first.
    turns: VecDeque<OrgId>,
    /// The organization whose short query was the last to end, and when.
    short: Option<(OrgId, Instant)>,
}

#[derive(Debug, Default)]
struct Line {
    running: usize,
    /// When the query started that was the last to.
    started: Option<Instant>,
    /// By queries that have ended since the organization had none.
    used: Duration,
    waiting: VecDeque<oneshot::Sender<Slot>>,
}

/// The right to run one query; dropping it gives it to the next one.
#[derive(Debug)]
pub(super) struct Slot {
    queue: Arc<Queue>,
    org: OrgId,
    started: Instant,
}

impl Queue {
    pub(super) fn new(slots: usize, waiting_max: usize) -> Arc<Self> {
        Arc::new(Self {
            slots,
            waiting_max,
            state: Mutex::default(),
            starts: watch::Sender::new(()),
        })
    }

    /// Waits for the organization's turn, until the deadline.
    ///
    /// # Errors
    /// `Unavailable` when too many of its queries wait already, `TimedOut` at the deadline.
    pub(super) async fn slot(self: &Arc<Self>, org: &OrgId, deadline: Instant) -> Result<Slot> {
        let turn = {
            let mut state = self.state();
            if state.may_start(org, self.slots) {
                return Ok(self.start(&mut state, org));
            }
            let line = state.organizations.entry(org.clone()).or_default();
            line.waiting.retain(|waiting| !waiting.is_closed());
            if line.waiting.len() >= self.waiting_max {
                return Err(Error::unavailable(
                    "too many queries of this organization are waiting; try again in a few seconds",
                ));
            }
            let (sender, turn) = oneshot::channel();
            line.waiting.push_back(sender);
            if !state.turns.contains(org) {
                state.turns.push_back(org.clone());
            }
            turn
        };
        match timeout_at(deadline, turn).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(Error::internal("a waiting query was forgotten")),
            Err(_) => Err(Error::timed_out(
                "the query waited too long for others to finish; try again",
            )),
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, org: &OrgId) -> Slot {
        let started = Instant::now();
        state.start(org, started);
        self.starts.send_replace(());
        Slot {
            queue: Arc::clone(self),
            org: org.clone(),
            started,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free slots to those who wait.
    fn hand_on(self: &Arc<Self>) {
        loop {
            let (slot, waiting) = {
                let mut state = self.state();
                let Some((org, waiting)) = state.next(self.slots) else {
                    return;
                };
                (self.start(&mut state, &org), waiting)
            };
            // Without the lock: a slot that nobody takes any more is dropped here, and goes to the next one.
            drop(waiting.send(slot));
        }
    }
}

impl State {
    fn may_start(&self, org: &OrgId, slots: usize) -> bool {
        let Some(line) = self.organizations.get(org) else {
            return self.running < 2 * slots;
        };
        // Who comes while others of the organization wait goes behind them.
        line.waiting.iter().all(oneshot::Sender::is_closed) && self.has_room(line, slots)
    }

    fn has_room(&self, line: &Line, slots: usize) -> bool {
        self.running < slots || line.running == 0 && self.running < 2 * slots
    }

    fn start(&mut self, org: &OrgId, now: Instant) {
        self.running += 1;
        let line = self.organizations.entry(org.clone()).or_default();
        line.running += 1;
        line.started = Some(now);
    }

    fn end(&mut self, org: &OrgId, used: Duration) {
        self.running -= 1;
        if let Some(line) = self.organizations.get_mut(org) {
            line.running -= 1;
            line.used += used;
            if line.used <= GRACE {
                self.short = Some((org.clone(), Instant::now()));
            }
            line.waiting.retain(|waiting| !waiting.is_closed());
            if line.running == 0 && line.waiting.is_empty() {
                self.organizations.remove(org);
            }
        }
    }

    /// The next query to start, if one may: of the organization whose turn it is.
    fn next(&mut self, slots: usize) -> Option<(OrgId, oneshot::Sender<Slot>)> {
        for _ in 0..self.turns.len() {
            let org = self.turns.pop_front()?;
            let may = self
                .organizations
                .get(&org)
                .is_some_and(|line| self.has_room(line, slots));
            let Some(line) = self.organizations.get_mut(&org) else {
                continue;
            };
            line.waiting.retain(|waiting| !waiting.is_closed());
            let next = line.waiting.pop_front_if(|_| may);
            if !line.waiting.is_empty() {
                self.turns.push_back(org.clone());
            } else if next.is_none() && line.running == 0 {
                // All of them gave up.
                self.organizations.remove(&org);
            }
            if let Some(next) = next {
                return Some((org, next));
            }
        }
        None
    }
}

impl Slot {
    /// Whether others want to run, and the organization has had its share.
    pub(super) fn should_yield(&self) -> bool {
        let state = self.queue.state();
        state.organizations.len() > 1 && self.has_used_much(&state)
    }

    /// Whether a query of another organization runs that has used little, or has just ended, and this one's has had its
    /// share.
    pub(super) fn should_pause(&self) -> bool {
        let state = self.queue.state();
        let is_other = |org: &OrgId| *org != self.org;
        let runs = |(org, line): (&OrgId, &Line)| is_other(org) && line.has_short_one();
        let ended = |(org, at): &(OrgId, Instant)| is_other(org) && at.elapsed() <= PAUSE_BETWEEN;
        let wanted =
            state.short.as_ref().is_some_and(ended) || state.organizations.iter().any(runs);
        wanted && self.has_used_much(&state)
    }

    /// Changes when any query starts, which may be one to pause for.
    pub(super) fn starts(&self) -> watch::Receiver<()> {
        self.queue.starts.subscribe()
    }

    fn has_used_much(&self, state: &State) -> bool {
        let used = state.organizations.get(&self.org).map(|line| line.used);
        used.unwrap_or_default() + self.started.elapsed() > GRACE
    }
}

impl Line {
    /// Whether one of its queries runs that has used little, and those before it too.
    fn has_short_one(&self) -> bool {
        let running = self.started.filter(|_| self.running > 0);
        running.is_some_and(|started| self.used + started.elapsed() <= GRACE)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.queue.state().end(&self.org, self.started.elapsed());
        self.queue.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(name: &str) -> OrgId {
        OrgId::parse(name).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// Starts to wait for a slot.
    async fn waits(queue: &Arc<Queue>, name: &str) -> tokio::task::JoinHandle<Result<Slot>> {
        let (queue, org) = (Arc::clone(queue), org(name));
        let task = tokio::spawn(async move { queue.slot(&org, soon()).await });
        tokio::task::yield_now().await;
        task
    }

    #[tokio::test]
    async fn an_organization_with_nothing_running_does_not_wait_for_a_busy_one() {
        let queue = Queue::new(2, 10);
        let _busy = [
            queue.slot(&org("a"), soon()).await.unwrap(),
            queue.slot(&org("a"), soon()).await.unwrap(),
        ];
        let third = waits(&queue, "a").await;
        let _other = queue.slot(&org("b"), Instant::now()).await.unwrap();
        let _another = queue.slot(&org("c"), Instant::now()).await.unwrap();
        // All slots and as many again: now everybody waits.
        let error = queue.slot(&org("d"), Instant::now()).await.unwrap_err();
        assert_eq!(*error.kind(), rules::Kind::TimedOut);
        assert!(!third.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_had_much_yields_while_others_want_to_run() {
        let queue = Queue::new(2, 10);
        let busy = queue.slot(&org("a"), soon()).await.unwrap();
        tokio::time::advance(2 * GRACE).await;
        assert!(!busy.should_yield(), "nobody else is there");
        let other = queue.slot(&org("b"), soon()).await.unwrap();
        assert!(busy.should_yield() && !other.should_yield());
        let waiting = waits(&queue, "a").await;
        drop(busy);
        let next = waiting.await.unwrap().unwrap();
        assert!(next.should_yield(), "what it used before counts");
        drop(other);
        assert!(!next.should_yield());
        drop(next);
        let fresh = queue.slot(&org("a"), soon()).await.unwrap();
        let _other = queue.slot(&org("b"), soon()).await.unwrap();
        assert!(!fresh.should_yield(), "it had nothing to run for a moment");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_had_much_stands_still_for_a_short_query_of_another() {
        let queue = Queue::new(2, 10);
        let busy = queue.slot(&org("a"), soon()).await.unwrap();
        let mut starts = busy.starts();
        tokio::time::advance(2 * GRACE).await;
        assert!(!busy.should_pause(), "nobody else is there");
        let short = queue.slot(&org("b"), soon()).await.unwrap();
        assert!(starts.has_changed().unwrap());
        starts.mark_unchanged();
        assert!(busy.should_pause() && !short.should_pause());
        drop(short);
        assert!(busy.should_pause(), "it may be back at once");
        let next = queue.slot(&org("a"), soon()).await.unwrap();
        assert!(!next.should_pause(), "it has only begun");
        tokio::time::advance(2 * PAUSE_BETWEEN).await;
        assert!(!busy.should_pause(), "it is not back");
        let long = queue.slot(&org("b"), soon()).await.unwrap();
        assert!(busy.should_pause());
        tokio::time::advance(2 * GRACE).await;
        assert!(!busy.should_pause(), "it is not short");
        drop(long);
        assert!(!busy.should_pause(), "nor was it");
    }

    #[tokio::test]
    async fn organizations_take_turns() {
        let queue = Queue::new(1, 10);
        let first = queue.slot(&org("a"), soon()).await.unwrap();
        let also = queue.slot(&org("z"), soon()).await.unwrap();
        let mut waiting = Vec::new();
        for name in ["a", "a", "a", "b", "b"] {
            waiting.push((name, waits(&queue, name).await));
        }
        drop(also);
        let (mut order, mut held) = (Vec::new(), VecDeque::from([first]));
        while !waiting.is_empty() {
            // Long enough for whoever was given a slot to take it.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let next = waiting.iter().position(|(_, task)| task.is_finished());
            let Some(next) = next else {
                held.pop_front();
                continue;
            };
            let (name, task) = waiting.remove(next);
            order.push(name);
            held.push_back(task.await.unwrap().unwrap());
        }
        // b had nothing running when a slot became free, and then they alternate.
        assert_eq!(order, ["b", "a", "b", "a", "a"]);
    }

    #[tokio::test]
    async fn a_query_that_gave_up_waiting_holds_nobody_up() {
        let queue = Queue::new(1, 1);
        let (a, b) = (
            queue.slot(&org("a"), soon()).await.unwrap(),
            queue.slot(&org("b"), soon()).await.unwrap(),
        );
        let given_up = waits(&queue, "a").await;
        let full = queue.slot(&org("a"), soon()).await.unwrap_err();
        assert_eq!(*full.kind(), rules::Kind::Unavailable);
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        let next = waits(&queue, "a").await;
        drop(a);
        drop(b);
        drop(next.await.unwrap().unwrap());
        let state = queue.state();
        assert_eq!((state.running, state.organizations.len()), (0, 0));
    }

    #[tokio::test]
    async fn an_organization_that_gave_up_waiting_is_forgotten() {
        let queue = Queue::new(1, 1);
        let a = queue.slot(&org("a"), soon()).await.unwrap();
        let _b = queue.slot(&org("b"), soon()).await.unwrap();
        let given_up = waits(&queue, "c").await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        drop(a);
        let state = queue.state();
        assert_eq!((state.running, state.organizations.len()), (1, 1));
    }
}
