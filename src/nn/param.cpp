#include "nn/param.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/nearest.h"

namespace lmms::nn {
namespace {

// `*` stands for any characters, none too.
bool matches(std::string_view text, std::string_view glob) {
  size_t t = 0, g = 0, star = std::string_view::npos, taken = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      taken = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++t;
      ++g;
    } else if (star != std::string_view::npos) {  // the last star takes one more
      g = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

int64_t product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

// The tensor itself, or a module above it.
bool below(std::string_view name, std::string_view pattern) {
  if (name.empty() || pattern.empty()) return false;
  return matches(std::string(name) + '.', std::string(pattern) + ".*");
}

}  // namespace

at::Tensor Part::read(const at::Tensor& whole) const {
  return parallel::read(whole.view(-1), regions, hub_shape);
}

void Part::write(const at::Tensor& whole, const at::Tensor& hub) const {
  parallel::write(whole.view(-1), regions, hub.contiguous());
}

int64_t Part::elements() const {
  return product(hub_shape);
}

std::vector<parallel::MatrixPart> Part::matrices() const {
  std::vector<parallel::MatrixPart> out;
  for (const parallel::Region& r : regions) {
    // the rows of a cut part that stand together are one matrix
    const bool together = !stack && (r.matrices == 1 || r.inner.matrix == r.rows * r.inner.row);
    const int64_t count = together ? 1 : r.matrices;
    for (int64_t m = 0; m < count; ++m) {
      out.push_back({hub_name, r.inner.first + m * r.inner.matrix,
                     together ? r.matrices * r.rows : r.rows, r.columns, r.inner.row});
    }
  }
  return out;
}

Part rows_part(std::string hub_name, std::vector<int64_t> hub_shape, int64_t first_row,
               int64_t row_length) {
  const int64_t rows = hub_shape.at(0);
  const int64_t columns = product(std::vector<int64_t>(hub_shape.begin() + 1, hub_shape.end()));
  parallel::Region region{
      1, rows, columns, {first_row * row_length, 0, row_length}, {0, 0, columns}};
  if (hub_shape.size() == 1) region = {1, 1, rows, {first_row, 0, rows}, {0, 0, rows}};
  return {std::move(hub_name), std::move(hub_shape), {region}};
}

Part interleaved_part(std::string hub_name, int64_t groups, const std::vector<int64_t>& rows,
                      const std::vector<int64_t>& first_rows, int64_t columns) {
  int64_t of_group = 0;
  for (const int64_t n : rows) of_group += n;
  Part part{std::move(hub_name), {groups * of_group, columns}, {}};
  int64_t before = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    part.regions.push_back({groups,
                            rows[i],
                            columns,
                            {first_rows.at(i) * columns, rows[i] * columns, columns},
                            {before * columns, of_group * columns, columns}});
    before += rows[i];
  }
  return part;
}

Part experts_part(std::string hub_name, int64_t experts, Width in, const std::vector<Width>& out) {
  Width rows = 0;
  for (const Width& width : out) {
    rows.hub += width.hub;
    rows.stored += width.stored;
  }
  Part part{std::move(hub_name), {experts, in.hub, rows.hub}, {}, /*stack=*/true};
  Width before = 0;
  for (const Width& width : out) {
    part.regions.push_back({experts,
                            width.hub,
                            in.hub,
                            {before.stored * in.stored, rows.stored * in.stored, in.stored},
                            {before.hub, in.hub * rows.hub, 1, rows.hub}});
    before.hub += width.hub;
    before.stored += width.stored;
  }
  return part;
}

Width inner_width(int64_t n) {
  constexpr int64_t kFast = 8, kTile = 64;
  return Width(n, n % kFast == 0 ? n : (n + kTile - 1) / kTile * kTile);
}

int64_t Param::elements() const {
  int64_t n = 0;
  for (const Part& part : parts) n += part.elements();
  return n;
}

int64_t Param::stored_elements() const {
  return product(shape);
}

Param& ParamTable::add(const std::string& unit, const std::string& hub_name,
                       std::vector<int64_t> shape, Init init, ParamClass kind) {
  Part whole = rows_part(hub_name, shape, 0, product(shape) / std::max<int64_t>(shape.at(0), 1));
  return add_parts(unit, hub_name, std::move(shape), {std::move(whole)}, init, kind);
}

Param& ParamTable::add_stacked(const std::string& unit, const std::string& name,
                               const std::vector<std::string>& hub_names,
                               const std::vector<Width>& rows, std::optional<Width> columns,
                               Init init, ParamClass kind) {
  std::vector<int64_t> shape{0};
  std::vector<Part> parts;
  for (size_t i = 0; i < hub_names.size(); ++i) {
    std::vector<int64_t> hub_shape{rows[i].hub};
    if (columns) hub_shape.push_back(columns->hub);
    parts.push_back(
        rows_part(hub_names[i], std::move(hub_shape), shape[0], columns ? columns->stored : 1));
    shape[0] += rows[i].stored;
  }
  if (columns) shape.push_back(columns->stored);
  return add_parts(unit, name, std::move(shape), std::move(parts), init, kind);
}

Param& ParamTable::add_parts(const std::string& unit, const std::string& name,
                             std::vector<int64_t> shape, std::vector<Part> parts, Init init,
                             ParamClass kind) {
  const int64_t stored = product(shape);
  for (const Part& part : parts) {
    int64_t covered = 0;
    for (const parallel::Region& region : part.regions) {
      covered += region.elements();
      TORCH_INTERNAL_ASSERT(
          region.elements() == 0 || (region.ascends() && region.inner_end() <= stored),
          part.hub_name, " has no place in ", name, " ", at::IntArrayRef(shape));
    }
    TORCH_INTERNAL_ASSERT(covered == part.elements(), part.hub_name, ": ", covered,
                          " elements have a place, of ", at::IntArrayRef(part.hub_shape));
    if (!param_of_.try_emplace(part.hub_name, params_.size()).second)
      throw Error(part.hub_name, "two parameters of this name", "", Exit::failed);
  }
  Param& param = params_.emplace_back();
  param.name = name;
  param.shape = std::move(shape);
  param.parts = std::move(parts);
  param.init = init;
  param.kind = kind;
  param.unit = unit;
  return param;
}

void ParamTable::also_known(std::string prefix, std::string other) {
  other_prefixes_.push_back({std::move(prefix), std::move(other), /*of_modules=*/true});
}

void ParamTable::also_read(std::string prefix, std::string other) {
  other_prefixes_.push_back({std::move(prefix), std::move(other), /*of_modules=*/false});
}

std::vector<std::string> ParamTable::other_names(std::string_view hub_name) const {
  std::vector<std::string> names;
  for (const OtherPrefix& p : other_prefixes_) {
    if (hub_name.starts_with(p.prefix))
      names.push_back(p.other + std::string(hub_name.substr(p.prefix.size())));
  }
  return names;
}

std::vector<std::string> ParamTable::module_names(std::string_view hub_name) const {
  std::vector<std::string> names{std::string(hub_name)};
  for (const OtherPrefix& p : other_prefixes_) {
    if (p.of_modules && hub_name.starts_with(p.prefix))
      names.push_back(p.other + std::string(hub_name.substr(p.prefix.size())));
  }
  return names;
}

bool ParamTable::fits(std::string_view hub_name, std::string_view module_pattern) const {
  const std::vector<std::string> names = module_names(hub_name);
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return below(name, module_pattern); });
}

