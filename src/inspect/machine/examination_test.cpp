// Every rule on a machine described in a few lines.
#include "inspect/machine/examination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "inspect/machine/doctor.h"

namespace lmms::inspect {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int64_t kGiB = int64_t{1} << 30;

/// The CPU's library on a quiet machine without a GPU.
DoctorFacts cpu_machine() {
  DoctorFacts facts;
  facts.versions = {{"lmms", "0.1.0 (CPU library)"}, {"libtorch", "2.11.0+cu130"}};
  facts.torch_of_the_headers = facts.torch_as_loaded = "2.11.0";
  facts.host.cpu = facts.device = "AMD EPYC 9654";
  facts.host.machine_cores = facts.host.usable_cores = facts.host.math_threads = 16;
  facts.host.instruction_sets = {"avx2", "avx512"};
  facts.host.torch_kernels = "AVX512";
  facts.host.memory_bytes = 64 * kGiB;
  facts.host.free_bytes = 60 * kGiB;
  facts.limits.open_files = 1024;
  facts.limits.open_files_at_most = 1048576;
  facts.limits.locked_bytes = 8 << 20;
  facts.shared_memory = SharedMemory{32 * kGiB, 32 * kGiB};
  facts.gloo = true;
  facts.kernels = {{"attention", "bf16, fp32", "ATen", "a CPU", ""}};
  facts.disk = {"/data/out", "/data", "ext4", 1000 * kGiB, 500 * kGiB, "", 900e6, 2e9};
  return facts;
}

/// CUDA's library on a machine with two GPUs.
DoctorFacts gpu_machine() {
  DoctorFacts facts = cpu_machine();
  facts.cuda = {true, "13.0", "13.0", "9.19.0", "2.28.9", "", 2, {}};
  for (int i = 0; i < 2; ++i) {
    const std::string pci = i == 0 ? "0000:18:00.0" : "0000:2a:00.0";
    facts.cuda.gpus.push_back(
        {i, "NVIDIA H100 80GB HBM3", pci, 9, 0, 132, 80 * kGiB, 79 * kGiB, ""});
    facts.nvml.gpus.push_back({"NVIDIA H100 80GB HBM3", "0000" + pci, 80 * kGiB, kGiB, 0, {}, {}});
  }
  facts.nvml.present = true;
  facts.nvidia = {"580.95.05", 2, 2};
  facts.on_gpu = true;
  facts.device = "NVIDIA H100 80GB HBM3";
  return facts;
}

/// A model of 600 million parameters in bf16.
RunNeeds small_run() {
  RunNeeds run;
  run.bf16 = true;
  run.network.trained = 600'000'000;
  run.network.weights = 2 * run.network.trained;
  run.network.masters = 4 * run.network.trained;
  run.network.gradients = 4 * run.network.trained;
  run.network.optimizer_states = 8 * run.network.trained;
  run.model_bytes = 2 * run.network.trained;
  run.checkpoint_bytes = 14 * run.network.trained;
  return run;
}

std::vector<Finding> marked(const DoctorFacts& facts) {
  std::vector<Finding> out;
  for (const Finding& f : examine(facts)) {
    if (f.severity != Severity::ok) out.push_back(f);
  }
  return out;
}

/// One finding alone is marked: this one, with words of what is wrong and of the cure.
void expect_only(const DoctorFacts& facts, Severity mark, const std::string& name,
                 const std::string& what, const std::string& cure) {
  const std::vector<Finding> findings = marked(facts);
  ASSERT_EQ(findings.size(), 1U) << doctor_table({findings, "", Exit::done}, {});
  const Finding& f = findings.front();
  EXPECT_EQ(f.severity, mark);
  EXPECT_EQ(f.name, name);
  EXPECT_THAT(f.trouble, HasSubstr(what));
  EXPECT_THAT(f.cure, HasSubstr(cure));
}

TEST(Doctor, finds_nothing_on_machines_that_are_well) {
  EXPECT_THAT(marked(cpu_machine()), IsEmpty());
  EXPECT_THAT(marked(gpu_machine()), IsEmpty());
  for (DoctorFacts facts : {cpu_machine(), gpu_machine()}) {
    facts.run = small_run();
    EXPECT_THAT(marked(facts), IsEmpty());
  }
}

TEST(Doctor, says_nothing_that_wants_a_cure_without_naming_it) {
  DoctorFacts facts = gpu_machine();
  facts.cuda.gpus[0].trouble = "cudaMemGetInfo: busy";
  facts.shared_memory.reset();
  facts.limits.open_files = 256;
  facts.limits.address_bytes = kGiB;
  facts.disk.trouble = "no file can be created: Permission denied";
  facts.kernels[0].trouble = "no kernel image is available";
  facts.environment = {{"WORLD_SIZE", "8"}, {"LOCAL_RANK", "7"}, {"CUDA_LAUNCH_BLOCKING", "1"}};
  facts.run = small_run();
  facts.run->bf16 = false;
  facts.run->network.weights = int64_t{1} << 50;
  const std::vector<Finding> findings = marked(facts);
  EXPECT_GE(findings.size(), 10U);
  for (const Finding& f : findings) {
    EXPECT_FALSE(f.trouble.empty()) << f.name;
    EXPECT_FALSE(f.cure.empty()) << f.name;
  }
}

TEST(Doctor, survives_a_machine_of_which_nothing_is_known) {
  EXPECT_FALSE(examine(DoctorFacts{}).empty());
  DoctorFacts facts;
  facts.run = RunNeeds{};
  facts.environment = {{"OMP_NUM_THREADS", ""}, {"WORLD_SIZE", "many"}, {"LOCAL_RANK", "-1"}};
  EXPECT_FALSE(examine(facts).empty());
}

TEST(Doctor, wants_the_libtorch_that_the_program_was_compiled_against) {
  DoctorFacts facts = cpu_machine();
  facts.torch_as_loaded = "2.9.1";
  expect_only(facts, Severity::trouble, "libtorch", "compiled against libtorch 2.11.0", "2.11.0");
}

// ---- CPU

TEST(Doctor, notes_one_thread_that_a_launcher_asked_for) {
  DoctorFacts facts = cpu_machine();
  facts.environment["OMP_NUM_THREADS"] = "1";
  facts.host.math_threads = 1;
  expect_only(facts, Severity::note, "math threads", "one of 16 cores", "unset OMP_NUM_THREADS");
  facts.host.machine_cores = facts.host.usable_cores = 1;
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, leaves_threads_of_the_cpu_alone_where_a_gpu_trains) {
  DoctorFacts facts = gpu_machine();
  facts.environment["OMP_NUM_THREADS"] = "1";
  facts.host.math_threads = 1;
  facts.host.load = 40;
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, notes_more_threads_than_the_control_group_gives_cores) {
  DoctorFacts facts = cpu_machine();
  facts.host.cgroup_cores = 3.5;
  expect_only(facts, Severity::note, "math threads", "more threads than the 4 cores",
              "OMP_NUM_THREADS=4");
}

TEST(Doctor, notes_that_a_launcher_bound_the_process_to_one_core) {
  DoctorFacts facts = cpu_machine();
  facts.host.usable_cores = facts.host.math_threads = 1;
  expect_only(facts, Severity::note, "cores", "one core", "--cpus-per-task");
}

TEST(Doctor, notes_spinning_threads_on_a_busy_machine_only) {
  DoctorFacts facts = cpu_machine();
  facts.host.load = 12;
  expect_only(facts, Severity::note, "other work", "spin", "OMP_WAIT_POLICY=passive");
  facts.environment["OMP_WAIT_POLICY"] = "PASSIVE";
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.environment.clear();
  facts.host.load = 0.9;
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, notes_a_cpu_without_the_vectors_that_libtorch_has_kernels_for) {
  DoctorFacts facts = cpu_machine();
  facts.host.torch_kernels = "DEFAULT";
  facts.host.instruction_sets = {};
  expect_only(facts, Severity::note, "instruction sets", "without AVX2", "newer machine");
  facts.host.instruction_sets = {"avx2"};
  facts.environment["ATEN_CPU_CAPABILITY"] = "default";
  expect_only(facts, Severity::note, "instruction sets", "keeps libtorch", "unset");
  facts.environment.clear();
  facts.host.instruction_sets = {"asimd"};
  EXPECT_THAT(marked(facts), IsEmpty());
}

// ---- memory and limits

TEST(Doctor, notes_little_shared_memory_where_there_are_several_gpus) {
  DoctorFacts facts = gpu_machine();
  facts.shared_memory = SharedMemory{64 << 20, 64 << 20};
  expect_only(facts, Severity::note, "/dev/shm", "NCCL", "--shm-size");
  facts.shared_memory.reset();
  expect_only(facts, Severity::note, "/dev/shm", "NCCL", "--shm-size");
  facts.cuda.gpus.pop_back();
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, notes_low_limits) {
  DoctorFacts facts = cpu_machine();
  facts.limits.open_files = 256;
  expect_only(facts, Severity::note, "open files", "run out", "ulimit -n 65536");
  facts.limits.open_files_at_most = 512;
  expect_only(facts, Severity::note, "open files", "run out", "administrator");
  facts = cpu_machine();
  facts.limits.address_bytes = 16 * kGiB;
  expect_only(facts, Severity::note, "address space", "mapped", "ulimit -v unlimited");
  facts = cpu_machine();
  facts.infiniband_devices = 8;
  expect_only(facts, Severity::note, "locked memory", "InfiniBand", "ulimit -l unlimited");
  facts.limits.locked_bytes.reset();
  EXPECT_THAT(marked(facts), IsEmpty());
}

// ---- GPU

TEST(Doctor, notes_a_gpu_that_a_program_without_cuda_cannot_use) {
  DoctorFacts facts = cpu_machine();
  facts.nvidia.device_files = 1;
  expect_only(facts, Severity::note, "GPU", "built without CUDA", "nvcc");
  facts.nvidia = {"580.95.05", 0, 0};
  expect_only(facts, Severity::note, "GPU", "built without CUDA", "nvcc");
  facts.run = small_run();
  facts.run->use_cpu = true;
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.run.reset();
  facts.environment["LMMS_DEVICE"] = "cpu";
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, tells_why_cuda_s_library_could_not_be_loaded) {
  DoctorFacts facts = cpu_machine();
  facts.nvidia = {"580.95.05", 1, 1};
  facts.environment["LMMS_CUDA_TROUBLE"] = "libcudnn.so.9: cannot open shared object file: No such";
  expect_only(facts, Severity::trouble, "GPU", "libcudnn.so.9: cannot open", "bootstrap.sh");
  facts.environment["LMMS_DEVICE"] = "cpu";
  EXPECT_THAT(marked(facts), IsEmpty());
}

/// CUDA's library where the runtime finds no device.
DoctorFacts without_device() {
  DoctorFacts facts = gpu_machine();
  facts.cuda.gpus.clear();
  facts.cuda.device_count = 0;
  facts.on_gpu = false;
  return facts;
}

TEST(Doctor, tells_why_cuda_finds_no_gpu) {
  DoctorFacts facts = without_device();
  facts.cuda.supported = "";
  facts.nvidia.driver = "";
  expect_only(facts, Severity::trouble, "GPU", "no driver answers", "install NVIDIA's driver");

  facts = without_device();
  facts.cuda.supported = "12.4";
  expect_only(facts, Severity::trouble, "GPU", "knows CUDA 12.4 at most, this program needs 13.0",
              "580 or later");

  facts = without_device();
  facts.environment["CUDA_VISIBLE_DEVICES"] = "";
  expect_only(facts, Severity::trouble, "GPU", "hides every GPU", "unset CUDA_VISIBLE_DEVICES");

  facts = without_device();
  facts.environment["CUDA_VISIBLE_DEVICES"] = "9";
  expect_only(facts, Severity::trouble, "GPU", "names no GPU", "nvidia-smi");

  facts = without_device();
  facts.nvidia.device_files = 0;
  expect_only(facts, Severity::trouble, "GPU", "no /dev/nvidia0", "--gpus all");

  facts = without_device();
  facts.cuda.trouble = "cudaGetDeviceCount: unknown error";
  expect_only(facts, Severity::trouble, "GPU", "unknown error", "nvidia-smi");

  facts = without_device();
  facts.nvidia = {};
  facts.nvml = {};
  facts.cuda.supported = "";
  expect_only(facts, Severity::trouble, "GPU", "no NVIDIA GPU", "--gpus all");

  facts = without_device();
  facts.run = small_run();
  facts.run->use_cpu = true;
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, accepts_a_driver_that_knows_an_older_minor_version) {
  DoctorFacts facts = without_device();
  facts.cuda.runtime = "13.2";
  facts.cuda.supported = "13.0";
  expect_only(facts, Severity::trouble, "GPU", "no GPU can be used", "nvidia-smi");
}

TEST(Doctor, notes_memory_of_a_gpu_that_others_hold) {
  DoctorFacts facts = gpu_machine();
  facts.cuda.gpus[1].free_bytes = 20 * kGiB;
  facts.nvml.gpus[1].processes = {{4711, 60 * kGiB}};
  expect_only(facts, Severity::note, "GPU 1", "other processes (4711) hold about 60.0 GiB",
              "CUDA_VISIBLE_DEVICES");
}

TEST(Doctor, notes_a_gpu_that_is_ill) {
  DoctorFacts facts = gpu_machine();
  facts.nvml.gpus[0].uncorrected_errors = 3;
  expect_only(facts, Severity::note, "GPU 0", "3 errors", "reset");
  facts = gpu_machine();
  facts.nvml.gpus[0].slowed_by = {"heat (by the board)"};
  expect_only(facts, Severity::note, "GPU 0", "slower now, by heat", "cooling");
}

TEST(Doctor, stops_at_the_gpu_of_the_run_and_notes_another) {
  DoctorFacts facts = gpu_machine();
  facts.cuda.gpus[0].trouble = "cudaMemGetInfo: all devices are busy";
  expect_only(facts, Severity::trouble, "GPU 0", "busy", "nvidia-smi");
  facts = gpu_machine();
  facts.cuda.gpus[1].trouble = "cudaMemGetInfo: all devices are busy";
  expect_only(facts, Severity::note, "GPU 1", "busy", "nvidia-smi");
}

TEST(Doctor, knows_gpus_that_are_too_old_for_bf16) {
  DoctorFacts facts = gpu_machine();
  facts.cuda.gpus[0].major = 7;
  facts.run = small_run();
  EXPECT_THAT(marked(facts), Contains(AllOf(Field(&Finding::name, "numbers"),
                                            Field(&Finding::severity, Severity::trouble))));
}

TEST(Doctor, notes_variables_that_slow_a_gpu_down) {
  DoctorFacts facts = gpu_machine();
  facts.environment["CUDA_LAUNCH_BLOCKING"] = "1";
  expect_only(facts, Severity::note, "launches", "waits", "unset");
}

// ---- communication, kernels

TEST(Doctor, says_that_a_launcher_does_not_help_yet) {
  DoctorFacts facts = gpu_machine();
  facts.environment["WORLD_SIZE"] = "2";
  expect_only(facts, Severity::trouble, "ranks", "not built yet", "without a launcher");
  facts.environment = {{"LOCAL_RANK", "2"}};
  expect_only(facts, Severity::trouble, "ranks", "asks for GPU 2, and 2 are visible", "LOCAL_RANK");
}

TEST(Doctor, says_which_kernel_does_not_run) {
  DoctorFacts facts = gpu_machine();
  facts.kernels[0].trouble = "no kernel image is available for execution on the device";
  expect_only(facts, Severity::trouble, "attention, bf16, fp32", "no kernel image",
              "LMMS_CUDA_ARCHITECTURES");
}

TEST(Doctor, tells_choices_together_that_differ_in_numbers_alone) {
  const auto all = merged({{"head", "bf16", "k", "w", ""},
                           {"attention", "bf16", "flash", "w", ""},
                           {"head", "fp32", "k", "w", ""},
                           {"attention", "fp32", "plain", "w", ""}});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].numbers, "bf16, fp32");
  EXPECT_EQ(all[2].kernel, "plain");
}

