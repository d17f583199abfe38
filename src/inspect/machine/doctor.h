#pragma once
/// `lmms doctor`: the machine, and a config on it.
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "inspect/machine/examination.h"

namespace lmms::inspect {

/// What the command line and the environment say.
struct DoctorRequest {
  RunCheck run;  ///< of the config that was given, if one was
  int local_rank = 0;
  std::map<std::string, std::string> environment;  ///< those of doctor_variables() that are set
  bool disk_speed = true;                          ///< measure it
};

struct Diagnosis {
  std::vector<Finding> findings;
  std::string config_faults;  ///< what `lmms train` would say before it starts; empty: nothing
  Exit exit = Exit::done;     ///< failed with a trouble, bad_input with a fault of the config
};

/// Examines everything; takes a second or two, mostly for the disk. With a config whose faults stop
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

}  // namespace lmms::inspect
