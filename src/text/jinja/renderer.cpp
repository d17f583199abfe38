#include "text/jinja/renderer.h"

#include <algorithm>

#include "core/format.h"

namespace lmms::text::jinja {

Renderer::Deeper::Deeper(Renderer& renderer) : renderer(renderer) {
  renderer.work(1);
  if (++renderer.depth_ > renderer.limits_.depth)
    renderer.fail(
        fmt::format("macros and expressions are nested deeper than {}", renderer.limits_.depth),
        "a macro may call itself; split an expression of many terms by set");
}

Value* Space::find(std::string_view name) {
  for (Entry& entry : attributes)
    if (entry.key.text() == name) return &entry.value;
  return nullptr;
}

Renderer::Renderer(const Syntax& syntax, std::span<const NamedValue> variables,
                   const Limits& limits, const Options& options)
    : syntax_(syntax), limits_(limits), options_(options), arena_(limits.memory) {
  globals_ = &scopes_.emplace_back();
  globals_->kept = true;
  for (const NamedValue& variable : variables) {
    const auto symbol = std::ranges::find(syntax.symbols, variable.name);
    if (symbol != syntax.symbols.end())
      globals_->variables.emplace_back(static_cast<uint32_t>(symbol - syntax.symbols.begin()),
                                       variable.value);
  }
}

void Renderer::fail(std::string what, std::string fix) const {
  throw SyntaxFault{at_, std::move(what), std::move(fix)};
}

void Renderer::work(size_t steps) {
  steps_ += static_cast<int64_t>(steps);
  if (steps_ > limits_.steps)
    fail(fmt::format("rendering takes more than {} steps", limits_.steps),
         "a loop of the template goes round too often for this chat");
}

void Renderer::room_for(size_t bytes) const {
  if (bytes > limits_.output)
    fail(fmt::format("makes a text of {} bytes; at most {} are written", bytes, limits_.output));
}

void Renderer::write(std::string_view text) {
  work(text.size() / 64);
  held_ += text.size();
  room_for(held_);
  *out_ += text;
}

Rendering Renderer::run() {
  try {
    Scope& top = open_scope(*globals_);
    run(syntax_.body, top);
  } catch (const Arena::OutOfMemory&) {
    fail(fmt::format("rendering takes more than {} bytes of memory", limits_.memory));
  } catch (const TooMuch&) {
    fail("values are nested too deep, or too large, to be written out or compared");
  } catch (const NotJson& value) {
    fail(fmt::format("a value of type {} cannot be written out", value.type),
         value.type == "generator" ? "make a list of it first: |list" : "");
  }
  return {std::move(output_), std::move(answers_)};
}

Scope& Renderer::open_scope(Scope& parent) {
  if (free_scopes_.empty()) {
    if (scopes_.size() >= limits_.memory / 256) throw Arena::OutOfMemory();
    free_scopes_.push_back(&scopes_.emplace_back());
  }
  Scope& scope = *free_scopes_.back();
  free_scopes_.pop_back();
  scope.parent = &parent;
  return scope;
}

void Renderer::close_scope(Scope& scope) {
  if (scope.kept) return;
  scope.variables.clear();
  free_scopes_.push_back(&scope);
}

// Statements.

Renderer::Flow Renderer::run(const Body& body, Scope& scope) {
  for (const Statement* statement : body) {
    if (statement->form == Statement::Form::text) {
      at_ = statement->at;
      write(statement->text);
      continue;
    }
    if (const Flow flow = run(*statement, scope); flow != Flow::goes_on) return flow;
  }
  return Flow::goes_on;
}

Renderer::Flow Renderer::run(const Statement& statement, Scope& scope) {
  const Deeper deeper(*this);
  at_ = statement.at;
  switch (statement.form) {
    case Statement::Form::text:
      write(statement.text);
      return Flow::goes_on;
    case Statement::Form::output: {
      const Value value = evaluate(*statement.expression, scope);
      at_ = statement.at;
      write(str(value));
      return Flow::goes_on;
    }
    case Statement::Form::condition:
      return run(
          truth(evaluate(*statement.expression, scope)) ? statement.body : statement.otherwise,
          scope);
    case Statement::Form::loop:
      return run_loop(statement, scope);
    case Statement::Form::set:
      assign(statement.target, evaluate(*statement.expression, scope), scope);
      return Flow::goes_on;
    case Statement::Form::set_block:
    case Statement::Form::filter_block: {
      Value text = string(captured(statement.body, scope));
      at_ = statement.at;
      if (statement.expression != nullptr) text = filtered(*statement.expression, text, scope);
      if (statement.form == Statement::Form::filter_block) {
        write(str(text));
      } else {
        assign(statement.target, text, scope);
      }
      return Flow::goes_on;
    }
    case Statement::Form::macro: {
      Callable made{.form = Callable::Form::macro, .name = statement.macro.name};
      made.macro = &statement.macro;
      made.scope = &scope;
      for (Scope* kept = &scope; kept != nullptr; kept = kept->parent) kept->kept = true;
      assign(statement.target, callable(made), scope);
      return Flow::goes_on;
    }
    case Statement::Form::call_block:
      run_call_block(statement, scope);
      return Flow::goes_on;
    case Statement::Form::with: {
      Scope& inner = open_scope(scope);
      for (const auto& [target, value] : statement.assignments)
        assign(target, evaluate(*value, scope), inner);
      const Flow flow = run(statement.body, inner);
      close_scope(inner);
      return flow;
    }
    case Statement::Form::generation:
      run_generation(statement, scope);
      return Flow::goes_on;
    case Statement::Form::leave:
      return Flow::leaves;
    case Statement::Form::go_on:
      return Flow::next;
  }
  return Flow::goes_on;
}

Renderer::Flow Renderer::run_loop(const Statement& statement, Scope& scope) {
  const List* items = iterate(evaluate(*statement.expression, scope));
  if (statement.filter != nullptr) {
    std::vector<Value> chosen;
    for (const Value& item : items->all()) {
      Scope& inner = open_scope(scope);
      assign(statement.target, item, inner);
      if (truth(evaluate(*statement.filter, inner))) chosen.push_back(item);
      close_scope(inner);
    }
    items = arena_.list(chosen);
  }
  if (items->size == 0) return run(statement.otherwise, scope);
  Loop& loop = *arena_.make(Loop{items, 0});
  Value of_loop = Value::none();
  of_loop.kind = Kind::loop;
  of_loop.loop = &loop;
  for (; loop.index < items->size; ++loop.index) {
    Scope& inner = open_scope(scope);
    inner.variables.emplace_back(kLoopSymbol, of_loop);
    at_ = statement.at;
    assign(statement.target, items->items[loop.index], inner);
    const Flow flow = run(statement.body, inner);
    close_scope(inner);
    if (flow == Flow::leaves) break;
  }
  return Flow::goes_on;
}

void Renderer::run_generation(const Statement& statement, Scope& scope) {
  if (out_ != &output_)
    fail(
        "{% generation %} inside of a macro, a call or a set block: where its text comes to stand "
        "is not known",
        "take the marks out of it");
  const size_t begin = output_.size();
  Scope& inner = open_scope(scope);
  run(statement.body, inner);
  close_scope(inner);
  answers_.push_back({begin, output_.size()});
}

void Renderer::run_call_block(const Statement& statement, Scope& scope) {
  Callable made{.form = Callable::Form::macro, .name = "caller"};
  made.macro = &statement.macro;
  made.scope = &scope;
  for (Scope* kept = &scope; kept != nullptr; kept = kept->parent) kept->kept = true;
  const Expression& e = *statement.expression;
  const Value callee = evaluate(*e.children[0], scope);
  Arguments arguments = arguments_of(e, 1, scope);
  arguments.named.push_back({"caller", callable(made)});
  at_ = e.at;
  write(str(call(callee, arguments.positional, arguments.named)));
}

void Renderer::assign(const Target& target, const Value& value, Scope& scope) {
  if (!target.parts.empty()) {
    const List* items = iterate(value);
    if (items->size != target.parts.size())
      fail(fmt::format("{} values for {} names", items->size, target.parts.size()));
    for (size_t i = 0; i < items->size; ++i) assign(target.parts[i], items->items[i], scope);
    return;
  }
  if (!target.attribute.empty()) {
    const Value* space = nullptr;
    for (const Scope* at = &scope; at != nullptr && space == nullptr; at = at->parent)
      space = at->find(target.symbol);
    if (space == nullptr || !space->is(Kind::space))
      fail(fmt::format("'{}' is no namespace: only the attributes of one can be set", target.name),
           fmt::format("{{% set {} = namespace() %}}", target.name));
    if (Value* known = space->space->find(target.attribute)) {
      *known = value;
    } else {
      space->space->attributes.push_back({Value::of(target.attribute), value});
    }
    return;
  }
  for (auto& [symbol, known] : scope.variables) {
    if (symbol != target.symbol) continue;
    known = value;
    return;
  }
  scope.variables.emplace_back(target.symbol, value);
}

std::string Renderer::captured(const Body& body, Scope& scope) {
  std::string text;
  std::string* const outer = std::exchange(out_, &text);
  Scope& inner = open_scope(scope);
  run(body, inner);
  close_scope(inner);
  out_ = outer;
  held_ -= text.size();
  return text;
}

}  // namespace lmms::text::jinja