// ---- disk

TEST(Doctor, stops_at_an_output_folder_that_cannot_be_written) {
  DoctorFacts facts = cpu_machine();
  facts.disk.trouble = "no file can be created: Permission denied";
  expect_only(facts, Severity::note, "this folder", "Permission denied", "may write");
  facts.run = small_run();
  expect_only(facts, Severity::trouble, "output folder", "Permission denied", "output_dir");
}

TEST(Doctor, notes_a_slow_disk_by_what_it_costs) {
  DoctorFacts facts = cpu_machine();
  facts.disk.write_speed = 50e6;
  expect_only(facts, Severity::note, "speed", "slow disk", "local disk");
  facts.run = small_run();
  expect_only(facts, Severity::note, "speed", "takes about 168 s", "save_steps");
  facts.run->saves = false;
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.run->saves = true;
  facts.run->checkpoint_bytes = 100 << 20;  // two seconds
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, notes_a_full_disk) {
  DoctorFacts facts = cpu_machine();
  facts.disk.free_bytes = 1 << 20;
  expect_only(facts, Severity::note, "room", "hardly any room", "another folder");
}

TEST(Doctor, notes_an_output_folder_in_memory) {
  DoctorFacts facts = cpu_machine();
  facts.disk.file_system = "tmpfs";
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.run = small_run();
  expect_only(facts, Severity::note, "room", "in memory", "on a disk");
}

