#include <cstdio>

#include "app/commands.h"
#include "core/config/names.h"
#include "core/format.h"
#include "optim/config.h"
#include "train/config.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

void print(const char* title, std::span<const config::Name> names) {
  std::string later;
  std::string text = fmt::format("{}\n", title);
  for (const config::Name& name : names) {
    if (name.built == config::Built::built) {
      text += fmt::format("  {:<28} {}\n", name.name, name.help);
    } else {
      later += (later.empty() ? "" : ", ") + std::string(name.name);
    }
  }
  if (!later.empty()) text += fmt::format("  not built yet: {}\n", later);
  std::printf("%s\n", text.c_str());
}

}  // namespace

void add_list(CLI::App& app, const train::Registries& registries, Outcome&) {
  app.add_subcommand("list",
                     "Show every model, processor, data set type, trainer, optimiser and schedule")
      ->callback([&registries] {
        std::printf("models (model_type)\n");
        for (const auto& [name, help, entry, origin] : registries.models.entries())
          std::printf("  %-28s %s: %s\n", name.c_str(), entry.architecture, help.c_str());
        std::printf("\n");
        print("processors (dataset_config.processor_config.processor_type)",
              data::processor_type_names());
        print("data sets (dataset_config.dataset_type)", data::dataset_type_names());
        print("trainers (trainer_type)", train::trainer_type_names());
        print("optimisers (trainer_args.optim)", optim::optimizer_names());
        print("schedules (trainer_args.lr_scheduler_type)", optim::schedule_names());
        print("compat", train::compat_names());
      });
}

}  // namespace lmms::app
