// usage: kernels_gpu_bench [NAME...]     all benchmarks, or those named
#include "kernels/gpu_benching.h"

#include <ATen/core/Generator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/device.h"

namespace lmms::kernels::benching {

#define LMMS_GPU_BENCH(name) void bench_##name();
#include "kernels/gpu_benches.def"
#undef LMMS_GPU_BENCH

namespace {

at::TensorOptions on_gpu(at::ScalarType dtype) {
  return at::TensorOptions().dtype(dtype).device(at::kCUDA);
}

struct Event {
  Event() { cudaEventCreate(&event); }
  ~Event() { cudaEventDestroy(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t event = nullptr;
};

std::string milliseconds(const Timing& t) {
  char text[96];
  std::snprintf(text, sizeof(text), "%8.3f ms (%.3f-%.3f)", t.median, t.p10, t.p90);
  return text;
}

}  // namespace

Timing time(const std::function<void()>& work, int repeats) {
  const at::Tensor flush = at::empty({int64_t{256} << 20}, on_gpu(at::kByte));
  for (int i = 0; i < 3; ++i) work();
  std::vector<double> times;
  Event begin, end;
  for (int i = 0; i < repeats; ++i) {
    flush.fill_(i);
    cudaEventRecord(begin.event, current_stream());
    work();
    cudaEventRecord(end.event, current_stream());
    cudaEventSynchronize(end.event);
    float ms = 0;
    cudaEventElapsedTime(&ms, begin.event, end.event);
    times.push_back(ms);
  }
  check_last_launch("benchmark");
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  return {at(0.5), at(0.1), at(0.9)};
}

double copy_rate() {
  static const double rate = [] {
    const at::Tensor from = random({int64_t{1} << 29}), to = at::empty_like(from);
    const Timing t = time([&] { to.copy_(from); });
    return 2.0 * static_cast<double>(from.nbytes()) / (t.median * 1e-3);
  }();
  return rate;
}

double gemm_rate() {
  static const double rate = [] {
    const at::Tensor a = random({8192, 8192}), b = random({8192, 8192});
    at::Tensor c = at::empty_like(a);
    const Timing t = time([&] { at::mm_out(c, a, b); });
    return 2.0 * 8192.0 * 8192.0 * 8192.0 / (t.median * 1e-3);
  }();
  return rate;
}

std::string sizes(const std::string& what, int64_t T, int64_t D) {
  return what + " T=" + std::to_string(T) + " D=" + std::to_string(D) + " bf16";
}

void report_bytes(const std::string& what, const Timing& timing, double bytes) {
  const double rate = bytes / (timing.median * 1e-3);
  std::printf("%-58s %s  %5.2f TB/s  %3.0f %% of copy\n", what.c_str(),
              milliseconds(timing).c_str(), rate / 1e12, 100 * rate / copy_rate());
  std::fflush(stdout);
}

void report_flops(const std::string& what, const Timing& timing, double flops, double ceiling) {
  const double rate = flops / (timing.median * 1e-3);
  std::printf("%-58s %s  %5.0f TFLOP/s  %3.0f %% of %s\n", what.c_str(),
              milliseconds(timing).c_str(), rate / 1e12,
              100 * rate / (ceiling > 0 ? ceiling : gemm_rate()),
              ceiling > 0 ? "its GEMMs" : "GEMM");
  std::fflush(stdout);
}

at::Tensor random(at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor t = at::empty(shape, on_gpu(dtype));
  t.uniform_(-1, 1);
  return t;
}

}  // namespace lmms::kernels::benching

int main(int argc, char** argv) {
  using namespace lmms::kernels;
  const at::Device device = best_device(0);
  if (!device.is_cuda()) {
    std::puts("kernels_gpu_bench: no CUDA device");
    return 1;
  }
  use_own_stream(device);
  std::printf("%s: copy %.2f TB/s, bf16 GEMM %.0f TFLOP/s\n", device_name(device).c_str(),
              benching::copy_rate() / 1e12, benching::gemm_rate() / 1e12);
  const auto wanted = [&](const char* name) {
    return argc == 1 ||
           std::any_of(argv + 1, argv + argc, [&](char* arg) { return !std::strcmp(arg, name); });
  };
#define LMMS_GPU_BENCH(name) \
  if (wanted(#name)) benching::bench_##name();
#include "kernels/gpu_benches.def"
#undef LMMS_GPU_BENCH
  return 0;
}
