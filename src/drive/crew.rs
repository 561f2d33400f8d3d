//! The shards of a run, as threads of this process or behind the pipes of worker processes: told with the same directives,
//! heard with the same words, merged with the same merge.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::account::{Account, SendLog, Share};
use crate::base::{Instant, Span};
use crate::plan::Plan;

use super::clock::Clock;
use super::contest::{Gone, contest};
use super::gauge::Gauge;
use super::live::Sample;
use super::run::{DriveError, Lost, Options};
use super::shard::{self, Directive, Start, Voice, Word};
use super::target::{Target, Trust};
use super::worker;

/// How long a member may take to answer before it counts as lost. Closing handshakes take at most five seconds, settling 25
/// million pairs about one.
const ANSWER: Duration = Duration::from_secs(20);

/// All members, in one place.
pub(super) struct Crew {
    /// One a thread, or one a process.
    pub(super) gauges: Vec<Arc<Gauge>>,
    members: Vec<Member>,
    words: mpsc::UnboundedReceiver<(usize, Word)>,
    shards: u32,
    /// What was handed in last: a member that is lost later has told that much.
    handed_in: Option<Arc<SendLog>>,
}

/// What drives some of the shares, and has the gauge of the same place.
struct Member {
    shares: Vec<Share>,
    directives: mpsc::UnboundedSender<Directive>,
    /// Its own; a process has none here.
    thread: Option<thread::JoinHandle<()>>,
    /// Why nothing more is to be expected of it.
    lost: Option<String>,
}

/// What shards leave besides their books.
pub(super) struct Record {
    /// A journal whose header is written.
    pub(super) journal: Option<Arc<Path>>,
    /// Samples for live metrics.
    pub(super) live: bool,
}

/// What is left when all is over.
pub(super) struct Settled {
    pub(super) account: Account,
    pub(super) lost: Vec<Lost>,
    pub(super) shards: u32,
    pub(super) worker_cpu: Span,
    pub(super) worker_memory: u64,
    pub(super) worker_ramp_memory: u64,
}

impl Crew {
    /// Starts all members. A run of worker processes must be within a runtime that has I/O enabled.
    pub(super) fn start(plan: &Arc<Plan>, options: Options, clock: Clock) -> Result<Self, DriveError> {
        if options.processes > 0 {
            return Self::processes(plan, options, clock);
        }
        let of = options.shards(plan.connections);
        let shares: Vec<Share> = (0..of).map(|index| Share { index, of }).collect();
        let trust = options.urls.into_iter().map(|(_, trust)| trust).collect();
        let record = Record { journal: options.journal.map(Arc::from), live: options.live.is_some() };
        Self::threads(plan, &shares, options.targets.into(), trust, options.sources.into(), &record, clock)
    }

    /// A thread for each share.
    pub(super) fn threads(
        plan: &Arc<Plan>,
        shares: &[Share],
        targets: Arc<[Target]>,
        trust: Vec<Trust>,
        sources: Arc<[IpAddr]>,
        record: &Record,
        clock: Clock,
    ) -> Result<Self, DriveError> {
        let (sender, words) = mpsc::unbounded_channel();
        let mut crew = Self::empty(words, shares.len());
        for &share in shares {
            let (directive, directives) = mpsc::unbounded_channel();
            let gauge = Arc::new(Gauge::new(record.live));
            let start = Start {
                plan: plan.clone(),
                share,
                clock,
                targets: targets.clone(),
                trust: trust.clone(),
                sources: sources.clone(),
                journal: record.journal.clone(),
                gauge: gauge.clone(),
                directives,
                voice: Voice { member: crew.members.len(), words: sender.clone() },
            };
            let name = format!("shard-{}", share.index);
            let thread = thread::Builder::new().name(name).spawn(move || shard::run(start)).map_err(DriveError::Thread)?;
            crew.gauges.push(gauge);
            crew.members.push(Member { shares: vec![share], directives: directive, thread: Some(thread), lost: None });
        }
        Ok(crew)
    }

    fn processes(plan: &Arc<Plan>, options: Options, clock: Clock) -> Result<Self, DriveError> {
        let (sender, words) = mpsc::unbounded_channel();
        let workers = options.processes.min(plan.connections);
        let of = options.shards(plan.connections);
        let threads = of / workers;
        let mut crew = Self::empty(words, of as usize);
        for n in 0..workers {
            let shares: Vec<Share> = (0..threads).map(|t| Share { index: n * threads + t, of }).collect();
            let gauge = Arc::new(Gauge::new(options.live.is_some()));
            let orders = worker::Orders::new(plan, shares.clone(), &options, clock);
            let voice = Voice { member: crew.members.len(), words: sender.clone() };
            let directives = worker::hire(orders, gauge.clone(), voice).map_err(DriveError::Process)?;
            crew.gauges.push(gauge);
            crew.members.push(Member { shares, directives, thread: None, lost: None });
        }
        Ok(crew)
    }

