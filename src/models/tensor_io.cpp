#include "models/tensor_io.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/all.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/format.h"
#include "kernels/on_device.h"

namespace lmms::models {
namespace {

using checkpoint::DType;
using checkpoint::TensorSource;
using checkpoint::TensorView;
using kernels::upload;

// What is wrong with the tensors of a file: the first few by name, the rest by number.
class Complaints {
 public:
  void add(const std::string& text) {
    if (++count_ <= 8) text_ += "\n    " + text;
  }
  size_t count() const { return count_; }
  void raise(const std::string& where, const std::string& fix) const {
    if (count_ == 0) return;
    const std::string more = count_ > 8 ? fmt::format("\n    ... and {} more", count_ - 8) : "";
    throw Error(where, fmt::format("the checkpoint does not fit the model:{}{}", text_, more), fix);
  }

 private:
  size_t count_ = 0;
  std::string text_;
};

const TensorView* checked(const TensorView* view, const std::string& name,
                          const std::vector<int64_t>& shape, Complaints& complaints) {
  if (view == nullptr) {
    complaints.add(name + " is missing");
  } else if (view->shape != shape) {
    complaints.add(fmt::format("{} is {}, expected {}", name, checkpoint::text_of(view->shape),
                               checkpoint::text_of(shape)));
    return nullptr;
  }
  return view;
}

// Under its hub name or another; nullptr if it is not there.
const TensorView* find(const nn::ParamTable& params, const checkpoint::TensorIndex& files,
                       const std::string& hub_name) {
  const TensorView* found = files.find(hub_name);
  for (const std::string& other : params.other_names(hub_name))
    found = found != nullptr ? found : files.find(other);
  return found;
}

bool same_values(const TensorView& a, const TensorView& b) {
  if (a.shape != b.shape) return false;
  if (a.dtype == b.dtype && std::ranges::equal(a.bytes, b.bytes)) return true;
  const at::ScalarType wide =
      a.dtype == DType::f64 || b.dtype == DType::f64 ? at::kDouble : at::kFloat;
  return at::equal(to_tensor(a, a.name).to(wide), to_tensor(b, b.name).to(wide));
}

// What to do about tensors that are missing or misshaped.
std::string fix_of(const nn::ParamTable& params, const checkpoint::TensorIndex& files,
                   size_t complaints) {
  const auto& head = params.head();
  if (complaints == 1 && head && !params.tied() && find(params, files, head->name) == nullptr) {
    return "these files come from a model without a head: take the checkpoint that has it, or let "
           "the embedding be the head: model_config.overwrite_config.tie_word_embeddings=true";
  }
  return "check that model_config.load_from_pretrained_path and overwrite_config belong together";
}

// What `flat` holds on this rank, of every part of every Param whose bucket has such a tensor.
struct HeldPart {
  nn::LocalPart place;
  at::Tensor flat;
};

std::vector<HeldPart> held_parts(const nn::ParamTable& params, const nn::ModelMemory& memory,
                                 const FlatOf& flat) {
  std::vector<std::optional<at::Tensor>> flats(memory.buckets.size());
  std::vector<HeldPart> out;
  for (nn::LocalPart part : nn::local_parts(params, memory)) {
    std::optional<at::Tensor>& numbers = flats[part.bucket];
    if (!numbers) numbers = flat(part.bucket);
    if (numbers->defined()) out.push_back({std::move(part), *numbers});
  }
  return out;
}

// Those bytes of a whole tensor of the checkpoint that this rank holds.
struct UploadedPart {
  at::Tensor numbers;  // one-dimensional
  int64_t offset = 0;  // of its first element in the whole tensor
};

UploadedPart uploaded(const nn::LocalPart& held, std::span<const std::byte> bytes,
                      at::ScalarType type, at::Device device) {
  const parallel::Range range = parallel::hub_range(held.regions);
  const auto element = static_cast<int64_t>(c10::elementSize(type));
  return {upload(bytes.data() + range.offset * element, {range.length}, type, device),
          range.offset};
}

void hand_over(const HeldPart& held, at::ScalarType type, const checkpoint::ByteSink& sink) {
  const at::Tensor host = held.place.read(held.flat).to(at::kCPU, type).contiguous();
  sink({static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()});
}

}  // namespace

DType dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return DType::f32;
    case at::kBFloat16:
      return DType::bf16;
    case at::kHalf:
      return DType::f16;
    case at::kDouble:
      return DType::f64;
    default:
      throw Error(at::toString(type), "no weight is stored in this type", "", Exit::failed);
  }
}

at::ScalarType scalar_type_of(DType dtype, const std::string& where) {
  switch (dtype) {
    case DType::f32:
      return at::kFloat;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f16:
      return at::kHalf;
    case DType::f64:
      return at::kDouble;
    default:
      throw Error(where, fmt::format("weights of type {} are not read", checkpoint::name_of(dtype)),
                  "use a checkpoint in F32, BF16 or F16");
  }
}

