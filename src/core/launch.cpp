#include "core/launch.h"

#include <charconv>

#include "core/format.h"

namespace lmms {
namespace {

const std::string* find(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? nullptr : &found->second;
}

/// A variable as a number of at least `least`; absent if it is not set.
Result<std::optional<int>> number(const Environment& environment, const char* name, int least) {
  const std::string* text = find(environment, name);
  if (text == nullptr) return std::optional<int>();
  int value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, failure] = std::from_chars(text->data(), end, value);
  if (failure == std::errc() && stop == end && value >= least) return std::optional(value);
  return Fault{name, fmt::format("got '{}'; expected a whole number >= {}", *text, least),
               fmt::format("unset {}, or start lmms with the launcher that sets it", name)};
}

Fault one_of_many(const char* name, int size) {
  return {name,
          fmt::format("training with many ranks is not built yet, and {}={} says that this process "
                      "is one of {}: alone it would train all of the data by itself",
                      name, size, size),
          "start one process, without a launcher; WORLD_SIZE=1 says that this one is alone"};
}

/// The number of processes and the place among them, as one kind of launcher sets them.
struct Names {
  const char* size;
  const char* rank;
};
constexpr Names kWorld{"WORLD_SIZE", "RANK"};
constexpr Names kLocal{"LOCAL_WORLD_SIZE", "LOCAL_RANK"};
constexpr Names kOthers[] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},  // Open MPI
                             {"PMI_SIZE", "PMI_RANK"},                          // MPICH, Intel MPI
                             {"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},    // MVAPICH2
                             {"HOROVOD_SIZE", "HOROVOD_RANK"},
                             {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};

/// The size that a launcher tells, absent if it tells none, after a look at the rank beside it.
Result<std::optional<int>> size_of(const Environment& environment, const Names& names) {
  const Result<std::optional<int>> size = number(environment, names.size, 1);
  if (!size || !*size) return size;
  const Result<std::optional<int>> rank = number(environment, names.rank, 0);
  if (!rank) return rank;
  if (*rank && **rank >= **size) {
    return Fault{names.rank,
                 fmt::format("got {}; expected less than {}={}", **rank, names.size, **size),
                 fmt::format("unset {} and {}, or start lmms with the launcher that sets them",
                             names.rank, names.size)};
  }
  return size;
}

/// SLURM_NTASKS where no step says its own number: that of the allocation. A batch script has it
/// too, as task 0 and without a step.
std::optional<Fault> allocation_fault(const Environment& environment) {
  if (find(environment, "SLURM_STEP_NUM_TASKS") != nullptr) return std::nullopt;
  const auto tasks = number(environment, "SLURM_NTASKS", 1);
  const auto place = number(environment, "SLURM_PROCID", 0);
  if (!tasks || !place || !*tasks || **tasks == 1) return std::nullopt;
  const bool of_a_step = find(environment, "SLURM_STEP_ID") != nullptr;
  if (*place && (**place > 0 || of_a_step)) return one_of_many("SLURM_NTASKS", **tasks);
  return std::nullopt;
}

}  // namespace

std::span<const char* const> launch_variables() {
  static constexpr const char* kNames[] = {"WORLD_SIZE",
                                           "RANK",
                                           "LOCAL_WORLD_SIZE",
                                           "LOCAL_RANK",
                                           "OMPI_COMM_WORLD_SIZE",
                                           "OMPI_COMM_WORLD_RANK",
                                           "PMI_SIZE",
                                           "PMI_RANK",
                                           "MV2_COMM_WORLD_SIZE",
                                           "MV2_COMM_WORLD_RANK",
                                           "HOROVOD_SIZE",
                                           "HOROVOD_RANK",
                                           "SLURM_NTASKS",
                                           "SLURM_PROCID",
                                           "SLURM_STEP_ID",
                                           "SLURM_STEP_NUM_TASKS"};
  return kNames;
}

Result<int> local_rank_of(const Environment& environment) {
  const auto rank = number(environment, "LOCAL_RANK", 0);
  if (!rank) return rank.fault();
  return rank->value_or(0);
}

std::optional<Fault> launch_fault(const Environment& environment) {
  for (const Names& names : {kWorld, kLocal}) {
    const auto size = size_of(environment, names);
    if (!size) return size.fault();
    if (*size && **size > 1) return one_of_many(names.size, **size);
  }
  const bool has_world = find(environment, kWorld.size) != nullptr;
  const auto rank = number(environment, kWorld.rank, 0);
  if (!rank) return rank.fault();
  if (!has_world && *rank && **rank > 0) {
    return Fault{kWorld.rank, fmt::format("got {}, but WORLD_SIZE is not set", **rank),
                 "unset RANK, or start lmms with the launcher that sets both"};
  }
  const auto local = local_rank_of(environment);
  if (!local) return local.fault();
  if (has_world) {
    if (*local == 0) return std::nullopt;
    return Fault{"LOCAL_RANK", fmt::format("got {}; expected less than WORLD_SIZE=1", *local),
                 "unset WORLD_SIZE to choose a GPU by LOCAL_RANK, or set CUDA_VISIBLE_DEVICES"};
  }
  for (const Names& names : kOthers) {
    const auto size = size_of(environment, names);
    if (!size) return size.fault();
    if (*size && **size > 1) return one_of_many(names.size, **size);
  }
  return allocation_fault(environment);
}

}  // namespace lmms
