//! Preflight: what the plan needs against what this machine gives, before the first connection. An error names the number
//! needed, the number there is, and the command that changes it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use rustix::io::Errno;

use super::host::{self, Descriptors};
use super::target::{Address, Target};
use crate::base::ByteSize;
use crate::plan::{PROCESS_BYTES, PROCESS_DESCRIPTORS};

/// Descriptors of the process that starts workers, for each of them: the two pipes and the process itself.
const PER_WORKER: u64 = 3;
/// The most worker processes a run may have.
pub const MOST_PROCESSES: u32 = 256;
/// Connections per source address that are planned on loopback before another address is taken: well below the 28,232
/// ports of a default range, since ports of an earlier run may still be in TIME_WAIT.
const PER_LOOPBACK_SOURCE: u32 = 10_000;

/// How many threads drive the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// So many in each process, as the user said.
    Each(u32),
    /// So many in all processes together, as the load asks for.
    Together(u32),
}

impl Threads {
    /// Those of one process, where there are so many workers; 0 workers are this process alone.
    #[must_use]
    pub fn in_each(self, workers: u32) -> u32 {
        match self {
            Self::Each(threads) => threads,
            Self::Together(threads) => threads.div_ceil(workers.max(1)),
        }
    }
}

/// What a run needs of this machine, however it is spread over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Connections of all processes together.
    pub connections: u32,
    /// The built-in server runs in this process too.
    pub server_inside: bool,
    /// Threads that drive them.
    pub threads: Threads,
    /// Descriptors of each such thread.
    pub per_thread: u64,
    /// Estimate of memory for connections and books in one process, bytes.
    pub memory: u64,
}

impl Needs {
    /// Threads of one process: never more than it has connections.
    fn shards(&self, workers: u32) -> u64 {
        u64::from(self.threads.in_each(workers).clamp(1, self.share(workers).max(1)))
    }

    /// Connections of the process that has most.
    fn share(&self, workers: u32) -> u32 {
        self.connections.div_ceil(workers.max(1))
    }

    /// Open files of a process that holds clients.
    fn of_holder(&self, workers: u32) -> u64 {
        let sides = if self.server_inside && workers == 0 { 2 } else { 1 };
        u64::from(self.share(workers)) * sides + PROCESS_DESCRIPTORS + self.shards(workers) * self.per_thread
    }

    /// Open files of the process that starts the workers, which the built-in server lives in as well.
    fn of_starter(&self, workers: u32) -> u64 {
        let server = if self.server_inside { u64::from(self.connections) } else { 0 };
        PROCESS_DESCRIPTORS + server + u64::from(workers) * PER_WORKER
    }

    /// The process that needs most open files, and how many.
    fn descriptors(&self, workers: u32) -> (Process, u64) {
        if workers == 0 {
            return (Process::Only, self.of_holder(0));
        }
        let (holder, starter) = (self.of_holder(workers), self.of_starter(workers));
        if starter > holder { (Process::Starter(workers), starter) } else { (Process::Worker(workers), holder) }
    }

    fn fits(&self, workers: u32, limit: u64) -> bool {
        self.descriptors(workers).1 <= limit
    }

    /// The fewest worker processes that live within `limit` open files each, the one that starts them included.
    fn workers_within(&self, limit: u64) -> Option<u32> {
        (2..=MOST_PROCESSES.min(self.connections)).find(|&workers| self.fits(workers, limit))
    }

