//! The architecture as a test: who may import whom, what may stand nowhere, how long a file may be. Each failure is a
//! place and a sentence of advice; taste is left to review.
//!
//! Reads source text, never runs it. What the compiler and clippy can check (lints, disallowed methods) is left to them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A floor or an edge: its module, and the modules of ours it may name. `scenario::model` allows that module only.
struct Floor {
    module: &'static str,
    may_import: &'static [&'static str],
    /// Waits for nothing, reads no file and no terminal.
    pure: bool,
}

const fn pure(module: &'static str, may_import: &'static [&'static str]) -> Floor {
    Floor { module, may_import, pure: true }
}

const fn edge(module: &'static str, may_import: &'static [&'static str]) -> Floor {
    Floor { module, may_import, pure: false }
}

/// The table of floors, from the ground up. A module missing here fails the test: give it a row and say where it stands.
const FLOORS: &[Floor] = &[
    pure("base", &[]),
    pure("wire", &["base"]),
    pure("scenario", &["base"]),
    pure("plan", &["base", "scenario"]),
    pure("event", &["base"]),
    // What a scenario says at run time (its model, its templates, its session steps) travels; how it is read does not.
    pure("account", &["base", "plan", "event", "scenario::model", "scenario::template"]),
    pure("check", &["base", "plan", "account", "event", "scenario::model"]),
    pure("measure", &["base", "plan", "account", "event", "scenario::model"]),
    pure("report", &["base", "plan", "account", "event", "scenario", "check", "measure"]),
    edge("drive", &["base", "wire", "plan", "event", "account", "scenario::model", "scenario::template", "scenario::session"]),
    // A scenario's script and dialect are how `--setup` joins.
    edge("conformance", &["base", "wire", "scenario::model", "scenario::template", "scenario::session"]),
    edge("cli", &["*"]),
];

/// Imports that break the table and are right all the same, each with its reason. One that is no longer there must go.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("src/drive/worker.rs", "scenario", "a worker process is handed the scenario as its parent resolved it, as text, and reads it")];

/// What a pure floor must not name, and where it belongs instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio::", "waiting belongs to `drive`, `conformance` or `cli`"),
    ("std::net::Tcp", "sockets belong to `drive` and `conformance`"),
    ("std::net::Udp", "sockets belong to `drive` and `conformance`"),
    ("std::fs", "files are read and written by `cli`; hand the text or the bytes in"),
    ("std::thread", "threads belong to `drive`"),
    ("std::process", "processes belong to `cli`; only cli/exit.rs ends one"),
    ("std::env", "the environment is read by `cli`; hand the value in"),
    ("io::stdin", "the terminal belongs to `cli`"),
    ("io::stdout", "the terminal belongs to `cli`; return bytes"),
    ("io::stderr", "the terminal belongs to `cli`; return bytes"),
];

/// What no Rust file of the project may say. Split, so that this file does not accuse itself.
const BANNED: &[(&str, &str)] = &[
    (concat!("todo", "!("), "build it or leave it out: a hole that compiles is found by a user"),
    (concat!("unimplemented", "!("), "build it or leave it out: a hole that compiles is found by a user"),
    (concat!("dbg", "!("), "take the debugging out before it is committed"),
    (concat!("#[igno", "re"), "a test that does not run proves nothing: make it fit to run, or delete it"),
    (concat!("#[allo", "w("), "use #[expect(lint, reason = \"…\")]: it tells why, and complains when it is no longer needed"),
    (concat!("FIX", "ME"), "mend it, or open an issue and say so in a sentence"),
    (concat!("XX", "X "), "mend it, or open an issue and say so in a sentence"),
];

/// File names that name nothing.
const NAMELESS: &[&str] = &["imp.rs", "util.rs", "utils.rs", "helpers.rs", "misc.rs", "common.rs"];

/// Lines a source file may have before it should be split by noun.
const LONGEST: usize = 500;

/// Files that may be longer, each with its reason.
const LONG_BY_RIGHT: &[(&str, &str)] =
    &[("src/scenario/schema.rs", "a table: every key a user may write, with the sentence that documents it")];

#[test]
fn every_module_stands_on_a_floor() {
    let mut complaints = Complaints::default();
    for module in top_modules() {
        if floor_of(&module).is_none() {
            complaints.add(&format!("src/{module}"), 0, "is on no floor: give it a row in FLOORS and say what it may import");
        }
    }
    for floor in FLOORS {
        if !top_modules().iter().any(|module| module == floor.module) {
            complaints.add(&format!("src/{}", floor.module), 0, "has a row in FLOORS but is not there: take the row out");
        }
    }
    complaints.raise();
}

#[test]
fn floors_import_only_what_lies_below() {
    let mut complaints = Complaints::default();
    let mut used = Vec::new();
    for file in rust_files("src") {
        let Some(floor) = floor_of(&module_of(&file)) else { continue };
        let text = read(&file);
        for (line, path) in imports(&file, &code(&text)) {
            if let Some(exception) = EXCEPTIONS.iter().find(|(at, what, _)| *at == file && *what == path) {
                used.push(exception);
            } else if !may_import(floor, &path) {
                let advice = format!(
                    "`{}` may not know `{path}`; it may import {}. Move the shared value down a floor, or hand it in as an argument",
                    floor.module,
                    if floor.may_import.is_empty() { "nothing of ours".to_owned() } else { floor.may_import.join(", ") }
                );
                complaints.add(&file, line, &advice);
            }
        }
    }
    for exception in EXCEPTIONS {
        if !used.contains(&exception) {
            complaints.add(exception.0, 0, &format!("no longer imports `{}`: take it out of EXCEPTIONS", exception.1));
        }
    }
    complaints.raise();
}

#[test]
fn pure_floors_neither_wait_nor_read_nor_print() {
    let mut complaints = Complaints::default();
    for file in rust_files("src") {
        if !floor_of(&module_of(&file)).is_some_and(|floor| floor.pure) || is_test_file(&file) {
            continue;
        }
        let text = code(&read(&file));
        let shipped = text.find("#[cfg(test)]").map_or(text.as_str(), |end| &text[..end]);
        for (number, line) in numbered(shipped) {
            for (name, advice) in IMPURE {
                // `wire` is generic over a stream of bytes and may name the traits of one, never a socket.
                let traits_of_wire = module_of(&file) == "wire" && line.contains("tokio::io::");
                if line.contains(name) && !traits_of_wire {
                    complaints.add(&file, number, &format!("names `{name}`, but its floor is pure: {advice}"));
                }
            }
        }
    }
    complaints.raise();
}

#[test]
fn the_client_and_the_reference_server_check_each_other() {
    let mut complaints = Complaints::default();
    for file in rust_files("src") {
        for (number, line) in numbered(&code(&read(&file))) {
            if line.contains("tungstenite") {
                complaints.add(
                    &file,
                    number,
                    "the client uses its own WebSocket reader, so that it and the reference server check each other",
                );
            }
        }
    }
    for file in rust_files("reference-server/src") {
        for (number, line) in numbered(&code(&read(&file))) {
            if line.contains("wsbench::") {
                complaints.add(&file, number, "the reference server is an honest subject: it must know nothing of ours");
            }
        }
    }
    for (number, line) in numbered(&read("reference-server/Cargo.toml")) {
        if line.trim_start().starts_with("wsbench") {
            complaints.add("reference-server/Cargo.toml", number, "the reference server must not depend on wsbench");
        }
    }
    complaints.raise();
}

#[test]
fn only_one_file_ends_the_process_and_only_cli_prints() {
    let mut complaints = Complaints::default();
    for file in rust_files("src") {
        let text = code(&read(&file));
        for (number, line) in numbered(&text) {
            if line.contains("process::exit") && file != "src/cli/exit.rs" {
                complaints.add(&file, number, "return an `Exit`; only src/cli/exit.rs ends the process");
            }
            if ["print!(", "println!(", "eprint!(", "eprintln!("].iter().any(|name| line.contains(name)) && module_of(&file) != "cli" {
                complaints.add(&file, number, "return the bytes; only `cli` prints");
            }
        }
    }
    complaints.raise();
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut complaints = Complaints::default();
    for file in all_rust_files() {
        let text = read(&file);
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            complaints.add(&file, 1, "begins without `//!`: say in a sentence what it is for and what it must never know");
        }
    }
    complaints.raise();
}

