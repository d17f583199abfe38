#!/usr/bin/env bash
# Layout as .clang-format says, by clang-format 14: other versions lay some lines out differently.
# usage: scripts/check_format.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$(command -v clang-format-14 || command -v clang-format) || { echo "check_format: clang-format-14 is not installed"; exit 1; }
if ! "$tool" --version | grep -q 'version 14\.'; then
  echo "check_format: SKIPPED: $tool is not version 14 ($("$tool" --version)); install clang-format-14"
  exit 0
fi
mapfile -d '' files < <(git ls-files -z --cached --others --exclude-standard -- \
  'src/*.h' 'src/*.cpp' 'src/*.cu' 'src/*.cuh' 'tests/*.h' 'tests/*.cpp' 'bench/*.h' 'bench/*.cpp' 'examples/*.cpp')
if [ "${1:-}" = --fix ]; then
  "$tool" -i "${files[@]}"
elif ! breaches=$("$tool" --dry-run -Werror "${files[@]}" 2>&1); then
  grep -F 'clang-format-violations' <<<"$breaches" | sort -t: -k1,1 -u | sed 's/ error:.*/ not as .clang-format says/' || echo "$breaches"
  echo "check_format: the files above differ; fix: make format"
  exit 1
fi
echo "check_format: ${#files[@]} files"
