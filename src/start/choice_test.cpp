// Which library a call takes, over machines and installations made of empty files.
#include "start/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "start/nvidia.h"

namespace lmms::start {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A folder that is gone after the test.
class Start : public testing::Test {
 protected:
  Start() {
    std::string name = (fs::temp_directory_path() / "lmms-start-XXXXXX").string();
    root = ::mkdtemp(name.data());
  }
  ~Start() override { fs::remove_all(root); }
  void put(const fs::path& file, const std::string& text = "") const {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  }
  fs::path root;
};

TEST_F(Start, finds_the_libraries_of_a_build_and_of_an_installation) {
  EXPECT_TRUE(find_libraries(root / "bin").cpu.empty());
  put("lib/lmms/liblmms.so");
  EXPECT_EQ(find_libraries(root / "bin").cpu, root / "lib/lmms/liblmms.so");
  EXPECT_TRUE(find_libraries(root / "bin").cuda.empty());
  put("lib/lmms/cuda/liblmms.so");
  EXPECT_EQ(find_libraries(root / "bin").cuda, root / "lib/lmms/cuda/liblmms.so");
  put("bin/liblmms.so");  // what was built beside the program comes first, never one of each place
  EXPECT_EQ(find_libraries(root / "bin").cpu, root / "bin/liblmms.so");
  EXPECT_TRUE(find_libraries(root / "bin").cuda.empty());
}

TEST_F(Start, sees_an_nvidia_gpu_by_each_of_its_traces) {
  EXPECT_FALSE(nvidia_gpu(root));
  put("dev/nvidiactl");
  put("dev/nvidia-uvm");
  put("sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n");
  put("sys/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
  put("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n");
  put("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n");  // the card's sound
  put("dev/dxg");  // of another maker's GPU, as far as one can see
  EXPECT_FALSE(nvidia_gpu(root));

  put("usr/lib/wsl/lib/libcuda.so.1");
  EXPECT_TRUE(nvidia_of_windows(root));
  EXPECT_TRUE(nvidia_gpu(root));
  fs::remove(root / "dev/dxg");
  EXPECT_FALSE(nvidia_gpu(root));

  put("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
  put("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
  EXPECT_EQ(nvidia_cards(root), 1);
  EXPECT_TRUE(nvidia_gpu(root));
  fs::remove_all(root / "sys");

  put("dev/nvidia0");
  put("dev/nvidia11");
  EXPECT_EQ(nvidia_device_files(root), 2);
  EXPECT_TRUE(nvidia_gpu(root));
  fs::remove_all(root / "dev");

  put("proc/driver/nvidia/version", "NVRM version: ...\n");
  EXPECT_TRUE(nvidia_driver(root));
  EXPECT_TRUE(nvidia_gpu(root));
}

TEST(Choice, takes_the_gpu_where_there_is_one) {
  const Libraries both{"liblmms.so", "cuda/liblmms.so"};
  EXPECT_TRUE(takes_cuda(both, Asked::nothing, false, true));
  EXPECT_FALSE(takes_cuda(both, Asked::nothing, false, false)) << "no GPU in the machine";
  EXPECT_FALSE(takes_cuda(both, Asked::nothing, true, true)) << "lmms list needs none";
  EXPECT_FALSE(takes_cuda({"liblmms.so", ""}, Asked::nothing, false, true)) << "built without CUDA";
  EXPECT_TRUE(takes_cuda({"", "cuda/liblmms.so"}, Asked::nothing, true, false)) << "all there is";
}

TEST(Choice, does_as_the_environment_asks) {
  const Libraries both{"liblmms.so", "cuda/liblmms.so"};
  EXPECT_FALSE(takes_cuda(both, Asked::cpu, false, true));
  EXPECT_TRUE(takes_cuda(both, Asked::cuda, false, false));
  EXPECT_FALSE(takes_cuda(both, Asked::cuda, true, true)) << "lmms list needs none";
  EXPECT_TRUE(takes_cuda({"liblmms.so", ""}, Asked::cuda, false, false)) << "refused, not ignored";

  EXPECT_EQ(device_asked(nullptr), Asked::nothing);
  EXPECT_EQ(device_asked(""), Asked::nothing);
  EXPECT_EQ(device_asked("cpu"), Asked::cpu);
  EXPECT_EQ(device_asked("cuda"), Asked::cuda);
  EXPECT_EQ(device_asked("gpu"), std::nullopt);
}

TEST(Choice, knows_the_commands_that_touch_no_device) {
  using Words = std::vector<const char*>;
  for (const Words& words : {Words{}, Words{"--version"}, Words{"help", "train"}, Words{"list"},
                             Words{"preview", "a.yaml"}, Words{"report", "out"},
                             Words{"train", "--help"}, Words{"chat", "-h"}})
    EXPECT_TRUE(touches_no_device(words));
  for (const Words& words :
       {Words{"train", "preview"}, Words{"doctor"}, Words{"plan", "a.yaml"}, Words{"chat", "out"},
        Words{"trian"}, Words{"generate", "out", "--prompt", "-h"}})
    EXPECT_FALSE(touches_no_device(words)) << words[0];
}

TEST(Choice, says_how_to_mend_a_library_that_is_missing) {
  const std::string missing = ": cannot open shared object file: No such file or directory";
  EXPECT_THAT(cuda_cure("libcudnn.so.9" + missing), HasSubstr("scripts/bootstrap.sh"));
  EXPECT_THAT(cuda_cure("libcudnn.so.9" + missing), HasSubstr("the folder of libcudnn.so.9 in LD"));
  EXPECT_THAT(cuda_cure("libtorch_cuda.so" + missing), HasSubstr("the folder of libtorch_cuda.so"));
  EXPECT_THAT(cuda_cure("/opt/lmms/cuda/liblmms.so: undefined symbol: x"), HasSubstr("again"));
}

}  // namespace
}  // namespace lmms::start
