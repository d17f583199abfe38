#!/usr/bin/env bash
# What pages name in code spans exists: files (`step/step.h`, `adamw.cu`, `make_*.py`) and things of our rooms (`nn::Linear`).
# A page is a tracked .md file. A file is looked for from the top, below src/, beside the page, and by its last two parts; a
# thing by its last name anywhere in the sources. Left out: names with a part in capitals (`OP.h`, `src/ROOM/x.h` stand for
# any), and `modeling_*.py`, which are transformers'.
# usage: scripts/check_names.sh     prints file:line of every name of nothing; exit 1 if there is one
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files | awk '
  function is_file(name, page,    folder, parts, n, file) {
    folder = page
    sub(/[^\/]*$/, "", folder)
    if ((name in files) || (("src/" name) in files) || ((folder name) in files)) return 1
    n = split(name, parts, "/")
    if (name !~ /[*]/) return (n == 1 ? name : parts[n - 1] "/" parts[n]) in tails
    gsub(/\./, "\\.", name)
    gsub(/\*/, "[^/]*", name)
    for (file in files) if (file ~ ("(^|/)" name "$")) return 1
    return 0
  }
  function breach(page, number, span, what) {
    printf "%s:%d: `%s` is no %s\n", page, number, span, what
    breaches++
  }
  function check(page,    line, number, rest, span, name) {
    number = 0
    while ((getline line < page) > 0) {
      number++
      for (rest = line; match(rest, /`[^`]+`/);) {
        span = substr(rest, RSTART + 1, RLENGTH - 2)
        rest = substr(rest, RSTART + RLENGTH)
        if (span ~ /(^|\/)[A-Z]+[.\/]/ && span !~ /README\.md$/ || span ~ /\/[A-Z]+\/README|^modeling_/) continue
        if (span ~ /^[A-Za-z0-9_.*-][A-Za-z0-9_.*\/-]*\.(h|cpp|cu|cuh|def|cmake|sh|py|js|css|md)$/) {
          spans++
          if (!is_file(span, page)) breach(page, number, span, "file")
        } else if (match(span, /^(lmms::)?(app|train|generate|report|plan|inspect|step|objectives|optim|models|nn|kernels|parallel|data|text|media|checkpoint|config)::[A-Za-z_:]+/)) {
          spans++
          name = substr(span, 1, RLENGTH)
          sub(/.*::/, "", name)
          if (system("git grep -qw -e " name " -- src") != 0) breach(page, number, span, "name in src")
        }
      }
    }
    close(page)
  }
  {
    files[$0]
    n = split($0, parts, "/")
    tails[parts[n]]
    if (n > 1) tails[parts[n - 1] "/" parts[n]]
    if ($0 ~ /\.md$/) pages[$0]
  }
  END {
    for (page in pages) check(page)
    printf "check_names: %d names, %d of nothing\n", spans, breaches
    exit breaches > 0
  }'
