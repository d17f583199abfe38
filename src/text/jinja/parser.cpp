/// Tokens to statements, by the grammar of Jinja.
#include <algorithm>
#include <utility>

#include "core/format.h"
#include "text/jinja/expression_parser.h"

namespace lmms::text::jinja {

uint32_t Syntax::symbol(std::string_view name) {
  for (uint32_t i = 0; i < symbols.size(); ++i)
    if (symbols[i] == name) return i;
  symbols.emplace_back(name);
  return static_cast<uint32_t>(symbols.size() - 1);
}

namespace {

using Ends = std::initializer_list<std::string_view>;

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  void run() {
    syntax_.symbols = {"loop", "caller"};
    body({}, syntax_.body);
    if (now().kind != Token::Kind::end) unexpected();
  }

 private:
  void end_block() {
    if (now().kind != Token::Kind::block_end) unexpected("'%}'");
    take();
  }

  Statement& make(Statement::Form form, size_t at) {
    Statement& made = syntax_.statements.emplace_back();
    made.form = form;
    made.at = static_cast<uint32_t>(at);
    return made;
  }

  /// Statements up to a tag of one of `ends`, whose name is the next token then; without ends up to
  /// that of the template.
  void body(Ends ends, Body& out) {
    const Nested nested(*this);
    while (true) {
      const Token& token = now();
      switch (token.kind) {
        case Token::Kind::end:
          if (ends.size() == 0) return;
          fail(opened_.back().second,
               fmt::format("'{{% {} %}}' is not closed", opened_.back().first),
               fmt::format("close it with {{% {} %}}", *(ends.end() - 1)));
        case Token::Kind::data: {
          Statement& made = make(Statement::Form::text, take().at);
          made.text = token.text;
          out.push_back(&made);
          break;
        }
        case Token::Kind::variable_begin:
          out.push_back(output());
          break;
        case Token::Kind::block_begin: {
          take();
          const std::string_view name = expect_tag();
          if (std::ranges::find(ends, name) != ends.end()) return;
          out.push_back(statement(name));
          break;
        }
        default:
          unexpected();
      }
    }
  }

  std::string_view expect_tag() {
    if (now().kind != Token::Kind::name) unexpected("the name of a tag");
    return now().text;
  }

  const Statement* output() {
    Statement& made = make(Statement::Form::output, take().at);
    made.expression = tuple(/*with_conditional=*/true);
    if (now().kind != Token::Kind::variable_end) unexpected("'}}'");
    take();
    made.expression = without_safe(made.expression);
    return &made;
  }

  /// What is written out is the same with `safe` and without: nothing is escaped.
  static const Expression* without_safe(const Expression* value) {
    while (value->form == Expression::Form::filter && value->text == "safe" &&
           value->children.size() == 1 && value->keywords.empty())
      value = value->children[0];
    return value;
  }

  /// The tag of `name` is the next token.
  const Statement* statement(std::string_view name) {
    const Token& tag = now();
    opened_.emplace_back(name, tag.at);
    const Statement* made = name == "if"           ? condition()
                            : name == "for"        ? loop()
                            : name == "set"        ? assignment()
                            : name == "macro"      ? macro()
                            : name == "call"       ? call_block()
                            : name == "filter"     ? filter_block()
                            : name == "with"       ? with()
                            : name == "generation" ? generation()
                            : name == "break"      ? leave(Statement::Form::leave)
                            : name == "continue"   ? leave(Statement::Form::go_on)
                                                   : nullptr;
    if (made == nullptr) unknown_tag(tag);
    opened_.pop_back();
    return made;
  }

  [[noreturn]] void unknown_tag(const Token& tag) const {
    constexpr std::string_view kEnds[] = {"else", "elif"};
    if (tag.text.starts_with("end") || std::ranges::find(kEnds, tag.text) != std::end(kEnds))
      fail(tag.at, fmt::format("'{{% {} %}}' without what it belongs to", tag.text));
    fail(tag.at,
         fmt::format("the tag '{{% {} %}}' is not among those that are read: if, for, set, macro, "
                     "call, filter, with, generation, break, continue, raw",
                     tag.text),
         "take processor_config.extra_kwargs: {chat_template: builtin}, or rewrite the template");
  }

  const Statement* condition() {
    Statement& made = make(Statement::Form::condition, take().at);
    made.expression = tuple(/*with_conditional=*/false);
    end_block();
    body({"elif", "else", "endif"}, made.body);
    if (now().is_name("elif")) {
      const Nested nested(*this);
      made.otherwise.push_back(condition());
      return &made;
    }
    if (take_name("else")) {
      end_block();
      body({"endif"}, made.otherwise);
    }
    take();
    end_block();
    return &made;
  }

