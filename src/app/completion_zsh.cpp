#include "app/completion.h"
#include "core/format.h"

namespace lmms::app {
namespace {

constexpr const char* kHead = R"zsh(#compdef lmms
# zsh completion of lmms, written by `lmms completion zsh`.
# It starts no program: every word stands here.
)zsh";

constexpr const char* kFunction = R"zsh(
_lmms_key() {  # the next piece of a key, or its values
  local key name piece
  if compset -P '*='; then
    key=${IPREFIX%=}
    key=${key##*[[:space:]]}
    if (( ${_lmms_paths[(Ie)$key]} )); then _files; return; fi
    local -a values=(${=_lmms_values[$key]})
    compadd -a values
    return
  fi
  local -aU pieces
  local -a leaves
  for name in $_lmms_keys; do
    key=${name%%:*}
    if [[ $key != "$PREFIX"* ]]; then continue; fi
    piece=${key#"$PREFIX"}
    if [[ $piece == *.* ]]; then pieces+=("$PREFIX${piece%%.*}."); else leaves+=("$name"); fi
  done
  if (( $#pieces )); then compadd -S '' -a pieces; fi
  if (( $#leaves )); then _describe -t keys 'key of the config' leaves -S '=' -q; fi
}

_lmms_value() {
  case $1 in
    file) _files ;;
    folder) _files -/; _files ;;
    config) _files -g '*.(yaml|yml)(-.)'; if [[ -n $PREFIX ]]; then _lmms_key; fi ;;
    key) _lmms_key ;;
    card) compadd -a _lmms_cards ;;
    topic) _describe -t commands command _lmms_commands; compadd -- ${${_lmms_keys%%:*}##*.}; compadd -- ${_lmms_keys%%:*} ;;
    choice:*) compadd -- ${=1#choice:} ;;
  esac
}

_lmms() {
  local command=$words[2] kind word
  integer i place=0
  if (( CURRENT == 2 )); then
    if [[ $PREFIX == -* ]]; then compadd -- --help --version; else _describe -t commands command _lmms_commands; fi
    return
  fi
  for (( i = 3; i < CURRENT; i++ )); do
    if [[ $words[i] != -* && -z ${_lmms_takes[$command $words[i - 1]]} ]]; then place=place+1; fi
  done
  kind=${_lmms_takes[$command $words[CURRENT - 1]]}
  if [[ -n $kind ]]; then
    _lmms_value $kind
  elif [[ $PREFIX == --*=* ]]; then
    kind=${_lmms_takes[$command ${PREFIX%%=*}]}
    compset -P '*='
    _lmms_value $kind
  elif [[ $PREFIX == -* ]]; then
    local -a options=("${(@ps:\n:)_lmms_options[$command]}")
    _describe -t options option options
  else
    if (( place )); then kind=${_lmms_later[$command]}; else kind=${_lmms_first[$command]}; fi
    _lmms_value "$kind"
  fi
}

if [[ $funcstack[1] == _lmms ]]; then _lmms "$@"; else compdef _lmms lmms; fi
)zsh";

/// A word in single quotes, whatever it holds.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// "name:help", as _describe takes them.
std::string described(const std::string& name, const std::string& help) {
  std::string escaped;
  for (const char c : name) escaped += c == ':' ? std::string("\\:") : std::string(1, c);
  return escaped + ":" + help;
}

std::string list(const char* name, const std::vector<std::string>& words) {
  std::string out = fmt::format("typeset -ga {}=(\n", name);
  for (const std::string& word : words) out += "  " + quoted(word) + "\n";
  return out + ")\n";
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string table(const char* name, const Pairs& pairs) {
  std::string out = fmt::format("typeset -gA {}=(\n", name);
  for (const auto& [key, value] : pairs)
    out += fmt::format("  {} {}\n", quoted(key), quoted(value));
  return out + ")\n";
}

}  // namespace

std::string zsh_completion(const Completion& all) {
  std::vector<std::string> commands, keys, paths;
  Pairs options, takes, first, later, values;
  for (const CompletedCommand& command : all.commands) {
    commands.push_back(described(command.name, command.help));
    std::vector<std::string> lines;
    for (const CompletedOption& option : command.options) {
      for (const std::string& name : option.names) {
        lines.push_back(described(name, option.help));
        if (!option.has_value) continue;
        const std::string kind = name_of(option.value);
        takes.emplace_back(command.name + " " + name, kind.empty() ? "text" : kind);
      }
    }
    options.emplace_back(command.name, joined(lines, "\n"));
    if (command.first != Word::nothing)
      first.emplace_back(command.name, name_of(command.first) + joined(command.choices));
    if (command.later != Word::nothing) later.emplace_back(command.name, name_of(command.later));
  }
  for (const CompletedKey& key : all.keys) {
    keys.push_back(described(key.key, key.help));
    if (key.is_path) paths.push_back(key.key);
    if (!key.values.empty()) values.emplace_back(key.key, joined(key.values));
  }
  return kHead + list("_lmms_commands", commands) + list("_lmms_cards", all.cards) +
         list("_lmms_paths", paths) + list("_lmms_keys", keys) + table("_lmms_options", options) +
         table("_lmms_takes", takes) + table("_lmms_first", first) + table("_lmms_later", later) +
         table("_lmms_values", values) + kFunction;
}

}  // namespace lmms::app
