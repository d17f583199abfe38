#include "step/parameter_groups.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "core/error.h"
#include "core/format.h"

namespace lmms::step {
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

// The elements of a Param that belong to each of its parts, ascending, with the gaps behind them.
struct PartRange {
  parallel::Range range;
  const nn::Part* part;
};

std::vector<PartRange> ranges_of(const nn::Param& param, int64_t padded) {
  std::vector<PartRange> runs;
  for (const nn::Part& part : param.parts) {
    for (const parallel::Range& run : parallel::inner_ranges(part.regions))
      runs.push_back({run, &part});
  }
  std::stable_sort(runs.begin(), runs.end(), [](const PartRange& a, const PartRange& b) {
    return a.range.offset < b.range.offset;
  });
  std::vector<PartRange> out;
  for (const PartRange& run : runs) {
    if (!out.empty() && out.back().part == run.part) continue;  // it ends where the next begins
    if (!out.empty()) out.back().range.length = run.range.offset - out.back().range.offset;
    out.push_back({{out.empty() ? 0 : run.range.offset, 0}, run.part});
  }
  if (!out.empty()) out.back().range.length = padded - out.back().range.offset;
  return out;
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
    for (const PartRange& p : ranges_of(param, bucket.segments()[place.segment].padded)) {
      const parallel::Range held = bucket.local_range(place.segment, p.range);
      if (held.length > 0) out.push_back({place.bucket, held, p.part});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const TrainedPart& a, const TrainedPart& b) {
    return std::tie(a.bucket, a.range.offset) < std::tie(b.bucket, b.range.offset);
  });
  return out;
}

std::vector<std::vector<parallel::Range>> trained_ranges(
    const nn::ParamTable& params, const nn::ModelMemory& memory,
    const std::function<bool(const nn::Part&)>& takes) {
  std::vector<std::vector<parallel::Range>> out(memory.buckets.size());
  for (const TrainedPart& p : trained_parts(params, memory)) {
    if (!takes(*p.part)) continue;
    std::vector<parallel::Range>& list = out[p.bucket];
    if (!list.empty() && list.back().offset + list.back().length == p.range.offset) {
      list.back().length += p.range.length;
    } else {
      list.push_back(p.range);
    }
  }
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
  std::unordered_map<const nn::Part*, size_t> group_of;
  for (const nn::Param& param : params.all()) {
    if (!param.trainable) continue;
    for (const nn::Part& part : param.parts) {
      const auto fit = std::find_if(
          config.learning_rates.begin(), config.learning_rates.end(),
          [&](const auto& entry) { return params.fits(part.hub_name, entry.modules); });
      const bool named = fit != config.learning_rates.end();
      const size_t group =
          named ? static_cast<size_t>(fit - config.learning_rates.begin()) + 1 : size_t{0};
      group_of[&part] = group;
      out.groups[group].elements += part.elements();
    }
  }
  out.ranges.resize(memory.buckets.size());
  for (const TrainedPart& p : trained_parts(params, memory)) {
    const auto group = static_cast<int32_t>(group_of.at(p.part));
    if (group == 0) continue;
    auto& list = out.ranges[p.bucket];
    if (!list.empty() && list.back().group == group &&
        list.back().offset + list.back().length == p.range.offset) {
      list.back().length += p.range.length;
    } else {
      list.push_back({p.range.offset, p.range.length, group});
    }
  }
  for (size_t entry = 0; entry < config.learning_rates.size(); ++entry) {
    if (out.groups[entry + 1].elements == 0) refuse(params, config, entry, where);
  }
  return out;
}

}  // namespace lmms::step
