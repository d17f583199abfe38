#pragma once
/// Runs the statements of a template on the values of a chat.
#include <deque>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/builtins.h"
#include "text/jinja/syntax.h"
#include "text/jinja/template.h"
#include "text/jinja/value.h"

namespace lmms::text::jinja {

/// Variables by their symbols; macros keep the scope that they were written in.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<uint32_t, Value>> variables{};
  bool kept = false;  ///< by a macro

  const Value* find(uint32_t symbol) const {
    for (const auto& [name, value] : variables)
      if (name == symbol) return &value;
    return nullptr;
  }
};

/// What namespace() makes.
struct Space {
  std::vector<Entry> attributes;

  Value* find(std::string_view name);
};

struct Loop {
  const List* items;
  size_t index;
};

struct Callable {
  enum class Form : uint8_t { macro, method, function, other_method };
  Form form = Form::function;
  Value object{};
  std::string_view name;
  const Builtin* builtin = nullptr;
  const Macro* macro = nullptr;
  Scope* scope = nullptr;
};

class Renderer {
 public:
  Renderer(const Syntax& syntax, std::span<const NamedValue> variables, const Limits& limits,
           const Options& options);

  /// Throws SyntaxFault, with the place where it went wrong.
  Rendering run();

  // For builtins.

  Arena& arena() { return arena_; }
  const Options& options() const { return options_; }
  Value string(std::string_view text) { return arena_.string(text); }
  /// Counts work; ends rendering where it is too much.
  void work(size_t steps);
  [[noreturn]] void fail(std::string what, std::string fix = "") const;
  /// What iter() goes through; ends rendering for what cannot be iterated. A generator is used up.
  const List* iterate(const Value& value);
  Value attribute(const Value& object, std::string_view name);
  Value item(const Value& object, const Value& key);
  int64_t length(const Value& value);
  bool equals(const Value& a, const Value& b);
  /// a < b; ends rendering for what has no order.
  bool is_less(const Value& a, const Value& b);
  bool contains(const Value& container, const Value& value);
  /// Ends rendering where a text of so many bytes is too long.
  void room_for(size_t bytes) const;
  Value call(const Value& callee, std::span<const Value> arguments,
             std::span<const NamedValue> named);
  /// str(value), which may be a part of `value`.
  std::string_view str(const Value& value);
  Space& new_space();
  Value list_of(std::span<const Value> items, Kind kind = Kind::list);

 private:
  enum class Flow : uint8_t { goes_on, leaves, next };
  /// Counts a step, and how deep evaluation is.
  struct Deeper {
    explicit Deeper(Renderer& renderer);
    ~Deeper() { --renderer.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    Renderer& renderer;
  };

  Flow run(const Body& body, Scope& scope);
  Flow run(const Statement& statement, Scope& scope);
  Flow run_loop(const Statement& statement, Scope& scope);
  void run_generation(const Statement& statement, Scope& scope);
  void run_call_block(const Statement& statement, Scope& scope);
  void assign(const Target& target, const Value& value, Scope& scope);
  /// What a body writes, apart from the output.
  std::string captured(const Body& body, Scope& scope);
  void write(std::string_view text);

  Value evaluate(const Expression& e, Scope& scope);
  Value evaluate_name(const Expression& e, const Scope& scope);
  Value evaluate_dict(const Expression& e, Scope& scope);
  Value evaluate_call(const Expression& e, Scope& scope);
  Value evaluate_builtin(const Expression& e, const Value& self, Scope& scope);
  Value evaluate_compare(const Expression& e, Scope& scope);
  Value evaluate_slice(const Expression& e, Scope& scope);
  Value filtered(const Expression& filter, const Value& text, Scope& scope);
  Value binary(Op op, const Value& a, const Value& b);
  Value arithmetic(Op op, const Value& a, const Value& b);
  Value repeated(const Value& sequence, int64_t times);
  Value formatted(const Value& form, const Value& values);
  bool holds(Op op, const Value& a, const Value& b);
  Value macro(const Callable& callee, std::span<const Value> arguments,
              std::span<const NamedValue> named);
  Value callable(const Callable& callee);
  Value loop_attribute(const Loop& loop, std::string_view name);
  Value evaluate_attribute(const Expression& e, Scope& scope);

  struct Arguments {
    std::vector<Value> positional;
    std::vector<NamedValue> named;
  };
  Arguments arguments_of(const Expression& e, size_t first, Scope& scope);

  Scope& open_scope(Scope& parent);
  void close_scope(Scope& scope);

  const Syntax& syntax_;
  const Limits& limits_;
  const Options& options_;
  Arena arena_;
  std::deque<Scope> scopes_;
  std::vector<Scope*> free_scopes_;
  std::deque<Space> spaces_;
  Scope* globals_ = nullptr;
  std::string output_;
  std::string* out_ = &output_;
  std::vector<Rendering::Span> answers_;
  int64_t steps_ = 0;
  size_t held_ = 0;  ///< bytes of output and of captured texts
  int depth_ = 0;
  uint32_t at_ = 0;  ///< of what is evaluated
};

}  // namespace lmms::text::jinja
