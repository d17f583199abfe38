#include <algorithm>

#include "core/format.h"
#include "core/units.h"
#include "inspect/machine/examination.h"

namespace lmms::inspect {
namespace {

/// Memory that the run's device still has.
int64_t free_memory(const DoctorFacts& facts) {
  if (!facts.on_gpu) return facts.host.free_bytes;
  for (const kernels::GpuFacts& gpu : facts.cuda.gpus) {
    if (gpu.index == facts.device_index) return gpu.free_bytes;
  }
  return 0;
}

Finding examine_device_memory(const DoctorFacts& facts) {
  const RunNeeds& run = *facts.run;
  const int64_t free = free_memory(facts), need = run.network.bytes();
  Finding line = finding(
      "run", "memory",
      fmt::format("{}: weights {}{}, gradients {}, moments {}{}; activations come on top (lmms "
                  "plan says how much); {} free",
                  size_text(need), size_text(run.network.weights),
                  run.network.masters > 0 ? ", fp32 masters " + size_text(run.network.masters) : "",
                  size_text(run.network.gradients), size_text(run.network.optimizer_states),
                  run.network.averages > 0 ? ", averages " + size_text(run.network.averages) : "",
                  size_text(free)));
  const std::string cure = fmt::format(
      "end other programs, freeze more (trainer_args.freeze_modules), take a smaller model, or "
      "{}",
      facts.on_gpu ? "a GPU with more memory" : "a machine with more memory");
  if (need > free) {
    add_trouble(line,
                fmt::format("the run takes {} before its first step, and {} are free",
                            size_text(need), size_text(free)),
                cure);
  } else if (static_cast<double>(need) > 0.9 * static_cast<double>(free)) {
    add_note(line, "hardly anything is left for activations",
             "trainer_args.gradient_checkpointing: true and a small row "
             "(per_device_train_batch_size, packing_length); or " +
                 cure);
  }
  return line;
}

/// The most checkpoints that will be in the folder at one time, beyond those that are there now;
/// nothing if that is unknown.
std::optional<int64_t> new_checkpoints(const RunNeeds& run) {
  if (!run.saves) return 0;
  std::optional<int64_t> most = run.to_save;
  if (run.save_total_limit && *run.save_total_limit >= 1) {
    // a new one is complete before the oldest goes
    const int64_t limited = std::max<int64_t>(1, *run.save_total_limit + 1 - run.already_saved);
    most = most ? std::min(*most, limited) : limited;
  }
  return most;
}

Finding examine_checkpoints(const DoctorFacts& facts) {
  const RunNeeds& run = *facts.run;
  const bool limited = run.save_total_limit && *run.save_total_limit >= 1;
  Finding line = finding(
      "run", "checkpoints",
      run.saves ? fmt::format("{} each, {}; the model alone {}", size_text(run.checkpoint_bytes),
                              limited ? fmt::format("the newest {} kept", *run.save_total_limit)
                                      : std::string("all kept"),
                              size_text(run.model_bytes))
                : fmt::format("none; the model at the end {}", size_text(run.model_bytes)));
  const auto [soft, what] = std::pair(facts.limits.file_bytes, "ulimit -f");
  if (soft && *soft < run.model_bytes) {
    add_note(line, fmt::format("{} lets a file have {} at most", what, size_text(*soft)),
             "ulimit -f unlimited");
  }
  if (!facts.disk.trouble.empty() || run.checkpoint_bytes <= 0) return line;
  const double each = static_cast<double>(run.checkpoint_bytes);
  const double room = static_cast<double>(facts.disk.free_bytes - run.model_bytes);
  const std::optional<int64_t> fresh = new_checkpoints(run);
  const double sure = static_cast<double>(fresh ? std::min<int64_t>(*fresh, 1) : 1) * each;
  const std::string free = size_text(facts.disk.free_bytes);
  const std::string cure =
      limited ? "free some room, or choose trainer_args.output_dir on a larger disk"
              : "set trainer_args.save_total_limit, free some room, or choose "
                "trainer_args.output_dir on a larger disk";
  if (sure > room) {
    add_trouble(line,
                fmt::format("{} are free: not enough for {}the model at the end", free,
                            sure > 0 ? "one checkpoint and " : ""),
                "free some room, or choose trainer_args.output_dir on a larger disk");
  } else if (fresh && static_cast<double>(*fresh) * each > room) {
    add_trouble(line,
                fmt::format("{} are free: room for {:.0f} of the {} checkpoints that will be kept",
                            free, std::max(0.0, room / each - 0.5), *fresh),
                cure);
  } else if (!fresh && room < 3 * each) {
    add_note(line,
             fmt::format("{} are free: room for {:.0f} checkpoints, and all are kept", free,
                         std::max(0.0, room / each - 0.5)),
             cure);
  }
  return line;
}

}  // namespace

void examine_run(const DoctorFacts& facts, std::vector<Finding>& out) {
  if (!facts.run) return;
  const RunNeeds& run = *facts.run;
  out.push_back(finding("run", "model", run.model));
  out.push_back(finding("run", "parameters",
                        fmt::format("{} trained, {} frozen", grouped(run.network.trained),
                                    grouped(run.network.frozen))));
  Finding numbers = finding("run", "numbers",
                            run.bf16 ? "bf16, fp32 master weights and optimiser states" : "fp32");
  if (facts.on_gpu && !run.bf16) {
    add_note(numbers, "fp32 on a GPU is several times slower than bf16", "trainer_args.bf16: true");
  }
  for (const kernels::GpuFacts& gpu : facts.cuda.gpus) {
    if (facts.on_gpu && gpu.index == facts.device_index && run.bf16 && gpu.major < 8) {
      add_trouble(numbers, "attention in bf16 needs compute capability 8.0",
                  "trainer_args.bf16: false");
    }
  }
  out.push_back(std::move(numbers));
  Finding data = finding("run", "data", run.data.text);
  if (!run.data.trouble.empty()) {
    add_trouble(data, "the run would end at a record: " + run.data.trouble,
                "mend the record, or set dataset_config.on_bad_sample: skip (on_overlong: drop)");
  }
  out.push_back(std::move(data));
  out.push_back(examine_device_memory(facts));
  out.push_back(examine_checkpoints(facts));
}

}  // namespace lmms::inspect
