#include "core/error.h"
#include "kernels/attention/attention_cudnn.h"

namespace lmms::kernels {
namespace {

[[noreturn]] void absent() {
  throw Error("", "this build has no cuDNN", "build it where the CUDA toolkit's nvcc is (make)",
              Exit::failed);
}

}  // namespace

int64_t cudnn_attention_version() {
  return 0;
}
int compute_major(int) {
  return 0;
}
const CudnnAttentionGraph& cudnn_attention_graph(const CudnnAttentionKey&) {
  absent();
}
int64_t workspace_bytes(const CudnnAttentionGraph&) {
  absent();
}
void cudnn_attention_run(const CudnnAttentionGraph&, const CudnnAttentionArgs&) {
  absent();
}

}  // namespace lmms::kernels
