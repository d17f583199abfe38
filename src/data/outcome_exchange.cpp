#include "data/outcome_exchange.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "core/format.h"

namespace lmms::data {
namespace {

using nlohmann::json;

json fault_json(const Fault& fault) {
  return {fault.where, fault.what, fault.fix};
}

Fault fault_from(const json& fields) {
  return {fields.at(0).get<std::string>(), fields.at(1).get<std::string>(),
          fields.at(2).get<std::string>()};
}

/// What a call threw, as an Error's fault and exit.
std::pair<Fault, Exit> fault_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return {error.fault(), error.exit()};
  } catch (const std::exception& error) {
    return {{"", error.what(), ""}, Exit::failed};
  }
}

json item_json(const PackItem& item) {
  json media = json::object();
  for (const MediaCount& part : item.media) media[part.kind] = part.patches;
  return {item.ordinal, item.length,      item.supervised,
          item.cost,    std::move(media), item.counts.empty() ? json::object() : json(item.counts)};
}

PackItem item_from(const json& fields) {
  PackItem item{.ordinal = fields.at(0).get<int64_t>(),
                .length = fields.at(1).get<int64_t>(),
                .supervised = fields.at(2).get<int64_t>(),
                .cost = fields.at(3).get<int64_t>(),
                .media = {},
                .counts = fields.at(5).get<TermCounts>()};
  for (const auto& [kind, patches] : fields.at(4).items()) item.media[kind].patches = patches;
  return item;
}

/// Of an outcome without its sample. Most are items alone.
json outcome_json(const Outcome& outcome) {
  json fields = json::object();
  if (outcome.item) fields["item"] = item_json(*outcome.item);
  if (outcome.item && !outcome.truncated) return fields;
  fields["reason"] = static_cast<int>(outcome.reason);
  fields["fault"] = fault_json(outcome.fault);
  fields["truncated"] = outcome.truncated;
  if (outcome.fatal) fields["exit"] = static_cast<int>(outcome.exit);
  return fields;
}

Outcome outcome_from(const json& fields) {
  Outcome outcome;
  if (fields.contains("item")) outcome.item = item_from(fields["item"]);
  if (!fields.contains("fault")) return outcome;
  outcome.reason = static_cast<SkipReason>(fields.at("reason").get<int>());
  outcome.fault = fault_from(fields.at("fault"));
  outcome.truncated = fields.at("truncated").get<bool>();
  outcome.fatal = fields.contains("exit");
  if (outcome.fatal) outcome.exit = static_cast<Exit>(fields["exit"].get<int>());
  return outcome;
}

Outcome outcome_of(std::future<Outcome>& measured) {
  try {
    return measured.get();
  } catch (...) {
    Outcome failed;
    std::tie(failed.fault, failed.exit) = fault_of(std::current_exception());
    failed.fatal = true;
    return failed;
  }
}

std::string bytes_of(const json& fields) {
  const std::vector<uint8_t> bytes = json::to_cbor(fields);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

std::vector<std::string> gather_tagged(Ranks& ranks, ExchangeTag tag, std::string_view message) {
  const auto letter = static_cast<char>(tag);
  std::vector<std::string> messages = ranks.gather(letter + std::string(message));
  for (size_t r = 0; r < messages.size(); ++r) {
    if (messages[r].empty() || messages[r].front() != letter) {
      throw Error("data",
                  fmt::format("the ranks have lost each other: rank {} is elsewhere in the loader "
                              "than rank {}",
                              r, ranks.rank()),
                  "start all of them with the same program, config and data", Exit::failed);
    }
    messages[r].erase(0, 1);
  }
  return messages;
}

std::future<Outcome> OutcomeExchange::ask(int64_t ordinal, int32_t owner) {
  const int64_t number =
      first_ + static_cast<int64_t>(known_.size()) + static_cast<int64_t>(asked_.size());
  Asked& asked = asked_.emplace_back(Asked{owner, {}});
  if (owner == ranks_.rank()) asked.mine = measure_(ordinal);
  return std::async(std::launch::deferred, [this, number] { return take(number); });
}

Outcome OutcomeExchange::take(int64_t number) {
  if (number - first_ >= static_cast<int64_t>(known_.size())) exchange();
  auto& slot = known_[static_cast<size_t>(number - first_)];
  Outcome outcome = *std::move(slot);
  slot.reset();
  while (!known_.empty() && !known_.front()) {
    known_.pop_front();
    ++first_;
  }
  return outcome;
}

void OutcomeExchange::exchange() {
  json mine = json::array();
  for (Asked& asked : asked_)
    if (asked.owner == ranks_.rank()) mine.push_back(outcome_json(outcome_of(asked.mine)));
  std::vector<json> all;
  for (const std::string& bytes : gather_tagged(ranks_, ExchangeTag::outcomes, bytes_of(mine)))
    all.push_back(json::from_cbor(bytes.begin(), bytes.end()));
  std::vector<size_t> read(all.size(), 0);
  for (const Asked& asked : asked_) {
    const auto owner = static_cast<size_t>(asked.owner);
    known_.emplace_back(outcome_from(all[owner].at(read[owner]++)));
  }
  asked_.clear();
}

std::exception_ptr agree_on_failure(Ranks& ranks, const std::exception_ptr& failure) {
  std::string mine;
  if (failure) {
    const auto [fault, exit] = fault_of(failure);
    mine = bytes_of({fault_json(fault), static_cast<int>(exit)});
  }
  for (const std::string& bytes : gather_tagged(ranks, ExchangeTag::failure, mine)) {
    if (bytes.empty()) continue;
    const json fields = json::from_cbor(bytes.begin(), bytes.end());
    return std::make_exception_ptr(
        Error(fault_from(fields.at(0)), static_cast<Exit>(fields.at(1).get<int>())));
  }
  return nullptr;
}

}  // namespace lmms::data
