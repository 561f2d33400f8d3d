//! `[publish] via = "server"`, `[checks.feed]` and `[target] feed`: a server that broadcasts by itself.

use super::super::error::At;
use super::super::model::{ClientGroup, Dialect, Feed, FeedCheck, Metric};
use super::super::schema;
use super::super::template::Names;
use super::super::typed::{Reader, Spot};
use super::checks::tolerance;
use super::language::extract;
use super::matcher::matcher;
use super::value;
use crate::base::Span;

/// How often the built-in server broadcasts where nothing says so.
const BUILT_IN: Span = Span::from_millis(100);

/// A feed is the server's own: nothing of ours may be said about it. `match` beside it is the dialect's.
pub(super) fn resolve(
    document: &schema::Document,
    typed: &Spot<schema::Publish>,
    dialect: &mut Dialect,
    groups: &[ClientGroup],
    names: &Names,
    r: &mut Reader,
) -> Option<Feed> {
    ours(typed, r)?;
    let id = match &typed.id {
        Some(spot) => Some(extract(&spot.value, &spot.at, r)?),
        None => None,
    };
    if let Some(spot) = &typed.r#match {
        if let Some(other) = document.dialect.as_ref().and_then(|d| d.r#match.as_ref()) {
            r.fail(&other.at, "[publish] already says which messages are broadcasts", "leave one `match` out");
            return None;
        }
        dialect.matches = Some(matcher(&spot.value, &spot.at, false, names, r)?);
    }
    match groups.iter().filter(|g| g.receives).map(|g| u64::from(g.count)).sum() {
        0 => {
            r.fail(&typed.at, "no group of clients receives: nobody would look", "leave `receives = false` out of one of them");
            return None;
        }
        1 => {
            let at = typed.via.as_ref().map_or(&typed.at, |via| &via.at);
            let what = "one client has nobody to be compared with: what it misses, nobody knows";
            r.warn(at, what, "raise `clients.count` to at least 2, or ask for [checks.feed] alone");
        }
        _ => {}
    }
    Some(Feed { id, unique: value(&typed.unique).unwrap_or(false), built_in: built_in(document, r)? })
}

/// Keys that speak of publications of ours. A preset's are passed over: it does not know who publishes.
fn ours(typed: &Spot<schema::Publish>, r: &mut Reader) -> Option<()> {
    let keys = [
        ("publishers", typed.publishers.as_ref().map(|s| &s.at)),
        ("pace", typed.pace.as_ref().map(|s| &s.at)),
        ("size", typed.size.as_ref().map(|s| &s.at)),
        ("encoding", typed.encoding.as_ref().map(|s| &s.at)),
        ("audience", typed.audience.as_ref().map(|s| &s.at)),
        ("group", typed.group.as_ref().map(|s| &s.at)),
        ("method", typed.method.as_ref().map(|s| &s.at)),
        ("url", typed.url.as_ref().map(|s| &s.at)),
        ("headers", typed.headers.as_ref().map(|s| &s.at)),
        ("body", typed.body.as_ref().map(|s| &s.at)),
        ("within", typed.within.as_ref().map(|s| &s.at)),
    ];
    let mut good = Some(());
    for (key, at) in keys {
        if let Some(at) = at.filter(|at| at.source == 0) {
            r.fail(at, format!("via = \"server\", and `{key}`: the server decides that"), "leave it out");
            good = None;
        }
    }
    good
}

/// Keys that only mean something for a feed, where there is none.
pub(super) fn none(typed: &Spot<schema::Publish>, r: &mut Reader) -> Option<()> {
    let keys = [
        ("id", typed.id.as_ref().map(|s| &s.at)),
        ("unique", typed.unique.as_ref().map(|s| &s.at)),
        ("match", typed.r#match.as_ref().map(|s| &s.at)),
    ];
    let (key, at) = keys.into_iter().find_map(|(key, at)| Some((key, at?)))?;
    let help = if key == "match" {
        "write it in [dialect], or add via = \"server\"".to_owned()
    } else {
        format!("`{key}` goes with via = \"server\"")
    };
    r.fail(at, "our own publications have their stamp", help);
    Some(())
}

/// How often the built-in server broadcasts: as said, or as the scenario's check expects of it.
fn built_in(document: &schema::Document, r: &mut Reader) -> Option<Span> {
    let check = document.checks.as_ref().and_then(|c| c.feed.as_ref()).and_then(|f| value(&f.every));
    let Some(stated) = document.target.as_ref().and_then(|t| t.feed.as_ref()) else { return Some(check.unwrap_or(BUILT_IN)) };
    if stated.is_zero() {
        r.fail(&stated.at, "a broadcast every 0s", "write how often, such as \"100ms\"");
        return None;
    }
    Some(stated.value)
}

/// `[target] feed` where it means nothing: the scenario is against another server (`elsewhere`), or nobody looks.
pub(super) fn target(document: &schema::Document, elsewhere: bool, feeds: bool, r: &mut Reader) {
    let Some(spot) = document.target.as_ref().and_then(|t| t.feed.as_ref()) else { return };
    if elsewhere {
        r.fail(&spot.at, "`feed` is the built-in server's, and there is a url", "leave one of the two out");
    } else if !feeds {
        r.fail(&spot.at, "the built-in server broadcasts by itself, but nobody looks", "add `[publish]` with via = \"server\"");
    }
}

/// `[checks.feed]`.
pub(super) fn check(typed: &schema::Checks, feeds: bool, r: &mut Reader) -> Option<Option<FeedCheck>> {
    let Some(table) = &typed.feed else { return Some(None) };
    if !feeds {
        let what = "`feed` is asked: the cadence of the server's own broadcasts, but the scenario knows of none";
        r.fail(&table.at, what, "write `[publish]` with via = \"server\", or leave it out");
        return None;
    }
    let Some(every) = table.every.as_ref().filter(|e| !e.is_zero()) else {
        r.fail(&table.at, "how often does the server broadcast?", "write `every = \"1s\"`");
        return None;
    };
    let tolerance = tolerance(&table.tolerance, every, r)?;
    Some(Some(FeedCheck { every: every.value, tolerance }))
}

/// What cannot be asked of broadcasts that carry no stamp of ours, in words; `None` when it can.
pub(super) const fn limit_on(metric: Metric, feeds: bool) -> Option<(&'static str, &'static str)> {
    match (metric, feeds) {
        (Metric::Delivery | Metric::Transit | Metric::SendLag, true) => {
            Some(("a limit on publications of ours, but the server publishes", "limit `spread`: how far behind the first receiver"))
        }
        (Metric::Spread, false) => {
            Some(("a limit on the spread of the server's own broadcasts, but the scenario knows of none", "limit `delivery`"))
        }
        _ => None,
    }
}

/// `integrity` of a feed has nothing to compare with.
pub(super) fn no_integrity(at: &At, r: &mut Reader) {
    r.fail(
        at,
        "`integrity` is asked, but broadcasts of the server's own carry no stamp to check their bytes by",
        "leave it out: without `id` a copy with other bytes is another broadcast, and missing to whom it went",
    );
}
