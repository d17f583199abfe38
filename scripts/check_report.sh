#!/usr/bin/env bash
# Opens reports in headless Chromium: no script error, every part is there, hover, zoom and toggles do what they should, nothing is
# wider than a phone and no word is broken there, all curves are printed, what is deleted is shown so, and 100,000 steps are drawn within two seconds of opening (by the page's own clock; best of three).
# With OUT: leaves pictures there for a look: wide, dark, phone, several runs.
# --quick: without the 100,000 steps (tests have no clocks).
# usage: scripts/check_report.sh [--quick] BUILD [OUT]        e.g. scripts/check_report.sh build/dev
set -euo pipefail
quick=
if [ "${1:-}" = --quick ]; then quick=1; shift; fi
lmms=$(realpath "${1:?usage: scripts/check_report.sh [--quick] BUILD [OUT]}")/bin/lmms
[ -x "$lmms" ] || { echo "check_report: $lmms is not built"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$(realpath -m "${2:-$work}")
mkdir -p "$out"
cd "$(dirname "$0")/.."
breaches=0
best=
breach() { echo "check_report: $1"; breaches=$((breaches + 1)); }
. scripts/chromium.sh
tried() {
  local said
  said=$(try_page "$1" scripts/check_report.js report-tried)
  [ "${said#* }" = well ] || breach "$(basename "$(dirname "$1")")/$(basename "$1"): ${said#* }"
  drawn=${said%% *}
}

scripts/report_fixture.sh "$work/first" 2000 1
mkdir "$work/first/checkpoint-1800" "$work/first/checkpoint-2000"  # the other eight are gone
scripts/report_fixture.sh "$work/second" 1500 2
mkdir "$work/empty" "$work/garbage"
: > "$work/empty/metrics.jsonl"
printf '{"step":1,"loss":2}\n{"step":2,"loss":null}\nnonsense\n' > "$work/garbage/metrics.jsonl"
printf '{"kind":"start","table":3}\n{"kind":"data"}\n{"kind":"generation","answers":[{}]}\n{"kind":"warning","text":"</script><b>"}\n{"kind":"checkpoint"}\n' \
  > "$work/garbage/journal.jsonl"
"$lmms" report "$work/first" > /dev/null
"$lmms" report "$work/empty" > /dev/null
"$lmms" report "$work/garbage" > /dev/null
"$lmms" report "$work/first" "$work/second" "$work/garbage" -o "$work/several.html" > /dev/null
for page in first/report.html several.html empty/report.html garbage/report.html; do tried "$work/$page"; done
# Printed by the browser itself, from the top of the page: it says how many of the charts have their curves when it begins.
{
  cat "$work/first/report.html"
  echo '<script>addEventListener("beforeprint", () => { const charts = [...document.querySelectorAll(".chart canvas:first-child")];
    console.log(`report-printed ${charts.filter((c) => c.width > 1000).length} of ${charts.length} `); });</script>'
} > "$work/printed.html"
printed=$(timeout 60 "$chromium" "${flags[@]}" --enable-logging=stderr --v=0 --print-to-pdf="$out/report.pdf" "file://$work/printed.html" 2>&1 |
  sed -n 's/.*"report-printed \(.*\) ", source.*/\1/p' | head -n 1 || true)
[ "$printed" = "12 of 12" ] || breach "printing: ${printed:-none} of the charts are drawn; expected 12 of 12"
[ -s "$out/report.pdf" ] || breach "printing made no PDF"

if [ -z "$quick" ]; then
  scripts/report_fixture.sh "$work/long" 100000 3
  "$lmms" report "$work/long" > /dev/null
  for _ in 1 2 3; do
    tried "$work/long/report.html"
    if [[ "$drawn" =~ ^[0-9]+$ ]] && { [ -z "$best" ] || [ "$drawn" -lt "$best" ]; }; then best=$drawn; fi
    if [ -n "$best" ] && [ "$best" -lt 2000 ]; then break; fi
  done
  if [ -z "$best" ]; then breach "100,000 steps: nothing was drawn"
  elif [ "$best" -ge 2000 ]; then breach "100,000 steps: first drawn after $best ms; the promise is 2,000 ms"; fi
fi

picture() { timeout 60 "$chromium" "${flags[@]}" --allow-file-access-from-files --virtual-time-budget=8000 "--screenshot=$out/$1" "${@:2}" 2> /dev/null || true; }
phone='<!doctype html><body style="margin:0"><iframe src="PAGE" style="width:360px;height:4000px;border:0"></iframe></body>'
echo "${phone/PAGE/first/report.html}" > "$work/phone.html"
if [ -n "${2:-}" ]; then
  picture wide.png --window-size=1200,4200 "file://$work/first/report.html"
  picture dark.png --window-size=1200,2000 --blink-settings=preferredColorScheme=0 "file://$work/first/report.html"
  picture several.png --window-size=1200,2400 "file://$work/several.html"
  picture phone.png --window-size=500,4000 "file://$work/phone.html"
fi
echo "check_report: 4 pages tried${best:+, 100,000 steps first drawn after $best ms}, $breaches breaches"
exit $((breaches > 0))
