#include "inspect/machine/doctor.h"

#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "train/doctor_setup.h"

namespace lmms::app {

void add_doctor(CLI::App& app, const train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Look at the machine, and at a config on it: what is wrong, and its cure");
  auto words = std::make_shared<std::vector<std::string>>();
  auto json = std::make_shared<bool>(false);
  add_config_words(*command, *words, "CONFIG, and key=value over it, as for lmms train",
                   "[CONFIG [key=value ...]]");
  command->add_flag("--json", *json, "Print one JSON object, for a bug report");
  auto no_disk = std::make_shared<bool>(false);
  command->add_flag("--no-disk-speed", *no_disk,
                    "Leave out how fast the disk is: nothing is written");
  command->footer(
      "Exit codes: 0 nothing is broken (notes are no fault), 1 a run would fail or fall short, "
      "2 bad config.");
  command->callback([words, json, no_disk, &registries, &outcome] {
    inspect::DoctorRequest request;
    const train::Place here = place();
    request.run = train::check_run(*words, here, registries);
    request.local_rank = here.local_rank;
    request.disk_speed = !*no_disk;
    request.environment = variables(inspect::doctor_variables());
    const inspect::Diagnosis diagnosis = inspect::diagnose(request);
    const std::string text =
        *json ? inspect::doctor_json(diagnosis)
              : inspect::doctor_table(diagnosis, {columns_of(stdout, 0), wants_colour(stdout)});
    std::fputs(text.c_str(), stdout);
    outcome.exit = diagnosis.exit;
  });
}

}  // namespace lmms::app
