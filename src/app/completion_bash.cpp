#include "app/completion.h"
#include "core/format.h"

namespace lmms::app {
namespace {

constexpr const char* kHead = R"bash(# bash completion of lmms, written by `lmms completion bash`.
# It starts no program: every word stands here.
)bash";

// What readline calls. It cuts the line at = and : too; the words are put together again, and what
// is in front of the last such cut is taken off the answers.
constexpr const char* kFunction = R"bash(
_lmms_files() {  # $1: the front of a path; $2: yaml: configs and folders alone
  local name
  while IFS= read -r name; do
    if [[ $2 != yaml || -d $name || $name == *.y?(a)ml ]]; then COMPREPLY+=("$name"); fi
  done < <(compgen -f -- "$1")
  compopt -o filenames 2>/dev/null
}

_lmms_names() {  # $1: the front of a word; the rest: the words
  local front=$1 name
  shift
  for name in "$@"; do
    if [[ $name == "$front"* ]]; then COMPREPLY+=("$name"); fi
  done
}

_lmms_key() {  # $1: the front of key=value: the next piece of a key, or its values
  local front=$1 key piece last=''
  if [[ $front == *=* ]]; then
    key=${front%%=*}
    case " $_lmms_paths " in *" $key "*) _lmms_files "${front#*=}"; return ;; esac
    _lmms_names "${front#*=}" $(_lmms_values "$key")
    return
  fi
  for key in $_lmms_keys; do
    if [[ $key != "$front"* ]]; then continue; fi
    piece=${key#"$front"}
    if [[ $piece == *.* ]]; then piece=$front${piece%%.*}.; else piece=$key; fi
    if [[ $piece != "$last" ]]; then COMPREPLY+=("$piece"); fi
    last=$piece
  done
  compopt -o nospace 2>/dev/null
}

_lmms_value() {  # $1: what is wanted; $2: the front of it
  local kind
  case $1 in
    file | folder) _lmms_files "$2" ;;
    config) _lmms_files "$2" yaml; if [[ -n $2 && ! ${COMPREPLY[0]} ]]; then _lmms_key "$2"; fi ;;
    key) _lmms_key "$2" ;;
    card) _lmms_names "$2" $_lmms_cards ;;
    topic) _lmms_names "$2" $_lmms_commands; for kind in $_lmms_keys; do kind=${kind%=}; _lmms_names "$2" "${kind##*.}" "$kind"; done ;;
    choice:*) _lmms_names "$2" ${1#choice:} ;;
  esac
}

_lmms() {
  COMPREPLY=()
  local -a words=()
  local word i glue=''
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i > 1)) && [[ $glue || $word == [=:]* ]]; then
      words[${#words[@]} - 1]+=$word
    else
      words+=("$word")
    fi
    if [[ $word == [=:]* && $word != *[!=:]* ]]; then glue=1; else glue=''; fi
  done
  local current=${words[${#words[@]} - 1]} command=${words[1]} before='' place=0 kind
  if ((${#words[@]} <= 2)); then
    if [[ $current == -* ]]; then _lmms_names "$current" --help --version; else _lmms_names "$current" $_lmms_commands; fi
    return
  fi
  for ((i = 2; i < ${#words[@]} - 1; i++)); do  # which place the word has among those that are no options
    word=${words[i]}
    kind=$(_lmms_takes "$command ${words[i - 1]}")
    if [[ $word != -* && -z $kind ]]; then place=$((place + 1)); fi
  done
  before=${words[${#words[@]} - 2]}
  kind=$(_lmms_takes "$command $before")
  if [[ $kind ]]; then
    _lmms_value "$kind" "$current"
  elif [[ $current == --*=* ]]; then
    _lmms_value "$(_lmms_takes "$command ${current%%=*}")" "${current#*=}"
  elif [[ $current == -* ]]; then
    _lmms_names "$current" $(_lmms_options "$command")
  else
    _lmms_value "$(_lmms_place "$command" "$place")" "$current"
  fi
  # readline replaces what is behind the last of its cuts
  local front=''
  if [[ $current == *=* ]]; then
    if [[ $COMP_WORDBREAKS != *=* ]]; then COMPREPLY=("${COMPREPLY[@]/#/${current%%=*}=}"); fi
    current=${current#*=}
  fi
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    front=${current%"${current##*:}"}
    COMPREPLY=("${COMPREPLY[@]#"$front"}")
  fi
}
complete -F _lmms lmms
)bash";

std::string function(const char* name, const std::string& cases) {
  return fmt::format("{}() {{\n  case $1 in\n{}  esac\n}}\n", name, cases);
}

}  // namespace

std::string bash_completion(const Completion& all) {
  std::vector<std::string> commands, keys, paths;
  std::string options, takes, places, values;
  for (const CompletedCommand& command : all.commands) {
    commands.push_back(command.name);
    std::vector<std::string> names;
    for (const CompletedOption& option : command.options) {
      for (const std::string& name : option.names) {
        names.push_back(name);
        if (!option.has_value) continue;
        const char* kind = name_of(option.value);
        takes += fmt::format("    '{} {}') echo {} ;;\n", command.name, name,
                             *kind == '\0' ? "text" : kind);
      }
    }
    options += fmt::format("    {}) echo '{}' ;;\n", command.name, joined(names));
    if (command.first == Word::nothing) continue;
    const std::string first = name_of(command.first) + joined(command.choices);
    places += fmt::format("    {}) if (($2 == 0)); then echo '{}'; else echo '{}'; fi ;;\n",
                          command.name, first, name_of(command.later));
  }
  for (const CompletedKey& key : all.keys) {
    keys.push_back(key.key + "=");
    if (key.is_path) paths.push_back(key.key);
    if (!key.values.empty())
      values += fmt::format("    {}) echo '{}' ;;\n", key.key, joined(key.values));
  }
  return kHead +
         fmt::format("_lmms_commands='{}'\n_lmms_cards='{}'\n_lmms_paths='{}'\n_lmms_keys='{}'\n",
                     joined(commands), joined(all.cards), joined(paths), joined(keys)) +
         function("_lmms_options", options) + function("_lmms_takes", takes) +
         function("_lmms_place", places) + function("_lmms_values", values) + kFunction;
}

}  // namespace lmms::app
