#include "step/load_network.h"

#include "checkpoint/hf_folder.h"
#include "core/format.h"
#include "core/log.h"
#include "models/overwrite.h"
#include "models/structure.h"
#include "models/tensor_io.h"

namespace lmms::step {
namespace {

namespace fs = std::filesystem;

// That of the largest tensor: norms are sometimes wider than the rest.
at::ScalarType dtype_of(const checkpoint::TensorIndex& weights, const fs::path& folder) {
  const checkpoint::TensorView* largest = nullptr;
  for (const auto& [name, view] : weights.tensors()) {
    if (largest == nullptr || view->bytes.size() > largest->bytes.size()) largest = view;
  }
  return models::scalar_type_of(largest->dtype, folder.string());
}

}  // namespace

Network load_network(const models::ModelRegistry& models, const fs::path& folder,
                     std::optional<at::ScalarType> dtype, c10::Device device,
                     const ConfigOverwrite& overwrite) {
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  const checkpoint::TensorIndex weights = hf.weights().take();
  Network network;
  network.model = models::make_structure(
      models, models::overwritten(hf.config(), overwrite.fields, overwrite.where),
      (folder / "config.json").string(), &weights);
  models::check_overwrite(overwrite.fields, *network.model, overwrite.where);
  for (nn::Param& param : network.model->params().all()) param.trainable = false;
  nn::MemoryOptions memory;
  memory.device = device;
  memory.dtype = dtype.value_or(dtype_of(weights, folder));
  network.memory = nn::allocate(network.model->params(), memory);
  load_weights(network, weights, folder);
  return network;
}

void load_weights(Network& network, const checkpoint::TensorIndex& weights,
                  const fs::path& folder) {
  const auto unused =
      models::load_weights(network.model->params(), network.memory, weights, folder.string());
  if (unused.empty()) return;
  log::notice(
      fmt::format("{}: {} tensors have no place in the model and are left out, the first is {}",
                  folder.string(), unused.size(), unused.front()));
}

}  // namespace lmms::step
