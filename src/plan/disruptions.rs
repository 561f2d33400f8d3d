//! Who is disrupted when: decided once, from the scenario and the seed, so that every shard of every process knows it up front.

use std::collections::VecDeque;

use crate::base::{ConnId, Rng, Seed, Span};
use crate::scenario::Scenario;
use crate::scenario::disrupt::REST;
use crate::scenario::model::{Disruption, Verb, Which};

/// A bystander is looked at for at least this long after a strike that is over at once.
const AFTERMATH: Span = Span::from_secs(1);
/// Strikes a plan may have; what a scenario asks beyond is cut off (at one a millisecond it takes a quarter of an hour to get there).
const MOST_STRIKES: usize = 1 << 20;

/// One strike: at this instant this is done to these clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// Which of the scenario's disruptions.
    pub disruption: u16,
    /// When, after the beginning of publishing.
    pub at: Span,
    /// When what is done is over: the planned return of those who come back, or the end of the time in which connections that end are
    /// put down to a restart of the server. Never before `at`.
    pub until: Span,
    /// To whom, ascending.
    pub conns: Vec<ConnId>,
}

/// All strikes of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strikes {
    /// In the order of their instants.
    strikes: Vec<Strike>,
    /// Who is struck at all, by connection; empty when nobody is.
    struck: Vec<bool>,
}

impl Strikes {
    pub(super) fn new(scenario: &Scenario, seed: Seed) -> Self {
        let disruptions = &scenario.disrupt;
        if disruptions.is_empty() {
            return Self::default();
        }
        let connections: u32 = scenario.groups.iter().map(|g| g.count).sum();
        let mut due: Vec<(Span, u16)> = (0..).zip(disruptions).flat_map(|(n, d)| instants(d, scenario).map(move |at| (at, n))).collect();
        due.sort_unstable();
        due.truncate(MOST_STRIKES);
        let mut pools: Vec<VecDeque<ConnId>> =
            (0..).zip(disruptions).map(|(n, d)| pool(d, scenario, seed.derive("churn").nth(n))).collect();
        // When a client is there again to be struck.
        let mut free = vec![Span::ZERO; connections as usize];
        let mut strikes = Vec::with_capacity(due.len());
        for (nth, (at, n)) in (0_u64..).zip(due) {
            let disruption = &disruptions[usize::from(n)];
            let pool = &mut pools[usize::from(n)];
            let is_there = |c: &ConnId| free[c.index()] <= at;
            let conns = if matches!(disruption.verb, Verb::Server { .. }) {
                // All of them, publishers too.
                (0..connections).map(ConnId).collect()
            } else if matches!(disruption.verb, Verb::Churn { .. }) {
                next_in_turn(pool, is_there).into_iter().collect()
            } else {
                let there = pool.iter().copied().filter(is_there).collect();
                draw(there, wanted(&disruption.on.which, pool.len()), seed.derive("disrupt").nth(nth).rng())
            };
            let until = at + disruption.verb.span();
            if conns.is_empty() && matches!(disruption.verb, Verb::Churn { .. }) {
                continue;
            }
            let comes_back = disruption.verb.back_off().is_some();
            // Who is not back by then is passed over when it comes to it.
            let again = if comes_back { until + REST } else { Span::from_nanos(u64::MAX) };
            conns.iter().for_each(|c| free[c.index()] = again);
            strikes.push(Strike { disruption: n, at, until, conns });
        }
        let mut struck = vec![false; connections as usize];
        strikes.iter().flat_map(|s| &s.conns).for_each(|c| struck[c.index()] = true);
        Self { strikes, struck }
    }

    /// In the order of their instants.
    #[must_use]
    pub fn as_slice(&self) -> &[Strike] {
        &self.strikes
    }

    /// Whether nothing is ever done to this client.
    #[must_use]
    pub fn spares(&self, c: ConnId) -> bool {
        self.struck.get(c.index()).is_none_or(|struck| !struck)
    }

