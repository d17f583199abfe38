#include <algorithm>

#include "core/config/yaml.h"
#include "core/format.h"

namespace lmms::config {
namespace {

/// True where a plain scalar reads back as the same text, for us and for PyYAML.
bool is_plain(const std::string& text) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return false;
  constexpr std::string_view kFirst = "!&*-?|>@`\"'#%,[]{}:=<~";
  if (kFirst.find(text.front()) != std::string_view::npos) {
    const bool number =
        text.size() > 1 && text.front() == '-' && (std::isdigit(text[1]) || text[1] == '.');
    if (!number) return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c >= 0x7F) return false;
    if (c == ',' || c == '[' || c == ']' || c == '{' || c == '}' || c == '?') return false;
    if (c == ':' && (i + 1 == text.size() || text[i + 1] == ' ')) return false;
    if (c == '#' && text[i - 1] == ' ') return false;
  }
  return true;
}

/// True where YAML 1.1 would take the text for a number of base 60 or 8, or a date: read as text
/// here, not everywhere.
bool is_mistakable_elsewhere(const std::string& text) {
  return std::isdigit(static_cast<unsigned char>(text.front())) ||
         ((text.front() == '+' || text.front() == '-') && text.size() > 1);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string scalar_text(const Node& node) {
  if (node.kind == Node::Kind::null) return "null";
  if (node.quoted || !is_plain(node.text)) return quoted(node.text);
  const bool is_text = to_value(node).string() != nullptr;
  return is_text && is_mistakable_elsewhere(node.text) ? quoted(node.text) : node.text;
}

std::string key_text(const std::string& key) {
  Node node = to_node(key);
  return scalar_text(node);
}

bool is_flat(const Node& node) {
  return std::all_of(node.items.begin(), node.items.end(), [](const Node& item) {
    return item.kind == Node::Kind::scalar || item.kind == Node::Kind::null;
  });
}

void write_block(const Node& node, size_t indent, std::string& out);

/// What follows "key:" or "-".
void write_value(const Node& node, size_t indent, std::string& out) {
  const bool in_line = (node.kind == Node::Kind::map && node.entries.empty()) ||
                       (node.kind == Node::Kind::list && is_flat(node)) ||
                       node.kind == Node::Kind::scalar || node.kind == Node::Kind::null;
  if (in_line) {
    out += " " + write_flow(node) + "\n";
  } else {
    out += "\n";
    write_block(node, indent, out);
  }
}

void write_block(const Node& node, size_t indent, std::string& out) {
  const std::string margin(indent, ' ');
  for (const Entry& entry : node.entries) {
    out += margin + key_text(entry.key) + ":";
    write_value(entry.value, indent + 2, out);
  }
  for (const Node& item : node.items) {
    if (item.kind == Node::Kind::map && !item.entries.empty()) {
      std::string block;  // "- first: 1" and the rest under it
      write_block(item, indent + 2, block);
      block.replace(indent, 1, "-");
      out += block;
    } else {
      out += margin + "-";
      write_value(item, indent + 2, out);
    }
  }
}

}  // namespace

std::string write_flow(const Node& node) {
  std::string out;
  if (node.kind == Node::Kind::list) {
    for (const Node& item : node.items) out += (out.empty() ? "" : ", ") + write_flow(item);
    return "[" + out + "]";
  }
  if (node.kind == Node::Kind::map) {
    for (const Entry& entry : node.entries) {
      out += (out.empty() ? "" : ", ") + key_text(entry.key) + ": " + write_flow(entry.value);
    }
    return "{" + out + "}";
  }
  return scalar_text(node);
}

std::string write_yaml(const Node& node) {
  const bool block = !node.entries.empty() || (node.kind == Node::Kind::list && !is_flat(node));
  std::string out;
  if (block) {
    write_block(node, 0, out);
  } else {
    out = write_flow(node) + "\n";
  }
  return out;
}

}  // namespace lmms::config
