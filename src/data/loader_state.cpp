#include "data/loader_state.h"

#include <algorithm>
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

/// [ordinal, length, supervised, cost, patches of images and videos], and where there is more, an
/// object of it.
json item_json(const PackItem& item) {
  json fields = {item.ordinal, item.length, item.supervised, item.cost,
                 item.media.of(kVision).patches};
  json more = json::object();
  for (const MediaCount& part : item.media)
    if (part.kind != kVision) more["media"][part.kind] = part.patches;
  if (!item.counts.empty()) more["counts"] = item.counts;
  if (!more.empty()) fields.push_back(std::move(more));
  return fields;
}

/// Reads item_json, and that of a time when there were four numbers. Throws json::exception.
PackItem item_from(const json& fields) {
  PackItem item{.ordinal = fields.at(0).get<int64_t>(),
                .length = fields.at(1).get<int64_t>(),
                .supervised = fields.at(2).get<int64_t>(),
                .cost = fields.at(3).get<int64_t>(),
                .media = {},
                .counts = {}};
  const auto add = [&](std::string_view kind, const json& patches) {
    if (const auto n = patches.get<int64_t>(); n != 0) item.media[kind].patches = n;
  };
  if (fields.size() > 4) add(kVision, fields[4]);
  if (fields.size() <= 5) return item;
  const json media = fields[5].value("media", json::object());
  for (const auto& [kind, patches] : media.items()) add(kind, patches);
  item.counts = fields[5].value("counts", TermCounts());
  return item;
}

json bins_json(const std::deque<Bin>& bins) {
  auto list = json::array();
  for (const auto& bin : bins) {
    auto items = json::array();
    for (const auto& item : bin.items) {
      items.push_back(item_json(item));
    }
    list.push_back(std::move(items));
  }
  return list;
}

/// Of a row.
struct Capacity {
  int64_t tokens = 0;
  MediaCounts media;  ///< of kinds that have a limit

  int64_t patches(const std::string& kind) const {
    const MediaCount* limit = media.find(kind);
    return limit ? limit->patches : std::numeric_limits<int64_t>::max();
  }
};

/// Whether an item could be measured, and joins the bin.
bool belongs(const PackItem& item, const Bin& bin, const Capacity& capacity) {
  if (item.length < 1 || item.length > capacity.tokens - bin.length || item.supervised < 0 ||
      item.supervised > item.length || item.cost < 0) {
    return false;
  }
  return std::ranges::all_of(item.media, [&](const MediaCount& part) {
    return part.patches >= 0 &&
           part.patches <= capacity.patches(part.kind) - bin.media.of(part.kind).patches;
  });
}

/// Rows of a lane whose samples have one of its ordinals and fit; throws json::exception or Error.
std::deque<Bin> bins_from(const json& list, int64_t lane, int64_t lanes, int64_t read,
                          const Capacity& capacity) {
  std::deque<Bin> bins;
  for (const auto& items : list) {
    Bin bin;
    for (const auto& fields : items) {
      const PackItem item = item_from(fields);
      const bool of_lane =
          item.ordinal >= 0 && item.ordinal % lanes == lane && item.ordinal / lanes < read;
      if (!of_lane || !belongs(item, bin, capacity)) throw Error(kWhere, kNotAState);
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
  Capacity capacity{packing.at("length").get<int64_t>(), {}};
  if (packing.contains("patches")) capacity.media[kVision].patches = packing["patches"];
  if (packing.contains("media")) {
    for (const auto& [kind, patches] : packing["media"].items())
      capacity.media[kind].patches = patches;
  }
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
  if (const char* key = "draws"; then.contains(key) && !now.contains(key))
    text += fmt::format("{}{}: {} in the checkpoint, none now", text.empty() ? "" : "; ", key,
                        then[key].dump());
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
    for (const MediaCount& limit : options.packing->media) {
      if (limit.kind == kVision) {
        order["packing"]["patches"] = limit.patches;
      } else {
        order["packing"]["media"][limit.kind] = limit.patches;
      }
    }
  } else {
    order["dataloader_drop_last"] = options.drop_last;  // it moves the borders of epochs
  }
  if (options.draws.drawing)
    order["draws"] = {{"name", options.draws.drawing->name()}, {"seed", options.draws.seed}};
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
