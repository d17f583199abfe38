#include "core/memory_watch.h"

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/proc.h"

namespace lmms {
namespace {

constexpr size_t kBytes = size_t{64} << 20;

/// Anonymous pages, all touched.
class Pages {
 public:
  Pages()
      : at_(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    for (size_t i = 0; i < kBytes; i += 4096) static_cast<volatile char*>(at_)[i] = 1;
  }
  ~Pages() { ::munmap(at_, kBytes); }

 private:
  void* at_;
};

TEST(OwnMemory, is_anonymous_and_shared_pages_and_no_files) {
  EXPECT_EQ(parse_own_memory("VmHWM:\t  900 kB\nVmRSS:\t  800 kB\nRssAnon:\t  100 kB\n"
                             "RssFile:\t  690 kB\nRssShmem:\t   10 kB\n"),
            110 * 1024);
  EXPECT_EQ(parse_own_memory("VmRSS:\t  800 kB\n"), 800 * 1024);
  for (const char* text : {"", "RssAnon", "RssAnon:", "RssAnon: many kB\n", "VmSize: 1 kB\n"})
    EXPECT_EQ(parse_own_memory(text), std::nullopt) << text;
}

TEST(OwnMemory, of_a_mapped_file_that_was_read_does_not_count) {
  std::string name = "lmms-mapped-XXXXXX";  // not in /tmp, which may be memory itself
  const int file = ::mkstemp(name.data());
  ASSERT_GE(file, 0);
  ::unlink(name.c_str());
  struct statfs type {};
  ASSERT_EQ(::fstatfs(file, &type), 0);
  if (type.f_type == TMPFS_MAGIC) GTEST_SKIP() << "this folder is in memory";
  const std::vector<char> block(size_t{1} << 20, 'x');
  for (size_t i = 0; i < kBytes; i += block.size())
    ASSERT_EQ(::write(file, block.data(), block.size()), static_cast<ssize_t>(block.size()));
  void* const mapped = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  ASSERT_NE(mapped, MAP_FAILED);
  const int64_t before = own_memory_bytes();
  ASSERT_GT(before, 0);
  size_t sum = 0;
  for (size_t i = 0; i < kBytes; i += 4096)
    sum += static_cast<size_t>(static_cast<volatile char*>(mapped)[i]);
  EXPECT_EQ(sum, kBytes / 4096 * 'x');
  EXPECT_LT(own_memory_bytes() - before, int64_t{kBytes} / 8);
  ::munmap(mapped, kBytes);
}

TEST(MemoryWatch, remembers_what_was_taken_and_given_back) {
  MemoryWatch watch(std::chrono::milliseconds(1));
  const int64_t before = watch.peak_bytes();
  {
    const Pages pages;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_GE(watch.peak_bytes() - before, int64_t{kBytes} * 3 / 4);
  EXPECT_LT(own_memory_bytes() - before, int64_t{kBytes} / 2);
}

}  // namespace
}  // namespace lmms
