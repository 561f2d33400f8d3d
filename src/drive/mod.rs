//! Runs a Plan against a target: the only floor that waits. Must never know a check or a report.