    /// What would do instead of a higher limit: only what really does, and never what is already so.
    fn ways_out(&self, workers: u32, limit: u64) -> Vec<String> {
        let mut ways = Vec::new();
        if let Some(enough) = self.workers_within(limit) {
            ways.push(format!("spread the clients over processes with `--processes {enough}`"));
        }
        let fewer = |threads: &u32| Self { threads: Threads::Each(*threads), ..*self }.fits(workers, limit);
        if let Some(threads) = (1..self.threads.in_each(workers)).rev().find(fewer) {
            ways.push(format!("drive them with fewer threads (`--threads {threads}`)"));
        }
        let outside = Self { server_inside: false, ..*self };
        let server_fits = u64::from(self.connections) + PROCESS_DESCRIPTORS <= limit;
        if self.server_inside && server_fits && (outside.fits(workers, limit) || outside.workers_within(limit).is_some()) {
            ways.push("serve in another process (`wsbench serve`, and its address here with `--url`)".into());
        }
        let few = |clients: u32| Self { connections: clients, ..*self }.fits(workers, limit);
        // What is needed grows with the clients, so the numbers that fit come before those that do not.
        let (mut fit, mut unfit) = (0, self.connections);
        while unfit - fit > 1 {
            let middle = u32::midpoint(fit, unfit);
            if few(middle) { fit = middle } else { unfit = middle }
        }
        if fit > 0 {
            ways.push(format!("take {fit} clients at most"));
        }
        ways
    }
}

/// Which process it is that has too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// There is only one.
    Only,
    /// Each of so many workers.
    Worker(u32),
    /// The one that starts so many workers.
    Starter(u32),
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only => f.write_str("one process"),
            Self::Worker(workers) => write!(f, "each of {workers} worker processes"),
            Self::Starter(workers) => write!(f, "the process that starts {workers} worker processes"),
        }
    }
}

/// What was found, for people.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// Open files needed and allowed.
    pub descriptors: (u64, Option<u64>),
    /// Local ports needed and there.
    pub ports: (u64, Option<u64>),
    /// Memory needed and there.
    pub memory: (u64, Option<u64>),
}

impl Preflight {
    /// What whoever starts the run has to know before it begins: that memory may not last.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let (needed, there) = self.memory;
        let there = there.filter(|&there| needed > there)?;
        Some(format!(
            "warning: this run may need {} of memory, and {} is available: take fewer clients or publishers, or a larger machine",
            ByteSize(needed),
            ByteSize(there)
        ))
    }

    /// What comes near a limit without reaching it, beyond four fifths of it.
    #[must_use]
    pub fn near(&self) -> Option<String> {
        let near = |(needed, there): (u64, Option<u64>)| there.filter(|&there| needed <= there && needed > there / 5 * 4);
        let mut found = Vec::new();
        found.extend(near(self.descriptors).map(|there| format!("{} of {there} open files", self.descriptors.0)));
        found.extend(near(self.ports).map(|there| format!("{} of {there} local ports", self.ports.0)));
        found.extend(near(self.memory).map(|there| format!("{} of {} of memory", ByteSize(self.memory.0), ByteSize(there))));
        (!found.is_empty()).then(|| format!("near a limit of this machine: it may need {}", found.join(", ")))
    }
}

/// Why the run cannot begin on this machine as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too few open files allowed.
    #[error(
        "this run needs {needed} open files in {process}, and the hard limit is {hard}: raise it (`ulimit -Hn {needed}` as root, or LimitNOFILE={needed} in a service){}",
        .instead.iter().map(|way| format!(", or {way}")).collect::<String>()
    )]
    Descriptors {
        /// What the run needs.
        needed: u64,
        /// Where.
        process: Process,
        /// What there is.
        hard: u64,
        /// What would do as well.
        instead: Vec<String>,
    },
    /// Too few local ports.
    #[error(
        "this run needs {needed} local ports, and {sources} source address(es) have {there} to one destination: give more addresses with `--source`, or widen the range (`sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`)"
    )]
    Ports {
        /// What the run needs.
        needed: u64,
        /// What there is.
        there: u64,
        /// How many addresses.
        sources: usize,
    },
    /// Nobody can connect from the addresses given.
    #[error("`--source` gives {given} addresses only, and {url} has {has} addresses: give {has} ones of this machine")]
    Family {
        /// Which family was given.
        given: &'static str,
        /// Where the run goes.
        url: String,
        /// Which family is there.
        has: &'static str,
    },
}

/// Whether a connection to `address` can come from `source`: they are of one family.
fn reaches(source: IpAddr, address: &Address) -> bool {
    matches!(address, Address::Ip(address) if address.is_ipv4() == source.is_ipv4())
}

