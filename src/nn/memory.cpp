#include "nn/memory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <array>
#include <cmath>
#include <map>

#include "core/rng.h"
#include "kernels/on_device.h"

namespace lmms::nn {
namespace {

using Draws = std::array<double, 4>;

Draws normal_draws(const rng::Counter& word) {
  const auto a = rng::normal_pair(word[0], word[1]), b = rng::normal_pair(word[2], word[3]);
  return {a[0], a[1], b[0], b[1]};
}

// Of variance 1.
Draws uniform_draws(const rng::Counter& word) {
  Draws draws;
  for (size_t k = 0; k < 4; ++k) draws[k] = std::sqrt(3.0) * (2 * rng::unit(word[k]) - 1);
  return draws;
}

// Fills `out` with numbers of mean 0 and deviation std; element i comes from counter i / 4 of the
// stream of `name`.
void fill(float* out, int64_t count, const Init& init, uint64_t seed, std::string_view name) {
  const rng::Key key = rng::key(seed, rng::Purpose::initialisation);
  const uint64_t stream = rng::hash(name);
  at::parallel_for(0, (count + 3) / 4, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const auto index = static_cast<uint64_t>(block);
      const rng::Counter word =
          rng::philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                       static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)},
                      key);
      const Draws draws = init.law == Init::Law::uniform ? uniform_draws(word) : normal_draws(word);
      for (int64_t k = 0; k < 4 && 4 * block + k < count; ++k)
        out[4 * block + k] = static_cast<float>(init.std * draws[static_cast<size_t>(k)]);
    }
  });
}

at::Tensor draw(const Part& part, const Init& init, uint64_t seed) {
  at::Tensor t = at::empty(part.hub_shape, at::kFloat);
  switch (init.law) {
    case Init::Law::zeros:
      t.zero_();
      break;
    case Init::Law::ones:
      t.fill_(1);
      break;
    case Init::Law::normal:
    case Init::Law::uniform:
      fill(t.mutable_data_ptr<float>(), t.numel(), init, seed, part.hub_name);
      break;
  }
  if (init.zero_row >= 0 && init.zero_row < t.size(0)) t.select(0, init.zero_row).zero_();
  return t;
}

}  // namespace

ModelMemory allocate(ParamTable& params, const MemoryOptions& options) {
  struct Group {
    parallel::BucketLayout layout;
    std::vector<parallel::BucketEntry> entries;
  };
  std::vector<Group> groups;
  std::map<std::pair<std::string, bool>, size_t> index;
  std::vector<size_t> group_of;
  for (const Param& p : params.all()) {
    const auto [at, fresh] = index.try_emplace({p.unit, p.trainable}, groups.size());
    if (fresh) {
      groups.push_back(
          {{p.unit, options.dtype, options.gradient_dtype, p.trainable, options.masters}, {}});
    }
    groups[at->second].entries.push_back({p.name, p.shape, p.decays()});
    group_of.push_back(at->second);
  }

  ModelMemory memory;
  std::vector<std::map<std::string, size_t>> segment_of;
  for (Group& group : groups) {
    memory.buckets.emplace_back(std::move(group.layout), std::move(group.entries), options.device);
    auto& names = segment_of.emplace_back();
    const auto& segments = memory.buckets.back().segments();
    for (size_t i = 0; i < segments.size(); ++i) names[segments[i].entry.name] = i;
  }
  for (size_t i = 0; i < params.all().size(); ++i) {
    Param& p = params.all()[i];
    const Placement place{group_of[i], segment_of[group_of[i]].at(p.name)};
    memory.placements.push_back(place);
    p.value = memory.buckets[place.bucket].leaf(place.segment);
  }
  return memory;
}

void initialise(const ParamTable& params, ModelMemory& memory, uint64_t seed) {
  for (size_t i = 0; i < params.all().size(); ++i) {
    const Param& p = params.all()[i];
    const parallel::Bucket& bucket = memory.buckets[memory.placements[i].bucket];
    const size_t segment = memory.placements[i].segment;
    for (const Part& part : p.parts) {
      const at::Tensor drawn = draw(part, p.init, seed);
      const at::Tensor t = kernels::upload(drawn.const_data_ptr(), drawn.sizes(), at::kFloat,
                                           bucket.weights().device());
      part.in(bucket.weight(segment)).copy_(t);
      if (bucket.layout().trainable && bucket.layout().dtype != at::kFloat) {
        part.in(bucket.master(segment)).copy_(t);
      }
    }
  }
}

}  // namespace lmms::nn
