#pragma once
/// What is done with a list of fields: reading a tree into them, writing them, and telling about
/// them.
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/config/faults.h"
#include "core/config/fields.h"
#include "core/config/node.h"

namespace lmms::config {

/// What the reader is told besides the tree.
struct ReadOptions {
  std::string home;  ///< the home folder, for `~` in paths; empty: there is none
  /// Keys of other programs that are not built here, wherever they stand; a name that ends with `*`
  /// is all that begin so.
  std::span<const Name> later;
  const MoreNames* more_names = nullptr;  ///< of rules that are extended_by something
};

/// What reading learnt besides the values.
struct Record {
  std::map<std::string, Position>
      given_at;                ///< dotted key, as the schema spells it -> where the key stands
  std::set<std::string> left;  ///< keys given as null that leave the default
  std::vector<std::string> ignored;      ///< keys of Meaning::ignored that were given: "KEY (why)"
  const Fields* root = nullptr;          ///< while reading: the whole schema, for the nearest name
  const ReadOptions* options = nullptr;  ///< while reading
};

/// Reads a map into the fields. Every unknown key, wrong type, value out of range, missing required
/// key and value that is not built is a fault; what is right is read nevertheless. Wherever a map
/// is wanted, its JSON text will do.
Record read_config(const Node& root, Fields& fields, Faults& faults,
                   const ReadOptions& options = {});

/// null, false, empty text, or lists and maps of such alone.
bool asks_for_nothing(const Node& node);
bool asks_for_nothing(const Value& value);

/// Every field that a member holds, nested ones as maps.
Node write_config(const Fields& fields);

/// "key: value" of each leaf in which `fields` differs from `defaults`, which lists the same
/// struct.
std::vector<std::string> differences(const Fields& fields, const Fields& defaults);
/// The same of trees that write_config made.
std::vector<std::string> differences(const Node& tree, const Node& defaults);

/// One field of a schema, for help and docs.
struct FieldText {
  std::string key;     ///< dotted, from the root
  std::string type;    ///< "a number > 0", "one of a, b"
  std::string preset;  ///< the default as YAML; empty for a section, a required field, and what no
                       ///< member holds
  std::string help;
  Meaning meaning = Meaning::plain;
  bool is_section = false;
  bool is_required = false;
  bool is_path = false;      ///< of a file or folder
  std::vector<Name> values;  ///< the names that it may have; empty: it is none
  std::vector<std::string> aliases;
};
/// Every field in order, sections before their fields.
/// `more`: of rules that are extended_by something.
std::vector<FieldText> field_texts(const Fields& fields, const std::string& section = "",
                                   const MoreNames* more = nullptr);

/// "not built yet" and its kin; empty for what is read and obeyed.
std::string meaning_text(Meaning meaning);
/// Help for a terminal: two lines a field.
std::string help_text(const std::vector<FieldText>& texts);
/// A table a section: key, type, default, meaning.
std::string markdown_tables(const std::vector<FieldText>& texts);

}  // namespace lmms::config
