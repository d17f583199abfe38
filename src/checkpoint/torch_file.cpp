#include "checkpoint/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "checkpoint/pickle.h"
#include "checkpoint/printable.h"
#include "checkpoint/zip.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace {

using Bytes = std::span<const std::byte>;
using Kind = PickleValue::Kind;

constexpr std::string_view kDescription = "data.pkl", kByteOrder = "byteorder";
constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2",
                           kTensorOfDtype = "torch._utils _rebuild_tensor_v3",
                           kOldTensor = "torch._utils _rebuild_tensor",
                           kParameter = "torch._utils _rebuild_parameter";
constexpr std::array kPreferred = {"ema", "model", "state_dict"};

constexpr std::array<std::pair<std::string_view, DType>, 12> kStorages{{
    {"torch FloatStorage", DType::f32},
    {"torch DoubleStorage", DType::f64},
    {"torch HalfStorage", DType::f16},
    {"torch BFloat16Storage", DType::bf16},
    {"torch LongStorage", DType::i64},
    {"torch IntStorage", DType::i32},
    {"torch ShortStorage", DType::i16},
    {"torch CharStorage", DType::i8},
    {"torch ByteStorage", DType::u8},
    {"torch BoolStorage", DType::boolean},
    {"torch ComplexFloatStorage", DType::c64},
    {"torch.storage UntypedStorage", DType::u8},
}};

constexpr std::array<std::pair<std::string_view, DType>, 17> kDtypes{{
    {"torch float32", DType::f32},
    {"torch float64", DType::f64},
    {"torch float16", DType::f16},
    {"torch bfloat16", DType::bf16},
    {"torch int64", DType::i64},
    {"torch int32", DType::i32},
    {"torch int16", DType::i16},
    {"torch int8", DType::i8},
    {"torch uint8", DType::u8},
    {"torch uint16", DType::u16},
    {"torch uint32", DType::u32},
    {"torch uint64", DType::u64},
    {"torch bool", DType::boolean},
    {"torch float8_e4m3fn", DType::f8_e4m3},
    {"torch float8_e5m2", DType::f8_e5m2},
    {"torch float8_e4m3fnuz", DType::f8_e4m3fnuz},
    {"torch float8_e5m2fnuz", DType::f8_e5m2fnuz},
}};

// Containers and plain values, which stand beside weights in what scripts of training save.
constexpr std::array kOthers = {
    std::string_view("collections OrderedDict"),
    std::string_view("collections defaultdict"),
    std::string_view("argparse Namespace"),
    std::string_view("torch Size"),
    std::string_view("torch device"),
    std::string_view("builtins set"),
    std::string_view("__builtin__ set"),
    std::string_view("builtins dict"),
    std::string_view("builtins list"),
    std::string_view("__builtin__ dict"),
    std::string_view("__builtin__ list"),
};

template <class Table>
std::optional<DType> looked_up(const Table& table, std::string_view name) {
  for (const auto& [key, value] : table) {
    if (key == name) return value;
  }
  return std::nullopt;
}

bool is_known(std::string_view global) {
  return global == kTensor || global == kTensorOfDtype || global == kOldTensor ||
         global == kParameter || looked_up(kStorages, global) || looked_up(kDtypes, global) ||
         std::find(kOthers.begin(), kOthers.end(), global) != kOthers.end();
}

// A tensor as the pickle describes it, a parameter's too; nullptr: something else.
const PickleValue* tensor_of(const PickleValue& value) {
  const PickleValue* tensor = &value;
  if (value.calls(kParameter) && !value.arguments->items.empty())
    tensor = value.arguments->items[0];
  const bool is_one =
      tensor->calls(kTensor) || tensor->calls(kTensorOfDtype) || tensor->calls(kOldTensor);
  return is_one ? tensor : nullptr;
}

bool is_mapping(const PickleValue& value) {
  return value.is(Kind::dict) || value.calls("collections OrderedDict") ||
         value.calls("collections defaultdict");
}

bool holds_tensors(const PickleValue& value) {
  if (!is_mapping(value)) return false;
  for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
    if (value.items[i]->is(Kind::text) && tensor_of(*value.items[i + 1]) != nullptr) return true;
  }
  return false;
}

std::string keys_of(const PickleValue& value) {
  std::string keys;
  if (!is_mapping(value)) return keys;
  for (size_t i = 0; i + 1 < value.items.size() && i < 16; i += 2) {
    if (value.items[i]->is(Kind::text))
      keys += (keys.empty() ? "" : ", ") + printable(value.items[i]->text);
  }
  return keys;
}

