#pragma once
/// `lmms doctor`: looks at the machine, and at a config on it.
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "train/machine/examination.h"

namespace lmms::train {

/// What app/ knows: the command line and the environment.
struct DoctorRequest {
  std::vector<std::string> words;  ///< CONFIG and key=value, as of `lmms train`; may be empty
  Place place;
  std::map<std::string, std::string> environment;  ///< those of doctor_variables() that are set
  bool disk_speed = true;                          ///< measure it
};

struct Diagnosis {
  std::vector<Finding> findings;
  std::string config_faults;  ///< what `lmms train` would say before it starts; empty: nothing
  Exit exit = Exit::done;     ///< failed with a trouble, bad_input with a fault of the config
};

/// Looks at everything; takes a second or two, mostly for the disk. With a config whose faults stop
/// it, the machine is still examined.
Diagnosis diagnose(const DoctorRequest& request);

/// Names of the variables that change how a run behaves.
std::span<const char* const> doctor_variables();

/// How the table is to look.
struct Screen {
  int width = 0;  ///< columns; 0: lines are not broken
  bool colour = false;
};
/// The table: sections, a mark a line, and at the end everything that wants a cure.
std::string doctor_table(const Diagnosis& diagnosis, const Screen& screen);
/// The same as one JSON object, for a bug report.
std::string doctor_json(const Diagnosis& diagnosis);

}  // namespace lmms::train
