#include "train/machine/doctor.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/terminal.h"

namespace lmms::app {

void add_doctor(CLI::App& app, Outcome& outcome) {
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
  command->callback([words, json, no_disk, &outcome] {
    train::DoctorRequest request;
    request.words = *words;
    request.place = place();
    request.disk_speed = !*no_disk;
    request.environment = variables(train::doctor_variables());
    const train::Diagnosis diagnosis = train::diagnose(request);
    const std::string text =
        *json ? train::doctor_json(diagnosis)
              : train::doctor_table(diagnosis,
                                    {terminal_columns(STDOUT_FILENO, 0), wants_colour(stdout)});
    std::fputs(text.c_str(), stdout);
    outcome.exit = diagnosis.exit;
  });
}

}  // namespace lmms::app
