#!/usr/bin/env bash
# scripts/check_includes.sh finds each kind of breach in a planted tree, and none in a clean one.
set -euo pipefail
check=$(cd "$(dirname "$0")/.." && pwd)/scripts/check_includes.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/src/{core,text,nn,train,app}
cat >"$tree/CMakeLists.txt" <<'END'
lmms_room(core DEPS sdk::fmt)
lmms_room(text DEPS lmms::core)
lmms_room(nn DEPS lmms::core sdk::torch_cpu)
lmms_room(train DEPS lmms::nn)
END
cd "$tree"

status=0
expect() {  # expect NAME TEXT FILE LINE: the checker's verdict on one line in one file; an empty TEXT means clean
  local out code=0
  printf '%s\n' "$4" >"$3"
  out=$("$check" "$tree") || code=$?
  if [ -z "$2" ]; then [ $code -eq 0 ]; else [ $code -eq 1 ] && grep -qF "$3:1: $2" <<<"$out"; fi ||
    { printf 'FAILED %s: exit %d\n%s\n' "$1" "$code" "$out"; status=1; }
  rm "$3"
}
expect a_room_includes_itself '' src/text/a.h '#include "text/b.h"'
expect a_need_of_a_need_is_allowed '' src/train/a.cpp '#include "core/error.h"'
expect app_includes_any_room '' src/app/a.cpp '#include "text/b.h"'
expect an_arrow_up_is_found 'core may not include text' src/core/a.h '#include "text/b.h"'
expect an_arrow_sideways_is_found 'train may not include text' src/train/a.cpp ' # include "text/b.h"'
expect nobody_includes_app 'no room is called app' src/train/a.cpp '#include "app/main.h"'
expect a_room_is_always_written 'write the room' src/nn/a.cpp '#include "linear.h"'
expect torch_stays_out_of_text '<ATen/core/Tensor.h>: room text is built without torch' src/text/a.cpp '#include <ATen/core/Tensor.h>'
expect torch_is_allowed_where_it_is_needed '' src/train/a.cpp '#include <torch/torch.h>'
expect a_heavy_header_is_found '<torch/torch.h> costs' src/nn/a.h '#include <torch/torch.h>'
expect a_light_header_is_allowed '' src/nn/a.h '#include <ATen/core/Tensor.h>'
expect device_code_sees_no_torch '<ATen/core/Tensor.h> in device code' src/nn/a.cu '#include <ATen/core/Tensor.h>'
exit $status
