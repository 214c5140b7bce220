//! How busy this machine is.

/// Processor time since boot, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuTime {
    busy: u64,
    total: u64,
}

impl CpuTime {
    /// What the kernel says now. `None` where `/proc` is not mounted.
    #[must_use]
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// Reads proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> =
            line.split_ascii_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
        let idle = ticks.get(3)? + ticks.get(4)?;
        let total = ticks.iter().sum();
        Some(Self { busy: u64::saturating_sub(total, idle), total })
    }

    /// The part of the time since an earlier reading that the processors were busy, 0 to 1.
    #[must_use]
    pub(crate) fn busy_since(&self, earlier: Self) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        if total == 0 {
            return 0.0;
        }
        (self.busy.saturating_sub(earlier.busy) as f64 / total as f64).clamp(0.0, 1.0)
    }
}

/// How full a recorder is, 0 to 1: by its slots or by its processors, whichever is worse.
#[must_use]
pub(crate) fn stress(carried: usize, slots: u32, busy: f64) -> f64 {
    (carried as f64 / f64::from(slots.max(1))).max(busy).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_what_is_not_idle_or_waiting_for_a_disk() {
        let earlier = CpuTime::parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3\n").unwrap();
        let later = CpuTime::parse("cpu  150 0 110 730 110 0 0 0 50 0\n").unwrap();
        assert!((later.busy_since(earlier) - 0.6).abs() < 1e-9);
        assert!(later.busy_since(later).abs() < 1e-9);
        assert_eq!(CpuTime::parse("cpu  1 2"), None);
        assert!(CpuTime::read().is_some());
    }

    #[test]
    fn the_worse_of_slots_and_processors_counts() {
        assert!((stress(1, 4, 0.1) - 0.25).abs() < 1e-9);
        assert!((stress(1, 4, 0.9) - 0.9).abs() < 1e-9);
        assert!((stress(9, 4, 0.0) - 1.0).abs() < 1e-9);
    }
}
