#pragma once
/// What launchers say in the environment of a process: whether it is one of many.
#include <map>
#include <optional>
#include <span>
#include <string>

#include "core/error.h"

namespace lmms {

/// Variables that are set, by name.
using Environment = std::map<std::string, std::string>;

/// The variables that the functions below look at.
std::span<const char* const> launch_variables();

/// LOCAL_RANK, which chooses the GPU; 0 if it is not set. A fault if it is no rank.
Result<int> local_rank_of(const Environment& environment);

/// Why a process with this environment must not train alone: a launcher (torchrun, accelerate,
/// mpirun, srun) says that it is one of several, or what it says makes no sense. WORLD_SIZE, where
/// it is set, is the last word. In a Slurm allocation only the tasks of a step count: SLURM_NTASKS
/// alone is also set where no srun started the process.
std::optional<Fault> launch_fault(const Environment& environment);

}  // namespace lmms
