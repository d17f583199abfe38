#pragma once
/// y = silu(gate) * up. Source: Shazeer 2020, "GLU variants improve transformer", eq. 6 (SwiGLU).
namespace at {
class Tensor;
}

namespace lmms::kernels {

/// gate_up [T, 2 * I], the gate's columns first -> [T, I]. Keeps its input; backward recomputes
/// silu.
at::Tensor silu_glu(const at::Tensor& gate_up);

}  // namespace lmms::kernels
