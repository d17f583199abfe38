#pragma once
/// What an op tells a plan: the work that a GPU would do where meta tensors stand for its tensors.
/// Calls of ATen a plan sees by itself; our own kernels call no operator, so their ops say what
/// they move. Without a listener a call costs the look at one pointer.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace lmms::kernels {

/// One pass over memory.
struct Pass {
  double bytes = 0;
  double share = 1;  ///< of the copy bandwidth that the kernel was measured at
};

/// [m, k] x [k, n].
struct Product {
  int64_t m = 0, n = 0, k = 0;
};

enum class AttentionBackend;  // attention/attention_rule.h

/// One call of attention's core.
struct AttentionWork {
  AttentionBackend backend;
  bool backward = false, causal = true;
  int64_t window = 0, heads = 0, kv_heads = 0, head_dim = 0;
  const std::vector<int64_t>& lengths;  ///< of the segments
};

class WorkListener {
 public:
  virtual ~WorkListener() = default;
  virtual void pass(const Pass&) = 0;
  virtual void product(const Product&) = 0;
  virtual void attention(const AttentionWork&) = 0;
};

/// The listener of this thread, or nullptr.
inline thread_local WorkListener* work_listener = nullptr;

/// For products that ATen has no form of on meta tensors.
inline void record_product(const Product& product) {
  if (work_listener != nullptr) work_listener->product(product);
}

/// A kernel reads or writes each of `tensors` (undefined ones do not count) once, at this share of
/// the copy bandwidth (docs/performance.md has the measurements).
inline void record_pass(std::initializer_list<at::Tensor> tensors, double share) {
  if (work_listener == nullptr) return;
  Pass pass{0, share};
  for (const at::Tensor& t : tensors)
    if (t.defined()) pass.bytes += static_cast<double>(t.nbytes());
  work_listener->pass(pass);
}

}  // namespace lmms::kernels