    /// When bystanders are looked at: the stretches from a strike to the end of its effect on others, joined where they overlap, after
    /// the beginning of publishing.
    #[must_use]
    pub fn stretches(&self) -> Vec<(Span, Span)> {
        let mut joined: Vec<(Span, Span)> = Vec::new();
        for strike in self.strikes.iter().filter(|s| !s.conns.is_empty()) {
            match joined.last_mut().filter(|last| strike.at <= last.1) {
                Some(last) => last.1 = last.1.max(strike.aftermath()),
                None => joined.push((strike.at, strike.aftermath())),
            }
        }
        joined
    }

    /// How many clients are struck at all.
    #[must_use]
    pub fn victims(&self) -> u64 {
        self.struck.iter().filter(|struck| **struck).count() as u64
    }
}

impl Strike {
    /// When its effect on others is over: its end, or a second after a strike that is over at once.
    #[must_use]
    pub fn aftermath(&self) -> Span {
        self.until.max(self.at + AFTERMATH)
    }
}

/// How long a client that comes back may take.
fn back_within(scenario: &Scenario) -> Span {
    scenario.checks.disruption.recovery.map_or(AFTERMATH, |check| check.within)
}

/// When a disruption strikes: as often as what it does can be seen to its end within the steady state.
fn instants(disruption: &Disruption, scenario: &Scenario) -> impl Iterator<Item = Span> + use<> {
    let phases = scenario.phases;
    let back = if disruption.verb.back_off().is_some() { back_within(scenario) } else { Span::ZERO };
    let last = phases.steady.saturating_sub(disruption.verb.span().max(disruption.verb.away() + back));
    let (first, every) = (disruption.at, disruption.every);
    let churn = if let Verb::Churn { rate, .. } = disruption.verb { Some(rate) } else { None };
    (0..).map_while(move |n| {
        let at = match churn {
            Some(rate) => first + rate.nth(n),
            None if n == 0 => return Some(phases.warm_up + first),
            None => first + every?.times(n),
        };
        (at <= last).then_some(phases.warm_up + at)
    })
}

/// Whom a disruption may strike. Churn goes on among the same clients, so they are drawn here, by `seed`; every other strike draws
/// for itself.
fn pool(disruption: &Disruption, scenario: &Scenario, seed: Seed) -> VecDeque<ConnId> {
    let all = candidates(disruption, scenario);
    if !matches!(disruption.verb, Verb::Churn { .. }) {
        return all.into();
    }
    let wanted = wanted(&disruption.on.which, all.len());
    shuffled(all, wanted, seed.rng()).into()
}

/// The client of a churn whose turn it is; those who are not there lose theirs.
fn next_in_turn(pool: &mut VecDeque<ConnId>, is_there: impl Fn(&ConnId) -> bool) -> Option<ConnId> {
    // Who left last comes back last: where the next few are away, so are the others.
    for _ in 0..pool.len().min(64) {
        let conn = pool.pop_front()?;
        pool.push_back(conn);
        if is_there(&conn) {
            return Some(conn);
        }
    }
    None
}

fn candidates(disruption: &Disruption, scenario: &Scenario) -> Vec<ConnId> {
    let before = |group: u32| scenario.groups.iter().take(group as usize).map(|g| g.count).sum::<u32>();
    let (from, count) = match disruption.on.group {
        Some(group) => (before(group), scenario.groups.get(group as usize).map_or(0, |g| g.count)),
        None => (0, before(u32::MAX)),
    };
    if let Which::Indices(indices) = &disruption.on.which {
        return indices.iter().map(|i| ConnId(from + i)).collect();
    }
    let publish = scenario.publish.as_ref().filter(|_| disruption.on.group.is_none());
    let first = publish.and_then(|p| p.group).map_or(0, before);
    let publishes = |c: u32| publish.is_some_and(|p| (first..first + p.publishers).contains(&c));
    (from..from + count).filter(|c| !publishes(*c)).map(ConnId).collect()
}

