#pragma once
/// For benchmarks of kernels (*_gpu_bench.cpp): times on a GPU beside what this GPU can do,
/// measured in the same run. The program kernels_gpu_bench runs the functions of gpu_benches.def.
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace lmms::kernels::benching {

/// Milliseconds of one call.
struct Timing {
  double median = 0, p10 = 0, p90 = 0;
};

/// Runs `work`, which launches on the current stream, three times to warm up and then `repeats`
/// times. Before each of them more bytes are written than the L2 cache holds; events on the stream
/// take the times.
Timing time(const std::function<void()>& work, int repeats = 25);

/// Bytes a second, read and written, of a device-to-device copy of 1 GiB.
double copy_rate();
/// FLOPs a second of a product of [8192, 8192] bf16 matrices of random numbers.
double gemm_rate();

/// "rms_norm T=32768 D=4096 bf16".
std::string sizes(const std::string& what, int64_t T, int64_t D);
/// "rms_norm T=32768 D=4096 bf16  0.131 ms (0.130-0.132)  4.10 TB/s  96 % of copy"
void report_bytes(const std::string& what, const Timing& timing, double bytes);
/// "linear_loss N=20000 V=151936  38.1 ms (38.0-38.3)  652 TFLOP/s  83 % of GEMM"; `ceiling`: FLOPs
/// a second of what it is held against, 0: gemm_rate().
void report_flops(const std::string& what, const Timing& timing, double flops, double ceiling = 0);

/// Uniform numbers in (-1, 1) on the GPU.
at::Tensor random(at::IntArrayRef shape, at::ScalarType dtype = at::kBFloat16);

}  // namespace lmms::kernels::benching
