#include <algorithm>
#include <vector>

#include "core/files.h"
#include "core/format.h"
#include "data/formats.h"
#include "data/json_text.h"

namespace lmms::data {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Finds the elements of a JSON list by brackets, commas and strings alone. Elements are checked
/// when they are parsed.
class ListScanner {
 public:
  struct Element {
    size_t begin = 0, end = 0;
  };
  explicit ListScanner(std::string_view text) : text_(text) {}

  /// Offsets of the elements, or what is wrong with the list as a whole.
  Result<std::vector<Element>> scan() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    skip_space();
    if (at_ == text_.size() || text_[at_] != '[') {
      return Fault{"", "expected a JSON list: [{...}, ...]",
                   "a file with one object a line is data_type: jsonl"};
    }
    ++at_;
    std::vector<Element> elements;
    skip_space();
    if (at_ < text_.size() && text_[at_] == ']') return finish(std::move(elements));
    for (;;) {
      skip_space();
      const size_t begin = at_;
      if (!pass_element()) {
        return Fault{"", fmt::format("the list is cut off in element {}", elements.size() + 1),
                     "write the file again"};
      }
      elements.push_back({begin, at_});
      if (text_[at_] == ']') return finish(std::move(elements));
      ++at_;  // the comma
    }
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  Result<std::vector<Element>> finish(std::vector<Element> elements) {
    ++at_;
    skip_space();
    if (at_ != text_.size()) {
      return Fault{"", fmt::format("text after the end of the list, at byte {}", at_),
                   "a file with one object a line is data_type: jsonl"};
    }
    return elements;
  }

  /// To the comma or bracket that ends the element; false if there is none.
  bool pass_element() {
    for (int64_t depth = 0; at_ < text_.size(); ++at_) {
      switch (text_[at_]) {
        case '"':
          pass_string();
          break;
        case '[':
        case '{':
          ++depth;
          break;
        case ']':
        case '}':
          if (depth == 0) return true;
          --depth;
          break;
        case ',':
          if (depth == 0) return true;
          break;
        default:
          break;
      }
    }
    at_ = text_.size();
    return false;
  }

  /// From a string's opening quote to its closing one, or to the end of the text.
  void pass_string() {
    for (;;) {
      at_ = std::min(text_.find('"', at_ + 1), text_.size());
      size_t backslashes = 0;
      while (at_ < text_.size() && text_[at_ - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return;  // else the quote is escaped
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

class JsonSource final : public RecordSource {
 public:
  JsonSource(std::string path, MappedFile file, std::vector<ListScanner::Element> elements)
      : path_(std::make_shared<const std::string>(std::move(path))),
        file_(std::move(file)),
        elements_(std::move(elements)) {}

  int64_t size() const override { return static_cast<int64_t>(elements_.size()); }

  Result<Record> read(int64_t row) const override {
    const auto& element = elements_[static_cast<size_t>(row)];
    Record record{.origin = {path_, row + 1}, .fields = {}, .data_folder = nullptr};
    auto value = parse_json(file_.text().substr(element.begin, element.end - element.begin));
    if (!value) return Fault{record.origin.text(), value.fault().what, ""};
    if (!value->is_object()) {
      return Fault{record.origin.text(),
                   fmt::format("expected a JSON object in the list, found {}", value->type_name()),
                   ""};
    }
    record.fields = *std::move(value);
    return record;
  }

 private:
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  std::vector<ListScanner::Element> elements_;
};

}  // namespace

Result<std::unique_ptr<RecordSource>> open_json(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto elements = ListScanner(file->text()).scan();
  if (!elements) return Fault{path, elements.fault().what, elements.fault().fix};
  return std::unique_ptr<RecordSource>(
      std::make_unique<JsonSource>(path, *std::move(file), *std::move(elements)));
}

}  // namespace lmms::data
