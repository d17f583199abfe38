#include "train/parameter_groups.h"

#include <algorithm>
#include <tuple>

#include "core/error.h"
#include "core/format.h"

namespace lmms::train {
namespace {

[[noreturn]] void refuse(const nn::ParamTable& params, const optim::OptimizerConfig& config,
                         size_t entry, const std::string& where) {
  const std::string& pattern = config.learning_rates[entry].modules;
  const std::string at = fmt::format("{}[{}].modules", where, entry);
  bool named = false, trained = false;
  for (const nn::Param& p : params.all()) {
    for (const nn::Part& part : p.parts) {
      if (!params.fits(part.hub_name, pattern)) continue;
      named = true;
      trained = trained || p.trainable;
    }
  }
  if (trained) {
    throw Error(at, fmt::format("every weight of '{}' belongs to an entry before it", pattern),
                "a weight belongs to the first entry that fits: put the narrower one first");
  }
  if (named) {
    throw Error(at, fmt::format("every weight of '{}' is frozen", pattern),
                "take the entry out, or the module out of trainer_args.freeze_modules");
  }
  const auto near = params.nearest_module(pattern);
  throw Error(at,
              fmt::format("the model has no module '{}'{}", pattern,
                          near ? fmt::format("; did you mean '{}'?", *near) : std::string()),
              "module names are those of the checkpoint's tensors, such as 'visual' or "
              "'model.layers.0'; * stands for any characters: '*.mlp'");
}

}  // namespace

std::vector<TrainedPart> trained_parts(const nn::ParamTable& params,
                                       const nn::ModelMemory& memory) {
  std::vector<TrainedPart> out;
  for (size_t i = 0; i < params.all().size(); ++i) {
    const nn::Param& param = params.all()[i];
    if (!param.trainable) continue;
    const nn::Placement place = memory.placements[i];
    const parallel::Bucket& bucket = memory.buckets[place.bucket];
    const auto& segments = bucket.segments();
    const int64_t begin = segments[place.segment].offset;
    const int64_t end =
        place.segment + 1 < segments.size() ? segments[place.segment + 1].offset : bucket.size();
    const int64_t row = param.shape.empty() ? 1 : param.stored_elements() / param.shape[0];
    for (const nn::Part& part : param.parts) {
      const int64_t from = begin + part.first_row * row;
      const bool last = &part == &param.parts.back();
      out.push_back({place.bucket, from, last ? end - from : part.rows * row, &part});
    }
  }
  std::sort(out.begin(), out.end(), [](const TrainedPart& a, const TrainedPart& b) {
    return std::tie(a.bucket, a.offset) < std::tie(b.bucket, b.offset);
  });
  return out;
}

ParameterGroups parameter_groups(const nn::ParamTable& params, const nn::ModelMemory& memory,
                                 const optim::OptimizerConfig& config, const std::string& where) {
  ParameterGroups out;
  out.groups.push_back({"", config.learning_rate, config.weight_decay, 0});
  for (const optim::ModuleRate& entry : config.learning_rates) {
    out.groups.push_back({entry.modules, entry.learning_rate.value_or(config.learning_rate),
                          entry.weight_decay.value_or(config.weight_decay), 0});
  }
  out.stretches.resize(memory.buckets.size());
  for (const TrainedPart& p : trained_parts(params, memory)) {
    const auto fit = std::find_if(
        config.learning_rates.begin(), config.learning_rates.end(),
        [&](const auto& entry) { return params.fits(p.part->hub_name, entry.modules); });
    const bool named = fit != config.learning_rates.end();
    const size_t group =
        named ? static_cast<size_t>(fit - config.learning_rates.begin()) + 1 : size_t{0};
    int64_t elements = 1;
    for (const int64_t size : p.part->hub_shape) elements *= size;
    out.groups[group].elements += elements;
    if (!named) continue;
    auto& list = out.stretches[p.bucket];
    const auto id = static_cast<int32_t>(group);
    if (!list.empty() && list.back().group == id &&
        list.back().offset + list.back().length == p.offset) {
      list.back().length += p.length;
    } else {
      list.push_back({p.offset, p.length, id});
    }
  }
  for (size_t entry = 0; entry < config.learning_rates.size(); ++entry) {
    if (out.groups[entry + 1].elements == 0) refuse(params, config, entry, where);
  }
  return out;
}

}  // namespace lmms::train
