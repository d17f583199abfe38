#include "data/arrow_row.h"

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/float16.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/format.h"
#include "data/unreadable.h"

namespace lmms::data {
namespace {

using json = Json;

json value_at(const arrow::Array& array, int64_t i);

json broken_offsets() {
  return unreadable_value("the offsets of the column are broken");
}

template <class ArrowType>
json number_at(const arrow::Array& array, int64_t i) {
  return static_cast<const arrow::NumericArray<ArrowType>&>(array).Value(i);
}

/// NaN and infinities, which JSON has not, are null as in JSON files.
json real(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

template <class ArrowType>
json real_at(const arrow::Array& array, int64_t i) {
  return real(static_cast<const arrow::NumericArray<ArrowType>&>(array).Value(i));
}

/// A whole number where it is one of 64 bits, else a double.
template <class Array>
json decimal_at(const arrow::Array& array, int64_t i) {
  const std::string digits = static_cast<const Array&>(array).FormatValue(i);
  const char* end = digits.data() + digits.size();
  int64_t whole = 0;
  if (const auto read = std::from_chars(digits.data(), end, whole);
      read.ec == std::errc() && read.ptr == end) {
    return whole;
  }
  return real(std::strtod(digits.c_str(), nullptr));
}

json text_of(std::string_view text) {
  if (!simdjson::validate_utf8(text.data(), text.size()))
    return unreadable_value("not valid UTF-8");
  return std::string(text);
}

json bytes_of(std::string_view bytes) {
  return json::binary(std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

using MakeValue = json (*)(std::string_view);  // text_of or bytes_of

/// A string or a run of bytes, whatever the width of its offsets.
template <class Array>
json run_at(const arrow::Array& any, int64_t i, MakeValue make) {
  const auto& array = static_cast<const Array&>(any);
  const int64_t begin = array.value_offset(i), end = array.value_offset(i + 1);
  const int64_t size = array.value_data() ? array.value_data()->size() : 0;
  if (begin < 0 || begin > end || end > size) return broken_offsets();
  if (begin == end) return make("");
  const auto* data = reinterpret_cast<const char*>(array.value_data()->data());
  return make({data + begin, static_cast<size_t>(end - begin)});
}

/// The same behind a view: short values stand in it, others in one of the column's buffers.
json view_at(const arrow::BinaryViewArray& array, int64_t i, MakeValue make) {
  constexpr size_t kBuffersBefore = 2;  // of nulls, of views
  const auto& view = array.raw_values()[i];
  if (view.size() < 0) return broken_offsets();
  const auto size = static_cast<size_t>(view.size());
  if (view.is_inline()) return make({reinterpret_cast<const char*>(view.inline_data()), size});
  const auto& buffers = array.data()->buffers;
  const auto which = static_cast<size_t>(view.ref.buffer_index) + kBuffersBefore;
  if (view.ref.buffer_index < 0 || which >= buffers.size() || !buffers[which])
    return broken_offsets();
  if (view.ref.offset < 0 || int64_t{view.ref.offset} + view.size() > buffers[which]->size())
    return broken_offsets();
  return make({reinterpret_cast<const char*>(buffers[which]->data()) + view.ref.offset, size});
}

json elements(const arrow::Array& values, int64_t begin, int64_t end) {
  if (begin < 0 || begin > end || end > values.length()) return broken_offsets();
  auto list = json::array();
  for (int64_t i = begin; i < end; ++i) list.push_back(value_at(values, i));
  return list;
}

template <class Array>
json list_at(const arrow::Array& any, int64_t i) {
  const auto& array = static_cast<const Array&>(any);
  return elements(*array.values(), array.value_offset(i), array.value_offset(i + 1));
}

template <class Array>
json list_view_at(const arrow::Array& any, int64_t i) {
  const auto& array = static_cast<const Array&>(any);
  const int64_t begin = array.value_offset(i), size = array.value_length(i);
  if (begin < 0 || begin > array.values()->length()) return broken_offsets();
  if (size < 0 || size > array.values()->length() - begin) return broken_offsets();
  return elements(*array.values(), begin, begin + size);
}

/// Keys under which the forms of chats have text. Writers without a type for text (Spark's
/// binaryAsString, Impala) store it as bytes.
bool is_text_key(std::string_view key) {
  constexpr std::string_view kKeys[] = {"messages",
                                        "conversations",
                                        "role",
                                        "content",
                                        "from",
                                        "value",
                                        "text",
                                        "type",
                                        "system",
                                        "instruction",
                                        "output",
                                        "prompt",
                                        "response",
                                        "completion",
                                        "input",
                                        "system_prompt",
                                        "tools",
                                        "functions",
                                        "tool_calls",
                                        "function_call",
                                        "name",
                                        "arguments",
                                        "reasoning_content"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
}

/// Puts a value under its key, unless it is null.
void set(json& object, const std::string& key, json value) {
  if (value.is_null()) return;
  if (value.is_binary() && is_text_key(key) && !why_unreadable(value)) {
    const auto& bytes = value.get_binary();
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    if (simdjson::validate_utf8(text, bytes.size())) value = std::string(text, bytes.size());
  }
  object[key] = std::move(value);
}

json struct_at(const arrow::StructArray& array, int64_t i) {
  auto object = json::object();
  for (int f = 0; f < array.num_fields(); ++f)
    set(object, array.struct_type()->field(f)->name(), value_at(*array.field(f), i));
  return object;
}

/// An object; keys that are numbers are written as in JSON, which has none.
json map_at(const arrow::MapArray& array, int64_t i) {
  const int64_t begin = array.value_offset(i), end = array.value_offset(i + 1);
  const json keys = elements(*array.keys(), begin, end);
  json items = elements(*array.items(), begin, end);
  if (!keys.is_array() || !items.is_array()) return broken_offsets();
  auto object = json::object();
  for (size_t k = 0; k < keys.size(); ++k) {
    if (!keys[k].is_string() && !keys[k].is_number() && !keys[k].is_boolean())
      return unreadable_value("a map whose keys are neither text nor numbers");
    if (items[k].is_null()) continue;
    object[keys[k].is_string() ? keys[k].get<std::string>() : keys[k].dump()] = std::move(items[k]);
  }
  return object;
}

json dictionary_at(const arrow::DictionaryArray& array, int64_t i) {
  const json index = value_at(*array.indices(), i);
  const bool inside =
      index.is_number_integer() && index >= 0 && index < array.dictionary()->length();
  if (!inside) return unreadable_value("a dictionary index out of range");
  return value_at(*array.dictionary(), index.get<int64_t>());
}

/// The value of the run that holds `i`. `ends`: where each run ends.
template <class ArrowType>
json in_run(const arrow::RunEndEncodedArray& array, int64_t i) {
  const auto& ends = static_cast<const arrow::NumericArray<ArrowType>&>(*array.run_ends());
  const auto* first = ends.raw_values();
  const auto* run = std::upper_bound(first, first + ends.length(), array.offset() + i);
  if (run - first >= std::min(ends.length(), array.values()->length())) return broken_offsets();
  return value_at(*array.values(), run - first);
}

json run_end_encoded_at(const arrow::RunEndEncodedArray& array, int64_t i) {
  switch (array.run_ends()->type_id()) {
    case arrow::Type::INT16:
      return in_run<arrow::Int16Type>(array, i);
    case arrow::Type::INT32:
      return in_run<arrow::Int32Type>(array, i);
    case arrow::Type::INT64:
      return in_run<arrow::Int64Type>(array, i);
    default:
      return broken_offsets();
  }
}

json value_at(const arrow::Array& array, int64_t i) {
  using arrow::Type;
  // These have no list of nulls, and IsNull() would trust what they hold instead.
  if (array.type_id() == Type::RUN_END_ENCODED)
    return run_end_encoded_at(static_cast<const arrow::RunEndEncodedArray&>(array), i);
  const bool is_union =
      array.type_id() == Type::SPARSE_UNION || array.type_id() == Type::DENSE_UNION;
  if (!is_union && array.IsNull(i)) return nullptr;
  switch (array.type_id()) {
    case Type::NA:
      return nullptr;
    case Type::BOOL:
      return static_cast<const arrow::BooleanArray&>(array).Value(i);
    case Type::INT8:
      return number_at<arrow::Int8Type>(array, i);
    case Type::INT16:
      return number_at<arrow::Int16Type>(array, i);
    case Type::INT32:
      return number_at<arrow::Int32Type>(array, i);
    case Type::INT64:
      return number_at<arrow::Int64Type>(array, i);
    case Type::UINT8:
      return number_at<arrow::UInt8Type>(array, i);
    case Type::UINT16:
      return number_at<arrow::UInt16Type>(array, i);
    case Type::UINT32:
      return number_at<arrow::UInt32Type>(array, i);
    case Type::UINT64:
      return number_at<arrow::UInt64Type>(array, i);
    case Type::FLOAT:
      return real_at<arrow::FloatType>(array, i);
    case Type::DOUBLE:
      return real_at<arrow::DoubleType>(array, i);
    case Type::HALF_FLOAT:
      return real(
          arrow::util::Float16::FromBits(static_cast<const arrow::HalfFloatArray&>(array).Value(i))
              .ToFloat());
    case Type::DECIMAL32:
      return decimal_at<arrow::Decimal32Array>(array, i);
    case Type::DECIMAL64:
      return decimal_at<arrow::Decimal64Array>(array, i);
    case Type::DECIMAL128:
      return decimal_at<arrow::Decimal128Array>(array, i);
    case Type::DECIMAL256:
      return decimal_at<arrow::Decimal256Array>(array, i);
    case Type::DATE32:
      return number_at<arrow::Date32Type>(array, i);
    case Type::DATE64:
      return number_at<arrow::Date64Type>(array, i);
    case Type::TIMESTAMP:
      return number_at<arrow::TimestampType>(array, i);
    case Type::TIME32:
      return number_at<arrow::Time32Type>(array, i);
    case Type::TIME64:
      return number_at<arrow::Time64Type>(array, i);
    case Type::DURATION:
      return number_at<arrow::DurationType>(array, i);
    case Type::STRING:
      return run_at<arrow::StringArray>(array, i, text_of);
    case Type::LARGE_STRING:
      return run_at<arrow::LargeStringArray>(array, i, text_of);
    case Type::STRING_VIEW:
      return view_at(static_cast<const arrow::BinaryViewArray&>(array), i, text_of);
    case Type::BINARY:
      return run_at<arrow::BinaryArray>(array, i, bytes_of);
    case Type::LARGE_BINARY:
      return run_at<arrow::LargeBinaryArray>(array, i, bytes_of);
    case Type::BINARY_VIEW:
      return view_at(static_cast<const arrow::BinaryViewArray&>(array), i, bytes_of);
    case Type::FIXED_SIZE_BINARY:
      return bytes_of(static_cast<const arrow::FixedSizeBinaryArray&>(array).GetView(i));
    case Type::LIST:
      return list_at<arrow::ListArray>(array, i);
    case Type::LARGE_LIST:
      return list_at<arrow::LargeListArray>(array, i);
    case Type::LIST_VIEW:
      return list_view_at<arrow::ListViewArray>(array, i);
    case Type::LARGE_LIST_VIEW:
      return list_view_at<arrow::LargeListViewArray>(array, i);
    case Type::FIXED_SIZE_LIST: {
      const auto& list = static_cast<const arrow::FixedSizeListArray&>(array);
      return elements(*list.values(), list.value_offset(i), list.value_offset(i + 1));
    }
    case Type::STRUCT:
      return struct_at(static_cast<const arrow::StructArray&>(array), i);
    case Type::MAP:
      return map_at(static_cast<const arrow::MapArray&>(array), i);
    case Type::DICTIONARY:
      return dictionary_at(static_cast<const arrow::DictionaryArray&>(array), i);
    case Type::EXTENSION:
      return value_at(*static_cast<const arrow::ExtensionArray&>(array).storage(), i);
    default:  // intervals, unions, and what later versions of Arrow may add
      return unreadable_value(
          fmt::format("columns of type {} are not read", array.type()->ToString()));
  }
}

std::optional<std::string> unreadable_field(const arrow::Field& field) {
  const auto& name = field.name();
  if (!simdjson::validate_utf8(name.data(), name.size())) {
    return "the name of a column is not valid UTF-8";
  }
  for (const auto& child : field.type()->fields()) {
    if (auto why = unreadable_field(*child)) return why;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> unreadable(const arrow::Schema& schema) {
  for (const auto& field : schema.fields()) {
    if (auto why = unreadable_field(*field)) return why;
  }
  return std::nullopt;
}

json arrow_row(const arrow::RecordBatch& batch, int64_t row) {
  auto object = json::object();
  for (int c = 0; c < batch.num_columns(); ++c)
    set(object, batch.schema()->field(c)->name(), value_at(*batch.column(c), row));
  return object;
}

}  // namespace lmms::data
