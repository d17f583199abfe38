#include "nn/param.h"

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

at::Tensor Part::in(const at::Tensor& whole) const {
  const at::Tensor part = whole.narrow(0, first_row, rows);
  if (hub_shape.size() != 2 || hub_shape[1] == whole.size(1)) return part;
  return part.narrow(1, 0, hub_shape[1]);
}

Width inner_width(int64_t n) {
  constexpr int64_t kFast = 8, kTile = 64;
  return Width(n, n % kFast == 0 ? n : (n + kTile - 1) / kTile * kTile);
}

int64_t Param::elements() const {
  int64_t n = 0;
  for (const Part& part : parts) n += product(part.hub_shape);
  return n;
}

int64_t Param::stored_elements() const {
  return product(shape);
}

Param& ParamTable::add(const std::string& unit, const std::string& hub_name,
                       std::vector<int64_t> shape, Init init, ParamClass kind) {
  const Part whole{hub_name, 0, shape.at(0), shape};
  return add_parts({hub_name, std::move(shape), {whole}, init, kind, unit, true, {}});
}

Param& ParamTable::add_stacked(const std::string& unit, const std::string& name,
                               const std::vector<std::string>& hub_names,
                               const std::vector<Width>& rows, std::optional<Width> columns,
                               Init init, ParamClass kind) {
  Param param{name, {0}, {}, init, kind, unit, true, {}};
  for (size_t i = 0; i < hub_names.size(); ++i) {
    std::vector<int64_t> hub_shape{rows[i].hub};
    if (columns) hub_shape.push_back(columns->hub);
    param.parts.push_back({hub_names[i], param.shape[0], rows[i].hub, std::move(hub_shape)});
    param.shape[0] += rows[i].stored;
  }
  if (columns) param.shape.push_back(columns->stored);
  return add_parts(std::move(param));
}

Param& ParamTable::add_parts(Param param) {
  for (const Part& part : param.parts) {
    if (find_part(part.hub_name) != nullptr)
      throw Error(part.hub_name, "two parameters of this name", "", Exit::failed);
  }
  return params_.emplace_back(std::move(param));
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
  for (const Param& p : params_) {
    for (const Part& part : p.parts) {
      if (part.hub_name == hub_name) return &p;
    }
  }
  return nullptr;
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