#[test]
fn nothing_is_left_lying_about() {
    let mut complaints = Complaints::default();
    for file in all_rust_files() {
        let name = Path::new(&file).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if NAMELESS.contains(&name) {
            complaints.add(&file, 0, "a file with this name names nothing: call it after the noun inside");
        }
        for (number, line) in numbered(&read(&file)) {
            for (word, advice) in BANNED {
                if line.contains(word) {
                    complaints.add(&file, number, &format!("`{word}`: {advice}"));
                }
            }
        }
    }
    complaints.raise();
}

#[test]
fn no_file_outgrows_its_room() {
    let mut complaints = Complaints::default();
    for file in all_rust_files() {
        let lines = read(&file).lines().count();
        let exempt = LONG_BY_RIGHT.iter().any(|(path, _)| *path == file);
        if lines > LONGEST && !exempt {
            complaints.add(&file, lines, &format!("{lines} lines: split it by noun before it has to be scrolled ({LONGEST} is the limit)"));
        }
    }
    for (path, _) in LONG_BY_RIGHT {
        if !root().join(path).exists() {
            complaints.add(path, 0, "has an exemption but is not there: take it out of LONG_BY_RIGHT");
        }
    }
    complaints.raise();
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let places = [concat!("/wor", "k/"), concat!("/tmp/", "studio"), concat!("/ro", "ot/"), concat!("/far", "m/")];
    let mut complaints = Complaints::default();
    for file in text_files() {
        for (number, line) in numbered(&read(&file)) {
            for place in places {
                let stands_alone = |at: usize| line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"._-~})".contains(c));
                if line.match_indices(place).any(|(at, _)| stands_alone(at)) {
                    complaints.add(&file, number, &format!("`{place}` is a path of one machine: use a relative path or an argument"));
                }
            }
        }
    }
    complaints.raise();
}