// ---- run

TEST(Doctor, stops_at_a_model_that_is_too_large) {
  DoctorFacts facts = cpu_machine();
  facts.run = small_run();
  facts.host.free_bytes = 10 * kGiB;  // 10.06 GiB are needed
  expect_only(facts, Severity::trouble, "memory", "10.1 GiB before its first step", "more memory");
  facts.host.free_bytes = 11 * kGiB;
  expect_only(facts, Severity::note, "memory", "hardly anything", "gradient_checkpointing");
  facts.host.free_bytes = 12 * kGiB;
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, measures_a_run_on_a_gpu_by_the_gpu) {
  DoctorFacts facts = gpu_machine();
  facts.run = small_run();
  facts.host.free_bytes = kGiB;
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.run->network.weights = 100 * kGiB;
  expect_only(facts, Severity::trouble, "memory", "79.0 GiB are free", "a GPU with more memory");
}

TEST(Doctor, counts_the_checkpoints_that_a_disk_has_room_for) {
  DoctorFacts facts = cpu_machine();  // a checkpoint has 7.8 GiB, the model 1.1 GiB
  facts.run = small_run();
  facts.disk.free_bytes = 5 * kGiB;
  expect_only(facts, Severity::trouble, "checkpoints", "not enough for one checkpoint",
              "larger disk");
  facts.disk.free_bytes = 20 * kGiB;
  expect_only(facts, Severity::note, "checkpoints", "room for 2 checkpoints", "save_total_limit");
  facts.run->save_total_limit = 1;  // two at the moment of a save
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.run->save_total_limit = 5;
  expect_only(facts, Severity::trouble, "checkpoints", "room for 2 of the 6", "larger disk");
  facts.run->already_saved = 5;  // the next save makes the oldest go
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.run->already_saved = 0;
  facts.run->to_save = 2;
  EXPECT_THAT(marked(facts), IsEmpty());
}

