// A folder of images by class: ROOT/CLASS/**/*.jpg.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "core/format.h"
#include "data/formats.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

bool is_image_name(const fs::path& file) {
  constexpr std::array kSuffixes = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"};
  std::string suffix = file.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end() &&
         !file.filename().string().starts_with('.');
}

/// Names of the folders in a folder, ascending by their bytes.
std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code none;
    const std::string name = at->path().filename().string();
    if (at->is_directory(none) && !name.starts_with('.')) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Paths of the images below a folder, relative to it, ascending.
Result<std::vector<std::string>> images_below(const fs::path& folder) {
  std::vector<std::string> out;
  std::error_code error;
  const auto links = fs::directory_options::follow_directory_symlink;
  for (fs::recursive_directory_iterator at(folder, links, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code none;
    if (is_image_name(at->path()) && at->is_regular_file(none))
      out.push_back(at->path().lexically_relative(folder).string());
  }
  if (error) return Fault{folder.string(), error.message(), "make its folders readable"};
  std::sort(out.begin(), out.end());
  return out;
}

class ImageFolder final : public RecordSource {
 public:
  ImageFolder(std::string root, std::vector<std::string> classes)
      : root_(std::make_shared<const std::string>(std::move(root))), classes_(std::move(classes)) {}

  void add(size_t class_id, const std::string& image) {
    starts_.push_back(listing_.size());
    ids_.push_back(static_cast<int32_t>(class_id));
    listing_ += classes_[class_id] + "/" + image + "\n";
  }

  int64_t size() const override { return static_cast<int64_t>(starts_.size()); }

  Result<Record> read(int64_t row) const override {
    const auto i = static_cast<size_t>(row);
    const size_t end = i + 1 < starts_.size() ? starts_[i + 1] : listing_.size();
    const std::string path = listing_.substr(starts_[i], end - starts_[i] - 1);
    Record record{.origin = {root_, row + 1}, .fields = Json::object(), .data_folder = nullptr};
    record.fields["image"] = (fs::path(*root_) / path).string();
    record.fields["label"] = ids_[i];
    record.fields["class"] = classes_[static_cast<size_t>(ids_[i])];
    return record;
  }

  /// The list of its files: images themselves are not read for it.
  std::vector<SourceFile> files() const override {
    return {{.path = *root_, .kind = SourceFile::Kind::text, .bytes = listing_, .hash = {}}};
  }

 private:
  std::shared_ptr<const std::string> root_;
  std::vector<std::string> classes_;
  std::string listing_;         // "class/file\n", of all images
  std::vector<size_t> starts_;  // in the listing
  std::vector<int32_t> ids_;
};

/// Whether folders are named after splits rather than classes.
bool are_splits(const std::vector<std::string>& folders) {
  constexpr std::array kSplits = {"train", "training", "val", "valid", "validation", "test"};
  return std::find(folders.begin(), folders.end(), "train") != folders.end() &&
         std::all_of(folders.begin(), folders.end(), [&](const std::string& name) {
           return std::find(kSplits.begin(), kSplits.end(), name) != kSplits.end();
         });
}

}  // namespace

bool is_image_folder(const std::string& path) {
  constexpr size_t kLookedAt = 4;  // folders
  std::vector<std::string> folders = folders_in(path);
  folders.resize(std::min(folders.size(), kLookedAt));
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& name) {
    std::error_code error;
    size_t seen = 0;
    for (fs::directory_iterator at(fs::path(path) / name, error), end;
         !error && at != end && seen < kLookedAt; at.increment(error), ++seen)
      if (is_image_name(at->path())) return true;
    return false;
  });
}

Result<std::unique_ptr<RecordSource>> open_image_folder(const std::string& path) {
  std::error_code none;
  if (!fs::is_directory(path, none))
    return Fault{path, "is no folder", "name a folder with a folder of images for each class"};
  std::vector<std::string> classes = folders_in(path);
  if (classes.empty())
    return Fault{path, "holds no folders", "put the images of each class into a folder of its own"};
  if (are_splits(classes)) {
    return Fault{path, fmt::format("holds splits ({}, ...), not classes", classes.front()),
                 fmt::format("name one of them: {}", (fs::path(path) / "train").string())};
  }
  auto source = std::make_unique<ImageFolder>(path, classes);
  for (size_t c = 0; c < classes.size(); ++c) {
    const auto images = images_below(fs::path(path) / classes[c]);
    if (!images) return images.fault();
    if (images->empty()) {
      return Fault{(fs::path(path) / classes[c]).string(),
                   "a class without images (jpg, png, webp, bmp, gif)",
                   "add some, or remove the folder: the classes behind it are numbered anew then"};
    }
    for (const std::string& image : *images) source->add(c, image);
  }
  return std::unique_ptr<RecordSource>(std::move(source));
}

}  // namespace lmms::data