/// The addresses given that no target can be reached from, for want of one of their family.
#[must_use]
pub fn unused(given: &[IpAddr], targets: &[Target]) -> Vec<IpAddr> {
    let reached = |source: &IpAddr| targets.iter().flat_map(|t| &t.addresses).any(|address| reaches(*source, address));
    given.iter().copied().filter(|source| !reached(source)).collect()
}

/// Source addresses for `connections` to `targets`: those given; else, on loopback and only when one address may not have the
/// ports, as many of 127.0.0.0/8 as it takes; else none, and the system chooses. Those of IPv4 come first.
///
/// # Errors
/// [`LimitError::Family`] when a target has no address of the family of any that was given.
pub fn sources(given: &[IpAddr], targets: &[Target], connections: u32) -> Result<Vec<IpAddr>, LimitError> {
    if let Some(first) = given.first() {
        let family = |v4: bool| if v4 { "IPv4" } else { "IPv6" };
        let cut_off =
            |t: &&Target| t.socket().is_none() && !t.addresses.iter().any(|address| given.iter().any(|source| reaches(*source, address)));
        return match targets.iter().find(cut_off) {
            Some(target) => {
                let (given, url, has) = (family(first.is_ipv4()), target.url.clone(), family(!first.is_ipv4()));
                Err(LimitError::Family { given, url, has })
            }
            None => {
                let mut sources = given.to_vec();
                sources.sort_by_key(IpAddr::is_ipv6);
                Ok(sources)
            }
        };
    }
    let v4 = |target: &Target| target.addresses.iter().all(|a| matches!(a, Address::Ip(address) if address.is_ipv4()));
    if connections <= PER_LOOPBACK_SOURCE || !targets.iter().all(|target| target.is_loopback() && v4(target)) {
        return Ok(Vec::new());
    }
    let count = connections.div_ceil(PER_LOOPBACK_SOURCE).min(200);
    #[expect(clippy::cast_possible_truncation, reason = "at most 200")]
    Ok((0..count).map(|i| IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + i as u8))).collect())
}

/// Checks descriptors (after raising the soft limit by itself), ports and memory, for a run over so many workers.
///
/// # Errors
/// The first limit that the plan cannot live within. Memory is only reported: an estimate is no reason to refuse.
pub fn preflight(needs: &Needs, workers: u32, sources: &[IpAddr], targets: &[Target]) -> Result<Preflight, LimitError> {
    let limits = host::raise_descriptors();
    judge_descriptors(needs, workers, limits)?;
    let found = Preflight {
        descriptors: (needs.descriptors(workers).1, limits.soft),
        ports: if no_ports(targets) { (0, None) } else { (u64::from(needs.connections), ports(sources, targets)) },
        memory: (needs.memory + u64::from(workers) * PROCESS_BYTES, host::memory_available()),
    };
    let usable = sources.len() - unused(sources, targets).len();
    judge_ports(&found, usable.max(1))?;
    Ok(found)
}

/// As [`preflight`], descriptors only: before a server is started, which needs some itself.
///
/// # Errors
/// [`LimitError::Descriptors`].
pub fn descriptors_suffice(needs: &Needs, workers: u32) -> Result<(), LimitError> {
    judge_descriptors(needs, workers, host::raise_descriptors())
}

/// A Unix socket has none.
fn no_ports(targets: &[Target]) -> bool {
    !targets.is_empty() && targets.iter().all(|target| target.socket().is_some())
}

/// Ports to one destination, times pairs of destination and source that can be connected.
fn ports(sources: &[IpAddr], targets: &[Target]) -> Option<u64> {
    let per = u64::from(host::ports_per_source()?);
    let ways = |address: &Address| match sources {
        [] => 1,
        sources => sources.iter().filter(|source| reaches(**source, address)).count(),
    };
    let pairs = targets.iter().map(|t| t.addresses.iter().map(ways).sum::<usize>()).max().unwrap_or(1);
    Some(per * pairs.max(1) as u64)
}

