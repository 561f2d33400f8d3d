//! The run: what the server is, which cases can be asked of it, and asking them, several at once, each on connections of
//! its own. Every selected case leaves with a verdict, whatever happens to the server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;

use super::bench::{Bench, Closed, Profile};
use super::catalogue::model::{Ask, Autobahn, Case, Expectation, Pace, Script, Step};
use super::exchange::{Complete, Exchange, Plan};
use super::observation::Observation;
use super::survey::Survey;
use super::verdict::{self, Outcome, Verdict};
use super::wire::frame::Role;
use super::wire::link::Link;
use super::{envelope, handshake, procedures, script};

/// One case, asked.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// The verdict.
    pub verdict: Verdict,
    /// The conversation, a line each.
    pub dialogue: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// Asks every case; results come back in the order given. `told` hears of each as it ends, from several threads.
#[must_use]
pub fn run(bench: &Bench, survey: &Survey, cases: &[Case], told: &(dyn Fn(&CaseResult) + Sync)) -> Vec<CaseResult> {
    let results: Vec<Mutex<Option<CaseResult>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let apart = survey.hears_others() && !bench.has_rooms();
    let jobs = if apart { 1 } else { bench.options.jobs.max(1) };
    for (pace, at_once) in [(Pace::Light, jobs), (Pace::Timing, jobs), (Pace::Heavy, jobs.min(4)), (Pace::Alone, 1)] {
        let indices: Vec<usize> = (0..cases.len()).filter(|i| cases[*i].pace == pace).collect();
        phase(at_once, &indices, |index| {
            let results = &results;
            async move {
                let result = ask(bench, survey, &cases[index]).await;
                told(&result);
                if let Ok(mut slot) = results[index].lock() {
                    *slot = Some(result);
                }
            }
        });
    }
    let ended = |(slot, case): (Mutex<Option<CaseResult>>, &Case)| {
        slot.into_inner().ok().flatten().unwrap_or_else(|| CaseResult {
            case: case.clone(),
            verdict: Verdict::plain(Outcome::Error, "the case was never finished"),
            dialogue: Vec::new(),
            took: Duration::ZERO,
        })
    };
    results.into_iter().zip(cases).map(ended).collect()
}

/// Works through the indices, `at_once` at a time, over as many threads as there are cores.
fn phase<F: Future<Output = ()>>(at_once: usize, indices: &[usize], one: impl Fn(usize) -> F + Sync) {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(at_once).min(indices.len()).max(1);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, one) = (&next, &one);
            let lanes = at_once / threads + usize::from(thread < at_once % threads);
            scope.spawn(move || {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
                runtime.block_on(join_all((0..lanes).map(|_| async {
                    while let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) {
                        one(*index).await;
                    }
                })));
            });
        }
    });
}

async fn ask(bench: &Bench, survey: &Survey, case: &Case) -> CaseResult {
    let began = tokio::time::Instant::now();
    let (mut verdict, mut dialogue) = match unaskable(bench, survey, case) {
        Some(reason) => (Verdict::skipped(reason), Vec::new()),
        None => put(bench, survey, case).await,
    };
    let abrupt = dialogue.iter().any(|l| l.contains("the other side reset TCP") || l.contains("the other side closed TCP"))
        || verdict.outcome == Outcome::Fail;
    if abrupt && verdict.outcome != Outcome::Error && bench.stream().await.is_err() {
        verdict.outcome = Outcome::Error;
        verdict.actual = format!("the server died during this case; {}", verdict.actual);
        dialogue.push("           · the server takes no connections any more".to_owned());
    }
    CaseResult { case: case.clone(), verdict: verdict.at_level(case.level), dialogue, took: began.elapsed() }
}

