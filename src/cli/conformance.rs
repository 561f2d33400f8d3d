//! `wsbench conformance URL [SELECTOR…]`: ask a server the catalogue, report, and end with an exit code that means it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, Subcommand, ValueEnum};

use super::conformance_known::Known;
use super::exit::{Exit, Stopped};
use super::output::Target as OutputFile;
use super::terminal::{Terminal, print, say};
use crate::base::Seed;
use crate::conformance::bench::{Bench, Closed, Options, Profile};
use crate::conformance::catalogue::{all_cases, model::Case};
use crate::conformance::expect::Expectations;
use crate::conformance::join::Joining;
use crate::conformance::report::{Report, html, junit, markdown, text};
use crate::conformance::run::{self, CaseResult};
use crate::conformance::select::{matches, select, tags};
use crate::conformance::setup::Setup;
use crate::conformance::survey::Survey;
use crate::conformance::verdict::Outcome;
use crate::conformance::wire::stream::Target;

/// Judge a server frame by frame: Autobahn's 517 cases and 237 beyond them
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  wsbench conformance ws://localhost:9001                        everything
  wsbench conformance ws://localhost:9001 5 7.9 'H.2.*'          a group, a section, a pattern
  wsbench conformance ws://localhost:9001 no-echo                what can be asked of any server
  wsbench conformance ws://localhost:9001 --case 5.15 -v         one conversation, with hex
  wsbench conformance ws://localhost:9001 --expect known.txt     fail on any change, better or worse
  wsbench conformance serve                                      test clients and browsers instead

Exit codes: 0 every case passed (or is as --expect says), 1 a case failed, 2 bad usage or a selector
that matches nothing, 3 nothing could be asked, 4 the server cannot be reached")]
pub struct ConformanceArgs {
    #[command(subcommand)]
    command: Option<ConformanceCommand>,
    /// The server, ws:// or wss://; {case} in the path becomes a name fresh for every case
    #[arg(required_unless_present_any = ["list", "dry_run"])]
    url: Option<String>,
    /// Which cases: ids, sections, groups, patterns, tags; all when none is given
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// One case by its id; may be repeated
    #[arg(long, value_name = "ID")]
    case: Vec<String>,
    /// Leave these out
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<String>,
    /// List the cases and end
    #[arg(long)]
    list: bool,
    /// Say what would be asked, without touching the network
    #[arg(long)]
    dry_run: bool,
    /// Print every conversation
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten, next_help_heading = "How to ask")]
    how: How,
    #[command(flatten, next_help_heading = "Reports")]
    reports: Reports,
}

#[derive(Debug, Subcommand)]
enum ConformanceCommand {
    /// Play the server: clients and browsers connect and are judged
    Serve(super::conformance_serve::ServeClientsArgs),
}

/// How the cases are asked.
#[derive(Debug, Args)]
struct How {
    /// Cases at once (timing cases run apart; a broadcast server is asked one at a time)
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Stretch every time limit
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    timeout_scale: f64,
    /// SHOULDs count: NON-STRICT fails
    #[arg(long)]
    strict: bool,
    /// What kind of server it is; found out by asking when not given
    #[arg(long, value_enum)]
    profile: Option<ProfileArg>,
    /// Where the sender is left out, judge echoes by what a second client receives
    #[arg(long)]
    observer: bool,
    /// Say this text after the handshake, before a case begins; may be repeated
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// After each --say, wait for a message that contains this
    #[arg(long, value_name = "TEXT", requires = "say")]
    say_until: Option<String>,
    /// Join as this scenario's clients do (its script, greeting, headers, rooms), answer and ignore what it says, and put
    /// what must come back into its dialect's envelope
    #[arg(long, value_name = "SCENARIO")]
    setup: Option<PathBuf>,
    /// Messages the server sends unasked after the handshake, passed over
    #[arg(long, value_name = "N", default_value_t = 0)]
    welcome: usize,
    /// A further request field, `Name: value`; may be repeated
    #[arg(long = "header", value_name = "FIELD", value_parser = field)]
    headers: Vec<(String, String)>,
    /// The Origin field
    #[arg(long)]
    origin: Option<String>,
    /// The Sec-WebSocket-Protocol field
    #[arg(long)]
    subprotocol: Option<String>,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
    /// Masks, keys and noise follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's process on this machine: its memory and descriptors are watched
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
}