std::optional<Shape> numbers_of(const PickleValue& value) {
  const PickleValue* list = &value;
  if (value.calls("torch Size") && !value.arguments->items.empty())
    list = value.arguments->items[0];
  if (!list->is(Kind::tuple) && !list->is(Kind::list)) return std::nullopt;
  Shape numbers;
  for (const PickleValue* item : list->items) {
    if (!item->is(Kind::integer) || item->integer < 0) return std::nullopt;
    numbers.push_back(item->integer);
  }
  return numbers;
}

bool is_contiguous(const Shape& shape, const Shape& strides) {
  int64_t expected = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1 && strides[d] != expected) return false;
    expected *= shape[d];
  }
  return true;
}

// Index of the last element of a tensor that has some; nothing where it does not fit.
std::optional<uint64_t> last_element(int64_t offset, const Shape& shape, const Shape& strides) {
  auto last = static_cast<uint64_t>(offset);
  for (size_t d = 0; d < shape.size(); ++d) {
    uint64_t step = 0;
    if (__builtin_mul_overflow(static_cast<uint64_t>(shape[d] - 1),
                               static_cast<uint64_t>(strides[d]), &step) ||
        __builtin_add_overflow(last, step, &last))
      return std::nullopt;
  }
  return last;
}

// The elements in row-major order.
std::vector<std::byte> in_rows(Bytes storage, int64_t offset, const Shape& shape,
                               const Shape& strides, size_t element, uint64_t bytes) {
  std::vector<std::byte> out(bytes);
  Shape index(shape.size(), 0);
  for (std::byte* to = out.data(); to != out.data() + bytes; to += element) {
    int64_t from = offset;
    for (size_t d = 0; d < shape.size(); ++d) from += index[d] * strides[d];
    std::memcpy(to, storage.data() + static_cast<size_t>(from) * element, element);
    for (size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) index[d] = 0;
  }
  return out;
}

class Reader {
 public:
  /// `room`: bytes of tensors that may be copied.
  Reader(const ZipMembers& members, std::string prefix, std::string where, uint64_t room)
      : members_(members), prefix_(std::move(prefix)), where_(std::move(where)), room_(room) {}

  Result<TorchContent> read(const PickleValue& top) {
    const PickleValue* chosen = &top;
    for (const char* key : kPreferred) {
      const PickleValue* below = is_mapping(top) ? top.find(key) : nullptr;
      if (below == nullptr || !holds_tensors(*below)) continue;
      chosen = below;
      content_.below = key;
      break;
    }
    if (!holds_tensors(*chosen)) {
      const std::string keys = keys_of(*chosen);
      return Fault{where_,
                   keys.empty() ? "holds no tensors by name"
                                : fmt::format("holds no tensors by name on top or below ema, model "
                                              "or state_dict; its keys are {}",
                                              keys),
                   "save the weights alone: torch.save(model.state_dict(), path)"};
    }
    std::set<std::string_view> names;
    for (size_t i = 0; i + 1 < chosen->items.size(); i += 2) {
      const PickleValue* tensor = tensor_of(*chosen->items[i + 1]);
      if (tensor == nullptr || !chosen->items[i]->is(Kind::text)) continue;
      const std::string& name = chosen->items[i]->text;
      if (!names.insert(name).second)
        return Fault{where_, fmt::format("tensor {} stands twice", printable(name)), ""};
      if (const std::string fault = add(name, *tensor); !fault.empty())
        return Fault{where_, fmt::format("tensor {}: {}", printable(name), fault),
                     "the file is incomplete or damaged: copy or download it again"};
    }
    return std::move(content_);
  }

 private:
  struct Storage {
    Bytes bytes;
    DType dtype = DType::u8;
    bool typed = true;
  };

  // ("storage", type, key, device, elements)
  std::optional<Storage> storage_of(const PickleValue& value) const {
    if (!value.is(Kind::persistent)) return std::nullopt;
    const PickleValue& id = *value.items[0];
    if (!id.is(Kind::tuple) || id.items.size() < 5 || !id.items[1]->is(Kind::global) ||
        !id.items[2]->is(Kind::text))
      return std::nullopt;
    const auto dtype = looked_up(kStorages, id.items[1]->text);
    const auto member = members_.find(prefix_ + "data/" + id.items[2]->text);
    if (!dtype || member == members_.end()) return std::nullopt;
    return Storage{member->second, *dtype, !id.items[1]->text.ends_with("UntypedStorage")};
  }

