#!/usr/bin/env bash
# Arrows between rooms point down only. A file of src/ROOM may include headers of ROOM, of the rooms that its lmms_room line
# in CMakeLists.txt names, and of what those name in turn; `app` may include any room. Torch may be included only where
# sdk::torch_cpu is among the needs, never in a .cu or .cuh file, and its all-in-one headers never in a header.
# usage: scripts/check_includes.sh [ROOT]     prints file:line of every breach; exit 1 if there is one
set -euo pipefail
root=${1:-$(dirname "$0")/..}
cd "$root"
find src -name '*.h' -o -name '*.cuh' -o -name '*.cpp' -o -name '*.cu' | LC_ALL=C sort | awk '
  function allow(room, need,    deps, i, n) {  # everything that NEED brings is allowed in ROOM
    if ((room, need) in allowed) return
    allowed[room, need] = 1
    n = split(needs[need], deps, " ")
    for (i = 1; i <= n; i++) allow(room, deps[i])
  }
  function breach(message) { printf "%s:%d: %s\n", path, line_number, message; breaches++ }
  function room_breach(room, target) {
    if (target == "app" || !(target in needs)) breach("no room is called " target)
    else breach(room " may not include " target "; lmms_room(" room " ...) in CMakeLists.txt names: " needs[room])
  }
  function check(path, line,    part, room, header, target) {
    if (!match(line, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]*[>"]/)) return
    includes++
    split(path, part, "/")
    room = part[2]
    header = line
    sub(/^[^<"]*[<"]/, "", header)
    sub(/[>"].*$/, "", header)
    if (line ~ /include[ \t]*"/) {
      if (header !~ /\//) { breach("write the room: \"" room "/.../" header "\""); return }
      target = header
      sub(/\/.*/, "", target)
      if (room != "app" && !((room, target) in allowed)) room_breach(room, target)
    } else if (header ~ /^(torch|ATen|c10|caffe2)\//) {
      if (path ~ /\.(cu|cuh)$/) breach("<" header "> in device code: .cu files see raw pointers and streams")
      else if (room != "app" && !((room, "torch") in allowed)) breach("<" header ">: room " room " is built without torch")
      else if (path ~ /\.h$/ && header ~ /^(torch\/(torch|all|extension|library|nn|optim|jit|data)(\.h|\/)|ATen\/(ATen|Functions|NativeFunctions)\.h)/)
        breach("<" header "> costs every includer seconds; forward-declare, or include it in the .cpp")
    }
  }
  BEGIN {
    while ((getline line < "CMakeLists.txt") > 0) {
      if (line !~ /^[ \t]*lmms_room\(/) continue
      sub(/^[ \t]*lmms_room\(/, "", line)
      gsub(/\).*/, "", line)
      count = split(line, word, /[ \t]+/)
      needs[word[1]] = ""
      for (i = 2; i <= count; i++) {
        if (word[i] ~ /^lmms::/) needs[word[1]] = needs[word[1]] substr(word[i], 7) " "
        if (word[i] == "sdk::torch_cpu") needs[word[1]] = needs[word[1]] "torch "
      }
      rooms++
    }
    if (rooms < 2) { print "check_includes: found no lmms_room lines in CMakeLists.txt"; failed = 1; exit 1 }
    for (room in needs) allow(room, room)
  }
  {
    path = $0
    line_number = 0
    files++
    while ((getline text < path) > 0) { line_number++; check(path, text) }
    close(path)
  }
  END {
    if (failed) exit 1
    printf "check_includes: %d files, %d includes, %d breaches\n", files, includes, breaches
    exit breaches > 0
  }'
