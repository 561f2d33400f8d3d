//! Room that a run will need, taken when it begins, so that it does not grow with what it sends and receives.

/// Empties `list`, gives it room for so many entries, at most `most`, and writes to it once: the system gives memory when it is written
/// to, not when it is reserved. (A filler of zeros may be taken for a reservation and is none.)
pub(super) fn take<T: Clone>(list: &mut Vec<T>, entries: u64, most: usize, filler: T) {
    list.resize(usize::try_from(entries).unwrap_or(usize::MAX).min(most), filler);
    list.clear();
}
