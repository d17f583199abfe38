#include "data/loader_state.h"

#include <limits>

#include "core/format.h"

namespace lmms::data {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr auto kWhere = "data position";
constexpr auto kNotAState = "is not what this program wrote into a checkpoint";

std::string_view strategy_name(PackingStrategy strategy) {
  switch (strategy) {
    case PackingStrategy::first_fit:
      return "first_fit";
    case PackingStrategy::best_fit:
      return "best_fit";
    case PackingStrategy::balanced:
      return "balanced";
    case PackingStrategy::sequential:
      return "sequential";
  }
  return "?";
}

json bins_json(const std::deque<Bin>& bins) {
  auto list = json::array();
  for (const auto& bin : bins) {
    auto items = json::array();
    for (const auto& item : bin.items) {
      items.push_back({item.ordinal, item.length, item.supervised, item.cost, item.patches});
    }
    list.push_back(std::move(items));
  }
  return list;
}

/// Of a row.
struct Capacity {
  int64_t tokens = 0, patches = 0;
};

/// Rows of a lane whose samples have one of its ordinals and fit; throws json::exception or Error.
std::deque<Bin> bins_from(const json& list, int64_t lane, int64_t lanes, int64_t read,
                          const Capacity& capacity) {
  std::deque<Bin> bins;
  for (const auto& items : list) {
    Bin bin;
    for (const auto& fields : items) {
      const auto numbers = fields.get<std::vector<int64_t>>();
      // without patches: of a time when rows had no limit of them
      if (numbers.size() != 4 && numbers.size() != 5) throw Error(kWhere, kNotAState);
      const PackItem item{numbers[0], numbers[1], numbers[2], numbers[3],
                          numbers.size() == 5 ? numbers[4] : 0};
      const bool of_lane =
          item.ordinal >= 0 && item.ordinal % lanes == lane && item.ordinal / lanes < read;
      if (!of_lane || item.length < 1 || item.length > capacity.tokens - bin.length ||
          item.supervised < 1 || item.supervised > item.length || item.cost < 0 ||
          item.patches < 0 || item.patches > capacity.patches - bin.patches) {
        throw Error(kWhere, kNotAState);
      }
      bin.add(item);
    }
    if (bin.items.empty()) throw Error(kWhere, kNotAState);
    bins.push_back(std::move(bin));
  }
  return bins;
}

std::vector<LaneState> lanes_from(const json& list, const json& order) {
  std::vector<LaneState> lanes;
  if (order.at("packing").is_null()) return lanes;
  const auto count = order.at("global_rows").get<int64_t>();
  const json& packing = order.at("packing");
  const Capacity capacity{packing.at("length").get<int64_t>(),
                          packing.value("patches", std::numeric_limits<int64_t>::max())};
  if (static_cast<int64_t>(list.size()) != count) throw Error(kWhere, kNotAState);
  for (const auto& fields : list) {
    const auto lane = static_cast<int64_t>(lanes.size());
    LaneState state;
    state.read = fields.at("read").get<int64_t>();
    state.open = bins_from(fields.at("open"), lane, count, state.read, capacity);
    state.closed = bins_from(fields.at("closed"), lane, count, state.read, capacity);
    if (state.read < 0) throw Error(kWhere, kNotAState);
    lanes.push_back(std::move(state));
  }
  return lanes;
}

/// "global_rows: 16 in the checkpoint, 32 now; ..."; empty if equal.
std::string differences(const json& then, const json& now) {
  std::string text;
  for (const auto& [key, value] : now.items()) {
    const auto old = then.value(key, json());
    if (old == value) continue;
    text += fmt::format("{}{}: {} in the checkpoint, {} now", text.empty() ? "" : "; ", key,
                        old.dump(), value.dump());
  }
  return text;
}

}  // namespace

json order_of(const Dataset& dataset, const LoaderOptions& options) {
  auto sources = json::array();
  for (const auto& source : dataset.sources()) {
    sources.push_back({{"rows", source.rows}, {"samples_per_epoch", source.samples_per_epoch}});
  }
  json order = {{"sources", std::move(sources)},
                {"shuffle", dataset.shuffle()},
                {"data_seed", dataset.seed()},
                {"global_rows", options.global_rows},
                {"packing", nullptr}};
  if (options.packing) {
    order["packing"] = {{"strategy", strategy_name(options.packing->strategy)},
                        {"length", options.packing->length},
                        {"num_open_bins", options.packing->num_open_bins}};
    if (options.packing->patches > 0) order["packing"]["patches"] = options.packing->patches;
  } else {
    order["dataloader_drop_last"] = options.drop_last;  // it moves the borders of epochs
  }
  return order;
}

std::string LoaderSnapshot::text() const {
  auto lane_list = json::array();
  for (const auto& lane : lanes) {
    lane_list.push_back(
        {{"read", lane.read}, {"open", bins_json(lane.open)}, {"closed", bins_json(lane.closed)}});
  }
  return json({{"version", kVersion},
               {"order", *order},
               {"step", step},
               {"settled", settled},
               {"lanes", std::move(lane_list)},
               {"skipped", skipped}})
      .dump();
}

Result<LoaderSnapshot> LoaderSnapshot::parse(const std::string& text,
                                             std::shared_ptr<const json> order) {
  try {
    const auto fields = json::parse(text);
    if (const auto version = fields.at("version").get<int>(); version != kVersion) {
      return Fault{kWhere, fmt::format("has version {}; this program reads {}", version, kVersion),
                   "resume with the program that wrote it"};
    }
    if (const auto changed = differences(fields.at("order"), *order); !changed.empty()) {
      return Fault{kWhere, "belongs to another order of the data: " + changed,
                   "set these back, or start anew with resume_from_checkpoint: false"};
    }
    LoaderSnapshot snapshot{.order = order,
                            .step = fields.at("step").get<int64_t>(),
                            .settled = fields.at("settled").get<int64_t>(),
                            .lanes = lanes_from(fields.at("lanes"), *order),
                            .skipped = fields.at("skipped").get<SkipCounts>()};
    if (snapshot.step < 0 || snapshot.settled < 0) return Fault{kWhere, kNotAState, ""};
    return snapshot;
  } catch (const json::exception&) {
    return Fault{kWhere, kNotAState, ""};
  } catch (const Error& error) {
    return error.fault();
  }
}

Result<int64_t> Loader::global_rows_of(const std::string& state) {
  const auto fields = json::parse(state, nullptr, /*allow_exceptions=*/false);
  const json::json_pointer place("/order/global_rows");
  if (!fields.is_object() || !fields.contains(place) || !fields[place].is_number_integer()) {
    return Fault{kWhere, kNotAState, ""};
  }
  return fields[place].get<int64_t>();
}

}  // namespace lmms::data
