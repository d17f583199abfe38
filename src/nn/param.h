#pragma once
/// A weight is a handle, made without memory; buckets give it memory (nn/memory.h) once the whole
/// structure is known.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/recompute.h"
#include "parallel/bucket.h"

namespace lmms::nn {

/// How a parameter is drawn when a model starts from its config.
struct Init {
  /// normal and uniform ones have mean 0; sincos_2d: the places of a square grid (position_grid.h).
  enum class Law { zeros, ones, normal, uniform, sincos_2d };
  Law law = Law::normal;
  double std = 0.02;
  int64_t zero_row = -1;  ///< a row that is 0 afterwards (the pad token of an embedding); -1: none
};

/// A size in the checkpoint and in memory.
struct Width {
  Width(int64_t n) : hub(n), stored(n) {}  // NOLINT: the usual case
  explicit Width(int64_t hub_size, int64_t stored_size) : hub(hub_size), stored(stored_size) {}
  int64_t hub, stored;
};
/// The inner width of an MLP: one that fast products refuse (no multiple of 8, as the 3420 of
/// Qwen2.5-VL's tower) is stored as the next multiple of 64, its rest 0.
Width inner_width(int64_t n);

/// One tensor of the checkpoint inside a Param: boxes of it and their places there. Plain, it is
/// rows of the Param, and of a matrix as many columns as the checkpoint has; it may also be
/// transposed, or cut so that its rows go to several places. What a Param has beyond its parts is 0
/// and stays so.
struct Part {
  std::string hub_name;
  std::vector<int64_t> hub_shape;
  /// They cover the hub's tensor, each element once; `inner` counts elements of the Param.
  std::vector<parallel::Region> regions;
  /// Each matrix of a region is one of its own (an expert); else a region is one matrix.
  bool stack = false;

  /// The hub's tensor in `whole`, a contiguous tensor of the Param's shape: a view where the part
  /// is in one piece, else a copy.
  at::Tensor read(const at::Tensor& whole) const;
  /// The other way: `hub` of hub_shape into `whole`, rounded to its dtype.
  void write(const at::Tensor& whole, const at::Tensor& hub) const;
  int64_t elements() const;
  /// As an optimiser of matrices sees it.
  std::vector<parallel::MatrixPart> matrices() const;
};

/// Rows of a Param from `first_row` on; a row of the Param has `row_length` elements (more than the
/// hub's where it is padded).
Part rows_part(std::string hub_name, std::vector<int64_t> hub_shape, int64_t first_row,
               int64_t row_length);
/// `rows` that one hub tensor holds for each head (or other group) in turn: `rows[i]` of every
/// group, behind those of rows[i - 1], stand together in the Param from row first_rows[i] on. As
/// the q, k, v and gate of Qwen3-Next's in_proj_qkvz. hub [groups * sum of rows, columns].
Part interleaved_part(std::string hub_name, int64_t groups, const std::vector<int64_t>& rows,
                      const std::vector<int64_t>& first_rows, int64_t columns);
/// A stack of experts' matrices, y = x W in the hub's tensor [experts, in, sum of out] and y = x
/// W^T in the Param [experts, sum of out, in], sizes in the Param as stored. Several `out` (gate
/// and up) are padded apart.
Part experts_part(std::string hub_name, int64_t experts, Width in, const std::vector<Width>& out);

/// Which optimiser a parameter may get.
enum class ParamClass { matrix, embedding, vector };

/// A weight: its place in the checkpoint, its shape inside, and, once it has memory, the leaf that
/// the forward reads.
struct Param {
  std::string name;  ///< inside name; the hub name where one tensor makes up the whole
  std::vector<int64_t> shape;
  std::vector<Part>
      parts;  ///< in the order of checkpoints; several where a fused weight stacks them
  Init init;
  ParamClass kind = ParamClass::matrix;
  std::string unit;            ///< whose bucket it lives in
  std::string mesh = "dense";  ///< whose ranks share it
  bool trainable = true;