fn judge_descriptors(needs: &Needs, workers: u32, limits: Descriptors) -> Result<(), LimitError> {
    let (process, needed) = needs.descriptors(workers);
    match limits.soft {
        Some(allowed) if needed > allowed => {
            let instead = needs.ways_out(workers, allowed);
            Err(LimitError::Descriptors { needed, process, hard: limits.hard.unwrap_or(allowed), instead })
        }
        _ => Ok(()),
    }
}

fn judge_ports(found: &Preflight, sources: usize) -> Result<(), LimitError> {
    let (needed, there) = found.ports;
    match there {
        Some(there) if needed > there => Err(LimitError::Ports { needed, there, sources }),
        _ => Ok(()),
    }
}

/// How many worker processes it takes to hold the connections: none when this process can, with the server it may have inside, and
/// none when no number would do, which the preflight then says.
#[must_use]
pub fn workers_needed(needs: &Needs) -> u32 {
    workers_within(needs, host::raise_descriptors().soft.unwrap_or(u64::MAX))
}

fn workers_within(needs: &Needs, limit: u64) -> u32 {
    if needs.fits(0, limit) { 0 } else { needs.workers_within(limit).unwrap_or(0) }
}

/// An error of the system in words; where it is a limit on open files, with the limit and the command that raises it. The preflight
/// counts beforehand, but others may have taken what it counted on.
pub(super) fn explain(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => {
            let Some(limit) = host::raise_descriptors().soft else { return error.to_string() };
            let more = limit.saturating_mul(2);
            format!(
                "{error}: the limit of this process is {limit}; raise it (`ulimit -Hn {more}` as root, or LimitNOFILE={more} in a service), or take fewer clients or `--threads`"
            )
        }
        Some(Errno::NFILE) => {
            format!("{error}: all processes together have reached the system's limit (`sysctl fs.file-max` shows and raises it)")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(connections: u32, server_inside: bool, threads: u32) -> Needs {
        Needs { connections, server_inside, threads: Threads::Each(threads), per_thread: 8, memory: 0 }
    }

    fn refused(needs: &Needs, workers: u32, limit: u64) -> String {
        let limits = Descriptors { soft: Some(limit), hard: Some(limit) };
        judge_descriptors(needs, workers, limits).expect_err("too few").to_string()
    }

    async fn target(url: &str) -> Target {
        Target::resolve(url, &crate::drive::target::Trust::default()).await.expect("nothing is looked up")
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[tokio::test]
    async fn unix_sockets_use_up_neither_ports_nor_addresses() {
        let targets = [target("ws+unix:///run/a.sock:/").await];
        assert_eq!(sources(&[], &targets, 1_000_000), Ok(Vec::new()));
        assert_eq!(sources(&addresses(&["::1"]), &targets, 1), Ok(addresses(&["::1"])), "they have no family");
        let found = preflight(&needs(1, false, 1), 0, &[], &targets).expect("no port is needed");
        assert_eq!(found.ports, (0, None));
    }

    #[test]
    fn what_is_too_little_is_said_with_the_number_needed() {
        let told = refused(&needs(50_000, false, 1), 0, 20_000);
        for part in ["50064 open files in one process", "limit is 20000", "`ulimit -Hn 50064`", "`--processes 3`", "19936 clients"] {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        let found = |ports| Preflight { descriptors: (0, None), ports: (19_000, Some(ports)), memory: (0, None) };
        let error = judge_ports(&found(10_000), 1).expect_err("too few ports");
        assert!(error.to_string().contains("--source"), "{error}");
        assert_eq!(judge_ports(&found(28_232), 1), Ok(()));
    }

    /// 64 spare descriptors were counted for 1 thread and for 64: a run passed the preflight and broke in its ramp.
    #[test]
    fn every_thread_has_descriptors_of_its_own() {
        let told = refused(&needs(40, false, 16), 0, 130);
        for part in ["224 open files", "limit is 130", "`ulimit -Hn 224`", "`--threads 4`"] {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        assert_eq!(needs(40, false, 1).of_holder(0), 40 + 64);
        assert_eq!(needs(40, false, 1024).of_holder(0), 40 + 56 + 40 * 8, "never more threads than connections");
        let together = Needs { threads: Threads::Together(16), ..needs(4_000, false, 1) };
        assert_eq!((together.of_holder(0), together.of_holder(4)), (4_000 + 56 + 128, 1_000 + 56 + 32));
    }

    /// `--processes 2` was the advice of a run that already had it, where the built-in server was what did not fit.
    #[test]
    fn only_what_helps_is_advised() {
        let told = refused(&needs(200, true, 1), 0, 256);
        assert!(told.contains("464 open files in one process") && !told.contains("--processes"), "{told}");
        assert!(told.contains("fewer") || told.contains("96 clients at most"), "{told}");
        let told = refused(&needs(200, true, 1), 2, 256);
        assert!(told.contains("262 open files in the process that starts 2 worker processes") && !told.contains("--processes"), "{told}");
        assert!(told.contains("wsbench serve") && told.contains("194 clients at most"), "{told}");
        assert!(refused(&needs(200, true, 1), 0, 300).contains("`--processes 2`"), "where that helps");
        let told = refused(&needs(200, false, 1), 0, 40);
        assert!(told.ends_with("`ulimit -Hn 264` as root, or LimitNOFILE=264 in a service)"), "less than a process alone needs: {told}");
    }

    /// Workers were taken by what each of them holds, however many descriptors it took to start them.
    #[test]
    fn whoever_starts_workers_has_descriptors_for_each() {
        assert_eq!(workers_within(&needs(200, false, 1), 264), 0, "one process is enough");
        assert_eq!(workers_within(&needs(200, false, 1), 263), 2);
        assert_eq!(workers_within(&needs(200, false, 1), 70), 0, "34 workers of 6 clients take 158 to start: no number does");
        assert_eq!(needs(200, false, 1).descriptors(34), (Process::Starter(34), 56 + 34 * 3));
        let told = refused(&needs(200, false, 1), 34, 70);
        assert!(told.contains("158 open files in the process that starts 34 worker processes"), "{told}");
    }

    #[tokio::test]
    async fn sources_of_another_family_are_refused_or_not_counted() {
        let targets = [target("ws://127.0.0.1:9/x").await];
        let error = sources(&addresses(&["::1"]), &targets, 1).expect_err("nobody could connect");
        let told = error.to_string();
        assert!(told.contains("IPv6 addresses only") && told.contains("ws://127.0.0.1:9/x has IPv4 addresses"), "{told}");
        let both = addresses(&["127.0.0.1", "::1"]);
        assert_eq!(sources(&addresses(&["::1", "127.0.0.1"]), &targets, 1), Ok(both.clone()), "IPv4 first");
        assert_eq!(unused(&both, &targets), addresses(&["::1"]));
        assert_eq!(ports(&both, &targets), host::ports_per_source().map(u64::from), "those of one address");
        let two = [target("ws://127.0.0.1:9/").await, target("ws://[::1]:9/").await];
        assert!(unused(&both, &two).is_empty());
        assert!(sources(&addresses(&["127.0.0.1"]), &two, 1).is_err(), "the second cannot be reached");
    }

    #[test]
    fn memory_that_may_not_last_is_warned_of() {
        let found = |needed, there| Preflight { descriptors: (10, Some(1_000)), ports: (0, None), memory: (needed, there) };
        let told = found(3 << 30, Some(1 << 30)).warning().expect("a warning");
        assert!(told.contains("3GiB") && told.contains("1GiB"), "{told}");
        assert_eq!(found(3 << 30, None).warning(), None);
        assert_eq!((found(1, Some(1)).warning(), found(1, Some(100)).near()), (None, None));
        let near = Preflight { descriptors: (900, Some(1_000)), ports: (900, Some(28_232)), memory: (0, None) };
        assert_eq!(near.near().as_deref(), Some("near a limit of this machine: it may need 900 of 1000 open files"));
    }

    #[test]
    fn too_many_open_files_are_told_with_the_limit_and_the_command() {
        let told = explain(&io::Error::from(Errno::MFILE));
        assert!(told.contains("open files") && told.contains("ulimit -Hn"), "{told}");
        assert_eq!(explain(&io::Error::other("else")), "else");
    }
}
