// A language model without attention: layers of a gated convolution over the last tokens, and an
// MLP. With taps K and L layers a token sees the L (K - 1) tokens before it. After Dauphin et al.
// 2017, "Language modeling with gated convolutional networks".
//
// T tokens of a row, H width, K taps
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "models/model.h"
#include "nn/cache.h"
#include "nn/flops.h"
#include "nn/param_builder.h"
#include "nn/residual.h"
#include "parts.h"

namespace dates {
namespace {

namespace nn = lmms::nn;
using lmms::models::ConfigReader;
using lmms::models::Workload;

struct Sizes {
  int64_t vocab, hidden, inner, layers, taps;
  double std;  // of the initial weights
};

Sizes read_sizes(const ConfigReader& config) {
  return {.vocab = config.integer("vocab_size", 384),
          .hidden = config.integer("hidden_size", 128),
          .inner = config.integer("intermediate_size", 256),
          .layers = config.integer("num_hidden_layers", 4),
          .taps = config.integer("taps", 8, 1, 4096),
          .std = config.number("initializer_range", 0.02)};
}

/// All that crosses layers.
struct State : nn::Residual {
  at::Tensor positions;  // [T] int32, counted from the beginning of each sample
  // What is no tensor comes from the batch and the context.
  const lmms::kernels::AttentionPlan* samples = nullptr;
  nn::MixerCache* cache = nullptr;
  nn::UnitRun how;

  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
    f(positions);
  }
};

/// sum_k w[k] * x[t - k] over the K last tokens of the same sample. x [T, H], w [K, H].
at::Tensor convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& positions) {
  const int64_t T = x.size(0), K = w.size(0);
  at::Tensor sum = x * w.select(0, 0);
  for (int64_t k = 1; k < std::min(K, T); ++k) {
    const at::Tensor before =
        at::cat({at::zeros({k, x.size(1)}, x.options()), x.narrow(0, 0, T - k)});
    const at::Tensor same = (positions >= k).to(x.scalar_type()).unsqueeze(-1);  // [T, 1]
    sum = sum + before * same * w.select(0, k);
  }
  return sum;
}

/// The same for new tokens of sequences whose last inputs the cache keeps.
at::Tensor convolve_cached(const at::Tensor& x, const at::Tensor& w, const State& state,
                           size_t slot) {
  const int64_t K = w.size(0);
  const at::Tensor rows = state.cache->with_inputs_before(slot, x, K);  // [T + B (K - 1), H]
  std::vector<int64_t> own;  // where each new token stands among them
  int64_t begin = 0;
  for (const int64_t length : state.samples->lengths) {
    for (int64_t i = 0; i < length; ++i) own.push_back(begin + K - 1 + i);
    begin += length + K - 1;
  }
  const at::Tensor at_token = at::tensor(own, at::kLong).to(x.device());
  at::Tensor sum = x * w.select(0, 0);
  for (int64_t k = 1; k < K; ++k) sum = sum + rows.index_select(0, at_token - k) * w.select(0, k);
  return sum;
}

/// A layer: a unit that nn::run() calls, which makes it again in backward where memory is short.
struct Layer {
  std::string name;  // of the unit
  size_t slot = 0;   // in a cache
  nn::Norm mixer_norm, mlp_norm;
  nn::Linear in, out;  // [2 H, H]: what is convolved, and its gate; [H, H]
  const nn::Param* taps = nullptr;
  nn::DenseMlp mlp;

  State operator()(const State& state) const {
    State next = state;
    const auto x = next.settle_through(mixer_norm, next.how);
    const std::vector<at::Tensor> halves = in(x, next.how).chunk(2, -1);  // 2 x [T, H]
    const at::Tensor& w = taps->value();
    const at::Tensor mixed = next.cache != nullptr ? convolve_cached(halves[0], w, next, slot)
                                                   : convolve(halves[0], w, next.positions);
    next.delta = out(mixed * at::silu(halves[1]));
    nn::mlp_half(next, mlp_norm, mlp, next.how);
    return next;
  }

  void count(nn::ChainFlops& chain, double tokens) const {
    chain.product(*in.weight, tokens);
    chain.product(*taps, tokens);
    chain.product(*out.weight, tokens);
    mlp.count(chain, tokens);
  }
};

class GatedConvolution final : public lmms::models::Model, public lmms::models::LinearHeadModel {
 public:
  GatedConvolution(const nlohmann::json& config, const std::string& where)
      : Model(config, "GatedConvolutionForCausalLM"),
        sizes_(read_sizes(ConfigReader(config_, where, &keys_read_))) {
    const int64_t H = sizes_.hidden;
    const nn::Init normal{.std = sizes_.std};
    nn::Param& embedding = params_.add("root", "embedding.weight", {sizes_.vocab, H}, normal,
                                       nn::ParamClass::embedding);
    embedding_.weight = head_.weight = &embedding;  // the head is the embedding
    params_.set_head({"head.weight", "embedding.weight"});
    for (int64_t i = 0; i < sizes_.layers; ++i) add_layer(static_cast<size_t>(i));
    const nn::ParamBuilder root{params_, "root", ""};
    norm_ = root.norm("norm", H);
  }

  const LanguageModel* language_model() const override { return this; }

  nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const override {
    State state;
    state.positions = batch.position_ids;
    state.samples = &batch.attention;
    state.cache = batch.cache;
    {
      const nn::Scope weights = nn::scope(context, "root");
      state.hidden = embedding_(batch.input_ids, batch.embedding);  // [T, H]
    }
    for (const Layer& layer : layers_) state = nn::run(context, layer, std::move(state));
    const nn::Scope weights = nn::scope(context, "root");
    return {state.settle_through(norm_, weights.how()).y};
  }

  double train_flops(const Workload& work) const override {
    double tokens = 0;
    for (const int64_t length : work.lengths) tokens += static_cast<double>(length);
    nn::ChainFlops chain;
    chain.flows = embedding_.weight->trainable;
    for (const Layer& layer : layers_) layer.count(chain, tokens);
    return chain.flops + head_.train_flops(work.supervised, chain.flows);
  }
  double lmms_engine_flops(const Workload& work) const override { return train_flops(work); }

 private:
  void add_layer(size_t i) {
    const int64_t H = sizes_.hidden;
    Layer layer;
    layer.name = "layers." + std::to_string(i);
    layer.slot = i;
    const nn::ParamBuilder add{params_, layer.name, layer.name + ".", sizes_.std};
    layer.mixer_norm = add.norm("mixer_norm", H);
    layer.in = add.stacked("in", {"value", "gate"}, {H, H}, H, /*bias=*/false);
    layer.taps = &params_.add(layer.name, layer.name + ".taps", {sizes_.taps, H}, {.std = 0.2},
                              nn::ParamClass::vector);
    layer.out = add.linear("out", H, H, /*bias=*/false);
    layer.mlp_norm = add.norm("mlp_norm", H);
    layer.mlp = add.glu_mlp("mlp", H, sizes_.inner, /*bias=*/false);
    layers_.push_back(std::move(layer));
  }

  Sizes sizes_;
  nn::Embedding embedding_;
  std::vector<Layer> layers_;
  nn::Norm norm_;
};

}  // namespace

lmms::models::ModelEntry gated_convolution() {
  return {"gated_convolution", "GatedConvolutionForCausalLM",
          "gated convolutions in place of attention",
          [](const nlohmann::json& config,
             const std::string& where) -> std::unique_ptr<lmms::models::Model> {
            return std::make_unique<GatedConvolution>(config, where);
          },
          table_text};
}

}  // namespace dates
