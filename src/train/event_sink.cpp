// TensorBoard's event files as a sink of metrics, and W&B's import of them.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/format.h"
#include "train/metric_sink.h"
#include "train/metrics.h"
#include "train/tensorboard.h"

namespace lmms::train {
namespace {

// Of an evaluation its own fields alone: the others stand in the row of its step.
std::vector<EventFile::Scalar> scalars_of(const nlohmann::ordered_json& row) {
  const bool evaluation = is_evaluation(row);
  std::vector<EventFile::Scalar> out;
  for (const auto& [field, value] : row.items()) {
    if (field == "step" || !value.is_number() || (evaluation && !field.starts_with("eval_")))
      continue;
    out.emplace_back(event_tag(field), value);
  }
  return out;
}

// As a shell takes it.
std::string quoted(const std::string& path) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
  if (!path.empty() && path.find_first_not_of(kPlain) == std::string::npos) return path;
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string live_command(const MetricSinkSetup& setup) {
  return "tensorboard --logdir " + quoted(setup.output_dir.string());
}

class EventSink final : public MetricSink {
 public:
  explicit EventSink(const MetricSinkSetup& setup)
      : file_(event_folder(setup.output_dir, setup.run_name), setup.first_step) {}
  void write(const nlohmann::ordered_json& row) override {
    file_.scalars(row.at("step"), unix_seconds(), scalars_of(row));
  }
  void flush() override { file_.flush(); }

 private:
  EventFile file_;
};

}  // namespace

// Of metric_sinks.def.
MetricSinkEntry tensorboard_sink();
MetricSinkEntry wandb_sink();

MetricSinkEntry tensorboard_sink() {
  return {.make = [](const MetricSinkSetup& setup) -> std::unique_ptr<MetricSink> {
            return std::make_unique<EventSink>(setup);
          },
          .pointer = [](const MetricSinkSetup& setup) { return "events: " + live_command(setup); },
          .live = live_command};
}

MetricSinkEntry wandb_sink() {
  return {.written_by = "tensorboard", .pointer = [](const MetricSinkSetup& setup) {
            const auto folder = event_folder(setup.output_dir, setup.run_name);
            // later versions of wandb have lost the option
            return fmt::format(
                "import into W&B: pip install 'wandb<0.30' && wandb sync --sync-tensorboard {}",
                quoted(folder.string()));
          }};
}

}  // namespace lmms::train
