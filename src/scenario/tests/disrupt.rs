//! `[[disrupt]]`: what is refused, where and in which words; what is meant, written and read again.

use super::super::model::*;
use super::super::parse;
use crate::base::Span;

/// Four clients, the first of which publishes, and a steady state of ten seconds.
const BASE: &str = "[clients]\ncount = 4\n[publish]\npace = \"10/s\"\n[phases]\nsteady = \"10s\"\n";

#[test]
fn every_fault_of_a_disruption_is_found_and_named() {
    for (text, key, words) in [
        ("[[disrupt]]\nat = \"1s\"", "disrupt[0]", "what is done"),
        ("[[disrupt]]\nverb = \"kil\"\nat = \"1s\"", "disrupt[0].verb", "did you mean \"kill\""),
        ("[[disrupt]]\nverb = \"kill\"", "disrupt[0]", "when does it strike"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"10s\"", "disrupt[0].at", "the steady state lasts 10s"),
        ("[[disrupt]]\nverb = \"kill\"\nevery = \"0s\"", "disrupt[0].every", "without a pause"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nfor = \"1s\"", "disrupt[0].for", "done at once"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nback_off = {}", "disrupt[0].back_off", "nobody comes back"),
        ("[[disrupt]]\nverb = \"offline\"\nat = \"1s\"", "disrupt[0].verb", "how long"),
        ("[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"0s\"", "disrupt[0].for", "no time at all"),
        ("[[disrupt]]\nverb = \"offline\"\nat = \"6s\"\nfor = \"5s\"", "disrupt[0].at", "and lasts 5s"),
        ("[[disrupt]]\nverb = \"offline\"\nat = \"6s\"\nfor = \"3800ms\"", "disrupt[0].for", "the steady state ends 200ms after"),
        ("[[disrupt]]\nverb = \"offline\"\nat = \"6s\"\nfor = \"2s\"\n[checks.recovery]\nwithin = \"3s\"", "disrupt[0].for", "may take 3s"),
        (
            "[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"1s\"\nback_off = { first = \"0s\" }",
            "disrupt[0].back_off.first",
            "a pause",
        ),
        (
            "[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"1s\"\nback_off = { first = \"2s\", most = \"1s\" }",
            "disrupt[0].back_off.most",
            "shorter",
        ),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\ncount = 0", "disrupt[0].count", "strikes nobody"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nshare = 0", "disrupt[0].share", "strikes nobody"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\ncount = 4", "disrupt[0].count", "only 3 that do not publish"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\ncount = 1\nshare = \"50%\"", "disrupt[0]", "in one way"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nindices = []", "disrupt[0].indices", "strikes nobody"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nindices = [4]", "disrupt[0].indices[0]", "numbered from 0 to 3"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nindices = [1, 1]", "disrupt[0].indices[1]", "named twice"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\ngroup = \"x\"", "disrupt[0].group", "no group"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nper_second = \"1KiB\"", "disrupt[0].per_second", "goes with verb = \"slow_reader\""),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nrate = \"1/s\"", "disrupt[0].rate", "goes with verb = \"churn\""),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\nwhat = \"oversize\"", "disrupt[0].what", "goes with verb = \"malformed\""),
        ("[[disrupt]]\nverb = \"malformed\"\nat = \"1s\"\nwhat = \"unmaskd\"", "disrupt[0].what", "did you mean \"unmasked\""),
        ("[[disrupt]]\nverb = \"slow_reader\"\nat = \"1s\"\nfor = \"1s\"", "disrupt[0].verb", "how slowly"),
        ("[[disrupt]]\nverb = \"slow_reader\"\nat = \"1s\"\nfor = \"1s\"\nper_second = \"0B\"", "disrupt[0].per_second", "half-open"),
        ("[[disrupt]]\nverb = \"churn\"\nfor = \"1s\"", "disrupt[0].verb", "how many leave"),
        ("[[disrupt]]\nverb = \"churn\"\nfor = \"1s\"\nrate = \"1/s\"\nevery = \"1s\"", "disrupt[0].every", "by its `rate`"),
        ("[[disrupt]]\nverb = \"churn\"\nfor = \"1s\"\nrate = \"3/s\"", "disrupt[0].rate", "5 clients are on their way"),
        ("[[disrupt]]\nverb = \"churn\"\nfor = \"1s\"\nrate = \"1/s\"\nindices = [3]", "disrupt[0].rate", "but there are 1"),
        ("[[disrupt]]\nverb = \"server\"\nat = \"1s\"\nfor = \"1s\"", "disrupt[0].verb", "what restarts the server"),
        ("[[disrupt]]\nverb = \"server\"\nat = \"1s\"\nfor = \"1s\"\ncommand = []", "disrupt[0].command", "no command"),
        ("[[disrupt]]\nverb = \"server\"\nat = \"1s\"\nfor = \"1s\"\ncommand = [\"x\"]\ncount = 1", "disrupt[0].count", "whom it takes"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\ncommand = [\"x\"]", "disrupt[0].command", "goes with verb = \"server\""),
        (
            "[[disrupt]]\nverb = \"server\"\nat = \"1s\"\nfor = \"1s\"\ncommand = [\"x\"]\n[checks]\nisolation = true",
            "checks.isolation",
            "no bystanders",
        ),
        ("[checks]\nresume = \"nothing\"", "checks.resume", "nobody comes back"),
        ("[checks]\nisolation = true", "checks.isolation", "nobody is disrupted"),
        ("[checks.dead_peer]\nwithin = \"1s\"", "checks.dead_peer", "no client becomes half-open"),
        ("[checks]\nstray_after_leave = true", "checks.stray_after_leave", "nobody leaves"),
        ("[[disrupt]]\nverb = \"half_open\"\nat = \"1s\"\nfor = \"3s\"\n[checks.dead_peer]", "checks.dead_peer", "within what time"),
        (
            "[[disrupt]]\nverb = \"half_open\"\nat = \"1s\"\nfor = \"3s\"\n[checks.dead_peer]\nwithin = \"3s\"",
            "disrupt[0].for",
            "for longer",
        ),
        (
            "[[disrupt]]\nverb = \"half_open\"\nat = \"1s\"\nfor = \"3s\"\n[checks.dead_peer]\nbeats = 2",
            "checks.dead_peer.beats",
            "which heartbeat",
        ),
        (
            "[[disrupt]]\nverb = \"half_open\"\nat = \"1s\"\nfor = \"3s\"\n[checks.dead_peer]\nwithin = \"1s\"\ncode = 99",
            "checks.dead_peer.code",
            "no close code",
        ),
        ("[checks]\nrecovery = true", "checks.recovery", "nothing to look at"),
        ("[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\n[checks.recovery]", "checks.recovery", "nothing to look at"),
        (
            "[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"1s\"\n[checks.recovery]\nwithin = \"0s\"",
            "checks.recovery.within",
            "in no time",
        ),
    ] {
        let error = parse(&format!("{BASE}{text}\n"), "t.toml").expect_err(text);
        let found = error.problems.iter().any(|p| p.key == key && format!("{} {}", p.what, p.help).contains(words));
        assert!(found, "{text}: no `{words}` at {key} in\n{error}");
    }
    let all = "[clients]\ncount = 2\n[publish]\npublishers = 2\npace = \"1/s\"\n[[disrupt]]\nverb = \"kill\"\nat = \"1s\"\n";
    assert!(parse(all, "t.toml").is_err_and(|e| e.to_string().contains("every client publishes")));
}

