#!/usr/bin/env bash
# No tracked text names a folder of one machine or the host of a package registry: both break on the next machine.
# usage: scripts/check_paths.sh     prints file:line of every breach; exit 1 if there is one
set -euo pipefail
cd "$(dirname "$0")/.."
folders='(^|[^[:alnum:]_.$}/-])/(work|root|home|farm|mnt)/[[:alnum:].]|/tmp/(build|clone|oracle|wheels|brief)'
hosts='pypi\.org|pythonhosted\.org|(deb|security|snapshot)\.debian\.org|(archive|security)\.ubuntu\.com|anaconda\.org'
if git grep -InE "$folders|$hosts" -- ':!scripts/check_paths.sh'; then
  echo "check_paths: the lines above name a machine's folder or a registry's host; take it from the environment instead"
  exit 1
fi
echo "check_paths: $(git ls-files | wc -l) files name no machine"
