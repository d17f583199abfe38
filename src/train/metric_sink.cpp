#include "train/metric_sink.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/format.h"

namespace lmms::train {

#define LMMS_METRIC_SINK(name, entry, help) MetricSinkEntry entry();
#include "train/metric_sinks.def"
#undef LMMS_METRIC_SINK

void register_metric_sinks(MetricSinkRegistry& registry) {
#define LMMS_METRIC_SINK(name, entry, help) registry.add(#name, help, entry());
#include "train/metric_sinks.def"
#undef LMMS_METRIC_SINK
}

MetricSinks::MetricSinks(const MetricSinkRegistry& registry, const std::vector<std::string>& names,
                         MetricSinkSetup setup)
    : setup_(std::move(setup)) {
  std::set<std::string> asked(names.begin(), names.end());
  const bool all = asked.contains("all");
  for (const auto& entry : registry.entries()) {
    if (all) asked.insert(entry.name);
    if (entry.value.written_by != nullptr && asked.contains(entry.name))
      asked.insert(entry.value.written_by);
  }
  for (const auto& entry : registry.entries())
    if (asked.contains(entry.name)) asked_.push_back(&entry.value);
  for (const std::string& name : names) {
    const MetricSinkEntry* entry = registry.find(name);
    if (name != "none" && (entry == nullptr || entry->make == nullptr)) services_.push_back(name);
  }
}

MetricSinks::~MetricSinks() = default;

void MetricSinks::open() {
  for (const MetricSinkEntry* entry : asked_)
    if (entry->make != nullptr) open_.push_back(entry->make(setup_));
}

void MetricSinks::write(const nlohmann::ordered_json& row) {
  for (const auto& sink : open_) sink->write(row);
}

void MetricSinks::flush() {
  for (const auto& sink : open_) sink->flush();
}

void MetricSinks::close() {
  open_.clear();
}

std::vector<std::string> MetricSinks::pointers() const {
  std::vector<std::string> lines;
  for (const MetricSinkEntry* entry : asked_)
    if (entry->pointer != nullptr) lines.push_back(entry->pointer(setup_));
  return lines;
}

std::string MetricSinks::instead_of_services() const {
  if (services_.empty()) return "";
  std::string live = (setup_.output_dir / "report.html").string();
  for (const MetricSinkEntry* entry : asked_)
    if (entry->live != nullptr) live += ", or " + entry->live(setup_);
  return fmt::format("report_to: {}: no connection is opened; follow live with {}",
                     fmt::join(services_, ", "), live);
}

}  // namespace lmms::train
