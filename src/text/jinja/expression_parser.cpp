#include "text/jinja/expression_parser.h"

#include <algorithm>
#include <array>

#include "core/format.h"
#include "core/nearest.h"
#include "text/jinja/builtins.h"

namespace lmms::text::jinja {
namespace {

/// How deep brackets, blocks and operators stand in each other.
constexpr int kDeepestSyntax = 100;

}  // namespace

using Form = Expression::Form;

ExpressionParser::Nested::Nested(ExpressionParser& parser) : parser(parser) {
  if (++parser.depth_ > kDeepestSyntax)
    parser.fail(parser.now().at, "is nested too deep to be read");
}

const Token& ExpressionParser::ahead() const {
  return tokens_[std::min(next_ + 1, tokens_.size() - 1)];
}

const Token& ExpressionParser::take() {
  const Token& token = tokens_[next_];
  if (token.kind != Token::Kind::end) ++next_;
  return token;
}

bool ExpressionParser::take_op(std::string_view op) {
  if (!now().is_op(op)) return false;
  ++next_;
  return true;
}

bool ExpressionParser::take_name(std::string_view name) {
  if (!now().is_name(name)) return false;
  ++next_;
  return true;
}

std::string ExpressionParser::described(const Token& token) const {
  switch (token.kind) {
    case Token::Kind::variable_end:
      return "'}}'";
    case Token::Kind::block_end:
      return "'%}'";
    case Token::Kind::end:
      return "the end of the template";
    case Token::Kind::string:
      return "a string";
    case Token::Kind::data:
      return "text";
    default:
      return fmt::format("'{}'", token.text);
  }
}

void ExpressionParser::unexpected(std::string_view wanted) const {
  fail(now().at, wanted.empty() ? fmt::format("unexpected {}", described(now()))
                                : fmt::format("expected {}, found {}", wanted, described(now())));
}

void ExpressionParser::expect_op(std::string_view op) {
  if (!take_op(op)) unexpected(fmt::format("'{}'", op));
}

std::string_view ExpressionParser::expect_name(std::string_view what) {
  if (now().kind != Token::Kind::name) unexpected(what);
  return take().text;
}

Expression& ExpressionParser::make(Form form, size_t at, std::vector<const Expression*> children) {
  Expression& made = syntax_.expressions.emplace_back();
  made.form = form;
  made.at = static_cast<uint32_t>(at);
  made.children = std::move(children);
  return made;
}

const Expression* ExpressionParser::constant(size_t at, Value value) {
  Expression& made = make(Form::constant, at);
  made.constant = value;
  return &made;
}

/// A tuple where commas follow.
const Expression* ExpressionParser::tuple(bool with_conditional, bool explicit_parentheses) {
  const size_t at = now().at;
  std::vector<const Expression*> items;
  bool comma = false;
  while (!is_tuple_end()) {
    items.push_back(with_conditional ? conditional() : disjunction());
    if (!now().is_op(",")) break;
    take();
    comma = true;
  }
  if (!comma && !items.empty()) return items[0];
  if (items.empty() && !explicit_parentheses) unexpected("an expression");
  return &make(Form::tuple, at, std::move(items));
}

bool ExpressionParser::is_tuple_end() const {
  return now().kind == Token::Kind::variable_end || now().kind == Token::Kind::block_end ||
         now().is_op(")") || now().is_name("recursive");
}

const Expression* ExpressionParser::conditional() {
  const Nested nested(*this);
  const Expression* value = disjunction();
  while (now().is_name("if")) {
    const size_t at = take().at;
    const Expression* condition = disjunction();
    const Expression* otherwise = take_name("else") ? conditional() : nullptr;
    value = &make(Form::conditional, at, {condition, value, otherwise});
  }
  return value;
}

const Expression* ExpressionParser::disjunction() {
  const Expression* left = conjunction();
  while (now().is_name("or")) {
    const size_t at = take().at;
    left = &make(Form::logical_or, at, {left, conjunction()});
  }
  return left;
}

const Expression* ExpressionParser::conjunction() {
  const Expression* left = negation();
  while (now().is_name("and")) {
    const size_t at = take().at;
    left = &make(Form::logical_and, at, {left, negation()});
  }
  return left;
}

const Expression* ExpressionParser::negation() {
  if (!now().is_name("not")) return comparison();
  const Nested nested(*this);
  const size_t at = take().at;
  return &make(Form::logical_not, at, {negation()});
}

std::optional<Op> ExpressionParser::comparison_op() {
  constexpr std::array<std::pair<std::string_view, Op>, 6> ops = {{{"==", Op::equal},
                                                                   {"!=", Op::unequal},
                                                                   {"<", Op::less},
                                                                   {"<=", Op::at_most},
                                                                   {">", Op::greater},
                                                                   {">=", Op::at_least}}};
  for (const auto& [text, op] : ops)
    if (take_op(text)) return op;
  if (take_name("in")) return Op::in;
  if (now().is_name("not") && ahead().is_name("in")) {
    next_ += 2;
    return Op::not_in;
  }
  return std::nullopt;
}

const Expression* ExpressionParser::comparison() {
  const size_t at = now().at;
  std::vector<const Expression*> operands = {sum()};
  std::vector<Op> ops;
  while (const auto op = comparison_op()) {
    ops.push_back(*op);
    operands.push_back(sum());
  }
  if (ops.empty()) return operands[0];
  Expression& made = make(Form::compare, at, std::move(operands));
  made.ops = std::move(ops);
  return &made;
}

const Expression* ExpressionParser::binary(Op op, size_t at, const Expression* left,
                                           const Expression* right) {
  Expression& made = make(Form::binary, at, {left, right});
  made.op = op;
  return &made;
}

const Expression* ExpressionParser::sum() {
  const Expression* left = concatenation();
  while (now().is_op("+") || now().is_op("-")) {
    const Token& op = take();
    left = binary(op.text == "+" ? Op::add : Op::subtract, op.at, left, concatenation());
  }
  return left;
}

const Expression* ExpressionParser::concatenation() {
  const Expression* left = product();
  while (now().is_op("~")) {
    const size_t at = take().at;
    left = binary(Op::concatenate, at, left, product());
  }
  return left;
}

const Expression* ExpressionParser::product() {
  constexpr std::array<std::pair<std::string_view, Op>, 4> ops = {
      {{"*", Op::multiply}, {"/", Op::divide}, {"//", Op::floor_divide}, {"%", Op::modulo}}};
  const Expression* left = power();
  while (true) {
    const auto op = std::ranges::find_if(ops, [&](const auto& o) { return now().is_op(o.first); });
    if (op == ops.end()) return left;
    const size_t at = take().at;
    left = binary(op->second, at, left, power());
  }
}

const Expression* ExpressionParser::power() {
  const Expression* left = unary(true);
  while (now().is_op("**")) {
    const size_t at = take().at;
    left = binary(Op::power, at, left, unary(true));
  }
  return left;
}

const Expression* ExpressionParser::unary(bool with_filter) {
  const Expression* value = nullptr;
  if (now().is_op("-") || now().is_op("+")) {
    const Nested nested(*this);
    const Token& sign = take();
    value = &make(sign.text == "-" ? Form::negative : Form::positive, sign.at, {unary(false)});
  } else {
    value = primary();
  }
  value = postfix(value);
  return with_filter ? filters_and_tests(value) : value;
}

const Expression* ExpressionParser::primary() {
  const Nested nested(*this);
  const Token& token = now();
  switch (token.kind) {
    case Token::Kind::name:
      return name();
    case Token::Kind::string: {
      take();
      std::string_view text = token.text;
      if (now().kind == Token::Kind::string) {
        std::string joined(text);
        while (now().kind == Token::Kind::string) joined += take().text;
        text = syntax_.strings.emplace_back(std::move(joined));
      }
      return constant(token.at, Value::of(text));
    }
    case Token::Kind::integer:
      take();
      return constant(token.at, Value::of(token.integer));
    case Token::Kind::real:
      take();
      return constant(token.at, Value::of(token.real));
    default:
      break;
  }
  if (take_op("(")) {
    const Expression* inside = tuple(/*with_conditional=*/true, /*explicit_parentheses=*/true);
    expect_op(")");
    return inside;
  }
  if (take_op("[")) {
    Expression& list = make(Form::list, token.at);
    while (!take_op("]")) {
      if (!list.children.empty()) expect_op(",");
      if (take_op("]")) break;
      list.children.push_back(conditional());
    }
    return &list;
  }
  if (take_op("{")) return dict(token.at);
  unexpected("an expression");
}

const Expression* ExpressionParser::name() {
  const Token& token = take();
  const std::string_view name = token.text;
  if (name == "true" || name == "True") return constant(token.at, Value::of(true));
  if (name == "false" || name == "False") return constant(token.at, Value::of(false));
  if (name == "none" || name == "None") return constant(token.at, Value::none());
  Expression& made = make(Form::name, token.at);
  made.text = name;
  made.symbol = syntax_.symbol(name);
  return &made;
}

const Expression* ExpressionParser::dict(size_t at) {
  Expression& made = make(Form::dict, at);
  while (!take_op("}")) {
    if (!made.children.empty()) expect_op(",");
    if (take_op("}")) break;
    made.children.push_back(conditional());
    expect_op(":");
    made.children.push_back(conditional());
  }
  return &made;
}

const Expression* ExpressionParser::postfix(const Expression* value) {
  while (true) {
    const size_t at = now().at;
    if (take_op(".")) {
      if (now().kind == Token::Kind::integer) {
        value = &make(Form::item, at, {value, constant(now().at, Value::of(now().integer))});
        take();
      } else {
        Expression& made = make(Form::attribute, at, {value});
        made.text = expect_name("the name of an attribute");
        made.methods = {find_method(Kind::string, made.text), find_method(Kind::list, made.text),
                        find_method(Kind::dict, made.text),
                        made.text.starts_with("__") || is_other_method(Kind::string, made.text) ||
                            is_other_method(Kind::list, made.text) ||
                            is_other_method(Kind::dict, made.text)};
        value = &made;
      }
    } else if (take_op("[")) {
      value = subscript(value, at);
    } else if (now().is_op("(")) {
      value = call(value);
    } else {
      return value;
    }
  }
}

const Expression* ExpressionParser::subscript(const Expression* value, size_t at) {
  const Expression* parts[3] = {};
  size_t colons = 0;
  while (!take_op("]")) {
    if (take_op(":")) {
      if (++colons > 2) unexpected("']'");
      continue;
    }
    if (now().is_op(",")) fail(now().at, "several indices are not read", "give one");
    if (parts[colons] != nullptr) unexpected("']'");
    parts[colons] = conditional();
  }
  if (colons > 0) return &make(Form::slice, at, {value, parts[0], parts[1], parts[2]});
  if (parts[0] == nullptr) fail(at, "expected an index in []");
  return &make(Form::item, at, {value, parts[0]});
}

const Expression* ExpressionParser::call(const Expression* callee) {
  Expression& made = make(Form::call, now().at, {callee});
  arguments(made);
  return &made;
}

void ExpressionParser::arguments(Expression& out) {
  expect_op("(");
  for (bool first = true; !take_op(")"); first = false) {
    if (!first) expect_op(",");
    if (take_op(")")) return;
    if (now().is_op("*") || now().is_op("**"))
      fail(now().at, "arguments by * and ** are not read", "name them one by one");
    if (now().kind == Token::Kind::name && ahead().is_op("=")) {
      const std::string_view keyword = take().text;
      take();
      out.keywords.push_back({keyword, conditional()});
    } else {
      if (!out.keywords.empty()) fail(now().at, "a positional argument behind a named one");
      out.children.push_back(conditional());
    }
  }
}

const Expression* ExpressionParser::filters_and_tests(const Expression* value) {
  while (true) {
    if (now().is_op("|")) {
      value = filter(value);
    } else if (now().is_name("is")) {
      value = test(value);
    } else if (now().is_op("(")) {
      value = call(value);
    } else {
      return value;
    }
  }
}

void ExpressionParser::unknown(std::string_view what, const Token& token,
                               const std::vector<std::string>& known) const {
  std::string fix =
      "transformers may know it; take processor_config.extra_kwargs: "
      "{chat_template: builtin}, or rewrite the template";
  if (const auto near = nearest_name(token.text, known))
    fix = fmt::format("did you mean '{}'?", *near);
  fail(token.at, fmt::format("the {} '{}' is not among those that are read", what, token.text),
       fix);
}

const Expression* ExpressionParser::filter(const Expression* value) {
  take();  // "|", or the tag's name in front of a filter of a block
  const Token& token = now();
  const std::string_view name = expect_name("the name of a filter");
  Expression& made = make(Form::filter, token.at, {value});
  made.text = name;
  if (now().is_op("(")) arguments(made);
  made.builtin = find_filter(name);
  if (made.builtin == nullptr) unknown("filter", token, filter_names());
  return &made;
}

const Expression* ExpressionParser::test(const Expression* value) {
  take();
  const size_t at = now().at;
  const bool negated = take_name("not");
  const Token& token = now();
  const std::string_view name = expect_name("the name of a test");
  Expression& made = make(Form::test, token.at, {value});
  made.text = name;
  made.builtin = find_test(name);
  if (made.builtin == nullptr) unknown("test", token, test_names());
  if (now().is_op("(")) {
    arguments(made);
  } else if (begins_argument()) {
    if (now().is_name("is")) fail(now().at, "a test of a test", "put one of them into parentheses");
    made.children.push_back(postfix(primary()));
  }
  return negated ? &make(Form::logical_not, at, {&made}) : &made;
}

bool ExpressionParser::begins_argument() const {
  const Token& token = now();
  switch (token.kind) {
    case Token::Kind::name:
      return std::ranges::none_of(
          std::array<std::string_view, 6>{"else", "or", "and", "if", "in", "not"},
          [&](auto word) { return token.text == word; });
    case Token::Kind::string:
    case Token::Kind::integer:
    case Token::Kind::real:
      return true;
    default:
      return token.is_op("[") || token.is_op("{");
  }
}

}  // namespace lmms::text::jinja
