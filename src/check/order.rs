//! `order`: copies arrive in the order of sending.

use super::evidence::{Draft, Evidence, witnesses};
use super::words::{percent, several};
use super::{Check, Finding, Witness, feed};
use crate::scenario::model::OrderScope;

pub(super) static CHECK: Check = Check {
    id: "order",
    claim: "Each client receives each publisher's publications in the order they were sent.",
    needs: "At least one copy received. On request (`scope = \"total\"`) also that all clients see all publications in one and the same order.",
    proves: "A copy counts as out of order when it first arrives after a later one of the same publisher on the same client. Total order is exact among the clients of one shard, given that who saw a publication first also receives the other; between shards it is compared over the first million publications, divided among the publishers. Where the server broadcasts by itself, a copy is out of order when it comes behind one that most clients saw after it.",
    examine,
};

fn examine(check: &Check, evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(scope) = evidence.plan.scenario.checks.order.filter(|_| evidence.copies_due()) else { return Vec::new() };
    let copies = &evidence.account.copies;
    let arrivals = copies.on_time + copies.late + copies.contested_received;
    let population = if evidence.comparable() { arrivals } else { 0 };
    let total = scope == OrderScope::Total;
    let between = if total { evidence.account.spread.contradictions() } else { Vec::new() };
    let (out, total_out) = (copies.out_of_order, if total { copies.out_of_total_order + between.len() as u64 } else { 0 });
    let mut seen = witnesses([&copies.order_sightings, &copies.total_order_sightings]);
    seen.extend(between.iter().map(|publication| Witness {
        at_ns: publication.first.as_nanos(),
        client: None,
        publisher: Some(publication.publisher.0),
        seq: Some(publication.seq.0),
        what: "two groups of clients saw it and another publication in opposite order".into(),
    }));
    seen.truncate(crate::account::WITNESSES);
    let draft = Draft {
        population,
        unit: "copies in sequence",
        expected: if evidence.feeds() {
            "the broadcasts in the order in which most clients saw them"
        } else if total {
            "all publications in one order for all clients"
        } else {
            "each publisher's publications in the order sent"
        }
        .into(),
        observed: match (out, total_out) {
            (0, 0) => format!("{}, all in order", several(population, "copy", "copies")),
            (out, 0) => format!("{} out of order ({})", several(out, "copy", "copies"), percent(out, population)),
            (out, total) => format!(
                "{} behind a later one of the same publisher, {} against the order others saw",
                several(out, "copy", "copies"),
                several(total, "copy", "copies")
            ),
        },
        violations: out + total_out,
        witnesses: seen,
        empty: if evidence.feeds() && arrivals > 0 { feed::NOBODY_TO_COMPARE } else { "no copy was received" },
        ..Draft::default()
    };
    vec![draft.conclude(check, evidence)]
}
