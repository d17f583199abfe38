#!/usr/bin/env bash
# Installs the program without CUDA, moves the folder, and runs it there with an empty environment: it must find all its libraries
# in the moved folder or in the system's, and none in the repository or the build folder; its licences lie beside it.
# usage: tests/install_test.sh BUILD     BUILD: a build folder with the target programs built
set -euo pipefail
fail() { printf 'install_test: %s\n' "$@" >&2; exit 1; }
repository=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
room=$(mktemp -d "$build/install_test.XXXXXX")
trap 'rm -rf "$room"' EXIT

for component in cpu common torch; do
  DESTDIR="$room/stage" cmake --install "$build" --component "$component" --prefix /opt/somewhere >/dev/null
done
mv "$room/stage/opt/somewhere" "$room/moved"
program=$room/moved/bin/lmms
cd /

while read -r library _ path _; do
  case $path in
    "$room/moved/"* | /lib/* | /usr/lib/*) ;;
    *) [[ $library == linux-vdso* || $library == /lib* ]] || fail "$library comes from '$path'" ;;
  esac
done < <(env -i ldd "$program" && env -i ldd "$room/moved/lib/lmms/liblmms.so")
for file in lib/lmms/liblmms_video.so share/doc/lmms/LICENSE share/doc/lmms/THIRD_PARTY.md; do
  [ -e "$room/moved/$file" ] || fail "$file was not installed"
done
! ldd "$program" | grep -E 'lib(torch|c10|lmms|gomp)' || fail "bin/lmms is linked with the libraries above: it must only open them"

# shows WORD COMMAND...: the command succeeds and prints the word
shows() {
  local text
  text=$(env -i "$program" "${@:2}") || fail "lmms $2 failed from the moved folder"
  [[ $text == *"$1"* ]] || fail "lmms $2 does not print '$1' but: $text"
}
shows lmms --version
shows qwen3_vl list
cd "$repository"
shows '<|im_start|>' preview examples/quickstart/config.yaml -n 1 --no-color
echo "install_test: passed"
