// Plan: one graph of cudnn-frontend for a key, its plan built by cuDNN's heuristics (mode A) and
// kept. Tensors are [segments, heads, length, head_dim] with a ragged offset a segment, so that
// packed rows are read and written where they are; a padding mask cuts each segment at its true
// length, and tiles beyond it end at once. The statistics are ragged too: [T, heads] fp32. The
// frontend opens libcudnn and libcudart by name (NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING): both are
// in the process since libtorch_cuda was loaded, and the program links neither.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <ATen/cudnn/Handle.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime.h>
#include <cudnn_frontend.h>
#include <dlfcn.h>

#include <future>
#include <map>
#include <mutex>

#include "core/error.h"
#include "core/format.h"
#include "kernels/attention/attention_cudnn.h"

void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace lmms::kernels {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;
using TensorPtr = std::shared_ptr<Tensor_attributes>;

void check(fe::error_t status, const char* what) {
  if (status.is_bad())
    throw Error("", fmt::format("cuDNN attention, {}: {}", what, status.get_message()),
                "report it with `lmms doctor`", Exit::failed);
}

// The operands of a graph in the order of their uids; cudnn_attention_run hands addresses in the
// same order.
class Operands {
 public:
  Operands(fe::graph::Graph& graph, const CudnnAttentionKey& key) : graph_(graph), key_(key) {}

  // [segments, heads, length, width], `row` elements between tokens.
  TensorPtr input(const char* name, int64_t heads, int64_t width, int64_t row,
                  fe::DataType_t type) {
    return ragged(graph_.tensor(Tensor_attributes()), name, heads, width, row, type);
  }
  // The same for what the graph has made.
  void output(const TensorPtr& x, const char* name, int64_t heads, int64_t width, int64_t row,
              fe::DataType_t type) {
    ragged(x, name, heads, width, row, type)->set_output(true);
  }
  TensorPtr lengths() {
    return plain(graph_.tensor(Tensor_attributes()), "lengths", {key_.segments, 1, 1, 1},
                 {1, 1, 1, 1}, fe::DataType_t::INT32);
  }

 private:
  TensorPtr ragged(const TensorPtr& x, const char* name, int64_t heads, int64_t width, int64_t row,
                   fe::DataType_t type) {
    plain(x, name, {key_.segments, heads, key_.length, width}, {row * key_.length, width, row, 1},
          type);
    if (key_.dense) return x;
    const TensorPtr offsets = graph_.tensor(Tensor_attributes());
    x->set_ragged_offset(plain(offsets, "offsets", {key_.segments + 1, 1, 1, 1}, {1, 1, 1, 1},
                               fe::DataType_t::INT32));
    return x;
  }
  TensorPtr plain(const TensorPtr& x, const char* name, std::vector<int64_t> dim,
                  std::vector<int64_t> stride, fe::DataType_t type) {
    x->set_name(name).set_uid(next_++).set_dim(dim).set_stride(stride).set_data_type(type);
    return x;
  }
  fe::graph::Graph& graph_;
  const CudnnAttentionKey& key_;
  int64_t next_ = 1;
};

// What forward and backward say alike.
template <class Attributes>
Attributes attributes(const CudnnAttentionKey& key, const TensorPtr& lengths_q,
                      const TensorPtr& lengths_kv, const char* name) {
  Attributes a;
  a.set_name(name).set_attn_scale(static_cast<float>(key.scale));
  if (!key.dense) a.set_padding_mask(true).set_seq_len_q(lengths_q).set_seq_len_kv(lengths_kv);
  if (key.causal) {
    a.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT).set_diagonal_band_right_bound(0);
    if (key.window > 0) a.set_diagonal_band_left_bound(static_cast<int>(key.window));
  }
  return a;
}