  /// The autograd leaf, whose .grad is the slot in the bucket: for setup, tests and tools.
  const at::Tensor& leaf() const { return leaf_; }
  /// What a forward reads: the leaf, inside a scope of the Param's unit alone (nn/scope.h).
  const at::Tensor& value() const;
  void set_leaf(at::Tensor leaf) { leaf_ = std::move(leaf); }
  int64_t elements() const;         ///< of its parts: what is trained, and what products cost
  int64_t stored_elements() const;  ///< with what they are padded with
  /// The value with the slot of its gradient, as ops take it.
  kernels::Weight handle() const;
  bool decays() const { return kind != ParamClass::vector; }

 private:
  at::Tensor leaf_;
};

/// All Params of a model, in order of creation, at stable addresses. A tied weight is one Param.
class ParamTable {
 public:
  /// Adds a Param that one tensor of the checkpoint makes up. Throws Error if a part of that name
  /// exists.
  Param& add(const std::string& unit, const std::string& hub_name, std::vector<int64_t> shape,
             Init init, ParamClass kind);
  /// Adds a Param that stacks several tensors along dim 0; `rows[i]` of them come from
  /// hub_names[i]. `columns`: of a matrix; absent: a vector.
  Param& add_stacked(const std::string& unit, const std::string& name,
                     const std::vector<std::string>& hub_names, const std::vector<Width>& rows,
                     std::optional<Width> columns, Init init, ParamClass kind);
  /// Adds a Param of any parts. Throws Error if a part of that name exists.
  Param& add_parts(const std::string& unit, const std::string& name, std::vector<int64_t> shape,
                   std::vector<Part> parts, Init init, ParamClass kind);
  /// Files may also call tensors whose hub name begins with `prefix` by a name that begins with
  /// `other` instead (what another release wrote); so may modules to freeze. Several may fit.
  /// Written are hub names.
  void also_known(std::string prefix, std::string other);
  /// As also_known, for files alone: no module is called so.
  void also_read(std::string prefix, std::string other);
  /// The other names of a tensor in files.
  std::vector<std::string> other_names(std::string_view hub_name) const;
  /// Whether a module_pattern names the tensor or a module above it, be it by the hub's names or by
  /// those of also_known. A module_pattern is a dotted path in which `*` stands for any characters:
  /// 'visual', 'visual.blocks.*.attn', '*.norm'.
  bool fits(std::string_view hub_name, std::string_view module_pattern) const;
  /// The name of a module that a mistyped module_pattern may have meant.
  std::optional<std::string> nearest_module(const std::string& module_pattern) const;
  /// nullptr if no Param holds a part of that name.
  const Param* find_part(std::string_view hub_name) const;

  /// The hub names of a language model's head and of the embedding. Where the two are tied no Param
  /// holds the head.
  struct Head {
    std::string name, embedding;
  };
  void set_head(Head head) { head_ = std::move(head); }
  const std::optional<Head>& head() const { return head_; }
  bool tied() const { return head_ && find_part(head_->name) == nullptr; }

  std::deque<Param>& all() { return params_; }
  const std::deque<Param>& all() const { return params_; }
  int64_t elements(bool trainable_only = false) const;

  /// Freezes every Param that fits the module_pattern. Throws Error, with `where`, naming the
  /// nearest module, if none does, or if it would freeze a part of a stacked Param.
  void freeze(const std::string& module_pattern, const std::string& where);

 private:
  struct OtherPrefix {
    std::string prefix, other;
    bool of_modules;
  };

  /// The hub name, and those of also_known.
  std::vector<std::string> module_names(std::string_view hub_name) const;

  struct NameHash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::deque<Param> params_;
  std::unordered_map<std::string, size_t, NameHash, std::equal_to<>> param_of_;  // by hub name
  std::vector<OtherPrefix> other_prefixes_;
  std::optional<Head> head_;
};

}  // namespace lmms::nn
