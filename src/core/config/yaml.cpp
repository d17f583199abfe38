#include "core/config/yaml.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "core/format.h"

namespace lmms::config {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;
constexpr size_t kMostNodes = 100'000;
constexpr size_t kLongestKey =
    200;  // a closing quote was lost; YAML itself ends simple keys at 1024

/// Ends the parse at once: what follows could not be trusted or would not fit.
struct Stop {
  Position at;
  std::string what;
};

/// Whether line `number` (from 1) of `text` is indented with a tab.
bool indented_by_tab(std::string_view text, int number) {
  size_t begin = 0;
  for (int i = 1; i < number && begin != std::string::npos; ++i) {
    begin = text.find('\n', begin);
    if (begin != std::string::npos) ++begin;
  }
  if (number < 1 || begin == std::string::npos) return false;
  const size_t first = text.find_first_not_of(" \t", begin);
  return text.substr(begin, first == std::string::npos ? first : first - begin).find('\t') !=
         std::string::npos;
}

/// What most often stands behind an error of the parser, which tells what it missed.
std::string likely_cause(const std::string& message, std::string_view text, int line) {
  if (indented_by_tab(text, line) || indented_by_tab(text, line - 1))
    return "; indent with blanks, not with tabs";
  static const std::pair<std::string_view, const char*> kCauses[] = {
      {"illegal tab", "; indent with blanks, not with tabs"},
      {"flow not found", "; a [ or { before it is not closed"},
      {"illegal map value",
       "; does the line above lack a ':' and a blank, or is this line indented further than it?"},
      {"end of map not found",
       "; is the line indented like its neighbours, and every quote closed?"},
      {"end of sequence not found",
       "; is the line indented like its neighbours, and every quote closed?"}};
  for (const auto& [part, cause] : kCauses)
    if (message.find(part) != std::string::npos) return cause;
  return "";
}

/// Builds the tree from the events of yaml-cpp.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::shared_ptr<const std::string> source, int word, Faults& faults)
      : source_(std::move(source)), word_(word), faults_(faults) {}

  Node take() { return std::move(root_); }

  Position position(const YAML::Mark& mark) const {
    if (word_ > 0) return {source_, 0, word_};
    return {source_, mark.line + 1, mark.column + 1};
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.at = position(mark);
    complete(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    Node node = Node::scalar(value, tag == "!" || tag == kTagPrefix + "str");
    node.at = position(mark);
    complete(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      throw Stop{position(mark), "an alias stands inside what it refers to"};
    count(position(mark), found->second.count());
    complete(Node(found->second), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(mark, Node::Kind::list, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(mark, Node::Kind::map, anchor);
  }
  void OnMapEnd() override {
    apply_merges(frames_.back());
    close();
  }

 private:
  inline static const std::string kTagPrefix = "tag:yaml.org,2002:";

  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::optional<Node> key;                         // read, its value not yet
    std::unordered_map<std::string, Position> keys;  // read so far, and where
    std::vector<Node> merges;                        // values of <<
  };

  void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    if (tag.starts_with(kTagPrefix)) {
      const std::string_view name = std::string_view(tag).substr(kTagPrefix.size());
      for (std::string_view known : {"str", "int", "float", "bool", "null", "map", "seq"}) {
        if (name == known) return;
      }
    }
    faults_.add(position(mark), "",
                fmt::format("the tag {} is not read; expected plain YAML", tag));
  }

  void count(const Position& at, size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMostNodes) {
      throw Stop{
          at, fmt::format("more than {} values, aliases expanded; expected a config", kMostNodes)};
    }
  }

  void open(const YAML::Mark& mark, Node::Kind kind, YAML::anchor_t anchor) {
    count(position(mark), 1);
    Frame frame;
    frame.node.kind = kind;
    frame.node.at = position(mark);
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    complete(std::move(frame.node), frame.anchor);
  }

  /// A whole node: remembered under its anchor and put where it belongs.
  void complete(Node node, YAML::anchor_t anchor) {
    if (node.kind == Node::Kind::scalar || node.kind == Node::Kind::null) count(node.at, 1);
    if (anchor != 0) {
      count(node.at, node.count());  // the copy takes memory too
      anchors_[anchor] = node;
    }
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == Node::Kind::list) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.key) {
      frame.key = std::move(node);
    } else {
      const Node key = std::move(*frame.key);
      frame.key.reset();
      add_entry(frame, key, std::move(node));
    }
  }

  void add_entry(Frame& frame, const Node& key, Node value) {
    if (key.kind != Node::Kind::scalar) {
      faults_.add(key.at, "", fmt::format("got {} as a key; expected a name", describe(key)));
    } else if (key.text.size() > kLongestKey) {
      faults_.add(key.at, "", fmt::format("a key of {} bytes; expected a name", key.text.size()));
    } else if (key.text == "<<" && !key.quoted) {
      frame.merges.push_back(std::move(value));
    } else if (const auto [first, is_new] = frame.keys.emplace(key.text, key.at); !is_new) {
      faults_.add(key.at, key.text, fmt::format("given twice; first at {}", first->second.text()));
    } else {
      if (value.kind == Node::Kind::null) value.at = key.at;  // yaml-cpp marks what follows
      frame.node.entries.push_back({key.text, key.at, std::move(value)});
    }
  }

  /// YAML 1.1's merge: the map's own keys win, then the earlier of several merged maps.
  void apply_merges(Frame& frame) {
    for (Node& merge : frame.merges) {
      std::vector<Node> maps;
      if (merge.kind == Node::Kind::list) {
        maps = std::move(merge.items);
      } else {
        maps.push_back(std::move(merge));
      }
      for (Node& map : maps) {
        if (map.kind != Node::Kind::map) {
          faults_.add(map.at, "<<", fmt::format("got {}; expected a map to merge", describe(map)));
          continue;
        }
        for (Entry& entry : map.entries) {
          const bool is_new = frame.keys.emplace(entry.key, entry.at).second;
          if (is_new) frame.node.entries.push_back(std::move(entry));
        }
      }
    }
  }

  std::shared_ptr<const std::string> source_;
  int word_;
  Faults& faults_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Node> anchors_;
  Node root_;
  size_t nodes_ = 0;
};

