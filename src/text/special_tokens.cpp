#include "text/special_tokens.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/files.h"
#include "core/format.h"
#include "core/plain_json.h"
#include "text/json.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 7> kRoles = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

/// Named tokens that a tokenizer class sets where its files say nothing (their constructors'
/// defaults in transformers 5).
struct ClassDefaults {
  std::string_view tokenizer_class;
  std::array<std::string_view, 4> roles;
};
constexpr std::array<ClassDefaults, 2> kDefaults = {{
    {"Qwen2Tokenizer", {"unk_token", "eos_token", "pad_token", ""}},
    {"GPT2Tokenizer", {"unk_token", "bos_token", "eos_token", ""}},
}};
constexpr std::string_view kEndOfText = "<|endoftext|>";

/// What the files say of one role; a null is an answer too.
struct Said {
  std::string role;
  std::optional<std::string> content;
};

/// A token is written as a string or as an object with `content`.
std::optional<std::string> content_of(const Json& value) {
  if (value.is_string()) return std::string(value.string());
  if (value.is_object()) {
    if (const auto content = value.find("content")) return std::string(content->string());
  }
  return std::nullopt;
}

AddedToken added_token(const Json& value, int32_t id) {
  AddedToken token;
  token.id = id;
  token.content = value.at("content").string();
  token.single_word = value.boolean_or("single_word", false);
  token.lstrip = value.boolean_or("lstrip", false);
  token.rstrip = value.boolean_or("rstrip", false);
  token.special = value.boolean_or("special", false);
  token.normalized = value.boolean_or("normalized", !token.special);
  return token;
}

class Reader {
 public:
  void config(const Json& root, const std::string& where) {
    if (const auto name = root.find("tokenizer_class")) {
      std::string_view text = name->string();
      if (text.ends_with("Fast")) text.remove_suffix(4);
      out_.tokenizer_class = text;
    }
    const bool has_extra = root.find("extra_special_tokens").has_value();
    for (const auto [key, value] : root.object()) {
      const Json member = root.member(key, value);
      if (key == "extra_special_tokens" || (key == "additional_special_tokens" && !has_extra)) {
        extra(member);
      } else if (key == "added_tokens_decoder") {
        decoder(member);
      } else if (key == "chat_template") {
        chat_template(member, where + ": chat_template");
      } else {
        role(key, member);
      }
    }
  }

  /// special_tokens_map.json: read by transformers only where the config has no
  /// added_tokens_decoder.
  void map(const Json& root) {
    if (has_decoder_) return;
    for (const auto [key, value] : root.object()) {
      const Json member = root.member(key, value);
      if (key == "extra_special_tokens" || key == "additional_special_tokens") {
        extra(member);
      } else {
        role(key, member);
      }
    }
  }

  TokenizerConfig finish() {
    for (const ClassDefaults& defaults : kDefaults) {
      if (defaults.tokenizer_class != out_.tokenizer_class) continue;
      for (const std::string_view name : defaults.roles) {
        if (!name.empty() && !find(name))
          said_.push_back({std::string(name), std::string(kEndOfText)});
      }
    }
    for (const std::string_view name : kRoles) {
      if (Said* said = find(name); said && said->content)
        out_.named.emplace_back(name, *said->content);
    }
    for (const Said& said : said_) {
      if (said.content && std::ranges::find(kRoles, said.role) == kRoles.end()) {
        out_.named.emplace_back(said.role, *said.content);
      }
    }
    std::ranges::sort(out_.added, {}, &AddedToken::id);
    return std::move(out_);
  }

  void chat_template(const Json& value, const std::string& where) {
    const auto add = [&](std::string_view name, std::string_view jinja) {
      if (name == "default") out_.chat_template = jinja;
      out_.chat_templates.push_back({std::string(name), std::string(jinja), where});
    };
    if (value.is_string()) {
      add("default", value.string());
    } else if (value.is_array()) {
      size_t i = 0;
      for (const auto entry : value.array()) {
        const Json choice = value.element(i++, entry);
        add(choice.at("name").string(), choice.at("template").string());
      }
    }
  }

 private:
  Said* find(std::string_view name) {
    const auto at = std::ranges::find(said_, name, &Said::role);
    return at == said_.end() ? nullptr : &*at;
  }

