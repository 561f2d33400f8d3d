//! README.md and docs/ against the truth: every command shown is run, every scenario parses, and nothing a user can name
//! (a command, a check, an exit code, a preset, a report format) goes unsaid.
//!
//! What is compared is shape, not figures: numbers, times, ports, seeds and bars are all alike. A run that came out
//! otherwise than shown because the machine was busy is compared by its headings and row labels only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use wsbench::check::CATALOGUE;
use wsbench::scenario::{self, PRESETS, Surroundings};

/// A fenced block, and what stands right above it.
#[derive(Debug)]
struct Block {
    place: String,
    language: String,
    text: String,
    file: Option<String>,
    not_run: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md first, then docs/ by name.
fn pages() -> Vec<(String, String)> {
    let mut docs: Vec<PathBuf> = fs::read_dir(root().join("docs")).expect("docs/").filter_map(|e| Some(e.ok()?.path())).collect();
    docs.retain(|path| path.extension().is_some_and(|e| e == "md"));
    docs.sort();
    docs.insert(0, root().join("README.md"));
    docs.into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut above = "";
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            above = line;
            continue;
        };
        let mut body = String::new();
        let mut closed = false;
        for (_, line) in lines.by_ref() {
            if line == "```" {
                closed = true;
                break;
            }
            body.push_str(line);
            body.push('\n');
        }
        assert!(closed, "{page}:{} opens a block that never ends", number + 1);
        let comment = above.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or("");
        let reason = comment.strip_prefix("not run:").map(str::trim);
        assert!(reason != Some(""), "{page}:{}: say why it is not run", number + 1);
        found.push(Block {
            place: format!("{page}:{}", number + 1),
            language: language.to_owned(),
            text: body,
            file: comment.strip_prefix("file: ").map(str::to_owned),
            not_run: reason.is_some(),
        });
        above = "";
    }
    found
}

