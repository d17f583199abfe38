#pragma once
/// One list of cases an op, in OP/OP_cases.h: its tests on the CPU and on a GPU and its benchmark
/// take theirs from it.
#include <cstddef>
#include <vector>

namespace lmms::kernels::testing {

/// Who takes a case; a sum of these.
enum CaseUse : unsigned {
  kOnCpu = 1,
  kOnGpu = 2,
  kTimed = 4,  ///< by the benchmark
  kOnBoth = kOnCpu | kOnGpu,
};

/// The cases (structs with a member `use`) that serve this use.
template <class Case, size_t N>
std::vector<Case> cases_for(CaseUse use, const Case (&cases)[N]) {
  std::vector<Case> out;
  for (const Case& c : cases)
    if ((c.use & use) != 0) out.push_back(c);
  return out;
}

}  // namespace lmms::kernels::testing