/// Why a case cannot be asked of this server, if it cannot.
fn unaskable(bench: &Bench, survey: &Survey, case: &Case) -> Option<String> {
    if case.needs.tls && !bench.options.target.tls {
        return Some("needs a wss:// URL".to_owned());
    }
    if case.needs.broadcast {
        return survey.no_broadcast().or_else(|| enveloped(bench).then(|| WRITES_FRAMES.to_owned()));
    }
    if case.needs.echo
        && let Some(reason) = unwrappable(bench, case)
    {
        return Some(reason.to_owned());
    }
    let own_link = matches!(case.ask, Ask::Handshake(_) | Ask::Procedure { .. });
    if case.needs.echo && survey.observed() && own_link {
        return Some("the echo is looked for on the sender's own connection, and this server leaves the sender out".to_owned());
    }
    if case.needs.echo { survey.no_echo() } else { None }
}

/// Why a case that needs an echo cannot be asked of a server that wants a join or an envelope first.
fn unwrappable(bench: &Bench, case: &Case) -> Option<&'static str> {
    if let Some(reason) = bench.options.setup.joining.as_ref().and_then(|joining| joining.no_publishing()) {
        return Some(reason);
    }
    match &case.ask {
        Ask::Handshake(_) => bench.options.setup.before_frames(),
        Ask::Procedure { .. } if enveloped(bench) => Some(WRITES_FRAMES),
        Ask::Autobahn(Autobahn { offer: Some(_), .. }) | Ask::Script(Script { offer: Some(_), .. }) if enveloped(bench) => {
            Some("its octets are compressed beforehand, which leaves no room for the dialect's envelope")
        }
        _ => None,
    }
}

const WRITES_FRAMES: &str = "its frames are written octet by octet, which leaves no room for the dialect's envelope";

fn enveloped(bench: &Bench) -> bool {
    bench.options.setup.joining.as_ref().is_some_and(|joining| joining.enveloped())
}

/// The steps of a case that needs an echo, its messages in the envelope of the link's application, where it has one.
fn wrapped(link: &mut Link, observer: Option<&mut Link>, case: &Case, steps: &[Step]) -> Result<Vec<Step>, Answered> {
    let Some(manner) = link.manner.as_mut().filter(|_| case.needs.echo) else { return Ok(steps.to_vec()) };
    let mut payloads = Vec::new();
    let steps = envelope::wrap(steps, |binary, payload| {
        payloads.push(payload.to_vec());
        manner.envelope(binary, payload)
    });
    if let Some(manner) = observer.and_then(|observer| observer.manner.as_mut()) {
        payloads.iter().for_each(|payload| manner.look_for(payload));
    }
    steps.map_err(|why| (Verdict::skipped(why), link.record.render()))
}

type Answered = (Verdict, Vec<String>);

async fn put(bench: &Bench, survey: &Survey, case: &Case) -> Answered {
    match &case.ask {
        Ask::Handshake(handshake) => handshake::ask(bench, &case.id, handshake).await,
        Ask::Procedure { name, arguments, offer, takeover } => {
            let asked = procedures::Asked { bench, case, arguments, offer: offer.as_deref(), takeover: *takeover };
            procedures::run(name, &asked).await
        }
        Ask::Autobahn(ask) => {
            let limits = case.limits;
            let watched = survey.observed() && case.needs.echo;
            let judge = |seen: &Observation| verdict::judge(ask, seen, Role::Client, watched, limits);
            converse(bench, case, ask.offer.as_deref(), autobahn_plan(ask, bench.options.scale), watched, false, judge).await
        }
        Ask::Script(ask) => {
            let watched = survey.observed() && case.needs.echo;
            let judge = |seen: &Observation| script::judge(&ask.verifier, seen, watched, case.limits);
            script_case(bench, case, ask, watched, judge).await
        }
    }
}