TEST(Doctor, wants_room_for_the_model_where_nothing_is_saved_before_the_end) {
  DoctorFacts facts = cpu_machine();
  facts.run = small_run();
  facts.run->saves = false;
  facts.disk.free_bytes = 2 * kGiB;
  EXPECT_THAT(marked(facts), IsEmpty());
  facts.disk.free_bytes = kGiB;
  expect_only(facts, Severity::trouble, "checkpoints", "not enough for the model", "larger disk");
}

TEST(Doctor, notes_a_limit_of_files_below_the_model) {
  DoctorFacts facts = cpu_machine();
  facts.run = small_run();
  facts.limits.file_bytes = kGiB;
  expect_only(facts, Severity::note, "checkpoints", "ulimit -f", "unlimited");
}

TEST(Doctor, stops_at_a_record_that_would_end_the_run) {
  DoctorFacts facts = cpu_machine();
  facts.run = small_run();
  facts.run->data.trouble = "chats.jsonl:1: no messages";
  expect_only(facts, Severity::trouble, "data", "chats.jsonl:1: no messages",
              "on_bad_sample: skip");
}

TEST(Doctor, notes_fp32_on_a_gpu) {
  DoctorFacts facts = gpu_machine();
  facts.run = small_run();
  facts.run->bf16 = false;
  expect_only(facts, Severity::note, "numbers", "slower", "bf16: true");
}