    fn empty(words: mpsc::UnboundedReceiver<(usize, Word)>, shards: usize) -> Self {
        let shards = u32::try_from(shards).unwrap_or(u32::MAX);
        Self { gauges: Vec::new(), members: Vec::new(), words, shards, handed_in: None }
    }

    /// The latest samples of all members; empty unless they were asked for.
    pub(super) fn sample(&self) -> Sample {
        let mut sum = Sample::default();
        self.gauges.iter().filter_map(|gauge| gauge.board.as_ref()).for_each(|board| board.add_to(&mut sum));
        sum
    }

    /// Tells every member.
    pub(super) fn tell(&self, directive: &Directive) {
        for member in &self.members {
            // A member that is gone has said why in its last word.
            let _ = member.directives.send(directive.clone());
        }
    }

    /// Hands the answer of every member that is still there to `take`. A member that does not answer in time is lost, never
    /// waited for.
    ///
    /// Who is lost is known from the words alone. A gauge shows it sooner, but whoever stopped listening for that reason would leave
    /// the loss unread in the queue, and with it what was owed to the member's clients; and a member may be lost after its answer.
    async fn answers(&mut self, mut take: impl FnMut(Word) -> Result<(), DriveError>) -> Result<(), DriveError> {
        let there = self.members.iter().enumerate().filter(|(_, member)| member.lost.is_none());
        let mut awaited: BTreeSet<usize> = there.map(|(n, _)| n).collect();
        while !awaited.is_empty() {
            match tokio::time::timeout(ANSWER, self.words.recv()).await {
                Ok(Some((_, Word::Broken(reason)))) => return Err(DriveError::Shard(reason)),
                Ok(Some((n, Word::Lost(reason)))) => {
                    awaited.remove(&n);
                    self.lose(n, reason);
                }
                // Of a member that was given up, an answer comes too late.
                Ok(Some((n, word))) if awaited.remove(&n) => take(word)?,
                Ok(Some(_)) => {}
                Ok(None) => return Err(DriveError::Shard("all members are gone".into())),
                Err(_) => std::mem::take(&mut awaited).into_iter().for_each(|n| self.lose(n, format!("no answer within {ANSWER:?}"))),
            }
        }
        Ok(())
    }

    fn lose(&mut self, n: usize, reason: String) {
        self.gauges[n].lose();
        self.members[n].lost.get_or_insert(reason);
    }

    /// The merged send log of all members.
    pub(super) async fn logs(&mut self, plan: &Plan) -> Result<Arc<SendLog>, DriveError> {
        self.tell(&Directive::HandIn);
        let mut all = SendLog::empty(plan);
        self.answers(|word| match word {
            Word::Log(log) => {
                all.merge(&log);
                Ok(())
            }
            _ => Err(DriveError::Shard("it ended before its time".into())),
        })
        .await?;
        if let Some(before) = self.handed_in.take().filter(|_| self.members.iter().any(|member| member.lost.is_some())) {
            all.merge(&before);
        }
        let all = Arc::new(all);
        self.handed_in = Some(all.clone());
        Ok(all)
    }

    /// Closes, settles and merges.
    pub(super) async fn settle(mut self, plan: &Plan, clock: Clock) -> Result<Settled, DriveError> {
        let log = self.logs(plan).await?;
        self.settle_at(plan, clock.now(), log).await
    }

    /// As [`Crew::settle`], with the send log of all members of all processes.
    pub(super) async fn settle_at(mut self, plan: &Plan, at: Instant, log: Arc<SendLog>) -> Result<Settled, DriveError> {
        self.tell(&Directive::Close { at, log: log.clone() });
        let mut settled = Settled {
            account: Account::empty(plan),
            lost: Vec::new(),
            shards: self.shards,
            worker_cpu: Span::ZERO,
            worker_memory: 0,
            worker_ramp_memory: 0,
        };
        self.answers(|word| match word {
            Word::Settled(part, cost) => {
                settled.account.merge(*part);
                settled.worker_cpu = settled.worker_cpu + cost.cpu;
                settled.worker_memory += cost.peak_memory;
                settled.worker_ramp_memory += cost.ramp_memory;
                Ok(())
            }
            _ => Err(DriveError::Shard("it answered what it was not asked".into())),
        })
        .await?;
        let lost = self.members.iter().zip(&self.gauges).filter(|(member, _)| member.lost.is_some());
        let gone: Vec<Gone<'_>> = lost.map(|(member, gauge)| Gone { shares: &member.shares, sent: gauge.sent() }).collect();
        contest(&mut settled.account, plan, &gone, &log);
        for member in self.members {
            // The thread of a lost shard may never end; one that has ended tells whether it panicked.
            if let Some(thread) = member.thread.filter(|thread| member.lost.is_none() || thread.is_finished()) {
                thread.join().map_err(|_| DriveError::Shard("a shard's thread panicked".into()))?;
            }
            if let Some(reason) = member.lost {
                settled.lost.push(Lost { shards: member.shares.iter().map(|share| share.index).collect(), reason });
            }
        }
        Ok(settled)
    }
}