#[test]
fn what_is_left_out_is_filled_in() {
    let scenario = parse(&format!("{BASE}[[disrupt]]\nverb = \"offline\"\nevery = \"3s\"\nfor = \"2s\"\n"), "t.toml").expect("it reads");
    let [disruption] = &scenario.disrupt[..] else { panic!("one") };
    let back_off = BackOff { first: Span::from_millis(100), most: Span::from_secs(5), jitter: 0.5 };
    assert_eq!(disruption.verb, Verb::Offline { span: Span::from_secs(2), back_off });
    assert_eq!((disruption.at, disruption.every), (Span::from_secs(3), Some(Span::from_secs(3))));
    assert_eq!(disruption.on, Chosen { group: None, which: Which::Count(1) });
    assert_eq!(scenario.checks.disruption.recovery, Some(RecoveryCheck { within: Span::from_secs(5) }));
    // The default gives way to a shorter run; a check that is off stays off.
    let late = format!("{BASE}[[disrupt]]\nverb = \"offline\"\nat = \"7s\"\nfor = \"2s\"\n");
    let within = |text: &str| parse(text, "t.toml").expect("it reads").checks.disruption.recovery.map(|c| c.within);
    assert_eq!(within(&late), Some(Span::from_secs(1)));
    assert_eq!(within(&format!("{late}[checks]\nrecovery = false\n")), None);
}

#[test]
fn disruptions_read_back_from_their_own_text() {
    for text in [
        "[[disrupt]]\nverb = \"close\"\nat = \"1s\"\nshare = \"33%\"\n",
        "[[disrupt]]\nverb = \"kill\"\nevery = \"2s\"\ngroup = \"clients\"\nindices = [3, 1]\n",
        "[[disrupt]]\nverb = \"offline\"\nat = \"1s\"\nfor = \"1500ms\"\nback_off = { first = \"20ms\", jitter = \"100%\" }\n[checks]\nrecovery = false\n",
        "[disrupt]\nverb = \"kill\"\nat = \"0s\"\n",
        "[disrupt]\nverb = \"server\"\nat = \"1s\"\nfor = \"3s\"\ncommand = [\"sh\", \"-c\", \"x 'y'\"]\n[checks]\nresume = \"replayed\"\n",
        "[disrupt]\nverb = \"half_open\"\nat = \"1s\"\nfor = \"3s\"\n[heartbeat]\nprotocol = true\nevery = \"1s\"\n[checks.dead_peer]\nbeats = 2\ncode = 1011\n",
        "[disrupt]\nverb = \"slow_reader\"\nat = \"1s\"\nfor = \"3s\"\nper_second = \"1KiB\"\n[checks.isolation]\nslower = \"30ms\"\n",
        "[[disrupt]]\nverb = \"reconnect\"\nat = \"1s\"\n[[disrupt]]\nverb = \"churn\"\nfor = \"500ms\"\nrate = \"2/s\"\n[checks]\nisolation = true\n",
        "[[disrupt]]\nverb = \"malformed\"\nat = \"1s\"\n[[disrupt]]\nverb = \"malformed\"\nat = \"3s\"\nwhat = \"unmasked\"\n[checks]\nisolation = false\n",
    ] {
        let scenario = parse(&format!("{BASE}{text}"), "t.toml").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(parse(&scenario.to_toml(), "again.toml").unwrap_or_else(|e| panic!("{e}")), scenario, "{}", scenario.to_toml());
    }
}