/// Where reports go.
#[derive(Debug, Args)]
struct Reports {
    #[command(flatten)]
    known: Known,
    /// JSON: an object per case, in Autobahn's words and ours
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// One HTML page with a dialogue per case
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Markdown for a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileArg {
    /// Sends every message back to its sender
    Echo,
    /// Sends every message to every client
    Broadcast,
    /// Neither: only what needs no echo
    Any,
}

fn factor(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|f| (0.05..=100.0).contains(f)).ok_or_else(|| "a factor from 0.05 to 100".to_owned())
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write `Name: value`")?;
    let name = name.trim();
    if name.is_empty() || name.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) || value.contains(['\r', '\n']) {
        return Err("not a field name, or a line break in the value".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Asks, reports, judges.
#[must_use]
pub fn run(args: ConformanceArgs, terminal: Terminal) -> Exit {
    let ran = match args.command {
        Some(ConformanceCommand::Serve(serve)) => super::conformance_serve::run(&serve, terminal),
        None => ask(&args, terminal),
    };
    ran.unwrap_or_else(|stopped| {
        say(&format!("wsbench: {}", stopped.message));
        stopped.exit
    })
}

fn ask(args: &ConformanceArgs, terminal: Terminal) -> Result<Exit, Stopped> {
    let (url, cases) = chosen(args)?;
    if args.list || args.dry_run {
        print(&if args.list { list(&cases) } else { dry_run(&cases) });
        return Ok(Exit::Pass);
    }
    let options = options(args, &url.unwrap_or_default())?;
    let (strict, seed, target) = (args.how.strict, options.seed.0, options.target.shown());
    let expectations = args.reports.known.read()?;
    let files = Files::open(&args.reports)?;
    let bench = Bench::new(options).map_err(Stopped::environment)?;
    let survey = survey(&bench)?;
    let began = tokio::time::Instant::now();
    let done = AtomicUsize::new(0);
    let told = |result: &CaseResult| {
        if terminal.progress {
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, cases.len(), result);
        }
    };
    let results = run::run(&bench, &survey, &cases, &told);
    let report = Report::new("server", &target, survey.describe(), strict, seed, began.elapsed(), &results);
    if terminal.progress {
        clear_progress();
    }
    let look = text::Look { colour: terminal.style.colour, unicode: terminal.style.unicode, width: terminal.style.width };
    print(&text::render(&report, look, args.verbose));
    files.write(&report)?;
    conclude(args, &report, expectations)
}

/// The URL, and the cases selected. With `--list` or `--dry-run` the URL may be left out.
fn chosen(args: &ConformanceArgs) -> Result<(Option<String>, Vec<Case>), Stopped> {
    let cases = all_cases().map_err(|e| Stopped::environment(format!("the catalogue cannot be read: {e}")))?;
    let mut selectors = [args.selectors.clone(), args.case.clone()].concat();
    let mut url = args.url.clone();
    if (args.list || args.dry_run) && url.as_deref().is_some_and(|u| !u.contains("://")) {
        selectors.extend(url.take());
    }
    if let Some(id) = args.case.iter().find(|id| !cases.iter().any(|c| c.id == **id)) {
        return Err(Stopped::usage(format!("there is no case {id}; see --list")));
    }
    let cases = if args.case.is_empty() || !args.selectors.is_empty() {
        select(cases, &selectors, &args.exclude).map_err(Stopped::usage)?
    } else {
        cases.into_iter().filter(|c| args.case.contains(&c.id) && !args.exclude.iter().any(|s| matches(s, c))).collect()
    };
    Ok((url, cases))
}

fn options(args: &ConformanceArgs, url: &str) -> Result<Options, Stopped> {
    let how = &args.how;
    let mut fields = how.headers.clone();
    fields.extend(how.origin.iter().map(|o| ("Origin".to_owned(), o.clone())));
    fields.extend(how.subprotocol.iter().map(|p| ("Sec-WebSocket-Protocol".to_owned(), p.clone())));
    Ok(Options {
        target: Target::parse(url).map_err(Stopped::usage)?,
        insecure: how.insecure,
        jobs: usize::from(how.jobs),
        scale: how.timeout_scale,
        seed: Seed(how.seed),
        fields,
        observer: how.observer,
        profile: how.profile.map(|p| match p {
            ProfileArg::Echo => Profile::Echo,
            ProfileArg::Broadcast => Profile::Broadcast,
            ProfileArg::Any => Profile::Any,
        }),
        server_pid: how.server_pid,
        setup: Setup { say: how.say.clone(), until: how.say_until.clone(), welcome: how.welcome, joining: joining(how)? },
    })
}

/// How the clients of the `--setup` scenario join.
fn joining(how: &How) -> Result<Option<Arc<Joining>>, Stopped> {
    let Some(place) = &how.setup else { return Ok(None) };
    let file = place.display();
    let text = std::fs::read_to_string(place).map_err(|e| Stopped::usage(format!("cannot read the scenario {file}: {e}")))?;
    let reading = super::plan::read_here(&text, place, None).map_err(Stopped::usage)?;
    reading.warnings.iter().for_each(|warning| say(&warning.to_string()));
    let env = reading.scenario.env_names().into_iter().filter_map(|name| std::env::var(&name).ok().map(|value| (name, value))).collect();
    let joining = Joining::new(reading.scenario, env, Seed(how.seed)).map_err(|why| Stopped::usage(format!("--setup {file}: {why}")))?;
    Ok(Some(Arc::new(joining)))
}

/// What kind of server it is. One that cannot be reached ends the run; one that refuses a correct handshake is asked all
/// the same, for that is its verdict.
fn survey(bench: &Bench) -> Result<Survey, Stopped> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stopped::environment)?;
    match runtime.block_on(Survey::ask(bench)) {
        Ok(survey) => Ok(survey),
        Err(Closed::Unreachable(why)) => Err(Stopped::environment(format!("cannot reach {}: {why}", bench.options.target.shown()))),
        Err(Closed::Unjoined(why, _)) => {
            Err(Stopped { exit: Exit::Inconclusive, message: format!("nothing could be asked: the set-up did not come through: {why}") })
        }
        Err(Closed::Refused(why, _)) => {
            say(&format!("wsbench: a correct opening handshake was refused ({why}); is the path right? Every case is asked all the same."));
            Ok(run::believed(bench.options.profile.unwrap_or(Profile::Echo), bench.options.observer))
        }
    }
}

