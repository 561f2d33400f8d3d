//! `wsbench conformance serve`: play the server, judge clients and browsers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;

use super::conformance_known::Known;
use super::exit::{Exit, Stopped};
use super::output::Target as OutputFile;
use super::terminal::{Terminal, print, say};
use crate::base::Seed;
use crate::conformance::catalogue::all_cases;
use crate::conformance::clients::Clients;
use crate::conformance::report::{Report, html, junit, text};
use crate::conformance::select::select;

/// Play the server: clients and browsers connect and are judged
#[derive(Debug, Args)]
pub struct ServeClientsArgs {
    /// Which cases: ids, sections, groups, patterns, tags; all that can be mirrored when none is given
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Leave these out
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<String>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// End, with an exit code, once a client has asked for its report (/updateReports, or the page has finished)
    #[arg(long)]
    once: bool,
    /// Stretch every time limit
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    timeout_scale: f64,
    /// SHOULDs count: NON-STRICT fails
    #[arg(long)]
    strict: bool,
    /// Noise follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    known: Known,
    /// JSON of the last client, as for servers
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// JUnit XML of the last client
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// One HTML page, the clients side by side
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Serves until interrupted, or with `--once` until a client has asked for its report.
///
/// # Errors
/// When the address or an output cannot be had, or the selectors match nothing.
pub fn run(args: &ServeClientsArgs, terminal: Terminal) -> Result<Exit, Stopped> {
    let cases = all_cases().map_err(|e| Stopped::environment(format!("the catalogue cannot be read: {e}")))?;
    let cases = select(cases, &args.selectors, &args.exclude).map_err(Stopped::usage)?;
    let known = args.known.read()?;
    let open = |place: &Option<PathBuf>| place.as_deref().map(|p| OutputFile::open(p, true)).transpose();
    let (json, junit, html) = (open(&args.json)?, open(&args.junit)?, open(&args.html)?);
    let clients = Rc::new(Clients::new(cases, args.timeout_scale.clamp(0.05, 100.0), args.strict, Seed(args.seed)));
    if clients.count() == 0 {
        return Err(Stopped::usage("none of the cases selected can be mirrored; see --list"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stopped::environment)?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(args, Rc::clone(&clients)))?;
    let reports: Vec<Report> = clients.agents().iter().map(|agent| clients.report(agent)).collect();
    let look = text::Look { colour: terminal.style.colour, unicode: terminal.style.unicode, width: terminal.style.width };
    reports.iter().for_each(|report| print(&text::render(report, look, false)));
    if let Some(last) = reports.last() {
        json.map_or(Ok(()), |f| f.write(last.to_json().as_bytes()))?;
        junit.map_or(Ok(()), |f| f.write(junit::render(last).as_bytes()))?;
        html.map_or(Ok(()), |f| f.write(html::render(&reports).as_bytes()))?;
    }
    if let (Some(known), Some(last)) = (&known, reports.last()) {
        return args.known.settle(known, last);
    }
    Ok(if reports.is_empty() {
        Exit::Inconclusive
    } else if reports.iter().any(|r| r.failures().next().is_some()) {
        Exit::Fail
    } else {
        Exit::Pass
    })
}

async fn serve(args: &ServeClientsArgs, clients: Rc<Clients>) -> Result<(), Stopped> {
    let listener = tokio::net::TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|e| Stopped::environment(format!("cannot listen on {}: {e}", args.listen)))?;
    let address = listener.local_addr().map_err(Stopped::environment)?;
    say(&format!("{} cases; clients: ws://{address}/runCase?case=1&agent=NAME, browsers: http://{address}/", clients.count()));
    tokio::select! {
        () = Rc::clone(&clients).serve(listener) => {}
        () = clients.reported(), if args.once => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
