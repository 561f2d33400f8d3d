//! What the loss of some members leaves open: what was owed to their clients can be neither confirmed nor denied.

use crate::account::{Account, SendLog, Share};
use crate::base::{ConnId, PublisherId};
use crate::plan::Plan;

/// A member that was lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone<'a> {
    pub(super) shares: &'a [Share],
    /// Publications it had sent by the last reading of its gauge: all that is known of publishers whose send log went with it.
    pub(super) sent: u64,
}

/// Contests what was owed to the clients of the lost.
pub(super) fn contest(account: &mut Account, plan: &Plan, lost: &[Gone<'_>], log: &SendLog) {
    if lost.is_empty() {
        return;
    }
    account.copies.contested += owed(plan, lost, &publications(plan, lost, log));
    let untold = publishers(plan).filter(|p| log.told(*p).is_none()).count() as u64;
    account.bounds.publishers_unknown = account.bounds.publishers_unknown.max(untold);
    account.interrupted.get_or_insert_with(|| "a worker process was lost".to_owned());
}

fn publishers(plan: &Plan) -> impl Iterator<Item = PublisherId> + use<> {
    (0..plan.publishers).map(PublisherId)
}

/// What each publisher sent: by its send log, or where that is lost, by the gauge of its member, whose publishers take turns.
fn publications(plan: &Plan, lost: &[Gone<'_>], log: &SendLog) -> Vec<u64> {
    let mut sent: Vec<u64> = publishers(plan).map(|p| u64::from(log.told(p).unwrap_or(0))).collect();
    for gone in lost {
        let own = publishers(plan).filter(|p| gone.shares.iter().any(|share| share.owns(plan.connection_of(*p))));
        let (told, untold): (Vec<_>, Vec<_>) = own.partition(|p| log.told(*p).is_some());
        let left = gone.sent.saturating_sub(told.iter().map(|p| sent[p.index()]).sum());
        let turns = untold.len() as u64;
        for (turn, publisher) in (0..).zip(untold) {
            sent[publisher.index()] = (left + turns - 1 - turn) / turns;
        }
    }
    sent
}

/// Copies of what was `sent` by each publisher that the plan owes to the clients of the lost, had they been members throughout.
fn owed(plan: &Plan, lost: &[Gone<'_>], sent: &[u64]) -> u64 {
    // What each room was sent, and a publisher's own part of it: clients times publishers would be too many to ask about one by one.
    let mut rooms = vec![0; plan.division.rooms() as usize];
    for (publisher, sent) in publishers(plan).zip(sent) {
        rooms[plan.room_of(plan.connection_of(publisher)) as usize] += sent;
    }
    let shares = lost.iter().flat_map(|gone| gone.shares);
    let clients = shares.flat_map(|share| (0..share.size(plan.connections)).map(|slot| share.conn(slot)));
    let one = |client: ConnId| {
        if !plan.group_of(client).is_some_and(|(group, _)| group.receives) {
            return 0;
        }
        let own = plan.publisher_of(client).filter(|p| !plan.is_owed(*p, client)).map_or(0, |p| sent[p.index()]);
        rooms[plan.room_of(client) as usize] - own
    };
    clients.map(one).sum()
}

#[cfg(test)]
mod tests {
    use crate::account::Ledger;
    use crate::base::{Instant, Seq, Span};
    use crate::event::Event;
    use crate::plan::tests::plan;

    use super::*;

    /// Every second client.
    const EVEN: Share = Share { index: 0, of: 2 };
    const ODD: Share = Share { index: 1, of: 2 };

    /// What the publishers of `share` sent, each so many.
    fn log(plan: &Plan, share: Share, each: u32) -> SendLog {
        let mut ledger = Ledger::new(plan.clone().into(), share);
        for publisher in publishers(plan).filter(|p| share.owns(plan.connection_of(*p))) {
            for n in 0..each {
                let at = Instant::EPOCH + Span::from_millis(u64::from(n));
                ledger.observe(Event::Sent { publisher, seq: Seq(n), planned: at, sent: at, bytes: 64 });
            }
        }
        ledger.send_log().clone()
    }

    #[test]
    fn contested_is_what_the_plan_owes_the_lost_clients_and_not_every_publication_to_each() {
        let rooms = "[clients]\ncount = 40\n[rooms]\ncount = 10\n[publish]\npublishers = 4\npace = \"20/s\"\n";
        let others = "[clients]\ncount = 6\n[publish]\npublishers = 2\npace = \"9/s\"\naudience = \"others\"\n";
        let silent = "[[clients]]\ncount = 4\n[[clients]]\ncount = 6\nreceives = false\n[publish]\npublishers = 2\npace = \"9/s\"\n";
        // Rooms 0 to 3 have a publisher each and four clients, all even or all odd; the publisher of others is not owed its own.
        for (text, by_hand) in [(rooms, 2 * 4 * 7), (others, 3 * 14 - 7), (silent, 2 * 14)] {
            let plan = plan(text);
            let mut all = log(&plan, EVEN, 7);
            all.merge(&log(&plan, ODD, 7));
            for share in [EVEN, ODD] {
                let mut account = Account::empty(&plan);
                contest(&mut account, &plan, &[Gone { shares: &[share], sent: 0 }], &all);
                let asked = publishers(&plan).flat_map(|p| (0..plan.connections).map(move |c| (p, ConnId(c))));
                let one_by_one = asked.filter(|(p, c)| share.owns(*c) && plan.is_owed(*p, *c)).count() as u64 * 7;
                assert_eq!((account.copies.contested, one_by_one), (by_hand, by_hand), "{text}");
                assert_eq!((account.interrupted.is_some(), account.bounds.publishers_unknown), (true, 0));
            }
        }
    }

    #[test]
    fn of_publishers_whose_log_is_lost_the_gauge_tells_what_they_sent() {
        let plan = plan("[clients]\ncount = 40\n[publish]\npublishers = 4\npace = \"20/s\"\n");
        let (even, odd) = (Gone { shares: &[EVEN], sent: 9 }, Gone { shares: &[ODD], sent: 4 });
        assert_eq!(publications(&plan, &[even, odd], &SendLog::empty(&plan)), [5, 2, 4, 2]);
        assert_eq!(publications(&plan, &[even], &log(&plan, ODD, 3)), [5, 3, 4, 3], "the log is exact where there is one");
        assert_eq!(publications(&plan, &[odd], &log(&plan, ODD, 3)), [0, 3, 0, 3], "and newer than the gauge");
        let mut account = Account::empty(&plan);
        contest(&mut account, &plan, &[even, odd], &SendLog::empty(&plan));
        assert_eq!((account.copies.contested, account.bounds.publishers_unknown), (40 * 13, 4));
    }

    #[test]
    fn where_nobody_is_lost_nothing_is_contested() {
        let plan = plan("[clients]\ncount = 4\n[publish]\npace = \"20/s\"\n");
        let mut account = Account::empty(&plan);
        contest(&mut account, &plan, &[], &log(&plan, Share::WHOLE, 3));
        assert_eq!((account.copies.contested, account.interrupted), (0, None));
    }
}
