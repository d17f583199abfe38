#pragma once
/// cuDNN's fused attention over ragged segments, through graphs of cudnn-frontend. Only
/// attention_cudnn_cuda.cpp includes its headers; attention_cudnn_none.cpp answers in a build
/// without CUDA. libcudnn is the one that libtorch_cuda has loaded: nothing is linked.
#include <array>
#include <cstdint>
#include <memory>

namespace lmms::kernels {

/// All that a graph of cuDNN is built for. Lengths and starts of segments are data.
struct CudnnAttentionKey {
  bool backward = false, bf16 = true, causal = true;
  /// Exactly `segments` of exactly `length`: no offsets, no lengths, lse [segments, heads, length].
  bool dense = false;
  int device = 0;
  int64_t window = 0;
  double scale = 1;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t segments = 0, length = 0;  ///< at most
  int64_t tokens = 0;                ///< at most, of all segments together; backward's workspace
  /// Elements between tokens of q, k, v, out, dout, dq, dk, dv; the last four only of backward.
  std::array<int64_t, 8> rows = {};
  auto operator<=>(const CudnnAttentionKey&) const = default;
};

/// Device addresses of what a graph reads and writes. Offsets [segments + 1] int32: where a segment
/// begins, in elements.
struct CudnnAttentionArgs {
  struct Operand {
    void* data = nullptr;
    const void* offsets = nullptr;
  };
  Operand q, k, v, out, lse;  ///< lse [T, heads] fp32
  Operand dout, dq, dk, dv;   ///< only of backward
  const void* lengths =
      nullptr;                ///< [segments] int32; it and offsets are not read by a dense graph
  void* workspace = nullptr;  ///< the graph's workspace_bytes
};

struct CudnnAttentionGraph;  ///< built once for a key and kept for the life of the process

/// cuDNN's version as 91900; 0 where it cannot be used.
int64_t cudnn_attention_version();
/// 9 for Hopper; 0 without CUDA.
int compute_major(int device);
/// The graph of the key: found, or built (0.1 s; the first of the process 0.8 s). Thread-safe; who
/// asks for one that is being built waits for it. Throws Error with cuDNN's words if it refuses.
const CudnnAttentionGraph& cudnn_attention_graph(const CudnnAttentionKey& key);
int64_t workspace_bytes(const CudnnAttentionGraph& graph);
/// Launches on the current stream of the current device.
void cudnn_attention_run(const CudnnAttentionGraph& graph, const CudnnAttentionArgs& args);

}  // namespace lmms::kernels
