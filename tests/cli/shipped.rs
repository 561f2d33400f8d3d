//! The scenarios that are shipped: each plans, each points at its schema, and the quick one passes as README promises.

use std::path::{Path, PathBuf};

use super::wsbench;

fn shipped() -> Vec<PathBuf> {
    scenarios_in("scenarios")
}

fn scenarios_in(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).expect("there").filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

#[test]
fn every_shipped_scenario_plans_and_is_a_lesson() {
    let files = shipped();
    for name in ["broadcast", "heartbeat", "ping-pong", "chat", "burst", "fan-out-latency", "reconnect", "slow-reader", "smoke"] {
        assert!(files.iter().any(|file| file.file_stem().is_some_and(|stem| stem == name)), "{name}.toml is shipped");
    }
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        assert!(text.starts_with("#:schema "), "{} points editors at its schema", file.display());
        assert!(text.contains("# Lesson: "), "{} teaches something", file.display());
        let ended = wsbench(["plan".as_ref(), file.as_os_str()]).with(0);
        assert!(ended.stderr.is_empty() && ended.stdout.contains("Needs"), "{}{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn every_scenario_for_real_servers_plans() {
    let (rest, presets) = (scenarios_in("tests/servers/scenarios"), scenarios_in("tests/servers/scenarios/presets"));
    assert!(!rest.is_empty() && presets.len() > 20, "{} and {}", rest.len(), presets.len());
    for file in rest.iter().chain(&presets) {
        wsbench(["plan".as_ref(), file.as_os_str(), "--url".as_ref(), "ws://127.0.0.1:1/".as_ref()]).with(0);
    }
}

#[test]
fn the_smoke_scenario_finds_the_built_in_server_in_order() {
    let smoke = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/smoke.toml");
    let ended = wsbench(["run".as_ref(), smoke.as_os_str()]);
    // A machine that is too busy may leave it undecided; it must never be found at fault.
    assert!(matches!(ended.code, Some(0 | 3)), "{}{}", ended.stdout, ended.stderr);
}
