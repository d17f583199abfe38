#include "nn/memory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <array>
#include <cmath>
#include <map>

#include "core/rng.h"
#include "kernels/on_device.h"
#include "nn/position_grid.h"

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
    case Init::Law::sincos_2d:
      fill_position_grid({t.mutable_data_ptr<float>(), static_cast<size_t>(t.numel())}, t.size(-1));
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
  std::map<parallel::BucketKey, size_t> index;
  std::vector<size_t> group_of;
  for (const Param& p : params.all()) {
    const parallel::BucketKey key{p.unit, options.dtype, p.trainable, p.mesh};
    const auto [at, fresh] = index.try_emplace(key, groups.size());
    if (fresh)
      groups.push_back({{key, options.gradient_dtype, options.masters, options.shard}, {}});
    parallel::BucketEntry& entry =
        groups[at->second].entries.emplace_back(parallel::BucketEntry{p.name, p.shape, p.decays()});
    for (const Part& part : p.parts) {
      for (parallel::MatrixPart& matrix : part.matrices())
        entry.matrices.push_back(std::move(matrix));
    }
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
    p.set_leaf(memory.buckets[place.bucket].leaf(place.segment));
  }
  return memory;
}

int64_t LocalPart::elements() const {
  int64_t n = 0;
  for (const parallel::Region& region : regions) n += region.elements();
  return n;
}

at::Tensor LocalPart::read(const at::Tensor& flat) const {
  TORCH_INTERNAL_ASSERT(elements() == part->elements(), part->hub_name, ": this rank holds ",
                        elements(), " of ", part->elements(), " elements");
  return parallel::read(flat, regions, part->hub_shape);
}

std::vector<LocalPart> local_parts(const ParamTable& params, const ModelMemory& memory) {
  std::vector<LocalPart> out;
  for (size_t i = 0; i < params.all().size(); ++i) {
    const Placement place = memory.placements[i];
    const parallel::Bucket& bucket = memory.buckets[place.bucket];
    for (const Part& part : params.all()[i].parts)
      out.push_back({&part, i, place.bucket, bucket.local_regions(place.segment, part.regions)});
  }
  return out;
}

void initialise(const ParamTable& params, ModelMemory& memory, uint64_t seed) {
  for (const LocalPart& held : local_parts(params, memory)) {
    if (held.regions.empty()) continue;
    const parallel::Local& local = memory.buckets[held.bucket].local();
    const at::Tensor drawn = draw(*held.part, params.all()[held.param].init, seed);
    const at::Tensor t =
        kernels::upload(drawn.const_data_ptr(), drawn.sizes(), at::kFloat, local.weights.device());
    parallel::write(local.weights, held.regions, t);
    if (local.masters.defined()) parallel::write(local.masters, held.regions, t);
  }
}

}  // namespace lmms::nn