std::optional<std::string> ParamTable::nearest_module(const std::string& module_pattern) const {
  std::string word = module_pattern;
  while (word.ends_with('*') || word.ends_with('.')) word.pop_back();
  std::set<std::string> modules;  // each dotted prefix of each tensor's names
  for (const Param& p : params_) {
    for (const Part& part : p.parts) {
      for (const std::string& name : module_names(part.hub_name)) {
        for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
          modules.insert(name.substr(0, dot));
      }
    }
  }
  return nearest_name(word, std::vector<std::string>(modules.begin(), modules.end()));
}

const Param* ParamTable::find_part(std::string_view hub_name) const {
  const auto found = param_of_.find(hub_name);
  return found == param_of_.end() ? nullptr : &params_[found->second];
}

int64_t ParamTable::elements(bool trainable_only) const {
  int64_t n = 0;
  for (const Param& p : params_) {
    if (p.trainable || !trainable_only) n += p.elements();
  }
  return n;
}

void ParamTable::freeze(const std::string& module_pattern, const std::string& where) {
  bool found = false;
  for (Param& p : params_) {
    const auto inside = std::count_if(p.parts.begin(), p.parts.end(), [&](const Part& q) {
      return fits(q.hub_name, module_pattern);
    });
    if (inside == 0) continue;
    found = true;
    if (static_cast<size_t>(inside) < p.parts.size()) {
      std::string together;
      for (const Part& part : p.parts) together += (together.empty() ? "" : ", ") + part.hub_name;
      throw Error(where,
                  "'" + module_pattern + "' is stored and trained in one matrix with " + together,
                  "freeze all of these modules or none of them");
    }
    p.trainable = false;
  }
  if (found) return;
  const auto near = nearest_module(module_pattern);
  throw Error(where,
              "the model has no module '" + module_pattern + "'" +
                  (near ? "; did you mean '" + *near + "'?" : ""),
              "module names are those of the checkpoint's tensors, such as 'model.embed_tokens' or "
              "'model.layers.0'");
}

}  // namespace lmms::nn