/// The byte length of the UTF-8 character at the front of `text`; 0 if it is none, or a control
/// character that YAML forbids (yaml-cpp would take some of them for the end of the file).
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80)
    return lead >= 0x20 || lead == '\t' || lead == '\n' || lead == '\r' ? (lead == 0x7F ? 0 : 1)
                                                                        : 0;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || lead > 0xF4 || text.size() < length) return 0;
  uint32_t code = lead & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const bool shortest =
      length == 2 || (length == 3 && code >= 0x800) || (length == 4 && code >= 0x10000);
  const bool scalar = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  return shortest && scalar ? length : 0;
}

/// Adds a fault and returns false if the text is too long or no text.
bool check_text(std::string_view text, const std::shared_ptr<const std::string>& source, int word,
                Faults& faults) {
  const auto at = [&](int line, int column) {
    return word > 0 ? Position{source, 0, word} : Position{source, line, column};
  };
  if (text.size() > kMostBytes) {
    faults.add(at(1, 1), "",
               fmt::format("{} bytes; expected a config of at most {}", text.size(), kMostBytes));
    return false;
  }
  int line = 1;
  int column = 1;
  for (size_t i = 0; i < text.size();) {
    const size_t length = character_length(text.substr(i));
    if (length == 0) {
      const unsigned value = static_cast<unsigned char>(text[i]);
      faults.add(at(line, column), "",
                 fmt::format("byte 0x{:02x} is no text; expected YAML in UTF-8", value));
      return false;
    }
    column = text[i] == '\n' ? 1 : column + 1;
    line += text[i] == '\n' ? 1 : 0;
    i += length;
  }
  return true;
}

}  // namespace

Node parse_yaml(std::string_view text, const std::string& source, Faults& faults, int at_word) {
  const auto shared_source = std::make_shared<const std::string>(source);
  Builder builder(shared_source, at_word, faults);
  if (!check_text(text, shared_source, at_word, faults)) return {};
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      Node root = builder.take();
      Builder second(shared_source, at_word, faults);
      if (parser.HandleNextDocument(second)) {
        faults.add(second.take().at, "", "a second document; expected one");
      }
      if (!root.at.known()) root.at = builder.position(YAML::Mark());
      return root;
    }
  } catch (const YAML::DeepRecursion& error) {
    faults.add(builder.position(error.mark), "", "nested too deeply; expected a config");
  } catch (const YAML::Exception& error) {
    faults.add(builder.position(error.mark), "",
               "no YAML: " + error.msg + likely_cause(error.msg, text, error.mark.line + 1));
  } catch (const Stop& stop) {
    faults.add(stop.at, "", stop.what);
  }
  Node empty;
  empty.at = builder.position(YAML::Mark());
  return empty;
}

}  // namespace lmms::config
