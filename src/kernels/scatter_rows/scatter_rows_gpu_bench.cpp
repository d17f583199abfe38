#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/gpu_benching.h"
#include "kernels/on_device.h"
#include "kernels/scatter_rows/move_rows.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "kernels/scatter_rows/scatter_rows_cases.h"

namespace lmms::kernels::benching {

namespace {

void bench(const testing::ScatterRowsCase& c) {
  const int64_t T = c.T, H = c.H;
  const std::vector<int64_t> list = testing::rows_of(c);
  const at::Tensor rows = on_device(list, at::kLong, at::Device(at::kCUDA, 0));
  const auto M = static_cast<int64_t>(list.size());
  const at::Tensor x = random({T, H}), values = random({M, H});
  const std::string shape =
      " T=" + std::to_string(T) + " M=" + std::to_string(M) + " H=" + std::to_string(H);
  const double whole = 2.0 * static_cast<double>(T * H), part = 2.0 * static_cast<double>(M * H);
  report_bytes("select_rows" + shape, time([&] { (void)select_rows(x, rows); }), 2 * part);
  report_bytes("  at::index_select", time([&] { (void)x.index_select(0, rows); }), 2 * part);
  at::Tensor out = at::empty_like(x);
  SpreadRowsArgs args;
  args.rows = rows.const_data_ptr<int64_t>();
  args.values = values.const_data_ptr();
  args.out = out.mutable_data_ptr();
  args.T = T;
  args.M = M;
  args.row_bytes = 2 * H;
  report_bytes("select_rows backward" + shape,
               time([&] { spread_rows_cuda(args, current_stream()); }), whole + part);
  report_bytes("place_rows" + shape, time([&] { (void)place_rows(x, rows, values); }), 2 * whole);
  report_bytes("add_rows" + shape, time([&] { (void)add_rows(x, rows, values); }),
               2 * whole + part);
}

}  // namespace

void bench_scatter_rows() {
  const c10::NoGradGuard no_grad;
  for (const auto& c : testing::cases_for(testing::kTimed, testing::kScatterRowsCases)) bench(c);
}

}  // namespace lmms::kernels::benching
