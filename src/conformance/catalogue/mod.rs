//! The catalogue: every case as data, a page a section, shipped inside the binary and read at start.
//!
//! Autobahn's 517 (ids, octets, acceptable outcomes, time limits, closing rules) and our own beyond it. The notation is
//! described where it is read: [`steps`] for scripts, [`autobahn`] and [`beyond`] for pages. Must never know a socket.

pub mod autobahn;
pub mod beyond;
pub mod model;
pub mod payload;
pub mod steps;

use model::Case;

const AUTOBAHN: [&str; 11] = [
    include_str!("01-framing.txt"),
    include_str!("02-pings.txt"),
    include_str!("03-reserved-bits.txt"),
    include_str!("04-opcodes.txt"),
    include_str!("05-fragments.txt"),
    include_str!("06-utf8.txt"),
    include_str!("07-closing.txt"),
    include_str!("09-limits.txt"),
    include_str!("10-auto-fragments.txt"),
    include_str!("12-deflate-corpora.txt"),
    include_str!("13-deflate-offers.txt"),
];

const BEYOND: [&str; 7] = [
    include_str!("h-handshake.txt"),
    include_str!("f-frames.txt"),
    include_str!("c-closing.txt"),
    include_str!("d-deflate.txt"),
    include_str!("b-broadcast.txt"),
    include_str!("r-resources.txt"),
    include_str!("t-transports.txt"),
];

/// Autobahn's 517 cases, in their order.
///
/// # Errors
/// A sentence when a page cannot be read; a test keeps that from ever being seen.
pub fn autobahn_cases() -> Result<Vec<Case>, String> {
    AUTOBAHN.iter().map(|page| autobahn::parse(page)).collect::<Result<Vec<_>, _>>().map(|pages| pages.concat())
}

/// The cases beyond Autobahn's.
///
/// # Errors
/// As [`autobahn_cases`].
pub fn beyond_cases() -> Result<Vec<Case>, String> {
    BEYOND.iter().map(|page| beyond::parse(page)).collect::<Result<Vec<_>, _>>().map(|pages| pages.concat())
}

/// Every case.
///
/// # Errors
/// As [`autobahn_cases`].
pub fn all_cases() -> Result<Vec<Case>, String> {
    Ok([autobahn_cases()?, beyond_cases()?].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::model::{Ask, Expectation};
    use super::*;

    fn cases() -> Vec<Case> {
        all_cases().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_groups_have_their_counts() {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for case in autobahn_cases().unwrap_or_else(|e| panic!("{e}")) {
            *counts.entry(case.id.split('.').next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        let want =
            [("1", 16), ("10", 1), ("12", 90), ("13", 126), ("2", 11), ("3", 7), ("4", 10), ("5", 20), ("6", 145), ("7", 37), ("9", 54)];
        assert_eq!(counts, want.iter().map(|(g, n)| ((*g).to_owned(), *n)).collect());
    }

    #[test]
    fn of_the_517_exactly_140_need_no_echo_75_couple_and_15_have_a_second_outcome() {
        let cases = autobahn_cases().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(cases.len(), 517);
        assert_eq!(cases.iter().filter(|c| !c.needs.echo).count(), 140);
        let asks: Vec<_> = cases.iter().filter_map(|c| if let Ask::Autobahn(a) = &c.ask { Some(a) } else { None }).collect();
        assert_eq!(asks.iter().filter(|a| a.party_fails).count(), 75);
        assert_eq!(asks.iter().filter(|a| matches!(a.expectation, Expectation::Events { lax: Some(_), .. })).count(), 15);
        assert_eq!(asks.iter().filter(|a| a.informational).count(), 3);
    }

    #[test]
    fn ids_are_unique_and_every_case_says_what_and_why() {
        let cases = cases();
        let ids: BTreeSet<_> = cases.iter().map(|c| c.id.clone()).collect();
        assert_eq!(ids.len(), cases.len());
        for case in cases {
            assert!(!case.sends.is_empty() && !case.expects.is_empty() && !case.rfc.is_empty(), "{}", case.id);
        }
    }
}
