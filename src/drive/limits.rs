//! Preflight: what the plan needs against what this machine gives, before the first connection. An error names the number
//! needed, the number there is, and the command that changes it.

use std::net::{IpAddr, Ipv4Addr};

use super::host::{self, Descriptors};
use super::target::{Address, Target};

/// Descriptors the process needs besides its connections: standard streams, runtimes, timers, report files.
const OVERHEAD: u64 = 64;
/// Connections per source address that are planned on loopback before another address is taken: well below the 28,232
/// ports of a default range, since ports of an earlier run may still be in TIME_WAIT.
const PER_LOOPBACK_SOURCE: u32 = 10_000;

/// What a run needs of this process.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Connections this process opens.
    pub connections: u32,
    /// The built-in server runs in this process too.
    pub server_inside: bool,
    /// Estimate of memory for connections and books, bytes.
    pub memory: u64,
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

/// Why the run cannot begin on this machine as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too few open files allowed.
    #[error(
        "this run needs {needed} open files in one process, and the hard limit is {hard}: raise it (`ulimit -Hn {needed}` as root, or LimitNOFILE={needed} in a service), or spread the clients over processes with `--processes {processes}`"
    )]
    Descriptors {
        /// What the run needs.
        needed: u64,
        /// What there is.
        hard: u64,
        /// How many processes would do.
        processes: u64,
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
}

/// Source addresses for `connections` to `target`: those given; else, on loopback and only when one address may not have the
/// ports, as many of 127.0.0.0/8 as it takes; else none, and the system chooses.
#[must_use]
pub fn sources(given: &[IpAddr], target: &Target, connections: u32) -> Vec<IpAddr> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let v4 = target.addresses.iter().all(|a| matches!(a, Address::Ip(address) if address.is_ipv4()));
    if !target.is_loopback() || !v4 || connections <= PER_LOOPBACK_SOURCE {
        return Vec::new();
    }
    let count = connections.div_ceil(PER_LOOPBACK_SOURCE).min(200);
    #[expect(clippy::cast_possible_truncation, reason = "at most 200")]
    (0..count).map(|i| IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + i as u8))).collect()
}

/// Checks descriptors (after raising the soft limit by itself), ports and memory.
///
/// # Errors
/// The first limit that the plan cannot live within. Memory is only reported: an estimate is no reason to refuse.
pub fn preflight(needs: Needs, connections: u32, sources: &[IpAddr], targets: &[Target]) -> Result<Preflight, LimitError> {
    let limits = host::raise_descriptors();
    let found = Preflight {
        descriptors: (descriptors(needs), limits.soft),
        ports: if no_ports(targets) { (0, None) } else { (u64::from(connections), ports(sources, targets)) },
        memory: (needs.memory, host::memory_available()),
    };
    judge(&found, limits, sources.len().max(1))?;
    Ok(found)
}

/// As [`preflight`], descriptors only: before a server is started, which needs some itself.
///
/// # Errors
/// [`LimitError::Descriptors`].
pub fn descriptors_suffice(needs: Needs) -> Result<(), LimitError> {
    let limits = host::raise_descriptors();
    let found = Preflight { descriptors: (descriptors(needs), limits.soft), ports: (0, None), memory: (0, None) };
    judge(&found, limits, 1)
}

fn descriptors(needs: Needs) -> u64 {
    let sides = if needs.server_inside { 2 } else { 1 };
    u64::from(needs.connections) * sides + OVERHEAD
}

/// A Unix socket has none.
fn no_ports(targets: &[Target]) -> bool {
    !targets.is_empty() && targets.iter().all(|target| target.socket().is_some())
}

/// Ports to one destination, times destinations, times sources.
fn ports(sources: &[IpAddr], targets: &[Target]) -> Option<u64> {
    let per = u64::from(host::ports_per_source()?);
    let destinations = targets.iter().map(|t| t.addresses.len()).max().unwrap_or(1).max(1);
    Some(per * sources.len().max(1) as u64 * destinations as u64)
}

fn judge(found: &Preflight, limits: Descriptors, sources: usize) -> Result<(), LimitError> {
    let (needed, allowed) = found.descriptors;
    if let Some(allowed) = allowed
        && needed > allowed
    {
        let usable = allowed.saturating_sub(OVERHEAD).max(1);
        return Err(LimitError::Descriptors { needed, hard: limits.hard.unwrap_or(allowed), processes: needed.div_ceil(usable) });
    }
    let (needed, there) = found.ports;
    match there {
        Some(there) if needed > there => Err(LimitError::Ports { needed, there, sources }),
        _ => Ok(()),
    }
}

/// How many worker processes it takes to hold `connections`: none when this process can, with the server it may have inside.
#[must_use]
pub fn workers_needed(connections: u32, server_inside: bool) -> u32 {
    let usable = host::raise_descriptors().soft.unwrap_or(u64::MAX).saturating_sub(OVERHEAD).max(1);
    let sides = if server_inside { 2 } else { 1 };
    if u64::from(connections) * sides <= usable {
        return 0;
    }
    u32::try_from(u64::from(connections).div_ceil(usable)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unix_sockets_use_up_neither_ports_nor_addresses() {
        let url = "ws+unix:///run/a.sock:/";
        let target = Target::resolve(url, &crate::drive::target::Trust::default()).await.expect("nothing is looked up");
        assert_eq!(sources(&[], &target, 1_000_000), [IpAddr::V4(Ipv4Addr::LOCALHOST); 0]);
        let needs = Needs { connections: 1, server_inside: false, memory: 0 };
        let found = preflight(needs, 1_000_000, &[], &[target]).expect("no port is needed");
        assert_eq!(found.ports, (0, None));
    }

    fn found(needed: u64, allowed: u64, ports: u64) -> Preflight {
        Preflight { descriptors: (needed, Some(allowed)), ports: (needed, Some(ports)), memory: (0, None) }
    }

    #[test]
    fn what_is_too_little_is_said_with_the_number_needed() {
        let limits = Descriptors { soft: Some(20_000), hard: Some(20_000) };
        let error = judge(&found(50_064, 20_000, 100_000), limits, 1).expect_err("too many");
        assert_eq!(error, LimitError::Descriptors { needed: 50_064, hard: 20_000, processes: 3 });
        assert!(error.to_string().contains("50064") && error.to_string().contains("--processes 3"));
        let error = judge(&found(19_000, 20_000, 10_000), limits, 1).expect_err("too few ports");
        assert!(error.to_string().contains("--source"), "{error}");
        assert_eq!(judge(&found(19_000, 20_000, 28_232), limits, 1), Ok(()));
    }
}