fn list(cases: &[Case]) -> String {
    let mut out = String::new();
    let mut section = String::new();
    for case in cases {
        if case.section != section {
            section.clone_from(&case.section);
            out.push_str(&format!("\n{} ({})\n", section, case.group));
        }
        let sends: String = case.sends.chars().take(110).collect();
        out.push_str(&format!("  {:<9} {:<10} RFC {:<24} {sends}\n", case.id, case.level.word(), case.rfc));
    }
    out.push_str(&format!("\n{} cases\n", cases.len()));
    out
}

fn dry_run(cases: &[Case]) -> String {
    let mut out = String::new();
    for case in cases {
        out.push_str(&format!("{:<9} {:<60} [{}]\n", case.id, case.sends.chars().take(60).collect::<String>(), tags(case).join(" ")));
    }
    let echo = cases.iter().filter(|c| c.needs.echo).count();
    let broadcast = cases.iter().filter(|c| c.needs.broadcast).count();
    out.push_str(&format!(
        "\n{} cases would be asked: {} of any server, {echo} where messages come back, {broadcast} of a broadcast server\n",
        cases.len(),
        cases.len() - echo - broadcast
    ));
    out
}

fn progress(done: usize, all: usize, result: &CaseResult) {
    use std::io::Write as _;
    let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K{done}/{all}  {}  {}", result.case.id, result.verdict.outcome.word());
}

fn clear_progress() {
    use std::io::Write as _;
    let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K");
}

/// The report files, opened before the first connection.
struct Files {
    json: Option<OutputFile>,
    junit: Option<OutputFile>,
    html: Option<OutputFile>,
    markdown: Option<OutputFile>,
}

impl Files {
    fn open(reports: &Reports) -> Result<Self, Stopped> {
        let open = |place: &Option<PathBuf>| place.as_deref().map(|p| OutputFile::open(p, true)).transpose();
        Ok(Self {
            json: open(&reports.json)?,
            junit: open(&reports.junit)?,
            html: open(&reports.html)?,
            markdown: open(&reports.markdown)?,
        })
    }

    fn write(self, report: &Report) -> Result<(), Stopped> {
        let one = std::slice::from_ref(report);
        let put = |file: Option<OutputFile>, form: &dyn Fn() -> String| file.map_or(Ok(()), |f| f.write(form().as_bytes()));
        put(self.json, &|| report.to_json())?;
        put(self.junit, &|| junit::render(report))?;
        put(self.html, &|| html::render(one))?;
        put(self.markdown, &|| markdown::render(one))
    }
}

fn conclude(args: &ConformanceArgs, report: &Report, expectations: Option<Expectations>) -> Result<Exit, Stopped> {
    if let Some(expectations) = expectations {
        return args.reports.known.settle(&expectations, report);
    }
    Ok(if report.failures().next().is_some() {
        Exit::Fail
    } else if report.cases.iter().all(|r| r.outcome() == Outcome::Skipped) {
        Exit::Inconclusive
    } else {
        Exit::Pass
    })
}
