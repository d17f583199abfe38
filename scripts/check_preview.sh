#!/usr/bin/env bash
# Opens previews in headless Chromium: no script error, every token is drawn, hover and filters do what they should, nothing is wider
# than a phone of 360 px, and no sample gets out of its place. With OUT: leaves pictures there for a look: wide, dark, phone.
# usage: scripts/check_preview.sh BUILD [OUT]        e.g. scripts/check_preview.sh build/dev
set -euo pipefail
lmms=$(realpath "${1:?usage: scripts/check_preview.sh BUILD [OUT]}")/bin/lmms
[ -x "$lmms" ] || { echo "check_preview: $lmms is not built"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$(realpath -m "${2:-$work}")
mkdir -p "$out"
cd "$(dirname "$0")/.."
. scripts/chromium.sh

# A row of each kind: scripts of the world, code, HTML that must stay text, an overlong one, one without an answer, empty, broken.
{
  echo '{"messages": [{"role": "user", "content": "Wie spät? 漢字かな 🦔 naïve 👩‍👩‍👧 \u202e \u001b[31m"}, {"role": "assistant", "content": "```\ndef f(x):\n\treturn x  # </script><script>throw 1</script>\n\n\nf(1)\n```\nمرحبا"}]}'
  echo '{"messages": [{"role": "user", "content": "<img src=x onerror=throw> <b>&amp;"}, {"role": "assistant", "content": "<!-- <script>"}]}'
  printf '{"messages": [{"role": "user", "content": "Long?"}, {"role": "assistant", "content": "%s"}]}\n' "$(printf 'word%.0s' $(seq 1500))"
  echo '{"messages": [{"role": "user", "content": "No answer."}]}'
  echo '{"messages": []}'
  echo '{"messages": <img src=x onerror=throw>}'
} > "$work/rows.jsonl"

config=examples/chat_tiny/config.yaml
rows="dataset_config.dataset_path=$work/rows.jsonl"
"$lmms" preview "$config" -n 100 --html "$work/packed.html" > /dev/null 2>&1
"$lmms" preview "$config" "$rows" -n 10 --html "$work/wild.html" > /dev/null 2>&1
"$lmms" preview "$config" "$rows" -n 10 dataset_config.packing=false dataset_config.on_overlong=truncate dataset_config.max_length=500 \
  dataset_config.on_bad_sample=skip --html "$work/cut.html" > /dev/null 2>&1
"$lmms" preview "$config" "$rows" --row 6 --html "$work/broken.html" > /dev/null 2>&1
# Images and a film; the name of one is markup.
seen() { printf '{"type": "%s", "%s": {"url": "%s"}}' "$1" "$1" "$2"; }
cp tests/parity/data/images/source_19x83.jpg "$work/<img src=x onerror=throw>.jpg"
{
  printf '{"messages": [{"role": "user", "content": [%s, %s, {"type": "text", "text": "Both?"}]}, {"role": "assistant", "content": "Both."}]}\n' \
    "$(seen image_url "$PWD/tests/parity/data/images/source_128x96.jpg")" "$(seen image_url "$work/<img src=x onerror=throw>.jpg")"
  printf '{"messages": [{"role": "user", "content": [%s, {"type": "text", "text": "What happens?"}]}, {"role": "assistant", "content": "A film."}]}\n' \
    "$(seen video_url "$PWD/tests/parity/data/videos/h264.mp4")"
  echo '{"messages": [{"role": "user", "content": "No picture."}, {"role": "assistant", "content": "None."}]}'
} > "$work/seen.jsonl"
"$lmms" preview examples/quickstart/config.yaml "dataset_config.dataset_path=$work/seen.jsonl" -n 9 --html "$work/seen.html" > /dev/null 2>&1
"$lmms" preview examples/quickstart/config.yaml -n 12 --html "$work/digits.html" > /dev/null 2>&1
breaches=0
for page in packed wild cut broken seen digits; do
  said=$(try_page "$work/$page.html" scripts/check_preview.js preview-tried)
  if [ "$said" != well ]; then
    echo "check_preview: $page.html: $said"
    breaches=$((breaches + 1))
  fi
done

picture() { timeout 60 "$chromium" "${flags[@]}" --allow-file-access-from-files --virtual-time-budget=8000 "--screenshot=$out/$1" "${@:2}" 2> /dev/null || true; }
if [ -n "${2:-}" ]; then
  echo '<!doctype html><body style="margin:0"><iframe src="wild.html" style="width:360px;height:3000px;border:0"></iframe></body>' > "$work/phone.html"
  picture wide.png --window-size=1200,2400 "file://$work/wild.html"
  picture dark.png --window-size=1200,2400 --blink-settings=preferredColorScheme=0 "file://$work/cut.html"
  sed 's/wild.html/seen.html/' "$work/phone.html" > "$work/phone_seen.html"
  picture seen.png --window-size=1200,2000 "file://$work/seen.html"
  picture seen_dark.png --window-size=1200,1400 --blink-settings=preferredColorScheme=0 "file://$work/digits.html"
  picture seen_phone.png --window-size=500,2400 "file://$work/phone_seen.html"
  picture phone.png --window-size=500,3000 "file://$work/phone.html"
fi
echo "check_preview: 6 pages tried, $breaches breaches"
exit $((breaches > 0))