#[test]
fn the_reader_of_imports_reads_them() {
    let text = "use crate::{base::{Span, Rate}, check as c, self};\nlet x = crate::wire::frame::X; // crate::cli\n\
                use super::super::drive::Y;\nuse super::sibling;\n#[cfg(test)]\nmod tests { use super::super::super::report::Z; use super::super::other; }\n";
    let found: Vec<String> = imports("src/plan/pace.rs", &code(text)).into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["base", "check", "self", "wire::frame", "drive::Y", "report::Z"].map(str::to_owned));
}

#[test]
fn a_forbidden_import_is_refused() {
    let floor = |name| floor_of(name).expect("it has a row");
    assert!(!may_import(floor("base"), "wire::frame"), "base knows nobody");
    assert!(!may_import(floor("check"), "drive"), "a check never sees a socket");
    assert!(!may_import(floor("drive"), "check"), "drive never sees a check");
    assert!(!may_import(floor("account"), "scenario::parse"), "only the model travels");
    assert!(may_import(floor("account"), "scenario::model"), "the model travels");
    assert!(may_import(floor("account"), "account::books"), "a module knows itself");
    assert!(may_import(floor("cli"), "drive"), "the command line knows all");
}

/// Failures gathered, so that one run shows them all.
#[derive(Default)]
struct Complaints(String);

impl Complaints {
    fn add(&mut self, file: &str, line: usize, advice: &str) {
        writeln!(self.0, "  {file}:{line}: {advice}").expect("writing to a string succeeds");
    }