  // (storage, offset, sizes, strides, ...); what is wrong with it, or nothing.
  std::string add(const std::string& name, const PickleValue& tensor) {
    const std::vector<PickleValue*>& given = tensor.arguments->items;
    if (given.size() < 4 || !given[1]->is(Kind::integer) || given[1]->integer < 0)
      return "its description is broken";
    const auto storage = storage_of(*given[0]);
    const auto shape = numbers_of(*given[2]), strides = numbers_of(*given[3]);
    if (!storage) return "its storage is missing or of an unknown type";
    if (!shape || !strides || shape->size() != strides->size() || shape->size() > 64)
      return "its description is broken";
    DType dtype = storage->dtype;
    if (tensor.text == kTensorOfDtype) {
      const auto stated = given.size() > 6 && given[6]->is(Kind::global)
                              ? looked_up(kDtypes, given[6]->text)
                              : std::nullopt;
      if (!stated) return "its element type is not read";
      dtype = *stated;
    } else if (!storage->typed) {
      return "its element type is missing";
    }
    const auto bytes = byte_count(dtype, *shape);
    if (!bytes) return fmt::format("shape {} is too large", text_of(*shape));
    const size_t element = size_of(dtype);
    if (*bytes == 0) {
      content_.tensors.push_back({name, dtype, *shape, {}});
      return "";
    }
    const int64_t offset = given[1]->integer;
    const auto last = last_element(offset, *shape, *strides);
    if (!last || *last >= storage->bytes.size() / element)
      return fmt::format("shape {} goes beyond its storage of {} bytes", text_of(*shape),
                         storage->bytes.size());
    if (is_contiguous(*shape, *strides)) {
      content_.tensors.push_back(
          {name, dtype, *shape,
           storage->bytes.subspan(static_cast<size_t>(offset) * element, *bytes)});
      return "";
    }
    // so that a small file cannot ask for more memory than its own size
    if (*bytes > room_)
      return fmt::format("shape {} repeats elements of its storage, which is not read",
                         text_of(*shape));
    room_ -= *bytes;
    content_.rows.push_back(in_rows(storage->bytes, offset, *shape, *strides, element, *bytes));
    content_.tensors.push_back({name, dtype, *shape, content_.rows.back()});
    return "";
  }

  const ZipMembers& members_;
  std::string prefix_, where_;
  uint64_t room_;
  TorchContent content_;
};

bool begins_with(Bytes file, std::string_view text) {
  return file.size() >= text.size() && std::memcmp(file.data(), text.data(), text.size()) == 0;
}

// The format before archives: pickles, the first of a number of 10 bytes. As the length of a header
// of safetensors these bytes would be more than any has.
bool is_pickle(Bytes file) {
  if (file.size() < 4) return false;
  const std::array<uint8_t, 4> b{static_cast<uint8_t>(file[0]), static_cast<uint8_t>(file[1]),
                                 static_cast<uint8_t>(file[2]), static_cast<uint8_t>(file[3])};
  const bool framed = b[2] == 0x95, plain = b[2] == 0x8a;
  return b[0] == 0x80 && b[1] >= 2 && b[1] <= 5 && (framed || plain) && b[3] >= 6;
}

}  // namespace

bool begins_as_torch_file(const std::filesystem::path& path) {
  std::array<char, 4> first{};
  std::ifstream in(path, std::ios::binary);
  if (!in.read(first.data(), first.size())) return false;
  const Bytes bytes = std::as_bytes(std::span(first));
  return begins_with(bytes, "PK\x03\x04") || is_pickle(bytes);
}

Result<TorchContent> parse_torch_file(Bytes file, const std::string& where) {
  if (is_pickle(file)) {
    return Fault{where, "is written in the format before torch 1.6, which is not read",
                 "write it anew in Python: torch.save(torch.load(path, map_location='cpu', "
                 "weights_only=True), path)"};
  }
  const auto members = read_zip(file, where);
  if (!members) return members.fault();
  const auto description = std::find_if(members->begin(), members->end(), [](const auto& member) {
    const std::string& name = member.first;
    return name == kDescription || name.ends_with("/" + std::string(kDescription));
  });
  if (description == members->end()) {
    return Fault{where, "is an archive, but no file of torch.save: it has no data.pkl",
                 "give a file that torch.save wrote"};
  }
  const std::string prefix =
      description->first.substr(0, description->first.size() - kDescription.size());
  const auto order = members->find(prefix + std::string(kByteOrder));
  if (order != members->end() && begins_with(order->second, "big"))
    return Fault{where, "its numbers are big-endian, which is not read",
                 "convert it to safetensors on the machine that wrote it"};
  const auto pickle = parse_pickle(description->second, where, is_known);
  if (!pickle) return pickle.fault();
  return Reader(*members, prefix, where, file.size()).read(*pickle->top);
}

Result<TorchFile> TorchFile::open(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto content = parse_torch_file(file->bytes(), path.string());
  if (!content) return content.fault();
  return TorchFile(path, std::move(*file), std::move(*content));
}

}  // namespace lmms::checkpoint
