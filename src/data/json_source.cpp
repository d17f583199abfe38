#include <algorithm>
#include <optional>
#include <utility>
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

  /// Passes the opening bracket; what is wrong if there is none.
  std::optional<Fault> begin() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    skip_space();
    if (at_ == text_.size() || text_[at_] != '[') {
      return Fault{"", "expected a JSON list: [{...}, ...]",
                   "a file with one object a line is data_type: jsonl"};
    }
    ++at_;
    skip_space();
    ended_ = at_ < text_.size() && text_[at_] == ']';
    return std::nullopt;
  }

  /// The next element; nullopt behind the last. Faults: the list is cut off, or is not all of the
  /// text. Nothing behind the comma that follows the element is looked at.
  Result<std::optional<Element>> next() {
    if (ended_) {
      if (auto fault = finish()) return *std::move(fault);
      return std::optional<Element>();
    }
    skip_space();
    const size_t begin = at_;
    if (!pass_element()) {
      return Fault{"", fmt::format("the list is cut off in element {}", passed_ + 1),
                   "write the file again"};
    }
    ++passed_;
    const Element element{begin, at_};
    ended_ = text_[at_] == ']';
    if (!ended_) ++at_;  // the comma
    return std::optional(element);
  }

  /// Elements that next() gave.
  int64_t passed() const { return passed_; }
  size_t offset() const { return at_; }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  /// Checks that nothing follows the bracket at at_.
  std::optional<Fault> finish() {
    const size_t bracket = at_++;
    skip_space();
    const size_t rest = std::exchange(at_, bracket);
    if (rest == text_.size()) return std::nullopt;
    return Fault{"", fmt::format("text after the end of the list, at byte {}", rest),
                 "a file with one object a line is data_type: jsonl"};
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
  int64_t passed_ = 0;
  bool ended_ = false;  ///< the closing bracket is at at_
};

/// Offsets of all elements.
Result<std::vector<ListScanner::Element>> scan(std::string_view text) {
  ListScanner scanner(text);
  if (auto fault = scanner.begin()) return *std::move(fault);
  std::vector<ListScanner::Element> elements;
  for (;;) {
    auto element = scanner.next();
    if (!element) return element.fault();
    if (!*element) return elements;
    elements.push_back(**element);
  }
}

Result<Record> read_element(const std::shared_ptr<const std::string>& path, std::string_view text,
                            int64_t number) {
  Record record{.origin = {path, number}, .fields = {}, .data_folder = nullptr};
  auto value = parse_json(text);
  if (!value) return Fault{record.origin.text(), value.fault().what, ""};
  if (!value->is_object()) {
    return Fault{record.origin.text(),
                 fmt::format("expected a JSON object in the list, found {}", value->type_name()),
                 ""};
  }
  record.fields = *std::move(value);
  return record;
}

class JsonSource final : public RecordSource {
 public:
  JsonSource(std::string path, MappedFile file, std::vector<ListScanner::Element> elements)
      : path_(std::make_shared<const std::string>(std::move(path))),
        file_(std::move(file)),
        elements_(std::move(elements)) {}

  int64_t size() const override { return static_cast<int64_t>(elements_.size()); }

  Result<Record> read(int64_t row) const override {
    const auto& element = elements_[static_cast<size_t>(row)];
    return read_element(path_, file_.text().substr(element.begin, element.end - element.begin),
                        row + 1);
  }

  std::vector<SourceFile> files() const override {
    return {{*path_, SourceFile::Kind::text, file_.text(), std::nullopt}};
  }

 private:
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  std::vector<ListScanner::Element> elements_;
};

class JsonCursor final : public RowCursor {
 public:
  JsonCursor(std::string path, MappedFile file)
      : path_(std::make_shared<const std::string>(std::move(path))),
        file_(std::move(file)),
        scanner_(file_.text()) {}

  /// Passes the opening bracket; what is wrong if there is none.
  std::optional<Fault> begin() {
    auto fault = scanner_.begin();
    if (fault) fault->where = *path_;
    return fault;
  }

  std::optional<Result<Record>> next() override {
    auto element = scanner_.next();
    if (!element) throw Error(*path_, element.fault().what, element.fault().fix);
    if (!*element) return std::nullopt;
    const auto [from, to] = **element;
    return read_element(path_, file_.text().substr(from, to - from), scanner_.passed());
  }

  std::optional<Fault> seek(int64_t number) override {
    if (number <= scanner_.passed()) {
      scanner_ = ListScanner(file_.text());
      if (auto fault = begin()) return fault;
    }
    for (;;) {
      const ListScanner here = scanner_;
      auto element = scanner_.next();
      if (!element) return element.fault();
      if (!*element) {
        return Fault{"", fmt::format("the list has {} elements", scanner_.passed()), ""};
      }
      if (scanner_.passed() < number) continue;
      scanner_ = here;
      return std::nullopt;
    }
  }

  std::optional<int64_t> bytes_passed() const override {
    return static_cast<int64_t>(scanner_.offset());
  }

 private:
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  ListScanner scanner_;
};

}  // namespace

Result<std::unique_ptr<RowCursor>> json_cursor(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto cursor = std::make_unique<JsonCursor>(path, *std::move(file));
  if (auto fault = cursor->begin()) return *std::move(fault);
  return std::unique_ptr<RowCursor>(std::move(cursor));
}

Result<std::unique_ptr<RecordSource>> open_json(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto elements = scan(file->text());
  if (!elements) return Fault{path, elements.fault().what, elements.fault().fix};
  return std::unique_ptr<RecordSource>(
      std::make_unique<JsonSource>(path, *std::move(file), *std::move(elements)));
}

}  // namespace lmms::data
