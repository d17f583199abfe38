#pragma once
/// Tokens to expressions, by the grammar of Jinja.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace lmms::text::jinja {

/// Goes through the tokens of a template once. What it reads is kept in the Syntax.
class ExpressionParser {
 public:
  explicit ExpressionParser(Syntax& syntax)
      : syntax_(syntax), tokens_(tokens_of(syntax.source, syntax.strings)) {}

 protected:
  /// While it lives, the parser is one level deeper.
  struct Nested {
    explicit Nested(ExpressionParser& parser);
    ~Nested() { --parser.depth_; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ExpressionParser& parser;
  };

  [[noreturn]] void fail(size_t at, std::string what, std::string fix = "") const {
    throw SyntaxFault{at, std::move(what), std::move(fix)};
  }
  const Token& now() const { return tokens_[next_]; }
  const Token& before() const { return tokens_[next_ - 1]; }
  const Token& take();
  bool take_op(std::string_view op);
  bool take_name(std::string_view name);
  [[noreturn]] void unexpected(std::string_view wanted = "") const;
  void expect_op(std::string_view op);
  std::string_view expect_name(std::string_view what);

  /// An expression, or a tuple where commas follow; with `x if y else z`, or up to the `if`.
  const Expression* tuple(bool with_conditional, bool explicit_parentheses = false);
  const Expression* conditional();
  const Expression* unary(bool with_filter);
  /// "| name(...)"; the bar, or what stands for it, is the next token.
  const Expression* filter(const Expression* value);

  Syntax& syntax_;

 private:
  const Token& ahead() const;
  std::string described(const Token& token) const;
  Expression& make(Expression::Form form, size_t at, std::vector<const Expression*> children = {});
  const Expression* constant(size_t at, Value value);
  bool is_tuple_end() const;
  const Expression* disjunction();
  const Expression* conjunction();
  const Expression* negation();
  std::optional<Op> comparison_op();
  const Expression* comparison();
  const Expression* binary(Op op, size_t at, const Expression* left, const Expression* right);
  const Expression* sum();
  const Expression* concatenation();
  const Expression* product();
  const Expression* power();
  const Expression* primary();
  const Expression* name();
  const Expression* dict(size_t at);
  const Expression* postfix(const Expression* value);
  const Expression* subscript(const Expression* value, size_t at);
  const Expression* call(const Expression* callee);
  void arguments(Expression& out);
  const Expression* filters_and_tests(const Expression* value);
  const Expression* test(const Expression* value);
  bool begins_argument() const;
  [[noreturn]] void unknown(std::string_view what, const Token& token,
                            const std::vector<std::string>& known) const;

  std::vector<Token> tokens_;
  size_t next_ = 0;
  int depth_ = 0;
};

}  // namespace lmms::text::jinja
