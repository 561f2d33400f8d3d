//! Which cases a run asks: ids, sections, groups, tags, patterns. Pure.

use super::catalogue::model::{Case, Pace};

/// Selectors on the command line that match nothing, named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no case matches {}; see --list", .0.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", "))]
pub struct NoMatch(pub Vec<String>);

/// Whether a selector names a case: an id (`5.15`), anything it is a dotted prefix of (`5`, `7.9`, `H`), a pattern with `*`
/// (`H.2.*`), or a tag (see [`tags`]). `autobahn/6.4` and `6.4` are the same.
#[must_use]
pub fn matches(selector: &str, case: &Case) -> bool {
    let selector = selector.strip_prefix("autobahn/").unwrap_or(selector);
    if selector.contains('*') {
        return pattern(selector, &case.id);
    }
    let prefix = case.id.strip_prefix(selector).is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || selector.ends_with('.'));
    prefix || tags(case).iter().any(|t| t.eq_ignore_ascii_case(selector))
}

/// The tags of a case: its level, its pace, what it needs, its catalogue, its group's first word.
#[must_use]
pub fn tags(case: &Case) -> Vec<&str> {
    let mut tags = vec![case.level.word()];
    tags.push(if case.id.starts_with(|c: char| c.is_ascii_digit()) { "autobahn" } else { "beyond" });
    tags.push(match case.pace {
        Pace::Light => "light",
        Pace::Timing => "timing",
        Pace::Heavy => "heavy",
        Pace::Alone => "alone",
    });
    tags.extend(case.needs.echo.then_some("echo"));
    tags.push(if case.needs.echo || case.needs.broadcast { "relayed" } else { "no-echo" });
    tags.extend(case.limits.then_some("limits"));
    tags.push(match case.id.split('.').next().unwrap_or_default() {
        "1" => "framing",
        "2" => "pings",
        "3" => "reserved",
        "4" => "opcodes",
        "5" => "fragmentation",
        "6" => "utf8",
        "7" | "C" => "close",
        "9" => "performance",
        "10" => "auto-fragmentation",
        "12" | "13" | "D" => "deflate",
        "H" => "handshake",
        "F" => "frames",
        "B" => "broadcast",
        "R" => "resources",
        _ => "transports",
    });
    tags
}

fn pattern(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text
            .strip_prefix(head)
            .is_some_and(|tail| (0..=tail.len()).filter(|i| tail.is_char_boundary(*i)).any(|i| self::pattern(rest, &tail[i..]))),
    }
}

/// The cases selected: all without selectors, minus the excluded.
///
/// # Errors
/// [`NoMatch`] naming every selector or exclusion that matches nothing.
pub fn select(cases: Vec<Case>, selectors: &[String], excluded: &[String]) -> Result<Vec<Case>, NoMatch> {
    let idle: Vec<String> = selectors.iter().chain(excluded).filter(|s| !cases.iter().any(|c| matches(s, c))).cloned().collect();
    if !idle.is_empty() {
        return Err(NoMatch(idle));
    }
    let kept: Vec<Case> = cases
        .into_iter()
        .filter(|c| selectors.is_empty() || selectors.iter().any(|s| matches(s, c)))
        .filter(|c| !excluded.iter().any(|s| matches(s, c)))
        .collect();
    if kept.is_empty() { Err(NoMatch(selectors.to_vec())) } else { Ok(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::catalogue::all_cases;

    fn count(selectors: &[&str]) -> Result<usize, NoMatch> {
        let selectors: Vec<String> = selectors.iter().map(|s| (*s).to_owned()).collect();
        select(all_cases().unwrap_or_default(), &selectors, &[]).map(|c| c.len())
    }

    #[test]
    fn selectors_are_ids_sections_groups_patterns_and_tags() {
        assert_eq!(count(&["5.15"]), Ok(1));
        assert_eq!(count(&["2.1"]), Ok(1), "2.1 is not 2.10");
        assert_eq!(count(&["5", "7.9", "H.2.*"]), Ok(20 + 9 + 9));
        assert_eq!(count(&["1"]), Ok(16), "1 is not 10, 12 or 13");
        assert_eq!(count(&["autobahn"]), Ok(517));
        assert_eq!(count(&["autobahn/6.4"]), Ok(4));
        assert_eq!(count(&["beyond"]), Ok(237));
        assert_eq!(count(&["2.1*"]), Ok(3));
    }

    #[test]
    fn what_matches_nothing_is_named() {
        assert_eq!(count(&["5", "99.1"]), Err(NoMatch(vec!["99.1".to_owned()])));
        let all = all_cases().unwrap_or_default();
        assert!(select(all.clone(), &["5".to_owned()], &["5".to_owned()]).is_err());
        assert!(select(all, &[], &["no-such".to_owned()]).is_err());
    }
}