// ---- how it looks

Diagnosis with_faults() {
  Diagnosis out;
  out.findings = {finding("CPU", "model", "AMD\x1b[31m \xff EPYC"),
                  finding("disk", "room", "much")};
  add_note(out.findings[1], "it is slow", "buy another");
  out.config_faults = "train.yaml:3:5: bad";
  out.exit = Exit::bad_input;
  return out;
}

TEST(DoctorText, repeats_what_wants_a_cure_at_the_end) {
  const std::string text = doctor_table(with_faults(), {});
  EXPECT_THAT(text, HasSubstr("  note     room   much\n"));
  EXPECT_THAT(text, HasSubstr("disk, room: it is slow\n           fix: buy another\n"));
  EXPECT_THAT(text, HasSubstr("train.yaml:3:5: bad"));
  EXPECT_THAT(text, HasSubstr("0 troubles, 1 note\n"));
}

TEST(DoctorText, has_colours_where_they_are_wanted_and_no_control_characters_from_outside) {
  EXPECT_THAT(doctor_table(with_faults(), {}), Not(HasSubstr("\x1b")));
  const std::string text = doctor_table(with_faults(), {80, true});
  EXPECT_THAT(text, HasSubstr("\x1b[33mnote     \x1b[0m"));
  EXPECT_THAT(text, HasSubstr("AMD?[31m"));
}

TEST(DoctorText, breaks_lines_at_the_width_of_the_screen) {
  Diagnosis diagnosis;
  diagnosis.findings = {finding("CPU", "model", std::string(30, 'x') + " " + std::string(30, 'y')),
                        finding("CPU", "long", std::string(200, 'z'))};
  EXPECT_THAT(doctor_table(diagnosis, {60, false}),
              HasSubstr("x\n" + std::string(18, ' ') + "yyy"));
  for (int width = 1; width < 40; ++width) doctor_table(diagnosis, {width, false});
}

TEST(DoctorText, is_one_json_object_whatever_the_bytes) {
  const auto all = nlohmann::json::parse(doctor_json(with_faults()));
  EXPECT_EQ(all["exit"], 2);
  EXPECT_EQ(all["notes"], 1);
  EXPECT_EQ(all["findings"][1]["mark"], "note");
  EXPECT_EQ(all["findings"][1]["fix"], "buy another");
  EXPECT_FALSE(all["findings"][0].contains("fix"));
}

}  // namespace
}  // namespace lmms::inspect
