// RecordFunction has a member less where libtorch was compiled: it defines NDEBUG.
#ifndef NDEBUG
#define NDEBUG
#endif
#include "plan/meter.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/attention/attention_rule.h"
#include "kernels/meta_device.h"
#include "kernels/work.h"

namespace lmms::plan {
namespace {

constexpr int64_t kGrain = 512;  // of CUDA's caching allocator

// Allocates nothing and counts. Tensors may outlive the meter, so it lives for ever.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const auto rounded = (static_cast<int64_t>(bytes) + kGrain - 1) / kGrain * kGrain;
    if (rounded == 0) return {nullptr, c10::Device(c10::kMeta)};
    const int64_t now = live += rounded;
    if (now > peak) peak = now;
    return {nullptr, reinterpret_cast<void*>(rounded), &give_back, c10::Device(c10::kMeta)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void*, const void*, size_t) const override {}

  std::atomic<int64_t> live = 0, peak = 0;  // other threads have meta tensors too

 private:
  static void give_back(void* rounded);
};

CountingAllocator& allocator() {
  static auto* const one = [] {
    auto* made = new CountingAllocator;
    c10::SetAllocator(c10::kMeta, made, /*priority=*/1);
    return made;
  }();
  return *one;
}

void CountingAllocator::give_back(void* rounded) {
  allocator().live -= static_cast<int64_t>(reinterpret_cast<intptr_t>(rounded));
}

// Operators that libtorch has no form of on meta tensors: shapes alone.
at::Tensor index_select_meta(const at::Tensor& x, int64_t dim, const at::Tensor& index) {
  std::vector<int64_t> shape = x.sizes().vec();
  if (!shape.empty()) shape[static_cast<size_t>(dim < 0 ? dim + x.dim() : dim)] = index.numel();
  return at::empty(shape, x.options());
}
at::Tensor embedding_dense_backward_meta(const at::Tensor& grad, const at::Tensor& /*indices*/,
                                         c10::SymInt rows, c10::SymInt /*padding*/,
                                         bool /*scale*/) {
  return at::zeros({rows.expect_int(), grad.size(-1)}, grad.options());
}

// x [N, C, ...], weight [out, C / groups, ...]; not transposed: no op of ours asks for it.
at::Tensor convolution_meta(const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& /*bias*/, c10::SymIntArrayRef stride,
                            c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
                            bool transposed, c10::SymIntArrayRef /*output_padding*/,
                            c10::SymInt /*groups*/) {
  TORCH_INTERNAL_ASSERT(!transposed, "a transposed convolution on the meta device");
  std::vector<int64_t> shape{x.size(0), weight.size(0)};
  for (int64_t d = 2; d < x.dim(); ++d) {
    const auto i = static_cast<size_t>(d - 2);
    const int64_t covered = dilation[i].expect_int() * (weight.size(d) - 1) + 1;
    shape.push_back((x.size(d) + 2 * padding[i].expect_int() - covered) / stride[i].expect_int() +
                    1);
  }
  return at::empty(shape, x.options());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> group_norm_meta(
    const at::Tensor& x, const std::optional<at::Tensor>& /*weight*/,
    const std::optional<at::Tensor>& /*bias*/, c10::SymInt n, c10::SymInt /*channels*/,
    c10::SymInt /*places*/, int64_t groups, double /*eps*/) {
  const auto statistic = [&] { return at::empty({n.expect_int(), groups}, x.options()); };
  return {at::empty(x.sizes(), x.options()), statistic(), statistic()};
}

at::Tensor& abs_meta(const at::Tensor& x, at::Tensor& out) {
  out.resize_(x.sizes());
  return out;
}

void complete_meta_operators() {
  static const auto* const library = [] {
    auto* made = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__,
                                    __LINE__);
    made->impl("index_select", &index_select_meta);
    made->impl("embedding_dense_backward", &embedding_dense_backward_meta);
    made->impl("convolution_overrideable", &convolution_meta);
    made->impl("native_group_norm", &group_norm_meta);
    made->impl("abs.out", &abs_meta);
    return made;
  }();
  (void)library;
}

// Between the end of a kernel and the start of the next, and what the smallest kernel takes.
constexpr double kGap = 1.2e-6, kShortestKernel = 2.5e-6;
// Of ATen's kernels of one pass, on average.
constexpr double kPassShare = 0.85;

double ceil_div(double a, double b) {
  return std::ceil(a / b);
}

// On a CPU: what an operator costs besides its work (dispatch, autograd, waking the threads).
constexpr double kCpuCall = 4e-6;

// Laws of time on a GPU. Products: the rate of large ones, less the filling of the pipeline over k
// and the last, partly filled wave of tiles. Attention: whole tiles of 128 x 128, head sizes as
// wide as the kernels take them, less what a row of tiles costs besides its keys.
double product_seconds(const Card& card, double batch, double m, double n, double k, double bytes) {
  constexpr double kTileM = 128, kTileN = 256, kPipeline = 60, kSplit = 2048;
  if (batch * m * n * k == 0) return 0;
  const double tiles = batch * ceil_div(m, kTileM) * ceil_div(n, kTileN);
  // long sums of few tiles (gradients of small weights) are split
  const double units =
      tiles < card.processors ? tiles * std::max(1.0, std::floor(k / kSplit)) : tiles;
  const double busy = units / (ceil_div(units, card.processors) * card.processors);
  const double flops = 2 * tiles * kTileM * kTileN * k;
  const double rate = card.product_flops_per_second * busy * k / (k + kPipeline);
  return std::max(flops / rate, bytes / card.copy_bytes_per_second);
}

double attention_seconds(const Card& card, const kernels::AttentionWork& w) {
  using kernels::AttentionBackend;
  const auto heads = static_cast<double>(w.heads), head_dim = static_cast<double>(w.head_dim);
  double tokens = 0;
  for (const int64_t length : w.lengths) tokens += static_cast<double>(length);
  if (w.backend == AttentionBackend::short_segments) {  // bound by memory
    const double bytes = 2 * tokens * heads * head_dim * (w.backward ? 8 : 4);
    return bytes / ((w.backward ? 0.55 : 0.8) * card.copy_bytes_per_second);
  }
  const bool ours = w.backend == AttentionBackend::hopper && w.backward;
  constexpr double kTile = 128, kMostBeside = 3;
  const double beside_keys = w.backward ? 60 : 110;
  double width = w.head_dim <= 64 ? 64 : w.head_dim <= 128 ? 128 : 256;
  if (!w.backward && w.head_dim <= 64) width = 96;
  if (ours && w.head_dim <= 80) width = 96;
  double rate = card.attention_flops_per_second;
  if (w.backward && !ours) rate *= card.compute_major == 9 ? 0.53 : 0.8;
  double seconds = 0;
  if (ours) {  // out, dout and dq; its fp32 sums written, added to in the caches and read
    const double bytes = tokens * heads * (3 * 2 * head_dim + 2 * 4 * head_dim);
    seconds = bytes / (0.88 * card.copy_bytes_per_second);
  }
  for (const int64_t length : w.lengths) {
    const auto n = static_cast<double>(length);
    if (n == 0) continue;
    const double rows = ceil_div(n, kTile);
    double keys = rows;  // tiles that a row of tiles sees, on average
    if (w.causal) {
      const double window =
          w.window > 0 ? ceil_div(static_cast<double>(w.window), kTile) + 1 : rows;
      const double seen = std::min(rows, window);
      keys = (seen * (seen + 1) / 2 + (rows - seen) * seen) / rows;
    }
    const double flops = 4 * heads * width * rows * keys * kTile * kTile * (w.backward ? 2.5 : 1);
    const double beside = std::min(1 + beside_keys / (keys * kTile), kMostBeside);
    seconds += flops / rate * beside;
  }
  return seconds;
}

// Laws of time on a CPU, rough: products at the rate of large ones, which short sums don't reach;
// attention of ATen's, block by block, at a share of that.
double cpu_product_seconds(const Card& card, double flops, double k, double bytes) {
  constexpr double kShortSum = 32;
  return std::max(flops / card.product_flops_per_second * (k + kShortSum) / k,
                  bytes / card.copy_bytes_per_second);
}

double cpu_attention_seconds(const Card& card, const kernels::AttentionWork& w) {
  double pairs = 0;  // of a query and a key that it sees
  for (const int64_t length : w.lengths) {
    const auto n = static_cast<double>(length);
    pairs += w.causal ? n * (n + 1) / 2 : n * n;
  }
  const double flops =
      4 * static_cast<double>(w.heads * w.head_dim) * pairs * (w.backward ? 2.5 : 1);
  return flops / card.attention_flops_per_second;
}

bool on_meta(const c10::IValue& value) {
  if (value.isTensor()) return value.toTensor().defined() && value.toTensor().is_meta();
  if (!value.isTensorList()) return false;
  const auto list = value.toTensorVector();
  return std::any_of(list.begin(), list.end(), [](const at::Tensor& t) { return t.is_meta(); });
}

template <class Values>
std::vector<at::Tensor> meta_tensors(const Values& values) {
  std::vector<at::Tensor> out;
  for (const c10::IValue& value : values) {
    if (!on_meta(value)) continue;
    if (value.isTensor()) {
      out.push_back(value.toTensor());
    } else {
      for (const at::Tensor& t : value.toTensorVector())
        if (t.defined() && t.is_meta()) out.push_back(t);
    }
  }
  return out;
}

double bytes_of(const std::vector<at::Tensor>& tensors) {
  double bytes = 0;
  for (const at::Tensor& t : tensors) bytes += static_cast<double>(t.nbytes());
  return bytes;
}

// Names of operators that launch nothing though they make or return a tensor.
bool launches_nothing(std::string_view name) {
  constexpr std::array kNames{"empty",       "new_empty",      "set_",         "resize_",
                              "detach_",     "contiguous",     "to",           "reshape",
                              "result_type", "requires_grad_", "record_stream"};
  return name.starts_with("empty_") ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

class Meter::Counter : public kernels::WorkListener {
 public:
  explicit Counter(const Card& c) : card(c) {
    TORCH_INTERNAL_ASSERT(current == nullptr, "one meter at a time");
    current = this;
    kernels::work_listener = this;
    stood_for_ = std::exchange(kernels::meta_stands_for, card.compute_major);
    handle_ =
        at::addThreadLocalCallback(at::RecordFunctionCallback(&Counter::begins, &Counter::ends)
                                       .needsInputs(true)
                                       .needsOutputs(true)
                                       .scopes({at::RecordScope::FUNCTION}));
  }
  ~Counter() override {
    at::removeCallback(handle_);
    kernels::work_listener = nullptr;
    kernels::meta_stands_for = stood_for_;
    current = nullptr;
  }

  void pass(const kernels::Pass& p) override {
    launch(seconds.passes, p.bytes / (card.copy_bytes_per_second * p.share));
  }
  void product(const kernels::Product& p) override {
    product(1, static_cast<double>(p.m), static_cast<double>(p.n), static_cast<double>(p.k), 2);
  }
  void attention(const kernels::AttentionWork& w) override {
    launch(seconds.attention,
           card.is_cpu() ? cpu_attention_seconds(card, w) : attention_seconds(card, w));
  }

  Card card;
  Seconds seconds;

 private:
  struct Frame : at::ObserverContext {
    int64_t launches_before = 0;
    std::vector<at::Tensor> in;
  };

  static std::unique_ptr<at::ObserverContext> begins(const at::RecordFunction& call) {
    auto frame = std::make_unique<Frame>();
    frame->launches_before = current->launches_;
    frame->in = meta_tensors(call.inputs());  // they can be asked for now alone
    return frame;
  }
  static void ends(const at::RecordFunction& call, at::ObserverContext* context) {
    const auto& frame = *static_cast<const Frame*>(context);
    // an operator that is a composition has been counted with its parts
    if (current->launches_ == frame.launches_before) current->add(call, frame.in);
  }

  void launch(double& kind, double time) {
    kind += card.is_cpu() ? time : std::max(time, kShortestKernel);
    seconds.launches += card.is_cpu() ? kCpuCall : kGap;
    ++launches_;
  }
  // `width`: bytes of an element.
  void product(double batch, double m, double n, double k, double width) {
    const double bytes = width * batch * (m * k + k * n + m * n);
    launch(seconds.products, card.is_cpu()
                                 ? cpu_product_seconds(card, 2 * batch * m * n * k, k, bytes)
                                 : product_seconds(card, batch, m, n, k, bytes));
  }

  void add(const at::RecordFunction& call, const std::vector<at::Tensor>& in) {
    std::string_view name = call.name();
    if (!name.starts_with("aten::")) return;
    name.remove_prefix(6);
    if (launches_nothing(name)) return;
    const std::vector<at::Tensor> out = meta_tensors(call.outputs());
    if (out.empty()) return;
    if (name == "mm" || name.starts_with("addmm") || name == "bmm" || name.starts_with("baddbmm")) {
      const size_t first = name.find("add") == 0 || name.starts_with("baddbmm") ? 1 : 0;
      const at::Tensor &a = in.at(first), &b = in.at(first + 1);
      const double batch = a.dim() == 3 ? static_cast<double>(a.size(0)) : 1;
      return product(batch, static_cast<double>(a.size(-2)), static_cast<double>(b.size(-1)),
                     static_cast<double>(a.size(-1)), static_cast<double>(a.element_size()));
    }
    if (name == "convolution_overrideable") {  // as the product that it is
      const at::Tensor &weight = in.at(1), &y = out.front();
      const auto columns = static_cast<double>(weight.size(0));
      const double rows = static_cast<double>(y.numel()) / columns,
                   inner = static_cast<double>(weight.numel()) / columns;
      return launch(seconds.products, card.is_cpu()
                                          ? cpu_product_seconds(card, 2 * rows * columns * inner,
                                                                inner, bytes_of(in) + bytes_of(out))
                                          : product_seconds(card, 1, rows, columns, inner,
                                                            bytes_of(in) + bytes_of(out)));
    }
    const auto op = call.operator_name();
    const bool writes_input =
        name.ends_with('_') || (op && op->overload_name.find("out") != std::string::npos);
    const bool view =
        !writes_input && std::all_of(out.begin(), out.end(), [&](const at::Tensor& t) {
          return std::any_of(in.begin(), in.end(),
                             [&](const at::Tensor& from) { return t.is_alias_of(from); });
        });
    if (view) return;
    const bool fills = name == "zero_" || name == "fill_";
    const double bytes = fills          ? bytes_of(out)
                         : writes_input ? bytes_of(in) + (name == "copy_" ? 0 : bytes_of(out))
                                        : bytes_of(in) + bytes_of(out);
    launch(seconds.passes, bytes / (card.copy_bytes_per_second * kPassShare));
  }

  inline static thread_local Counter* current = nullptr;
  at::CallbackHandle handle_ = at::INVALID_CALLBACK_HANDLE;
  int64_t launches_ = 0;
  int stood_for_ = 0;
};

Meter::Meter(const Card& card) {
  complete_meta_operators();
  reset_peak();
  counter_ = std::make_unique<Counter>(card);
}
Meter::~Meter() = default;

int64_t Meter::live_bytes() const {
  return allocator().live;
}
int64_t Meter::peak_bytes() const {
  return allocator().peak;
}
void Meter::reset_peak() {
  allocator().peak = allocator().live.load();
}
Seconds Meter::seconds() const {
  return counter_->seconds;
}
void Meter::reset_seconds() {
  counter_->seconds = {};
}

}  // namespace lmms::plan