at::Tensor to_tensor(const TensorView& view, const std::string& where, at::Device device) {
  return upload(view.bytes.data(), view.shape, scalar_type_of(view.dtype, where + ": " + view.name),
                device);
}

bool unties_head(const nn::ParamTable& params, const checkpoint::TensorIndex& files) {
  if (!params.tied()) return false;
  const TensorView* head = find(params, files, params.head()->name);
  const TensorView* embedding = find(params, files, params.head()->embedding);
  return head != nullptr && embedding != nullptr && !same_values(*head, *embedding);
}

std::vector<std::string> load_weights(const nn::ParamTable& params, nn::ModelMemory& memory,
                                      const checkpoint::TensorIndex& files,
                                      const std::string& where) {
  if (unties_head(params, files)) {
    throw Error(where, params.head()->name + " is not the embedding, and the model ties the two",
                "set tie_word_embeddings: false in the model's config");
  }
  Complaints complaints;
  std::set<std::string_view> used;
  const TensorView* tied = params.tied() ? find(params, files, params.head()->name) : nullptr;
  if (tied != nullptr) used.insert(tied->name);
  for (const nn::LocalPart& held : nn::local_parts(params, memory)) {
    const nn::Part& part = *held.part;
    const TensorView* found = find(params, files, part.hub_name);
    if (found == nullptr && tied != nullptr && part.hub_name == params.head()->embedding)
      found = tied;
    if (found != nullptr) used.insert(found->name);
    const TensorView* view = checked(found, part.hub_name, part.hub_shape, complaints);
    if (view == nullptr || held.regions.empty()) continue;
    const parallel::Local& local = memory.buckets[held.bucket].local();
    const at::ScalarType type = scalar_type_of(view->dtype, where + ": " + view->name);
    const UploadedPart t = uploaded(held, view->bytes, type, local.weights.device());
    parallel::write(local.weights, held.regions, t.numbers, t.offset);
    if (local.masters.defined()) parallel::write(local.masters, held.regions, t.numbers, t.offset);
  }
  complaints.raise(where, fix_of(params, files, complaints.count()));
  std::vector<std::string> unused;
  for (const auto& [name, view] : files.tensors()) {
    if (!used.contains(name)) unused.emplace_back(name);
  }
  return unused;
}

std::vector<TensorSource> sources(const nn::ParamTable& params, const nn::ModelMemory& memory,
                                  const FlatOf& flat, at::ScalarType saved_as) {
  std::vector<TensorSource> out;
  for (HeldPart& held : held_parts(params, memory, flat)) {
    const nn::Part& part = *held.place.part;
    out.push_back({part.hub_name, dtype_of(saved_as), part.hub_shape,
                   [held = std::move(held), saved_as](const checkpoint::ByteSink& sink) {
                     hand_over(held, saved_as, sink);
                   }});
  }
  return out;
}

std::vector<checkpoint::TensorSlot> slots(const nn::ParamTable& params,
                                          const nn::ModelMemory& memory, const FlatOf& flat) {
  std::vector<checkpoint::TensorSlot> out;
  for (const HeldPart& held : held_parts(params, memory, flat)) {
    const nn::Part& part = *held.place.part;
    const at::ScalarType type = held.flat.scalar_type();
    checkpoint::TensorSlot slot{part.hub_name, dtype_of(type), part.hub_shape, {}, {}};
    slot.save = [held, type](const checkpoint::ByteSink& sink) { hand_over(held, type, sink); };
    slot.load = [held, type](std::span<const std::byte> bytes) {
      if (held.place.regions.empty()) return;
      const UploadedPart t = uploaded(held.place, bytes, type, held.flat.device());
      parallel::write(held.flat, held.place.regions, t.numbers, t.offset);
    };
    out.push_back(std::move(slot));
  }
  return out;
}

std::optional<std::string> first_not_finite(const nn::ParamTable& params,
                                            const nn::ModelMemory& memory, const FlatOf& flat,
                                            at::ScalarType saved_as) {
  std::vector<std::string> names;
  std::vector<at::Tensor> ends;  // [2]: the least and the largest number, both NaN if one is
  for (const HeldPart& held : held_parts(params, memory, flat)) {
    for (const parallel::Region& region : held.place.regions) {
      const auto [least, largest] = at::aminmax(parallel::inner_view(held.flat, region));
      names.push_back(held.place.part->hub_name);
      ends.push_back(at::stack({least, largest}).to(saved_as));
    }
  }
  if (ends.empty()) return std::nullopt;
  const at::Tensor finite = at::isfinite(at::stack(ends)).all(1).to(at::kCPU);  // [names]
  for (size_t i = 0; i < names.size(); ++i) {
    if (!finite.const_data_ptr<bool>()[i]) return names[i];
  }
  return std::nullopt;
}

}  // namespace lmms::models
