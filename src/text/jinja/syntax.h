#pragma once
/// A template as it is read: statements and expressions, each with its place in the source.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/jinja/value.h"

namespace lmms::text::jinja {

struct Builtin;

/// Names of variables are numbered; these come first.
enum Symbol : uint32_t { kLoopSymbol, kCallerSymbol, kFirstFreeSymbol };

enum class Op : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  concatenate,
  equal,
  unequal,
  less,
  at_most,
  greater,
  at_least,
  in,
  not_in,
};

/// What the name of an attribute means of a text, a list and a dict, as a method.
struct MethodNames {
  const Builtin *of_string = nullptr, *of_list = nullptr, *of_dict = nullptr;
  bool other = false;  ///< also, or only, one that is not read or not to be seen
};

struct Expression;

struct KeywordArgument {
  std::string_view name;
  const Expression* value;
};

struct Expression {
  enum class Form : uint8_t {
    constant,
    name,
    list,         ///< children: its items
    tuple,        ///< the same
    dict,         ///< children: key, value, key, value
    attribute,    ///< children[0].text
    item,         ///< children[0][children[1]]
    slice,        ///< children[0][children[1] : children[2] : children[3]], null: absent
    call,         ///< children[0](children[1..], keywords)
    filter,       ///< children[0] | builtin(children[1..], keywords); null: of a block's text
    test,         ///< children[0] is builtin(children[1..], keywords)
    negative,     ///< -children[0]
    positive,     ///< +children[0]
    logical_not,  ///< not children[0]
    logical_and,
    logical_or,
    binary,       ///< children[0] op children[1]
    compare,      ///< children[0] ops[0] children[1] ops[1] children[2] ...
    conditional,  ///< children[1] if children[0] else children[2], which may be null
  };
  Form form = Form::constant;
  Op op{};
  uint32_t at = 0;      ///< byte in the source
  uint32_t symbol = 0;  ///< of a name
  std::string_view text{};
  Value constant{};
  const Builtin* builtin = nullptr;
  MethodNames methods{};  ///< of an attribute
  std::vector<const Expression*> children{};
  std::vector<KeywordArgument> keywords{};
  std::vector<Op> ops{};
};

struct Statement;
using Body = std::vector<const Statement*>;

/// What is assigned to: a name, names in a row, or an attribute of a namespace.
struct Target {
  uint32_t symbol = 0;
  std::string_view name{}, attribute{};  ///< attribute: of the namespace `symbol`
  std::vector<Target> parts{};           ///< of several
};

struct Parameter {
  uint32_t symbol = 0;
  std::string_view name;
  const Expression* otherwise = nullptr;
};

/// A macro, or the body of a call block.
struct Macro {
  std::string_view name;
  std::vector<Parameter> parameters;
  Body body;
};

struct Statement {
  enum class Form : uint8_t {
    text,
    output,        ///< {{ expression }}
    condition,     ///< if: expression, body, otherwise
    loop,          ///< for target in expression if filter: body, else: otherwise
    set,           ///< target = expression
    set_block,     ///< target = the text of body, through the filter `expression`
    macro,         ///< symbol = macro
    call_block,    ///< expression, a call, with `caller` = macro
    filter_block,  ///< the text of body through the filter `expression`
    with,          ///< assignments, body
    generation,    ///< body is an answer
    leave,         ///< break
    go_on,         ///< continue
  };
  Form form = Form::text;
  uint32_t at = 0;
  std::string_view text{};
  const Expression* expression = nullptr;
  const Expression* filter = nullptr;
  Target target{};
  Body body{}, otherwise{};
  Macro macro{};
  std::vector<std::pair<Target, const Expression*>> assignments{};
};

/// What a parsed template owns. Views point into `source` and `strings`.
struct Syntax {
  std::string source;
  std::deque<Expression> expressions;
  std::deque<Statement> statements;
  std::deque<std::string> strings;
  std::deque<std::string> symbols;
  Body body;
  bool has_generation = false;

  uint32_t symbol(std::string_view name);
};

/// What is wrong at a byte of the source.
struct SyntaxFault {
  size_t at;
  std::string what, fix;
};

/// Reads syntax.source, which must be valid UTF-8. Throws SyntaxFault.
void parse(Syntax& syntax);

}  // namespace lmms::text::jinja