/// How many of them.
fn wanted(which: &Which, pool: usize) -> usize {
    match which {
        Which::Count(n) => *n as usize,
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fewer than 2^32 clients")]
        Which::Share(share) => ((pool as f64 * share).round() as usize).max(1),
        Which::Indices(indices) => indices.len(),
    }
}

/// So many of `there`, each as likely as any other; ascending.
fn draw(there: Vec<ConnId>, wanted: usize, rng: Rng) -> Vec<ConnId> {
    let mut drawn = shuffled(there, wanted, rng);
    drawn.sort_unstable();
    drawn
}

/// The first steps of a Fisher–Yates shuffle.
fn shuffled(mut there: Vec<ConnId>, wanted: usize, mut rng: Rng) -> Vec<ConnId> {
    let wanted = wanted.min(there.len());
    for i in 0..wanted {
        #[expect(clippy::cast_possible_truncation, reason = "below a length")]
        let other = i + rng.below((there.len() - i) as u64) as usize;
        there.swap(i, other);
    }
    there.truncate(wanted);
    there
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::Plan;
    use crate::scenario::parse;

    fn plan(disrupt: &str, seed: u64) -> Plan {
        let text = format!(
            "[[clients]]\nname = \"readers\"\ncount = 20\n[[clients]]\nname = \"others\"\ncount = 10\n[publish]\npublishers = 2\npace = \"1/s\"\n[phases]\nwarm_up = \"1s\"\nsteady = \"20s\"\n{disrupt}"
        );
        Plan::new(Arc::new(parse(&text, "test.toml").unwrap_or_else(|e| panic!("{e}"))), Seed(seed))
    }

    fn times(plan: &Plan) -> Vec<u64> {
        plan.strikes.as_slice().iter().map(|s| s.at.as_nanos() / 1_000_000_000).collect()
    }

    #[test]
    fn strikes_follow_the_seed_and_spare_publishers() {
        let text = "[[disrupt]]\nverb = \"kill\"\nat = \"3s\"\nshare = \"50%\"\n";
        let (a, b, other) = (plan(text, 1), plan(text, 1), plan(text, 2));
        assert_eq!(a.strikes, b.strikes);
        assert_ne!(a.strikes, other.strikes);
        let [strike] = a.strikes.as_slice() else { panic!("{:?}", a.strikes) };
        assert_eq!((strike.at, strike.until, strike.conns.len()), (Span::from_secs(4), Span::from_secs(4), 14));
        assert!(strike.conns.iter().all(|c| c.0 >= 2 && !a.strikes.spares(*c)), "{:?}", strike.conns);
        assert!(a.strikes.spares(ConnId(0)));
        assert_eq!(a.strikes.victims(), 14);
    }

    #[test]
    fn groups_and_indices_name_whom_they_mean() {
        let of = |text: &str| plan(text, 1).strikes.as_slice()[0].conns.iter().map(|c| c.0).collect::<Vec<_>>();
        assert_eq!(of("[[disrupt]]\nverb = \"close\"\nat = \"1s\"\ngroup = \"others\"\nindices = [9, 0]\n"), [20, 29]);
        assert_eq!(of("[[disrupt]]\nverb = \"close\"\nat = \"1s\"\nindices = [0]\n"), [0], "a publisher that is named is meant");
        let drawn = of("[[disrupt]]\nverb = \"close\"\nat = \"1s\"\ngroup = \"others\"\ncount = 10\n");
        assert_eq!(drawn, (20..30).collect::<Vec<_>>());
    }

    #[test]
    fn repeated_strikes_end_where_their_outcome_could_no_longer_be_seen() {
        let offline =
            "[[disrupt]]\nverb = \"offline\"\nat = \"2s\"\nevery = \"4s\"\nfor = \"1s\"\ncount = 3\n[checks.recovery]\nwithin = \"2s\"\n";
        assert_eq!(times(&plan(offline, 1)), [3, 7, 11, 15]);
        assert_eq!(times(&plan("[[disrupt]]\nverb = \"kill\"\nevery = \"5s\"\n", 1)), [6, 11, 16, 21]);
    }

    #[test]
    fn nobody_is_struck_who_is_not_there() {
        let text = "[[disrupt]]\nverb = \"kill\"\nevery = \"3s\"\ncount = 10\n[[disrupt]]\nverb = \"offline\"\nat = \"4s\"\nevery = \"1s\"\nfor = \"2s\"\nindices = [5]\n[checks.recovery]\nwithin = \"500ms\"\n";
        let plan = plan(text, 3);
        let mut gone = std::collections::HashSet::new();
        let mut away = Span::ZERO;
        for strike in plan.strikes.as_slice() {
            for conn in &strike.conns {
                assert!(!gone.contains(conn), "{conn} was killed before");
                if strike.disruption == 0 {
                    gone.insert(*conn);
                } else {
                    assert!(strike.at >= away, "{conn} was away still");
                    away = strike.until + REST;
                }
            }
        }
        assert!(gone.len() >= 27, "all but the publishers and who is away just then");
    }

    #[test]
    fn churn_goes_round_its_clients_and_passes_over_who_is_away() {
        let churn = |more: &str| {
            let plan = plan(
                &format!(
                    "[[disrupt]]\nverb = \"churn\"\nat = \"2s\"\nrate = \"1/s\"\nfor = \"1s\"\ngroup = \"others\"\n{more}[checks.recovery]\nwithin = \"1s\"\n"
                ),
                1,
            );
            let one = |s: &Strike| if let [conn] = s.conns[..] { (s.at.as_nanos() / 1_000_000_000, conn.0) } else { panic!("{s:?}") };
            plan.strikes.as_slice().iter().filter(|s| s.disruption == 0).map(one).collect::<Vec<_>>()
        };
        let turns = churn("");
        assert_eq!(turns.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (3..=19).collect::<Vec<_>>());
        let round: Vec<_> = turns.iter().map(|(_, conn)| *conn).collect();
        assert!(round[10..] == round[..round.len() - 10], "each again after all others: {round:?}");
        assert_eq!(round[..10].iter().copied().collect::<std::collections::BTreeSet<_>>(), (20..30).collect());
        let offline =
            "[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"4s\"\ngroup = \"others\"\nindices = [0, 1, 2, 3, 4, 5, 6, 7]\n";
        let while_away: Vec<_> = churn(offline).iter().take(4).map(|(at, conn)| (*at, *conn >= 28)).collect();
        assert_eq!(while_away, [(3, true), (4, true), (5, true), (6, true)]);
    }

    #[test]
    fn bystanders_are_looked_at_from_a_strike_until_nothing_of_it_is_left() {
        let stretches = |text: &str| {
            let seconds = |span: Span| span.as_nanos() / 1_000_000_000;
            plan(text, 1).strikes.stretches().into_iter().map(|(from, to)| (seconds(from), seconds(to))).collect::<Vec<_>>()
        };
        let kill = |at: u32| format!("[[disrupt]]\nverb = \"kill\"\nat = \"{at}s\"\n");
        let offline = "[[disrupt]]\nverb = \"offline\"\nat = \"2s\"\nfor = \"5s\"\n[checks.recovery]\nwithin = \"1s\"\n";
        assert_eq!(stretches(&(kill(2) + &kill(10))), [(3, 4), (11, 12)], "a strike that is over at once is felt for a second");
        assert_eq!(stretches(&(kill(3) + &kill(10) + offline)), [(3, 8), (11, 12)], "what falls into another is part of it");
        assert_eq!(stretches(&(kill(6) + &kill(10) + offline)), [(3, 8), (11, 12)]);
        assert_eq!(stretches(""), []);
    }
}
