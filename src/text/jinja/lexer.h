#pragma once
/// The source of a template to tokens, by the rules of Jinja with trim_blocks and lstrip_blocks.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace lmms::text::jinja {

struct Token {
  enum class Kind : uint8_t {
    data,
    variable_begin,
    variable_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    op,  ///< of one or two characters
    end,
  };
  Kind kind = Kind::end;
  uint32_t at = 0;
  std::string_view text{};  ///< of a string: what it means
  int64_t integer = 0;
  double real = 0;

  bool is_op(std::string_view op) const { return kind == Kind::op && text == op; }
  bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
};

/// The source as Jinja sees it: line breaks are \n, and one at the end is gone.
std::string normalized_source(std::string_view source);

/// Tokens with one of Kind::end behind them; `strings` keeps what texts mean. Throws SyntaxFault.
std::vector<Token> tokens_of(std::string_view source, std::deque<std::string>& strings);

}  // namespace lmms::text::jinja