  void say(std::string_view name, std::optional<std::string> content) {
    if (Said* said = find(name)) {
      said->content = std::move(content);
    } else {
      said_.push_back({std::string(name), std::move(content)});
    }
  }

  void role(std::string_view key, const Json& value) {
    const bool standard = std::ranges::find(kRoles, key) != kRoles.end();
    if (!standard && !key.ends_with("_token")) return;
    if (standard && value.is_null()) return say(key, std::nullopt);
    if (auto content = content_of(value)) {
      say(key, std::move(content));
    } else if (standard) {
      value.fail("expected a token: a string, or an object with 'content'");
    }
  }

  void extra(const Json& value) {
    if (value.is_null()) return;
    if (value.is_object()) {  // named tokens of a model
      for (const auto [key, token] : value.object()) {
        if (auto content = content_of(value.member(key, token))) say(key, std::move(content));
      }
      return;
    }
    size_t i = 0;
    for (const auto token : value.array()) {
      const Json entry = value.element(i++, token);
      auto content = content_of(entry);
      if (!content) entry.fail("expected a token: a string, or an object with 'content'");
      if (std::ranges::find(out_.extra, *content) == out_.extra.end())
        out_.extra.push_back(std::move(*content));
    }
  }

  void decoder(const Json& value) {
    has_decoder_ = true;
    for (const auto [key, token] : value.object()) {
      int32_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      const Json entry = value.member(key, token);
      if (error != std::errc() || end != key.data() + key.size() || id < 0) {
        entry.fail("expected a token id as the key");
      }
      out_.added.push_back(added_token(entry, id));
    }
  }

  TokenizerConfig out_;
  std::vector<Said> said_;
  bool has_decoder_ = false;
};

}  // namespace

std::vector<std::string> TokenizerConfig::all_special() const {
  std::vector<std::string> all;
  const auto add = [&all](const std::string& token) {
    if (std::ranges::find(all, token) == all.end()) all.push_back(token);
  };
  for (const auto& [role, content] : named) add(content);
  for (const std::string& token : extra) add(token);
  return all;
}

std::optional<std::string> TokenizerConfig::find(std::string_view role) const {
  const auto at = std::ranges::find(named, role, &std::pair<std::string, std::string>::first);
  return at == named.end() ? std::nullopt : std::optional(at->second);
}

namespace {

/// chat_template.jinja and additional_chat_templates: where there are some, they alone count.
void read_template_files(const fs::path& folder, TokenizerConfig& config) {
  std::vector<std::pair<std::string, fs::path>> files;
  if (fs::exists(folder / "chat_template.jinja"))
    files.emplace_back("default", folder / "chat_template.jinja");
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder / "additional_chat_templates", none))
    if (entry.path().extension() == ".jinja")
      files.emplace_back(entry.path().stem().string(), entry.path());
  if (files.empty()) return;
  std::ranges::sort(files);
  config.chat_template.reset();
  config.chat_templates.clear();
  for (const auto& [name, path] : files) {
    const std::string text = read_file(path).take();
    config.chat_templates.push_back(
        {name, std::string(without_byte_order_mark(text)), path.string()});
    if (name == "default") config.chat_template = config.chat_templates.back().jinja;
  }
}

}  // namespace

Result<TokenizerConfig> read_tokenizer_config(const fs::path& folder) {
  try {
    Reader reader;
    if (fs::exists(folder / "tokenizer_config.json")) {
      const fs::path path = folder / "tokenizer_config.json";
      reader.config(JsonFile::read(path).take().root(), path.string());
    }
    if (fs::exists(folder / "special_tokens_map.json")) {
      reader.map(JsonFile::read(folder / "special_tokens_map.json").take().root());
    }
    TokenizerConfig config = reader.finish();
    read_template_files(folder, config);
    // Where a processor is older than chat_template.jinja; AutoProcessor takes it first.
    if (fs::exists(folder / "chat_template.json")) {
      const JsonFile file = JsonFile::read(folder / "chat_template.json").take();
      const auto jinja = file.root().find("chat_template");
      if (jinja && jinja->is_string()) {
        config.chat_template = jinja->string();
        config.chat_templates = {{"default", *config.chat_template,
                                  (folder / "chat_template.json").string() + ": chat_template"}};
      }
    }
    return config;
  } catch (const Error& error) {
    return error.fault();
  }
}

}  // namespace lmms::text
