#include "data/policy.h"

#include "core/format.h"

namespace lmms::data {
namespace {

nlohmann::json occurrences_json(const Occurrences& occurrences) {
  return {{"count", occurrences.count},
          {"first_where", occurrences.first_where},
          {"first_what", occurrences.first_what}};
}

Occurrences occurrences_from(const nlohmann::json& json) {
  return {.count = json.at("count").get<int64_t>(),
          .first_where = json.at("first_where").get<std::string>(),
          .first_what = json.at("first_what").get<std::string>()};
}

}  // namespace

std::string_view skip_reason_name(SkipReason reason) {
  switch (reason) {
    case SkipReason::bad:
      return "bad";
    case SkipReason::overlong:
      return "overlong";
    case SkipReason::empty:
      return "empty";
    case SkipReason::unsupervised:
      return "unsupervised";
  }
  return "?";
}

void Occurrences::add(const Fault& fault) {
  if (count++ > 0) return;
  first_where = fault.where;
  first_what = fault.what;
}

int64_t SkipCounts::total() const {
  int64_t sum = 0;
  for (const auto& occurrences : skipped) sum += occurrences.count;
  return sum;
}

std::string SkipCounts::text() const {
  std::string parts;
  const auto append = [&](std::string_view name, const Occurrences& occurrences) {
    if (occurrences.count == 0) return;
    parts += fmt::format("{}{} {} (first: {}: {})", parts.empty() ? "" : ", ", occurrences.count,
                         name, occurrences.first_where, occurrences.first_what);
  };
  for (const auto reason : kSkipReasons) append(skip_reason_name(reason), of(reason));
  append("truncated", truncated);
  return parts.empty() ? "" : fmt::format("{} records skipped: {}", total(), parts);
}

void to_json(nlohmann::json& json, const SkipCounts& counts) {
  json = nlohmann::json::object();
  for (const auto reason : kSkipReasons) {
    json[std::string(skip_reason_name(reason))] = occurrences_json(counts.of(reason));
  }
  json["truncated"] = occurrences_json(counts.truncated);
}

void from_json(const nlohmann::json& json, SkipCounts& counts) {
  for (const auto reason : kSkipReasons) {
    counts.of(reason) = occurrences_from(json.at(std::string(skip_reason_name(reason))));
  }
  counts.truncated = occurrences_from(json.at("truncated"));
}

}  // namespace lmms::data
