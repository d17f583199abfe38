#include "plan/fit.h"

#include <algorithm>
#include <vector>

#include "core/format.h"

namespace lmms::plan {
namespace {

using nn::Keep;

/// To let one unit keep less.
struct Move {
  const std::string* unit;
  Keep keep;
  double seconds_a_byte;
};

nn::RunContext with(nn::RunContext context, const UnitGroup& group, Keep keep) {
  for (const std::string& unit : group.units) context.of_unit[unit] = keep;
  return context;
}

nn::RunContext with(nn::RunContext context, std::span<const Move> moves) {
  for (const Move& move : moves) context.of_unit[*move.unit] = move.keep;
  return context;
}

// What a group saves and costs at a level, against keeping everything.
struct Trade {
  Keep keep = Keep::everything;
  double bytes = 0, seconds = 0;
  double price_from(const Trade& b) const { return (seconds - b.seconds) / (bytes - b.bytes); }
};

// The moves of a group: from each level to the one that costs least for a byte more, so that prices
// rise from move to move.
void add_moves(std::vector<Move>& moves, const UnitGroup& group, std::span<const Trade> levels) {
  for (Trade at;;) {
    const Trade* next = nullptr;
    for (const Trade& level : levels) {
      if (level.bytes <= at.bytes) continue;
      if (next == nullptr || level.price_from(at) < next->price_from(at)) next = &level;
    }
    if (next == nullptr) return;
    for (const std::string& unit : group.units)
      moves.push_back({&unit, next->keep, next->price_from(at)});
    at = *next;
  }
}

}  // namespace

int64_t usable_bytes(const Card& card) {
  const double usable = card.is_cpu() ? 1 : 0.96;
  return static_cast<int64_t>(static_cast<double>(card.memory_bytes - card.reserved_bytes) *
                              usable);
}

size_t largest(Rehearsal& rehearsal, std::span<const data::StepBatch> batches,
               const nn::RunContext& context) {
  size_t most = 0;
  int64_t bytes = -1;
  for (size_t i = 0; i < batches.size(); ++i) {
    const int64_t peak = rehearsal.step(batches[i], context).peak_bytes;
    if (peak > bytes) most = i;
    bytes = std::max(bytes, peak);
  }
  return most;
}

Fit fit_of(Rehearsal& rehearsal, const data::StepBatch& batch, const nn::RunContext& context,
           int64_t budget) {
  Fit out{context, rehearsal.step(batch, context), recompute_text(context, rehearsal.unit_groups()),
          true};
  out.fits = out.cost.peak_bytes <= budget;
  return out;
}

Fit least_recompute(Rehearsal& rehearsal, const data::StepBatch& batch,
                    const nn::RunContext& context, int64_t budget) {
  const auto fit = [&](const nn::RunContext& c) { return fit_of(rehearsal, batch, c, budget); };
  nn::RunContext everything = context;
  everything.keep = Keep::everything;
  const Fit base = fit(everything);
  if (base.fits) return base;

  std::vector<Move> moves;
  for (const UnitGroup& group : rehearsal.unit_groups()) {
    std::vector<Trade> levels;
    for (const Keep keep : {Keep::products, Keep::attention, Keep::inputs}) {
      const StepCost cost = rehearsal.step(batch, with(base.context, group, keep));
      levels.push_back({keep, static_cast<double>(base.cost.peak_bytes - cost.peak_bytes),
                        cost.total_seconds() - base.cost.total_seconds()});
    }
    add_moves(moves, group, levels);
  }
  std::stable_sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) {
    return a.seconds_a_byte < b.seconds_a_byte;
  });
  // The first units go first: in their backward the memory of the later ones is free already, so
  // running them again adds nothing to the peak.
  Fit best = fit(with(everything, moves));
  if (!best.fits) return best;
  size_t low = 0, high = moves.size();  // `low` moves are too few, `high` are enough
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    Fit tried = fit(with(everything, std::span(moves).first(middle)));
    (tried.fits ? high : low) = middle;
    if (tried.fits) best = std::move(tried);
  }
  return best;
}

std::string recompute_text(const nn::RunContext& context, std::span<const UnitGroup> groups) {
  std::string out;
  for (const UnitGroup& group : groups) {
    const auto count = [&](Keep keep) {
      return std::count_if(group.units.begin(), group.units.end(),
                           [&](const std::string& unit) { return context.of(unit).keep == keep; });
    };
    const auto add = [&](const char* what, Keep keep) {
      const auto n = count(keep);
      if (n == 0) return;
      out += fmt::format("{}{}{} of {} {}", out.empty() ? "" : ", ", what, n, group.units.size(),
                         group.name);
    };
    add("", Keep::inputs);
    add("the MLPs of ", Keep::attention);
    add("norms and activations of ", Keep::products);
  }
  return out.empty() ? "nothing" : out;
}

}  // namespace lmms::plan