async fn script_case(
    bench: &Bench,
    case: &Case,
    ask: &Script,
    watched: bool,
    judge: impl Fn(&Observation) -> Verdict,
) -> (Verdict, Vec<String>) {
    let plan = script::plan(ask, bench.options.scale);
    let mut link = match bench.open(&case.id, ask.offer.as_deref()).await {
        Ok(link) => link,
        Err(closed) => return refused(&closed),
    };
    if let Some(verdict) = unagreed(&link, ask.offer.is_some(), ask.takeover) {
        return (verdict, link.record.render());
    }
    link.assembler.later_codes = true;
    let mut observer = match watch(bench, case, watched).await {
        Ok(observer) => observer,
        Err(closed) => return refused(&closed),
    };
    let steps = match wrapped(&mut link, observer.as_mut(), case, plan.steps) {
        Ok(steps) => steps,
        Err(skipped) => return skipped,
    };
    let seen = Exchange::play(&mut link, observer.as_mut(), Plan { steps: &steps, ..plan }).await;
    (judge(&seen), link.record.render())
}

/// Why a deflate case cannot be judged on what was agreed to.
#[must_use]
pub fn unagreed(link: &Link, offered: bool, takeover: bool) -> Option<Verdict> {
    match link.deflate {
        None if offered => Some(Verdict::plain(Outcome::Unimplemented, "the server did not agree to permessage-deflate")),
        Some(agreement) if takeover && agreement.client_no_context_takeover => {
            Some(Verdict::plain(Outcome::Info, "the server asked us not to keep our context, so this cannot arise"))
        }
        _ => None,
    }
}

fn refused(closed: &Closed) -> (Verdict, Vec<String>) {
    (closed.verdict(), closed.dialogue())
}

async fn watch(bench: &Bench, case: &Case, watched: bool) -> Result<Option<Link>, Closed> {
    if watched { bench.open(&case.id, None).await.map(Some) } else { Ok(None) }
}

/// How a case of Autobahn's is played.
#[must_use]
pub fn autobahn_plan(ask: &Autobahn, scale: f64) -> Plan<'_> {
    let complete = match (&ask.expectation, ask.steps.first()) {
        (Expectation::Events { ok, .. }, _) => Complete::Events(ok),
        (Expectation::SameSize, Some(Step::Frame { first, payload, .. })) => Complete::SameSize(first & 0x0f == 2, payload.len()),
        (Expectation::SameSize, Some(Step::Message { binary, payload, .. })) => Complete::SameSize(*binary, payload.len()),
        _ => Complete::Never,
    };
    // Autobahn compares with every list it has, so where there are two it never closes by itself.
    let one_list = !matches!(ask.expectation, Expectation::Events { lax: Some(_), .. });
    let auto_close = (ask.auto_close && one_list).then_some(1000);
    Plan { steps: &ask.steps, complete, auto_close, timer: ask.timer, seconds: ask.seconds, scale }
}

async fn converse(
    bench: &Bench,
    case: &Case,
    offer: Option<&str>,
    plan: Plan<'_>,
    watched: bool,
    later_codes: bool,
    judge: impl Fn(&Observation) -> Verdict,
) -> (Verdict, Vec<String>) {
    let mut observer = match watch(bench, case, watched).await {
        Ok(observer) => observer,
        Err(closed) => return refused(&closed),
    };
    let mut link = match bench.open(&case.id, offer).await {
        Ok(link) => link,
        Err(closed) => return refused(&closed),
    };
    link.assembler.later_codes = later_codes;
    let steps = match wrapped(&mut link, observer.as_mut(), case, plan.steps) {
        Ok(steps) => steps,
        Err(skipped) => return skipped,
    };
    let seen = Exchange::play(&mut link, observer.as_mut(), Plan { steps: &steps, ..plan }).await;
    (judge(&seen), link.record.render())
}

/// What a profile given on the command line says of the server.
#[must_use]
pub const fn believed(profile: Profile, observer: bool) -> Survey {
    match profile {
        Profile::Echo => Survey { echoes: true, relays: false, told: true, observer },
        Profile::Broadcast => Survey { echoes: true, relays: true, told: true, observer },
        Profile::Any => Survey { echoes: false, relays: false, told: true, observer },
    }
}
