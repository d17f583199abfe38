#include "checkpoint/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "checkpoint/printable.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMostBytes = size_t{16} << 20;  // a value takes a hundred bytes for one of these

// What stops a pickle from being read.
struct Stop {
  std::string what, fix;
};

// The stack machine that a pickle is a program of.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::function<bool(std::string_view)>& knows)
      : bytes_(bytes), knows_(knows) {}

  Pickle run() {
    while (!stopped_) step(static_cast<uint8_t>(take<std::byte>()));
    return std::move(pickle_);
  }

 private:
  // --- The bytes.

  [[noreturn]] static void broken(const std::string& what) {
    throw Stop{"the pickle is broken: " + what,
               "the file is incomplete or damaged: copy or download it again"};
  }

  std::span<const std::byte> take_bytes(uint64_t count) {
    if (count > bytes_.size() - at_) broken("it ends in the middle");
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }

  template <class T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string take_text(uint64_t count) {
    const auto taken = take_bytes(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  std::string take_line() {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
    if (end == rest.end()) broken("a line has no end");
    std::string line = take_text(static_cast<uint64_t>(end - rest.begin()));
    ++at_;
    return line;
  }

  // --- The stack.

  PickleValue* push(Kind kind) {
    stack_.push_back(&pickle_.values.emplace_back());
    stack_.back()->kind = kind;
    return stack_.back();
  }

  void push_integer(int64_t value, Kind kind = Kind::integer) { push(kind)->integer = value; }
  void push_text(std::string text) { push(Kind::text)->text = std::move(text); }

  // How much of the stack the last mark leaves alone.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  PickleValue* pop() {
    if (stack_.size() <= floor()) broken("it takes more than was put");
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }

  PickleValue* top() {
    if (stack_.size() <= floor()) broken("it takes more than was put");
    return stack_.back();
  }

  std::vector<PickleValue*> pop_to_mark() {
    if (marks_.empty()) broken("a mark is missing");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue*> taken(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return taken;
  }

  std::vector<PickleValue*> pop(size_t count) {
    std::vector<PickleValue*> taken(count);
    for (size_t i = count; i-- > 0;) taken[i] = pop();
    return taken;
  }

  void push_group(Kind kind, std::vector<PickleValue*> items) {
    push(kind)->items = std::move(items);
  }

  // Items for a list, a set or whatever a call made in their place.
  void append(const std::vector<PickleValue*>& items) {
    PickleValue* into = top();
    if (!into->is(Kind::list) && !into->is(Kind::call)) broken("items for what holds none");
    into->items.insert(into->items.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<PickleValue*>& items) {
    PickleValue* into = top();
    if (!into->is(Kind::dict) && !into->is(Kind::call)) broken("keys for what has none");
    if (items.size() % 2 != 0) broken("a key without a value");
    into->items.insert(into->items.end(), items.begin(), items.end());
  }

  // --- Globals and calls.

  void push_global(const std::string& name) {
    if (!knows_(name)) {
      const std::string dotted = [&] {
        std::string text = name;
        std::replace(text.begin(), text.end(), ' ', '.');
        return text;
      }();
      throw Stop{fmt::format("the file asks for {}, which is no tensor, number, text or container",
                             printable(dotted)),
                 "nothing in a file is run: save the weights alone, torch.save(model.state_dict(), "
                 "path), or convert them to safetensors"};
    }
    push(Kind::global)->text = name;
  }

  void call() {
    PickleValue* arguments = pop();
    const PickleValue* what = pop();
    if (!what->is(Kind::global) || !arguments->is(Kind::tuple)) broken("a call of no global");
    PickleValue* made = push(Kind::call);
    made->text = what->text;
    made->arguments = arguments;
  }

  void build() {
    PickleValue* state = pop();
    PickleValue* into = top();
    if (!into->is(Kind::call)) broken("a state for what has none");
    into->state = state;
  }

  // --- The memo.

  void remember(uint64_t key) { memo_[key] = top(); }
  void recall(uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) broken("it recalls what was not remembered");
    stack_.push_back(found->second);
  }

  void push_long(size_t count) {
    const auto taken = take_bytes(count);
    if (count > 8) broken("an integer has more than 64 bits");
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i) value |= static_cast<uint64_t>(taken[i]) << (8 * i);
    if (count > 0 && count < 8 && (taken[count - 1] & std::byte{0x80}) != std::byte{0})
      value |= ~uint64_t{0} << (8 * count);  // the sign
    push_integer(static_cast<int64_t>(value));
  }

  void push_real() {
    uint64_t bits = 0;
    for (const std::byte b : take_bytes(8)) bits = bits << 8 | static_cast<uint64_t>(b);
    push(Kind::real)->real = std::bit_cast<double>(bits);
  }

  // Opcodes of numbers, texts and names; false: another.
  bool step_scalar(uint8_t op) {
    switch (op) {
      case 'N':
        push(Kind::none);
        break;
      case 0x88:
        push_integer(1, Kind::boolean);
        break;
      case 0x89:
        push_integer(0, Kind::boolean);
        break;
      case 'J':
        push_integer(take<int32_t>());
        break;
      case 'K':
        push_integer(take<uint8_t>());
        break;
      case 'M':
        push_integer(take<uint16_t>());
        break;
      case 0x8a:
        push_long(take<uint8_t>());
        break;
      case 'G':
        push_real();
        break;
      case 'X':
      case 'T':
      case 'B':
        push_text(take_text(take<uint32_t>()));
        break;
      case 0x8c:
      case 'U':
      case 'C':
        push_text(take_text(take<uint8_t>()));
        break;
      case 0x8d:
      case 0x8e:
        push_text(take_text(take<uint64_t>()));
        break;
      case 'c': {
        const std::string module = take_line();
        push_global(module + ' ' + take_line());
        break;
      }
      case 0x93: {
        const PickleValue* name = pop();
        const PickleValue* module = pop();
        if (!name->is(Kind::text) || !module->is(Kind::text)) broken("a global without a name");
        push_global(module->text + ' ' + name->text);
        break;
      }
      default:
        return false;
    }
    return true;
  }

  // Opcodes of containers; false: another.
  bool step_container(uint8_t op) {
    switch (op) {
      case ']':
      case 0x8f:
        push(Kind::list);
        break;
      case ')':
        push(Kind::tuple);
        break;
      case '}':
        push(Kind::dict);
        break;
      case 't':
        push_group(Kind::tuple, pop_to_mark());
        break;
      case 'l':
      case 0x91:
        push_group(Kind::list, pop_to_mark());
        break;
      case 'd': {
        std::vector<PickleValue*> items = pop_to_mark();
        push(Kind::dict);
        set_items(items);
        break;
      }
      case 0x85:
      case 0x86:
      case 0x87:
        push_group(Kind::tuple, pop(op - 0x84));
        break;
      case 'a':
        append(pop(1));
        break;
      case 'e':
      case 0x90:
        append(pop_to_mark());
        break;
      case 's':
        set_items(pop(2));
        break;
      case 'u':
        set_items(pop_to_mark());
        break;
      default:
        return false;
    }
    return true;
  }

  void step(uint8_t op) {
    if (step_scalar(op) || step_container(op)) return;
    switch (op) {
      case 0x80:
        if (take<uint8_t>() > 5) broken("its protocol is not known");
        break;
      case 0x95:
        take<uint64_t>();
        break;  // a frame: how much may be read ahead
      case '(':
        marks_.push_back(stack_.size());
        break;
      case '0':
        pop();
        break;
      case '1':
        pop_to_mark();
        break;
      case '2':
        stack_.push_back(top());
        break;
      case 'q':
        remember(take<uint8_t>());
        break;
      case 'r':
        remember(take<uint32_t>());
        break;
      case 0x94:
        remember(memo_.size());
        break;
      case 'h':
        recall(take<uint8_t>());
        break;
      case 'j':
        recall(take<uint32_t>());
        break;
      case 'R':
      case 0x81:
        call();
        break;
      case 'b':
        build();
        break;
      case 'Q':
        push_group(Kind::persistent, pop(1));
        break;
      case '.':
        pickle_.top = pop();
        stopped_ = true;
        break;
      default:
        broken(fmt::format("byte {:#04x} at {} is no operation that is read", op, at_ - 1));
    }
  }

  std::span<const std::byte> bytes_;
  const std::function<bool(std::string_view)>& knows_;
  size_t at_ = 0;
  bool stopped_ = false;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::dict && kind != Kind::call) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->is(Kind::text) && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

Result<Pickle> parse_pickle(std::span<const std::byte> bytes, const std::string& where,
                            const std::function<bool(std::string_view)>& knows) {
  if (bytes.size() > kMostBytes) {
    return Fault{
        where,
        fmt::format("the pickle has {} bytes; at most {} are read", bytes.size(), kMostBytes),
        "save the weights alone"};
  }
  try {
    return Machine(bytes, knows).run();
  } catch (const Stop& stop) {
    return Fault{where, stop.what, stop.fix};
  }
}

}  // namespace lmms::checkpoint
