//! What is generated from the types and from the definition of the command line.

use super::{Desk, QUICK};

#[test]
fn schemas_hold_what_is_written() {
    let desk = Desk::new();
    desk.write("s.toml", QUICK);
    let schema = |subject| serde_json::from_str::<serde_json::Value>(&desk.run(&["schema", subject]).with(0).out).expect("JSON");
    let report: serde_json::Value =
        serde_json::from_str(&desk.run(&["run", "s.toml", "-q", "--format", "json"]).with(0).out).expect("JSON");
    let scenario: serde_json::Value = toml::from_str(QUICK).expect("TOML");
    for (subject, value) in [("report", &report), ("scenario", &scenario)] {
        let schema = jsonschema::validator_for(&schema(subject)).expect("a schema");
        let errors: Vec<_> = schema.iter_errors(value).map(|e| e.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{subject}");
        assert!(!schema.is_valid(&serde_json::json!({ "clients": 1 })), "{subject} refuses something");
    }
    assert!(schema("comparison")["properties"]["changes"].is_object());
    desk.run(&["schema", "pages"]).with(2);
}

#[test]
fn completions_know_every_subcommand_and_flag() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = desk.run(&["completions", shell]).with(0).out;
        for word in ["conformance", "fail-on-regression", "subprotocol", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    desk.run(&["completions", "tcsh"]).with(2);
}

#[test]
fn there_is_a_man_page_for_every_subcommand() {
    let desk = Desk::new();
    desk.run(&["man", "man/man1"]).with(0);
    for page in ["wsbench.1", "wsbench-run.1", "wsbench-connect.1", "wsbench-report.1", "wsbench-serve.1", "wsbench-schema.1"] {
        let text = desk.read(&format!("man/man1/{page}"));
        assert!(text.contains(".TH ") && text.contains("SYNOPSIS"), "{page}");
    }
    desk.write("file", "");
    desk.run(&["man", "file"]).with(4);
}

#[test]
fn help_shows_examples_before_options_and_fits() {
    let desk = Desk::new();
    let help = desk.run(&["--help"]).with(0).out;
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|name| !name.is_empty()).collect();
    assert!(names.len() >= 15, "{help}");
    for arguments in names.iter().map(|name| vec![*name, "--help"]).chain([vec!["--help"]]) {
        let help = desk.run(&arguments).with(0).out;
        let (examples, options) = (help.find("\nExamples:\n"), help.find("\nOptions:\n"));
        assert!(examples.is_some() && examples < options, "{arguments:?}\n{help}");
        let shown = &help[examples.unwrap_or(0)..options.unwrap_or(help.len())];
        assert!(shown.lines().filter(|line| line.starts_with("  wsbench ")).count() > 0, "{arguments:?}\n{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{arguments:?}: {line}");
        }
    }
}
