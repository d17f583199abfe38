#include "checkpoint/resume.h"

#include <algorithm>

#include "checkpoint/json_file.h"
#include "checkpoint/printable.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* kValues = "state.json";

std::string file_name(const std::string& component) {
  return component + ".safetensors";
}

/// Collects what does not fit and reports all of it at once, the first lines in full.
class Differences {
 public:
  void add(std::string text) {
    if (++count_ <= kShown) lines_.push_back(std::move(text));
  }
  void throw_if_any(const fs::path& folder) const {
    if (count_ == 0) return;
    std::string what = "does not fit this run:";
    for (const auto& line : lines_) what += "\n    " + line;
    if (count_ > kShown) what += fmt::format("\n    and {} more", count_ - kShown);
    throw Error(folder.string(), what,
                "go on with the config that wrote it, or start anew with another "
                "trainer_args.output_dir or resume_from_checkpoint: false");
  }

 private:
  static constexpr size_t kShown = 8;
  size_t count_ = 0;
  std::vector<std::string> lines_;
};

void compare(const std::string& component, const std::vector<TensorSlot>& slots,
             const SafetensorsFile& file, Differences& differences) {
  std::map<std::string_view, const TensorView*> there;
  for (const auto& tensor : file.tensors()) there.emplace(tensor.name, &tensor);
  for (const auto& slot : slots) {
    const auto found = there.find(slot.name);
    if (found == there.end()) {
      differences.add(fmt::format("{}: {} is missing", component, printable(slot.name)));
      continue;
    }
    const TensorView& tensor = *found->second;
    if (tensor.dtype != slot.dtype || tensor.shape != slot.shape)
      differences.add(fmt::format("{}: {} is {} {}, wanted {} {}", component, printable(slot.name),
                                  name_of(tensor.dtype), text_of(tensor.shape), name_of(slot.dtype),
                                  text_of(slot.shape)));
    there.erase(found);
  }
  for (const auto& [name, tensor] : there)
    differences.add(fmt::format("{}: {} is not known here", component, printable(name)));
}

}  // namespace

FileSums ResumeSnapshot::write(const fs::path& folder) const {
  FileSums sums;
  for (const auto& [component, tensors] : tensors_) {
    const fs::path path = folder / file_name(component);
    sums[path] = write_safetensors(path, tensors);
  }
  sums[folder / kValues] = write_json(folder / kValues, values_);
  return sums;
}

void ResumeState::check_new(const std::string& component) const {
  const bool is_plain =
      !component.empty() && std::all_of(component.begin(), component.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
      });
  if (!is_plain || tensors_.contains(component) || values_.contains(component))
    throw Error(
        "",
        fmt::format("resume component {}: the name is not plain, or taken", printable(component)),
        "", Exit::failed);
}

void ResumeState::add_tensors(std::string component, std::vector<TensorSlot> slots) {
  check_new(component);
  tensors_.emplace(std::move(component), std::move(slots));
}

void ResumeState::add_value(std::string component, std::function<nlohmann::json()> save,
                            std::function<void(const nlohmann::json&)> load) {
  check_new(component);
  values_.emplace(std::move(component), Value{std::move(save), std::move(load)});
}

ResumeSnapshot ResumeState::view() const {
  ResumeSnapshot result;
  for (const auto& [component, slots] : tensors_) {
    auto& sources = result.tensors_[component];
    sources.reserve(slots.size());
    for (const auto& slot : slots)
      sources.push_back({slot.name, slot.dtype, slot.shape, slot.save});
  }
  for (const auto& [component, value] : values_) result.values_[component] = value.save();
  return result;
}

FileSums ResumeState::save(const fs::path& folder) const {
  return view().write(folder);
}

ResumeSnapshot ResumeState::snapshot() const {
  ResumeSnapshot result = view();
  for (auto& [component, sources] : result.tensors_) sources = held_in_memory(sources);
  return result;
}

void ResumeState::load(const fs::path& folder) const {
  const auto values = read_json_object(folder / kValues).take();
  Differences differences;
  std::map<std::string, SafetensorsFile> files;
  for (const auto& [component, slots] : tensors_) {
    std::error_code ignored;
    if (!fs::exists(folder / file_name(component), ignored)) {
      differences.add(fmt::format("{} is missing", file_name(component)));
      continue;
    }
    auto file = SafetensorsFile::open(folder / file_name(component)).take();
    compare(component, slots, file, differences);
    files.emplace(component, std::move(file));
  }
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors" &&
        !tensors_.contains(entry.path().stem().string()))
      differences.add(fmt::format("{} is not known here", entry.path().filename().string()));
  for (const auto& [component, value] : values_)
    if (!values.contains(component))
      differences.add(fmt::format("{}: {} is missing", kValues, printable(component)));
  for (const auto& [component, value] : values.items())
    if (!values_.contains(component))
      differences.add(fmt::format("{}: {} is not known here", kValues, printable(component)));
  differences.throw_if_any(folder);

  for (const auto& [component, slots] : tensors_) {
    std::map<std::string_view, const TensorView*> there;
    for (const auto& tensor : files.at(component).tensors()) there.emplace(tensor.name, &tensor);
    for (const auto& slot : slots) slot.load(there.at(slot.name)->bytes);
  }
  for (const auto& [component, value] : values_) value.load(values.at(component));
}

}  // namespace lmms::checkpoint
