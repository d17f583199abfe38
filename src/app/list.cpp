#include <cstdio>

#include "app/commands.h"
#include "app/usage.h"
#include "core/config/names.h"
#include "core/format.h"
#include "models/config.h"
#include "optim/config.h"
#include "train/config.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

/// The names of a registry with their origin, and those of `known` that are for later.
template <class T, class Help>
void print(const char* title, const Registry<T>& registry, std::span<const config::Name> known,
           const Help& help_of) {
  std::string text = fmt::format("{}\n", title);
  for (const auto& entry : registry.entries()) {
    text += fmt::format("  {:<28} {}", entry.name, help_of(entry));
    if (entry.origin != kBuiltIn) text += fmt::format("  [{}]", entry.origin);
    text += '\n';
  }
  std::string later;
  for (const config::Name& name : known) {
    if (name.built == config::Built::later && registry.find(name.name) == nullptr)
      later += (later.empty() ? "" : ", ") + std::string(name.name);
  }
  if (!later.empty()) text += fmt::format("  not built yet: {}\n", later);
  std::printf("%s\n", text.c_str());
}

template <class T>
void print(const char* title, const Registry<T>& registry,
           std::span<const config::Name> known = {}) {
  print(title, registry, known, [](const auto& entry) { return entry.help; });
}

void print_all(const train::Registries& all) {
  print("models (model_type)", all.models, {}, [](const auto& entry) {
    return fmt::format("{}: {}", entry.value.architecture, entry.help);
  });
  print("processors (dataset_config.processor_config.processor_type)", all.processors,
        data::processor_type_names());
  print("data sets (dataset_config.dataset_type)", all.datasets, data::dataset_type_names());
  print("trainers (trainer_type)", all.objectives, train::trainer_type_names());
  print("optimisers (trainer_args.optim)", all.optimizers, optim::optimizer_names());
  print("schedules (trainer_args.lr_scheduler_type)", all.schedules, optim::schedule_names());
  print("patches (monkey_patch)", all.patches, models::patch_names());
  print("metric sinks (trainer_args.report_to)", all.metric_sinks);
  std::string compat = "compat\n";
  for (const config::Name& name : train::compat_names())
    compat += fmt::format("  {:<28} {}\n", name.name, name.help);
  std::printf("%s\n", compat.c_str());
}

}  // namespace

void add_list(CLI::App& app, train::Registries& registries, Outcome&) {
  CLI::App* command = app.add_subcommand(
      "list", "Show every model, processor, data set type, trainer, optimiser and schedule");
  add_plugin_option(*command, registries);
  command->footer("\nWhat a plugin brings has its library behind it, in brackets.");
  command->callback([&registries] { print_all(registries); });
}

}  // namespace lmms::app
