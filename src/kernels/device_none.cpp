#include "kernels/device.h"
#include "kernels/device_cpu.h"

namespace lmms::kernels {

c10::Device best_device(int) {
  return c10::kCPU;
}
std::string device_name(c10::Device) {
  return cpu::name();
}
int64_t peak_memory_bytes(c10::Device) {
  return 0;
}
int64_t total_memory_bytes(c10::Device) {
  return cpu::total_memory_bytes();
}
void release_unused_memory(c10::Device) {}
void synchronize(c10::Device) {}
void use_own_stream(c10::Device) {}
CUstream_st* current_stream() {
  return nullptr;
}
void on_copy_stream(c10::Device, const std::function<void()>& work) {
  work();
}
std::shared_ptr<void> record_event(c10::Device) {
  return nullptr;
}
void wait_event(const std::shared_ptr<void>&) {}
double seconds_between(const std::shared_ptr<void>&, const std::shared_ptr<void>&) {
  return 0;
}
void check_last_launch(const char*) {}

}  // namespace lmms::kernels
