#include "inspect/machine/examination.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/format.h"
#include "core/launch.h"
#include "core/units.h"

namespace lmms::inspect {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

/// The whole text as a number; nothing if it is none.
std::optional<int> number(const std::string* text) {
  int value = 0;
  if (text == nullptr) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return value;
}

/// Cores whose time this process can get.
int cores_to_use(const HostFacts& host) {
  int cores = host.usable_cores;
  if (host.cgroup_cores)
    cores = std::min(cores, std::max(1, static_cast<int>(std::ceil(*host.cgroup_cores))));
  return cores;
}

// ---- program

void examine_program(const DoctorFacts& facts, std::vector<Finding>& out) {
  for (const auto& [name, version] : facts.versions) {
    Finding line = finding("program", name, version);
    if (name == "libtorch" && facts.torch_as_loaded != facts.torch_of_the_headers) {
      add_trouble(
          line,
          fmt::format("this program was compiled against libtorch {}, which is another",
                      facts.torch_of_the_headers),
          fmt::format("let it find libtorch {} (LD_LIBRARY_PATH, LMMS_SITE), or build it again",
                      facts.torch_of_the_headers));
    }
    out.push_back(std::move(line));
  }
}

// ---- CPU

Finding examine_threads(const DoctorFacts& facts) {
  const HostFacts& host = facts.host;
  const int cores = cores_to_use(host);
  const std::string* given = variable(facts, "OMP_NUM_THREADS");
  Finding line = finding("CPU", "math threads",
                         fmt::format("{}{}", host.math_threads,
                                     given ? fmt::format(" (OMP_NUM_THREADS={})", *given) : ""));
  if (facts.on_gpu) return line;
  if (host.math_threads > cores) {
    add_note(line, fmt::format("more threads than the {} cores that they get", cores),
             fmt::format("export OMP_NUM_THREADS={}", cores));
  } else if (number(given) == 1 && cores > 1) {
    add_note(line,
             fmt::format("one of {} cores does all the work; launchers such as torchrun set this",
                         cores),
             fmt::format("unset OMP_NUM_THREADS, or export OMP_NUM_THREADS={}", cores));
  }
  return line;
}

// The policy matters where others want the cores too.
Finding examine_waiting(const DoctorFacts& facts) {
  const HostFacts& host = facts.host;
  const std::string* given = variable(facts, "OMP_WAIT_POLICY");
  std::string policy = given ? *given : "";
  std::transform(policy.begin(), policy.end(), policy.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Finding line = finding("CPU", "other work",
                         fmt::format("{:.1f} of {} cores were busy in the last minute", host.load,
                                     host.machine_cores));
  const bool crowded = host.load >= 1 && host.load + host.math_threads > host.machine_cores + 1.0;
  if (!facts.on_gpu && host.math_threads > 1 && crowded && policy != "passive") {
    add_note(
        line,
        "threads that spin while they wait take the cores from those they wait for, and training "
        "on the CPU becomes several times slower",
        "export OMP_WAIT_POLICY=passive");
  }
  return line;
}

void examine_cpu(const DoctorFacts& facts, std::vector<Finding>& out) {
  const HostFacts& host = facts.host;
  out.push_back(
      finding("CPU", "host",
              fmt::format("{} ({}, {}, {})", host.name, host.system, host.kernel, host.libc)));
  out.push_back(finding("CPU", "model", host.cpu));
  Finding cores = finding("CPU", "cores", cores_text(host));
  if (cores_to_use(host) == 1 && host.machine_cores >= 4) {
    add_note(
        cores, "one core is left to this process, for all its threads",
        "give it more: docker run --cpus, Slurm's --cpus-per-task, or a launcher without binding");
  }
  out.push_back(std::move(cores));
  out.push_back(examine_threads(facts));
  Finding sets =
      finding("CPU", "instruction sets",
              fmt::format("{}; libtorch uses {}",
                          host.instruction_sets.empty() ? std::string("none that it knows")
                                                        : comma_list(host.instruction_sets),
                          host.torch_kernels));
  const auto has = [&](const char* name) {
    return std::find(host.instruction_sets.begin(), host.instruction_sets.end(), name) !=
           host.instruction_sets.end();
  };
  const std::string* chosen = variable(facts, "ATEN_CPU_CAPABILITY");
  if (!facts.on_gpu && chosen != nullptr && host.torch_kernels == "DEFAULT" && has("avx2")) {
    add_note(sets,
             fmt::format("ATEN_CPU_CAPABILITY={} keeps libtorch from the CPU's vectors", *chosen),
             "unset ATEN_CPU_CAPABILITY");
  } else if (!facts.on_gpu && host.torch_kernels == "DEFAULT" && !has("asimd")) {
    add_note(sets, "a CPU without AVX2: libtorch's plain loops are several times slower",
             "train on a newer machine");
  }
  out.push_back(std::move(sets));
  out.push_back(examine_waiting(facts));
}

// ---- memory and limits

void examine_memory(const DoctorFacts& facts, std::vector<Finding>& out) {
  const HostFacts& host = facts.host;
  out.push_back(finding("memory", "memory",
                        fmt::format("{}{}, {} free", size_text(host.memory_bytes),
                                    host.memory_limit ? ", limited by its control group to " +
                                                            size_text(*host.memory_limit)
                                                      : "",
                                    size_text(host.free_bytes))));
  Finding shared = finding(
      "memory", "/dev/shm",
      facts.shared_memory ? fmt::format("{}, {} free", size_text(facts.shared_memory->total_bytes),
                                        size_text(facts.shared_memory->free_bytes))
                          : std::string("none"));
  // Ranks of one host speak through it; a single process does not.
  const bool small = !facts.shared_memory || facts.shared_memory->free_bytes < kGiB;
  if (facts.cuda.gpus.size() > 1 && small) {
    add_note(
        shared, "NCCL needs more once several GPUs of this host train together",
        "docker run --shm-size=16g (or --ipc=host); elsewhere mount -o remount,size=16G /dev/shm");
  }
  out.push_back(std::move(shared));

  const ProcessLimits& limits = facts.limits;
  const auto limit = [](const std::optional<int64_t>& bytes) {
    return bytes ? size_text(*bytes) : std::string("unlimited");
  };
  Finding files = finding("memory", "open files",
                          limits.open_files ? fmt::format("{}", *limits.open_files) : "unlimited");
  if (limits.open_files && *limits.open_files < 1024) {
    const int64_t most = limits.open_files_at_most.value_or(65536);
    add_note(files, "a data set of many files and many threads may run out of them",
             most >= 1024 ? fmt::format("ulimit -n {}", std::min<int64_t>(most, 65536))
                          : "let the administrator raise nofile in limits.conf");
  }
  out.push_back(std::move(files));
  Finding locked = finding("memory", "locked memory", limit(limits.locked_bytes));
  if (facts.infiniband_devices > 0 && limits.locked_bytes && *limits.locked_bytes < kGiB) {
    add_note(locked, "NCCL registers memory with the InfiniBand cards of this host",
             "ulimit -l unlimited; docker run --ulimit memlock=-1");
  }
  out.push_back(std::move(locked));
  Finding address = finding("memory", "address space", limit(limits.address_bytes));
  if (limits.address_bytes) {
    add_note(address, "files are mapped and CUDA reserves addresses far beyond the memory in use",
             "ulimit -v unlimited");
  }
  out.push_back(std::move(address));
}

// ---- communication

void examine_communication(const DoctorFacts& facts, std::vector<Finding>& out) {
  const char* later = "one process trains: not needed yet";
  out.push_back(finding("communication", "NCCL",
                        facts.cuda.nccl.empty() ? fmt::format("not in the CPU library ({})", later)
                                                : fmt::format("{} ({})", facts.cuda.nccl, later)));
  out.push_back(
      finding("communication", "Gloo",
              fmt::format("{} ({})", facts.gloo ? "in libtorch" : "not in libtorch", later)));
  Finding ranks = finding("communication", "ranks", "1");
  if (const std::optional<Fault> fault = launch_fault(facts.environment))
    add_trouble(ranks, fault->where + ": " + fault->what, fault->fix);
  const auto local = number(variable(facts, "LOCAL_RANK"));
  if (local && !facts.cuda.gpus.empty() && *local >= static_cast<int>(facts.cuda.gpus.size())) {
    add_trouble(ranks,
                fmt::format("LOCAL_RANK={} asks for GPU {}, and {} are visible", *local, *local,
                            facts.cuda.gpus.size()),
                "start as many processes as there are GPUs, or unset LOCAL_RANK");
  }
  out.push_back(std::move(ranks));
}

// ---- kernels

void examine_kernels(const DoctorFacts& facts, std::vector<Finding>& out) {
  out.push_back(finding("kernels", "device", facts.device));
  for (const KernelChoice& choice : facts.kernels) {
    Finding line = finding("kernels", choice.op + ", " + choice.numbers,
                           fmt::format("{}: {}", choice.kernel, choice.why));
    if (!choice.trouble.empty()) {
      add_trouble(line, "it does not run here: " + choice.trouble,
                  facts.on_gpu ? "build for this GPU (LMMS_CUDA_ARCHITECTURES), or train with "
                                 "trainer_args.use_cpu: true"
                               : "report it with the output of lmms doctor --json");
    }
    out.push_back(std::move(line));
  }
}

// ---- disk

void examine_disk(const DoctorFacts& facts, std::vector<Finding>& out) {
  const DiskFacts& disk = facts.disk;
  const bool configured = facts.run.has_value();
  Finding folder =
      finding("disk", configured ? "output folder" : "this folder", disk.asked.string());
  if (!disk.trouble.empty()) {
    const std::string what = fmt::format("{}: {}", disk.measured.string(), disk.trouble);
    if (configured)
      add_trouble(folder, what, "make it writable, or choose another trainer_args.output_dir");
    else
      add_note(folder, what, "train in a folder that you may write to");
  }
  out.push_back(std::move(folder));
  Finding room = finding(
      "disk", "room",
      fmt::format("{} free of {}{}", size_text(disk.free_bytes), size_text(disk.total_bytes),
                  disk.file_system.empty() ? "" : ", " + disk.file_system));
  if (!configured && disk.total_bytes > 0 && disk.free_bytes < kGiB)
    add_note(room, "hardly any room for a checkpoint",
             "free some room, or train in another folder");
  if (configured && (disk.file_system == "tmpfs" || disk.file_system == "ramfs")) {
    add_note(room, "this folder is in memory: checkpoints there use it up and end with the machine",
             "choose trainer_args.output_dir on a disk");
  }
  out.push_back(std::move(room));
  if (!disk.trouble.empty()) return;
  const auto speed = [](double bytes) {
    return bytes > 0 ? fmt::format("{:.0f} MB/s", bytes / 1e6) : std::string("not measured");
  };
  Finding fast =
      finding("disk", "speed",
              fmt::format("write {}, read {}", speed(disk.write_speed), speed(disk.read_speed)));
  constexpr double kSlow = 200e6;
  if (disk.write_speed > 0 && disk.write_speed < kSlow) {
    const int64_t bytes = facts.run ? facts.run->checkpoint_bytes : 0;
    const double seconds = static_cast<double>(bytes) / disk.write_speed;
    if (!facts.run) {
      add_note(fast, "a slow disk: training waits while a checkpoint is written",
               "choose an output_dir on a local disk, or save less often");
    } else if (facts.run->saves && seconds > 10) {
      add_note(fast,
               fmt::format("writing a checkpoint of {} takes about {:.0f} s, and training waits",
                           size_text(bytes), seconds),
               "choose trainer_args.output_dir on a faster disk, or raise trainer_args.save_steps");
    }
  }
  out.push_back(std::move(fast));
}

}  // namespace

const std::string* variable(const DoctorFacts& facts, const char* name) {
  const auto found = facts.environment.find(name);
  return found == facts.environment.end() ? nullptr : &found->second;
}

bool asks_for_cpu(const DoctorFacts& facts) {
  const std::string* device = variable(facts, "LMMS_DEVICE");
  return (facts.run && facts.run->use_cpu) || (device != nullptr && *device == "cpu");
}

std::vector<Finding> examine(const DoctorFacts& facts) {
  std::vector<Finding> out;
  examine_program(facts, out);
  examine_cpu(facts, out);
  examine_memory(facts, out);
  examine_gpus(facts, out);
  examine_communication(facts, out);
  examine_kernels(facts, out);
  examine_disk(facts, out);
  examine_run(facts, out);
  return out;
}

}  // namespace lmms::inspect