#[cfg(test)]
mod tests {
    use crate::base::PublisherId;
    use crate::plan::tests::plan;

    use super::*;

    /// A crew of as many members, a share each, that will hear these words.
    fn crew(members: u32, queue: impl IntoIterator<Item = (usize, Word)>) -> Crew {
        let (sender, words) = mpsc::unbounded_channel();
        let mut crew = Crew::empty(words, members as usize);
        for index in 0..members {
            crew.gauges.push(Arc::default());
            crew.members.push(Member {
                shares: vec![Share { index, of: members }],
                directives: mpsc::unbounded_channel().0,
                thread: None,
                lost: None,
            });
        }
        for (n, word) in queue {
            // The gauge shows at once what the queue tells in its turn.
            if matches!(word, Word::Lost(_)) {
                crew.gauges[n].lose();
            }
            assert!(sender.send((n, word)).is_ok());
        }
        crew
    }

    /// What became of a run whose members said this, in this order: (lost shards, interrupted).
    fn ended(plan: &Plan, members: u32, queue: Vec<(usize, Word)>) -> (Vec<Vec<u32>>, bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let settled = runtime.block_on(crew(members, queue).settle(plan, Clock::start())).expect("settled");
        (settled.lost.into_iter().map(|lost| lost.shards).collect(), settled.account.interrupted.is_some())
    }

    #[test]
    fn what_a_lost_member_had_handed_in_is_kept() {
        let plan = plan("[clients]\ncount = 6\n[publish]\npublishers = 2\npace = \"1/s\"\n");
        let log = |index| (index as usize, Word::Log(Box::new(SendLog::new(&plan, Share { index, of: 2 }))));
        let mut crew = crew(2, [log(0), log(1), (1, Word::Lost("killed".into())), log(0)]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        for _ in ["before", "after"] {
            let all = runtime.block_on(crew.logs(&plan)).expect("logs");
            assert_eq!([0, 1].map(|p| all.told(PublisherId(p))), [Some(0); 2]);
        }
    }

    #[test]
    fn every_lost_member_is_accounted_for_whatever_the_order_of_the_queue() {
        let plan = plan("[clients]\ncount = 6\n[publish]\npace = \"1/s\"\n");
        let log = |n| (n, Word::Log(Box::new(SendLog::empty(&plan))));
        let settled = |n| (n, Word::Settled(Box::new(Account::empty(&plan)), worker::WorkerCost::default()));
        let lost = |n| (n, Word::Lost("killed".into()));
        for (members, queue, shards) in [
            (2, vec![log(0), log(1), settled(1), settled(0)], vec![]),
            // All of them, and the only one.
            (2, vec![lost(0), lost(1)], vec![vec![0], vec![1]]),
            (1, vec![lost(0)], vec![vec![0]]),
            // Before the others have handed in, between, behind.
            (3, vec![lost(1), log(0), log(2), settled(0), settled(2)], vec![vec![1]]),
            (3, vec![log(0), lost(1), log(2), settled(0), settled(2)], vec![vec![1]]),
            (3, vec![log(0), log(2), lost(1), settled(0), settled(2)], vec![vec![1]]),
            // After it has handed in, while others have not.
            (3, vec![log(1), lost(1), log(0), log(2), settled(0), settled(2)], vec![vec![1]]),
            (3, vec![log(0), log(1), log(2), lost(1), settled(0), settled(2)], vec![vec![1]]),
            // While the books are settled.
            (3, vec![log(0), log(1), log(2), settled(0), settled(2), lost(1)], vec![vec![1]]),
            (3, vec![log(0), log(1), log(2), lost(2), lost(1), lost(0)], vec![vec![0], vec![1], vec![2]]),
        ] {
            let told = ended(&plan, members, queue);
            assert_eq!(told, (shards.clone(), !shards.is_empty()));
        }
    }
}
