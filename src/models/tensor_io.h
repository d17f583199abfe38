#pragma once
/// Between a model's parameters and the tensors of files, under the names and shapes of the hub.
#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/hf_folder.h"
#include "checkpoint/resume.h"
#include "checkpoint/safetensors.h"
#include "nn/memory.h"
#include "nn/param.h"

namespace lmms::models {

checkpoint::DType dtype_of(at::ScalarType type);
/// Throws Error(where) for element types that no weight has (integers, FP8).
at::ScalarType scalar_type_of(checkpoint::DType dtype, const std::string& where);

/// A copy of a tensor of a file, in its own dtype. Throws Error(where) for one that no weight has.
at::Tensor to_tensor(const checkpoint::TensorView& view, const std::string& where,
                     at::Device device = at::kCPU);

/// Whether the files hold a head of its own for a model whose head is the embedding: both are
/// there, and differ.
bool unties_head(const nn::ParamTable& params, const checkpoint::TensorIndex& files);

/// Fills every Param from a checkpoint (fp32 masters from the file's values, weights rounded to
/// their dtype), under hub names or ParamTable::other_names; a tied embedding also from the head's
/// name. Of several shards this rank's alone is read and filled. Throws one Error that names all
/// missing and misshaped tensors, and for files that untie the head of a tied model. Tensors of the
/// file that the model has no place for come back, by name.
std::vector<std::string> load_weights(const nn::ParamTable& params, nn::ModelMemory& memory,
                                      const checkpoint::TensorIndex& files,
                                      const std::string& where);

/// Something that buckets hold for every Param: its flat tensor of local() of bucket b, or an
/// undefined tensor.
using FlatOf = std::function<at::Tensor(size_t bucket)>;

/// One source for every tensor of the checkpoint, read from `flat` when it is written and saved as
/// `saved_as`. Writing one takes a rank that holds the whole of it; what one of several holds is
/// nn::local_parts.
std::vector<checkpoint::TensorSource> sources(const nn::ParamTable& params,
                                              const nn::ModelMemory& memory, const FlatOf& flat,
                                              at::ScalarType saved_as);

/// The same tensors, as resume state: saved and loaded in the dtype of `flat`. Loading takes from
/// whole tensors what this rank holds. Params whose bucket has no such tensor (frozen ones have no
/// moments) are left out.
std::vector<checkpoint::TensorSlot> slots(const nn::ParamTable& params,
                                          const nn::ModelMemory& memory, const FlatOf& flat);

/// The first of these tensors that holds a NaN or an infinity on this rank, or would where it is
/// saved as `saved_as`: its name. Waits for the device.
std::optional<std::string> first_not_finite(const nn::ParamTable& params,
                                            const nn::ModelMemory& memory, const FlatOf& flat,
                                            at::ScalarType saved_as);

}  // namespace lmms::models
