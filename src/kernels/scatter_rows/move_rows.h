#pragma once
/// The two movements behind scatter_rows.h. Rows are contiguous and of a multiple of 16 bytes.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

/// out[i] = x[rows[i]] for i < M.
struct GatherRowsArgs {
  const void* x = nullptr;
  const int64_t* rows = nullptr;
  void* out = nullptr;
  int64_t M = 0, row_bytes = 0;
};
void gather_rows_cuda(const GatherRowsArgs& args, CUstream_st* stream);

/// For t < T: out[t] = base[t] where t is none of the M ascending rows; where it is rows[i],
/// values[i], or base[t] + values[i]. A null base or null values are zeros. out may be base.
enum class Meeting { replace, add_bf16, add_f32 };
struct SpreadRowsArgs {
  const void* base = nullptr;
  const int64_t* rows = nullptr;
  const void* values = nullptr;
  void* out = nullptr;
  int64_t T = 0, M = 0, row_bytes = 0;
  Meeting meeting = Meeting::replace;
};
void spread_rows_cuda(const SpreadRowsArgs& args, CUstream_st* stream);

}  // namespace lmms::kernels
