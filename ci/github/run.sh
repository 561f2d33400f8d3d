#!/usr/bin/env bash
# Runs the scenario and turns its report into a step summary, annotations and one exit code. Never stops half-way: whatever
# the verdict, every report that can be written is written. Needs only bash and wsbench, so that it runs at a desk too.
#
# SCENARIO, URL, THRESHOLDS, BASELINE, FAIL_ON_REGRESSION, OUT, ARGS: the action's inputs.
set -uo pipefail

# Reads lines of $1 into the array `lines`, without blanks around them and without empty ones.
split() {
  lines=()
  local line
  while IFS= read -r line; do
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    [[ -z "$line" ]] || lines+=("$line")
  done <<<"$1"
}

# Fail beats environment and usage, which beat inconclusive, which beats pass.
rank() { case "$1" in 0) echo 0 ;; 3) echo 1 ;; 1) echo 3 ;; *) echo 2 ;; esac; }
code=0
take() { if (($(rank "$1") > $(rank "$code"))); then code="$1"; fi; }

report="$OUT/report.json"
run=(wsbench run "$SCENARIO" --out "$OUT" --force)
[[ -z "${URL:-}" ]] || run+=(--url "$URL")
split "${ARGS:-}"
run+=("${lines[@]+"${lines[@]}"}")
"${run[@]}"
take $?

if [[ -f "$report" ]]; then
  split "${THRESHOLDS:-}"
  asked=()
  for line in "${lines[@]+"${lines[@]}"}"; do asked+=(--threshold "$line"); done
  for format in markdown:summary.md html:report.html junit:junit.xml github:annotations.txt json:judged.json; do
    wsbench report "$report" --format "${format%%:*}" --output "$OUT/${format##*:}" "${asked[@]+"${asked[@]}"}"
    take $?
  done
  [[ ! -f "$OUT/annotations.txt" ]] || cat "$OUT/annotations.txt"
  [[ ! -f "$OUT/summary.md" ]] || cat "$OUT/summary.md" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"

  if [[ -n "${BASELINE:-}" ]]; then
    compare=(wsbench compare "$BASELINE" "$report" --fail-on-regression "${FAIL_ON_REGRESSION:-10%}")
    for format in markdown:comparison.md html:comparison.html github:regressions.txt; do
      "${compare[@]}" --format "${format%%:*}" --output "$OUT/${format##*:}"
      take $?
    done
    [[ ! -f "$OUT/regressions.txt" ]] || cat "$OUT/regressions.txt"
    [[ ! -f "$OUT/comparison.md" ]] || cat "$OUT/comparison.md" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
  fi
fi

# The verdict with thresholds and baseline taken in.
case "$code" in 0) verdict=pass ;; 1) verdict=fail ;; 3) verdict=inconclusive ;; *) verdict= ;; esac
printf 'verdict=%s\nexit-code=%s\n' "$verdict" "$code" >>"${GITHUB_OUTPUT:-/dev/null}"
# In the action the last step ends with the code, so that reports are kept first.
if [[ -z "${GITHUB_ACTIONS:-}" ]]; then exit "$code"; fi
