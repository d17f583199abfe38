#pragma once
/// The sub-commands of `lmms`: each file app/<name>.cpp adds one. `registries` outlive the app;
/// those that take no config add the plugins of `--plugin` to them.
#include <CLI/CLI.hpp>

#include "core/error.h"

namespace lmms::train {
struct Registries;
}

namespace lmms::app {

/// What the chosen sub-command returned.
struct Outcome {
  Exit exit = Exit::done;
};

void add_train(CLI::App& app, const train::Registries& registries, Outcome& outcome);
void add_doctor(CLI::App& app, const train::Registries& registries, Outcome& outcome);
void add_eval(CLI::App& app, const train::Registries& registries, Outcome& outcome);
void add_generate(CLI::App& app, train::Registries& registries, Outcome& outcome);
void add_sample(CLI::App& app, train::Registries& registries, Outcome& outcome);
void add_fid(CLI::App& app, Outcome& outcome);
void add_cache_latents(CLI::App& app, const train::Registries& registries, Outcome& outcome);
void add_chat(CLI::App& app, train::Registries& registries, Outcome& outcome);
void add_list(CLI::App& app, train::Registries& registries, Outcome& outcome);
void add_report(CLI::App& app, Outcome& outcome);
void add_preview(CLI::App& app, const train::Registries& registries, Outcome& outcome);
void add_plan(CLI::App& app, const train::Registries& registries, Outcome& outcome);
void add_init(CLI::App& app, train::Registries& registries, Outcome& outcome);
void add_help(CLI::App& app, train::Registries& registries, Outcome& outcome);
void add_completion(CLI::App& app, train::Registries& registries, Outcome& outcome);

}  // namespace lmms::app