std::shared_ptr<fe::graph::Graph> describe(const CudnnAttentionKey& key) {
  auto graph = std::make_shared<fe::graph::Graph>();
  const fe::DataType_t half = key.bf16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::HALF;
  graph->set_io_data_type(half)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  Operands operands(*graph, key);
  const int64_t N = key.heads, M = key.kv_heads, D = key.head_dim;
  const auto& rows = key.rows;
  const fe::DataType_t full = fe::DataType_t::FLOAT;
  const TensorPtr q = operands.input("q", N, D, rows[0], half),
                  k = operands.input("k", M, D, rows[1], half),
                  v = operands.input("v", M, D, rows[2], half);
  if (!key.backward) {
    const TensorPtr lengths_q = key.dense ? nullptr : operands.lengths(),
                    lengths_kv = key.dense ? nullptr : operands.lengths();
    auto options = attributes<fe::graph::SDPA_attributes>(key, lengths_q, lengths_kv, "attention");
    options.set_generate_stats(true);
    auto [out, lse] = graph->sdpa(q, k, v, options);
    operands.output(out, "out", N, D, rows[3], half);
    operands.output(lse, "lse", N, 1, N, full);
    if (key.dense) lse->set_stride({N * key.length, key.length, 1, 1});
    return graph;
  }
  const TensorPtr out = operands.input("out", N, D, rows[3], half),
                  lse = operands.input("lse", N, 1, N, full),
                  dout = operands.input("dout", N, D, rows[4], half);
  if (key.dense) lse->set_stride({N * key.length, key.length, 1, 1});
  const TensorPtr lengths_q = key.dense ? nullptr : operands.lengths(),
                  lengths_kv = key.dense ? nullptr : operands.lengths();
  auto options = attributes<fe::graph::SDPA_backward_attributes>(key, lengths_q, lengths_kv,
                                                                 "attention_backward");
  if (!key.dense) options.set_max_total_seq_len_q(key.tokens).set_max_total_seq_len_kv(key.tokens);
  auto [dq, dk, dv] = graph->sdpa_backward(q, k, v, out, dout, lse, options);
  operands.output(dq, "dq", N, D, rows[5], half);
  operands.output(dk, "dk", M, D, rows[6], half);
  operands.output(dv, "dv", M, D, rows[7], half);
  return graph;
}

}  // namespace

struct CudnnAttentionGraph {
  std::shared_ptr<fe::graph::Graph> graph;
  int64_t workspace = 0;
  bool backward = false, dense = false;
};

namespace {

std::unique_ptr<CudnnAttentionGraph> build(const CudnnAttentionKey& key) {
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(key.device));
  const cudnnHandle_t handle = at::native::getCudnnHandle();
  auto made = std::make_unique<CudnnAttentionGraph>();
  made->graph = describe(key);
  made->backward = key.backward;
  made->dense = key.dense;
  check(made->graph->validate(), "the graph");
  check(made->graph->build_operation_graph(handle), "its operations");
  check(made->graph->create_execution_plans({fe::HeurMode_t::A}), "its plans");
  check(made->graph->check_support(), "its support");
  check(made->graph->build_plans(), "building the plan");
  check(made->graph->get_workspace_size(made->workspace), "the workspace");
  return made;
}

// Graphs live to the end of the process, as cuDNN's handles do: none is destroyed after the driver.
struct Cache {
  std::mutex mutex;
  std::map<CudnnAttentionKey, std::shared_future<std::unique_ptr<CudnnAttentionGraph>>> graphs;
};
Cache& cache() {
  static auto* const one = new Cache;
  return *one;
}

}  // namespace

int64_t cudnn_attention_version() {
  static const int64_t version = [] {
    fe::cudnn_dlhandle = dlopen("libcudnn.so.9", RTLD_NOW);
    return fe::cudnn_dlhandle == nullptr ? int64_t{0}
                                         : static_cast<int64_t>(fe::detail::get_backend_version());
  }();
  return version;
}

int compute_major(int device) {
  int major = 0;
  return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess
             ? major
             : 0;
}

const CudnnAttentionGraph& cudnn_attention_graph(const CudnnAttentionKey& key) {
  cudnn_attention_version();  // opens the library
  Cache& kept = cache();
  std::promise<std::unique_ptr<CudnnAttentionGraph>> promise;
  std::shared_future<std::unique_ptr<CudnnAttentionGraph>> graph;
  bool mine = false;
  {
    const std::lock_guard lock(kept.mutex);
    auto& slot = kept.graphs[key];
    if (!slot.valid()) {
      slot = promise.get_future().share();
      mine = true;
    }
    graph = slot;
  }
  if (mine) {
    try {
      promise.set_value(build(key));
    } catch (...) {  // handed to all who wait
      promise.set_exception(std::current_exception());
    }
  }
  return *graph.get();
}

int64_t workspace_bytes(const CudnnAttentionGraph& graph) {
  return graph.workspace;
}

void cudnn_attention_run(const CudnnAttentionGraph& graph, const CudnnAttentionArgs& args) {
  std::array<void*, 20> addresses;  // in the order of their uids
  int count = 0;
  const auto add = [&](const void* address) {
    addresses[static_cast<size_t>(count++)] = const_cast<void*>(address);
  };
  const auto operand = [&](const CudnnAttentionArgs::Operand& x) {
    add(x.data);
    if (!graph.dense) add(x.offsets);
  };
  const auto lengths = [&] {
    if (graph.dense) return;
    add(args.lengths);
    add(args.lengths);
  };
  for (const auto* x : {&args.q, &args.k, &args.v}) operand(*x);
  if (!graph.backward) lengths();
  operand(args.out);
  operand(args.lse);
  if (graph.backward) {
    operand(args.dout);
    lengths();
    for (const auto* x : {&args.dq, &args.dk, &args.dv}) operand(*x);
  }
  check(graph.graph->execute(at::native::getCudnnHandle(), addresses.data(), count, args.workspace),
        "launching");
}

}  // namespace lmms::kernels
