#pragma once
/// The CUDA kernels behind modulation.h, in plain types.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

enum class ModulationDtype : int32_t { f32, bf16 };

/// Rows of x that the kernels take: contiguous, 16-byte aligned, D a multiple of 16 bytes and at
/// most this long.
inline constexpr int64_t kMostModulatedBytes = 12288;

/// TokenRows, for kernels. A block takes a chunk of tokens of one row.
struct ModulationRows {
  const int32_t* starts = nullptr;  ///< [rows + 1]; null: every row has `each` tokens
  int64_t rows = 0, each = 0;
  int64_t chunk = 32;  ///< tokens; forward takes what suits it
};
/// The chunk for backward over T tokens of so many bytes: long ones leave fewer partial sums, short
/// ones more blocks. The order of the sums depends on nothing else.
constexpr int64_t modulation_chunk(int64_t T, int64_t bytes) {
  return T * bytes >= (int64_t{48} << 20) ? 64 : 32;
}
/// Chunks of T tokens: room for those of every row and of the tokens behind the last.
constexpr int64_t modulation_chunks(const ModulationRows& rows, int64_t T) {
  const int64_t rest = T - rows.rows * rows.each, more = rows.chunk - 1;
  if (rows.starts != nullptr) return T / rows.chunk + rows.rows + 1;
  return rows.rows * ((rows.each + more) / rows.chunk) + (rest + more) / rows.chunk;
}

/// A part [S, D] fp32 of the modulation, `stride` numbers between rows, 16-byte aligned.
struct ModulationPart {
  const float* data = nullptr;
  int64_t stride = 0;
};

/// sum = x + gate * delta (if there is one), y = layer_norm(sum) * (1 + scale) + shift.
/// x, delta, sum, y [T, D] of `dtype`; mean, rstd [T] fp32. Bytes moved: (2 or 4) * T * D * size.
/// Forward again over `sum` gives y with the same bits.
struct ModulationForward {
  const void* x = nullptr;
  const void* delta = nullptr;  ///< null: sum is x itself and is not written
  ModulationPart gate, shift, scale;
  void* sum = nullptr;
  void* y = nullptr;  ///< null: the sum alone, without statistics
  float *mean = nullptr, *rstd = nullptr;
  ModulationRows rows;
  int64_t T = 0, D = 0;
  float eps = 0;
  ModulationDtype dtype = ModulationDtype::bf16;
};
void modulation_forward_cuda(const ModulationForward&, CUstream_st*);

/// dx = dsum + d y^T dy, ddelta = gate * dx, and the sums over each row's tokens of the gradients
/// of gate, shift and scale. Bytes moved: (3 to 6) * T * D * size, and 24 * D a chunk.
struct ModulationBackward {
  const void* dy = nullptr;     ///< null: of the sum alone; then `dsum` is given and no dx wanted
  const void* sum = nullptr;    ///< x'
  const void* delta = nullptr;  ///< null: there was none
  const void* dsum = nullptr;   ///< gradient of x' from elsewhere; may be null
  const float *mean = nullptr, *rstd = nullptr;
  ModulationPart gate, scale;
  void *dx = nullptr, *ddelta = nullptr;
  float* partials = nullptr;                                     ///< [chunks, 3, D]
  float *dshift = nullptr, *dscale = nullptr, *dgate = nullptr;  ///< [S, D]; null: not wanted
  ModulationRows rows;
  int64_t T = 0, D = 0;
  ModulationDtype dtype = ModulationDtype::bf16;
};
/// At most two launches.
void modulation_backward_cuda(const ModulationBackward&, CUstream_st*);

}  // namespace lmms::kernels