  Target target(bool with_attribute) {
    std::vector<Target> parts;
    bool comma = false;
    const bool bracket = take_op("(");
    while (now().kind == Token::Kind::name && !now().is_name("in")) {
      Target part;
      part.name = take().text;
      if (part.name == "loop" || part.name == "true" || part.name == "false" || part.name == "none")
        fail(before().at, fmt::format("'{}' cannot be assigned to", part.name));
      part.symbol = syntax_.symbol(part.name);
      if (with_attribute && take_op(".")) part.attribute = expect_name("the name of an attribute");
      parts.push_back(part);
      if (!take_op(",")) break;
      comma = true;
    }
    if (bracket) expect_op(")");
    if (parts.empty()) unexpected("a name");
    if (!comma) return parts[0];
    Target out;
    out.parts = std::move(parts);
    return out;
  }

  const Statement* loop() {
    Statement& made = make(Statement::Form::loop, take().at);
    made.target = target(/*with_attribute=*/false);
    if (!take_name("in")) unexpected("'in'");
    made.expression = tuple(/*with_conditional=*/false);
    if (take_name("if")) made.filter = conditional();
    if (now().is_name("recursive"))
      fail(now().at, "loops that call themselves (recursive) are not read", "write a macro");
    end_block();
    ++loops_;
    body({"else", "endfor"}, made.body);
    --loops_;
    if (take_name("else")) {
      end_block();
      body({"endfor"}, made.otherwise);
    }
    take();
    end_block();
    return &made;
  }

  const Statement* leave(Statement::Form form) {
    const Token& tag = take();
    if (loops_ == 0) fail(tag.at, fmt::format("'{{% {} %}}' outside of a loop", tag.text));
    Statement& made = make(form, tag.at);
    end_block();
    return &made;
  }

  const Statement* assignment() {
    const size_t at = take().at;
    Target to = target(/*with_attribute=*/true);
    if (take_op("=")) {
      Statement& made = make(Statement::Form::set, at);
      made.target = std::move(to);
      made.expression = tuple(/*with_conditional=*/true);
      end_block();
      return &made;
    }
    Statement& made = make(Statement::Form::set_block, at);
    made.target = std::move(to);
    while (now().is_op("|")) made.expression = filter(made.expression);
    end_block();
    separately([&] { body({"endset"}, made.body); });
    take();
    end_block();
    return &made;
  }

  /// A body that no break or continue of a loop around it may leave.
  template <class Read>
  void separately(const Read& read) {
    const int loops = std::exchange(loops_, 0);
    read();
    loops_ = loops;
  }

  void parameters(Macro& out) {
    expect_op("(");
    for (bool first = true; !take_op(")"); first = false) {
      if (!first) expect_op(",");
      if (take_op(")")) return;
      Parameter parameter;
      parameter.name = expect_name("the name of a parameter");
      parameter.symbol = syntax_.symbol(parameter.name);
      if (take_op("=")) {
        parameter.otherwise = conditional();
      } else if (!out.parameters.empty() && out.parameters.back().otherwise != nullptr) {
        fail(now().at, "a parameter without a default behind one that has it");
      }
      out.parameters.push_back(parameter);
    }
  }

  const Statement* macro() {
    Statement& made = make(Statement::Form::macro, take().at);
    made.macro.name = expect_name("the name of a macro");
    made.target.name = made.macro.name;
    made.target.symbol = syntax_.symbol(made.macro.name);
    parameters(made.macro);
    end_block();
    separately([&] { body({"endmacro"}, made.macro.body); });
    take();
    end_block();
    return &made;
  }

  const Statement* call_block() {
    Statement& made = make(Statement::Form::call_block, take().at);
    made.macro.name = "caller";
    if (now().is_op("(")) parameters(made.macro);
    const size_t at = now().at;
    made.expression = unary(true);
    if (made.expression->form != Expression::Form::call) fail(at, "expected a call of a macro");
    end_block();
    separately([&] { body({"endcall"}, made.macro.body); });
    take();
    end_block();
    return &made;
  }

  const Statement* filter_block() {
    Statement& made = make(Statement::Form::filter_block, now().at);
    made.expression = filter(nullptr);
    while (now().is_op("|")) made.expression = filter(made.expression);
    end_block();
    separately([&] { body({"endfilter"}, made.body); });
    take();
    end_block();
    return &made;
  }

  const Statement* with() {
    Statement& made = make(Statement::Form::with, take().at);
    while (now().kind == Token::Kind::name) {
      Target to = target(/*with_attribute=*/false);
      expect_op("=");
      made.assignments.emplace_back(std::move(to), conditional());
      if (!take_op(",")) break;
    }
    end_block();
    body({"endwith"}, made.body);
    take();
    end_block();
    return &made;
  }

  const Statement* generation() {
    Statement& made = make(Statement::Form::generation, take().at);
    syntax_.has_generation = true;
    end_block();
    separately([&] { body({"endgeneration"}, made.body); });
    take();
    end_block();
    return &made;
  }

  int loops_ = 0;
  std::vector<std::pair<std::string_view, size_t>> opened_;  ///< tags that are to be closed
};

}  // namespace

void parse(Syntax& syntax) {
  Parser(syntax).run();
}

}  // namespace lmms::text::jinja
