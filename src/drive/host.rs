//! What the system tells about itself and this process: descriptors, ports, memory, stolen time. Linux tells all of it;
//! elsewhere the answer is `None`, never a guess.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Limits on open files: soft (in force) and hard (as far as the soft one may be raised); `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// In force.
    pub soft: Option<u64>,
    /// As far as it can be raised without privileges.
    pub hard: Option<u64>,
}

/// Raises the soft limit on open files to the hard one, and tells both.
#[must_use]
pub fn raise_descriptors() -> Descriptors {
    let before = getrlimit(Resource::Nofile);
    // A refusal leaves the limit as it was, which the reading below then shows.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, maximum: before.maximum });
    let now = getrlimit(Resource::Nofile);
    Descriptors { soft: now.current, hard: now.maximum }
}

/// How many local ports one source address has for one destination.
#[must_use]
pub fn ports_per_source() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_whitespace().filter_map(|n| n.parse::<u32>().ok());
    let (low, high) = (numbers.next()?, numbers.next()?);
    Some(high.saturating_sub(low) + 1)
}

/// Memory that can still be had, in bytes.
#[must_use]
pub fn memory_available() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Resident memory of this process now, in bytes.
#[must_use]
pub fn memory_resident() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The most resident memory this process ever had, in bytes.
#[must_use]
pub fn memory_peak() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A line of the form `Name:   123 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Ticks of all processors so far: stolen by the hypervisor, and altogether.
#[must_use]
pub fn steal_ticks() -> Option<(u64, u64)> {
    steal_of(&std::fs::read_to_string("/proc/stat").ok()?)
}

fn steal_of(stat: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal (guest and guest_nice are already within user and nice)
    Some((*numbers.get(7)?, numbers.iter().take(8).sum()))
}

/// The share of processor time stolen between two readings.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share")]
pub fn steal_share(before: Option<(u64, u64)>, after: Option<(u64, u64)>) -> Option<f64> {
    let ((stolen_before, all_before), (stolen, all)) = (before?, after?);
    let all = all.checked_sub(all_before).filter(|&all| all > 0)?;
    Some(stolen.saturating_sub(stolen_before) as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(field("VmPeak:\t 9 kB\nVmRSS:\t  123 kB\n", "VmRSS:"), Some(123 * 1024));
        assert_eq!(field("VmPeak:\t 9 kB\n", "VmRSS:"), None);
        assert_eq!(steal_of("cpu  10 1 5 80 2 0 1 1 7 0\ncpu0 …"), Some((1, 100)));
        assert_eq!(steal_share(Some((1, 100)), Some((6, 200))), Some(0.05));
        assert_eq!(steal_share(Some((1, 100)), Some((1, 100))), None);
    }
}