/// Words of a command line, with quotes as a shell has them; nothing else of a shell is needed.
fn words(line: &str) -> Vec<String> {
    let line = line.split("  #").next().unwrap_or(line);
    let (mut all, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.trim().chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => all.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    all.extend((!word.is_empty()).then_some(word));
    all
}

fn wsbench(arguments: &[String], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsbench"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("the binary starts")
}

/// A line without what differs from run to run: numbers with their units, hexadecimal names, bars, arrows and spaces.
fn shape(line: &str) -> String {
    let bars = |c: char| matches!(c, '\u{2580}'..='\u{259f}' | '─' | '●' | '○' | '▸' | '◂' | '│');
    let plain: String = line.chars().map(|c| if bars(c) { ' ' } else { c }).collect();
    plain.split_whitespace().map(word_shape).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn word_shape(word: &str) -> String {
    const UNITS: [&str; 11] = ["ns", "µs", "ms", "s", "min", "B", "KiB", "MiB", "GiB", "%", "×"];
    if UNITS.contains(&word) || word == "#" {
        return String::new();
    }
    let (mut out, mut number) = (String::new(), false);
    let core = word.trim_end_matches([',', '.', ';', ')']);
    let stripped = UNITS.iter().filter(|u| core.len() > u.len()).find_map(|unit| {
        let rest = core.strip_suffix(unit)?;
        rest.ends_with(|c: char| c.is_ascii_digit()).then_some(rest)
    });
    let hexadecimal = core.len() >= 8 && core.chars().all(|c| c.is_ascii_hexdigit());
    if hexadecimal {
        return "#".into();
    }
    for c in stripped.unwrap_or(core).chars() {
        let numeric = c.is_ascii_digit() || (number && matches!(c, ',' | '.'));
        if !numeric {
            out.push(c);
        } else if !number {
            out.push('#');
        }
        number = numeric;
    }
    out
}

/// What is shown must come in this order; `…` stands for any lines. Lines on both sides of no `…` must be neighbours.
fn differs(shown: &[&str], actual: &str) -> Option<String> {
    let actual: Vec<String> = actual.lines().map(shape).filter(|line| !line.is_empty()).collect();
    let mut at = 0;
    let mut gap = false;
    for line in shown.iter().filter(|line| !line.trim().is_empty()) {
        if line.trim() == "…" {
            gap = true;
            continue;
        }
        let wanted = shape(line);
        if wanted.is_empty() {
            continue;
        }
        let found = actual.iter().skip(at).position(|have| *have == wanted).filter(|skipped| gap || *skipped == 0);
        let Some(skipped) = found else {
            return Some(format!("shown  {line}\nwanted {wanted}\nhave   {}", actual.get(at).map_or("nothing more", String::as_str)));
        };
        at += skipped + 1;
        gap = false;
    }
    (!gap && at < actual.len()).then(|| format!("more than is shown: {}", actual[at]))
}

/// The headings and row labels among what is shown: first words of lines that are not a wrapped line's rest.
fn label(line: &str) -> Option<String> {
    let deep = line.len() - line.trim_start().len();
    let trimmed = line.trim_start_matches([' ', '✓', '✗', '?', '~', '!']);
    let trimmed = ["pass", "fail"].iter().find_map(|outcome| trimmed.strip_prefix(outcome)).map_or(trimmed, str::trim_start);
    let word = trimmed.split_whitespace().next()?;
    (deep <= 2 && word.chars().all(char::is_alphabetic) && !["PASS", "FAIL", "INCONCLUSIVE"].contains(&word)).then(|| word.to_owned())
}

/// A run at other speed: its parts are all there.
fn lacks(shown: &[&str], actual: &str) -> Option<String> {
    let missing = shown.iter().filter_map(|line| label(line)).find(|label| !actual.split_whitespace().any(|word| word == label))?;
    Some(format!("no `{missing}`"))
}

/// The commands of a block with what is shown below each.
fn conversations(block: &Block) -> Vec<(&str, Vec<&str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.text.lines() {
        if let Some(command) = line.strip_prefix("$ wsbench") {
            all.push((command, Vec::new()));
        } else if let Some((_, shown)) = all.last_mut() {
            shown.push(line);
        } else {
            panic!("{}: `{line}` stands before any command", block.place);
        }
    }
    assert!(!all.is_empty(), "{} shows no command", block.place);
    all
}

#[test]
fn every_command_shown_prints_what_is_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut run, mut wrong) = (0, Vec::new());
    for (page, text) in pages() {
        for block in blocks(&page, &text) {
            if let Some(file) = &block.file {
                fs::write(directory.path().join(file), &block.text).expect("writable");
            }
            if block.language != "console" || block.not_run {
                continue;
            }
            for (command, shown) in conversations(&block) {
                let output = wsbench(&words(command), directory.path());
                let actual = String::from_utf8_lossy(&output.stdout);
                run += 1;
                // A busy machine may leave a run undecided, or with late copies; what is documented is still its form.
                let busy = !output.status.success() && matches!(output.status.code(), Some(1 | 3)) && command.starts_with(" run ");
                let problem = if busy { lacks(&shown, &actual) } else { differs(&shown, &actual) };
                if let Some(problem) = problem {
                    let told = String::from_utf8_lossy(&output.stderr);
                    wrong.push(format!("{}: wsbench{command} ({})\n{problem}\n{told}", block.place, output.status));
                }
            }
        }
    }
    assert!(run > 5, "only {run} commands are shown");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_scenario_shown_is_understood() {
    let mut parsed = 0;
    for (page, text) in pages() {
        for block in blocks(&page, &text).iter().filter(|block| block.language == "toml" && !block.not_run) {
            let around = Surroundings {
                env: &|_| Some("secret".into()),
                file: &|_| Ok("user,token,place\nann,a,one\nbob,b,two\n".into()),
                url: None,
            };
            if let Err(error) = scenario::read_with(&block.text, &block.place, &around) {
                panic!("{}:\n{error}", block.place);
            }
            parsed += 1;
        }
    }
    assert!(parsed > 8, "only {parsed} scenarios are shown");
}

/// Names in the first column of a help text's list of commands.
fn commands() -> Vec<String> {
    let output = wsbench(&["--help".into()], root());
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    list.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn nothing_a_user_can_name_goes_unsaid() {
    let pages = pages();
    let readme = &pages[0].1;
    let all: String = pages.iter().map(|(_, text)| text.as_str()).collect();
    let commands = commands();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands.iter().filter(|command| *command != "help") {
        assert!(readme.contains(&format!("| `wsbench {command}` |")), "README.md does not mention `wsbench {command}`");
    }
    for check in &CATALOGUE {
        assert!(readme.lines().any(|line| line.starts_with(&format!("  {} ", check.id))), "README.md does not list the check {}", check.id);
    }
    for code in [0, 1, 2, 3, 4, 101] {
        assert!(readme.contains(&format!("| {code} | ")), "README.md does not explain the exit code {code}");
    }
    for preset in PRESETS {
        assert!(readme.contains(&format!("| `{}` |", preset.name)), "README.md does not list the preset {}", preset.name);
    }
    for (name, _) in wsbench::report::metric::listed(wsbench::report::metric::METRICS) {
        let percentile = |last: &str| {
            ["samples", "min", "mean", "stdev", "max"].contains(&last) || last.strip_prefix('p').is_some_and(|p| p.parse::<f64>().is_ok())
        };
        let base = name.split_once('.').filter(|(_, last)| percentile(last)).map_or(name.as_str(), |(base, _)| base);
        assert!(all.contains(&format!("`{base}`")), "no page names the metric {base}");
    }
}

#[test]
fn every_flag_of_the_server_is_said() {
    let output = wsbench(&["serve".into(), "--help".into()], root());
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let readme = &pages()[0].1;
    let flags: Vec<&str> =
        help.lines().filter_map(|line| line.trim().strip_prefix("--")).filter_map(|rest| rest.split([' ', '<']).next()).collect();
    assert!(flags.len() > 20, "{flags:?}");
    for flag in flags.iter().filter(|flag| !["help", "color"].contains(*flag)) {
        assert!(readme.contains(&format!("`--{flag}")), "README.md does not say `--{flag}`");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        let base = root().join(&page);
        let base = base.parent().unwrap_or(root());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(file.is_empty() || base.join(file).exists(), "{page} links to {file}, which is not there");
            let heading = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(',', "").replace(' ', "-");
            let led = anchor.is_empty() || text.lines().any(|line| line.starts_with('#') && heading(line) == anchor);
            assert!(led || !file.is_empty(), "{page} links to #{anchor}, which is no heading");
        }
    }
}

#[test]
fn shapes_ignore_figures_and_nothing_else() {
    let alike = |a: &str, b: &str| assert_eq!(shape(a), shape(b), "{a} | {b}");
    alike("  transit  1,200  1.41ms  1.97ms  ▄▅▆", "  transit  800  978µs  3s  ██");
    alike("run  seed 5536, id 5f942ecd, 2026-11-23T03:14:27.705Z,", "run  seed 1, id 12345678, 2027-01-02T00:00:00.001Z,");
    alike("loop lag  p50 221µs, p99 1.96ms", "loop lag  p50 2ms, p99 19ms");
    alike("40 of 40 sent, 5 KiB", "40 of 40 sent, 1.5 MiB");
    assert_ne!(shape("delivery 3 missing"), shape("delivery 3 late"));
    assert_ne!(shape("✓ pass  order"), shape("✗ fail  order"));
    assert_eq!(differs(&["a 1", "…", "c 3"], "a 2\nb\nc 9\n"), None);
    assert!(differs(&["a 1", "c 3"], "a 2\nb\nc 9\n").is_some(), "a line left out must be said");
    assert!(differs(&["a 1"], "a 2\nb\n").is_some(), "so must what follows");
    assert!(differs(&["a", "…", "d"], "a\nb\nc\n").is_some(), "and what is shown must be there");
}