    #[track_caller]
    fn raise(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn floor_of(module: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| floor.module == module)
}

/// Whether a floor may name `path` (its first one or two segments behind `crate::`).
fn may_import(floor: &Floor, path: &str) -> bool {
    let first = path.split("::").next().unwrap_or(path);
    // The model's chief type under its short name.
    let path = if path == "scenario::Scenario" { "scenario::model" } else { path };
    let known = FLOORS.iter().any(|floor| floor.module == first);
    !known || first == floor.module || floor.may_import.iter().any(|allowed| *allowed == "*" || *allowed == first || *allowed == path)
}

/// Every path behind `crate::`, or behind enough `super::` to leave the module, with its line.
fn imports(file: &str, text: &str) -> Vec<(usize, String)> {
    let depth = depth_of(file);
    let tests_from = text.find("#[cfg(test)]").unwrap_or(text.len());
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            found.extend(paths_at(text, at + "crate::".len()));
        }
    }
    for (at, _) in text.match_indices("super::") {
        if text[..at].ends_with("super::") || text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let climbs = text[at..].split("super::").skip(1).take_while(|between| between.is_empty()).count() + 1;
        let here = if at > tests_from { depth + 1 } else { depth };
        if climbs >= here {
            found.extend(paths_at(text, at + climbs * "super::".len()));
        }
    }
    found.sort();
    found.into_iter().map(|(at, path)| (text[..at].matches('\n').count() + 1, path)).collect()
}

/// The path that begins at `at`, or each path of a `{…}` group there, cut to two segments.
fn paths_at(text: &str, at: usize) -> Vec<(usize, String)> {
    if !text[at..].starts_with('{') {
        return vec![(at, two_segments(&text[at..]))];
    }
    let (mut level, mut start, mut paths) = (0_usize, at + 1, Vec::new());
    for (offset, c) in text[at..].char_indices() {
        match c {
            '{' => level += 1,
            '}' => level -= 1,
            _ => {}
        }
        if (c == ',' && level == 1) || level == 0 {
            let item = text[start..at + offset].trim_start();
            if !item.is_empty() {
                let begins = at + offset - item.len();
                paths.push((begins, two_segments(item)));
            }
            start = at + offset + 1;
        }
        if level == 0 {
            break;
        }
    }
    paths
}

fn two_segments(path: &str) -> String {
    let path = path.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next().unwrap_or_default();
    path.split("::").filter(|segment| !segment.is_empty()).take(2).collect::<Vec<_>>().join("::")
}

/// The text with comments blanked and line breaks kept. Good enough for our own sources: `//` inside a string is cut too,
/// which can hide nothing but the rest of that line.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// How many modules deep a file's module is: `src/plan/pace.rs` 2, `src/plan/mod.rs` 1, `src/event.rs` 1.
fn depth_of(file: &str) -> usize {
    let parts = file.trim_start_matches("src/").split('/').count();
    if file.ends_with("/mod.rs") || file == "src/lib.rs" || file == "src/main.rs" { parts - 1 } else { parts }
}

fn module_of(file: &str) -> String {
    let rest = file.trim_start_matches("src/");
    rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs").to_owned()
}

fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

fn top_modules() -> Vec<String> {
    let mut modules: Vec<String> = rust_files("src").iter().map(|file| module_of(file)).collect();
    modules.sort();
    modules.dedup();
    modules.retain(|module| module != "lib" && module != "main");
    modules
}

fn all_rust_files() -> Vec<String> {
    ["src", "reference-server", "tests", "benches", "fuzz", "examples"].iter().flat_map(|dir| rust_files(dir)).collect()
}

fn rust_files(dir: &str) -> Vec<String> {
    files_under(&root().join(dir)).into_iter().filter(|file| file.ends_with(".rs")).collect()
}

/// Every file a reader would open: sources, scripts, documents, settings; not lock files and not what a build leaves.
fn text_files() -> Vec<String> {
    files_under(&root())
        .into_iter()
        .filter(|file| !file.ends_with(".lock") && !file.ends_with("package-lock.json"))
        .filter(|file| fs::read_to_string(root().join(file)).is_ok())
        .collect()
}

fn files_under(dir: &Path) -> Vec<String> {
    const SKIPPED: &[&str] = &["target", "node_modules", ".git", ".venv", "__pycache__", "results", "corpus", "artifacts"];
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            files.extend(files_under(&path));
        } else if let Ok(relative) = path.strip_prefix(root()) {
            files.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    files.sort();
    files
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file} cannot be read: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
