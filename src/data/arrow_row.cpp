#include "data/arrow_row.h"

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/float16.h>
#include <simdjson.h>

#include <string>

#include "core/format.h"

namespace lmms::data {
namespace {

using nlohmann::json;

Fault fault(std::string what) {
  return Fault{"", std::move(what), ""};
}

Result<json> value_at(const arrow::Array& array, int64_t i);

template <class ArrowType>
json number_at(const arrow::Array& array, int64_t i) {
  return static_cast<const arrow::NumericArray<ArrowType>&>(array).Value(i);
}

/// A string or a run of bytes, whatever the width of its offsets.
template <class Array>
Result<json> bytes_at(const arrow::Array& any, int64_t i, bool is_text) {
  const auto& array = static_cast<const Array&>(any);
  const int64_t begin = array.value_offset(i), end = array.value_offset(i + 1);
  const int64_t size = array.value_data() ? array.value_data()->size() : 0;
  if (begin < 0 || begin > end || end > size) return fault("the offsets of the column are broken");
  const auto* data = array.value_data() ? array.value_data()->data() : nullptr;
  if (!is_text) return json(json::binary_t(std::vector<uint8_t>(data + begin, data + end)));
  const auto* text = reinterpret_cast<const char*>(data);
  if (!simdjson::validate_utf8(text + begin, static_cast<size_t>(end - begin))) {
    return fault("not valid UTF-8");
  }
  return json(std::string(text + begin, text + end));
}

Result<json> elements(const arrow::Array& values, int64_t begin, int64_t end) {
  if (begin < 0 || begin > end || end > values.length()) {
    return fault("the offsets of the column are broken");
  }
  auto list = json::array();
  for (int64_t i = begin; i < end; ++i) {
    auto value = value_at(values, i);
    if (!value) return fault(fmt::format("[{}]: {}", i - begin, value.fault().what));
    list.push_back(*std::move(value));
  }
  return list;
}

template <class Array>
Result<json> list_at(const arrow::Array& any, int64_t i) {
  const auto& array = static_cast<const Array&>(any);
  return elements(*array.values(), array.value_offset(i), array.value_offset(i + 1));
}

Result<json> struct_at(const arrow::StructArray& array, int64_t i) {
  auto object = json::object();
  for (int f = 0; f < array.num_fields(); ++f) {
    const auto& name = array.struct_type()->field(f)->name();
    auto value = value_at(*array.field(f), i);
    if (!value) return fault(fmt::format("{}: {}", name, value.fault().what));
    if (!value->is_null()) object[name] = *std::move(value);
  }
  return object;
}

Result<json> map_at(const arrow::MapArray& array, int64_t i) {
  auto keys = elements(*array.keys(), array.value_offset(i), array.value_offset(i + 1));
  if (!keys) return keys.fault();
  auto items = elements(*array.items(), array.value_offset(i), array.value_offset(i + 1));
  if (!items) return items.fault();
  auto object = json::object();
  for (size_t k = 0; k < keys->size(); ++k) {
    if (!(*keys)[k].is_string()) return fault("a map whose keys are not strings");
    if (!(*items)[k].is_null()) object[(*keys)[k].get<std::string>()] = std::move((*items)[k]);
  }
  return object;
}

Result<json> dictionary_at(const arrow::DictionaryArray& array, int64_t i) {
  auto index = value_at(*array.indices(), i);
  if (!index) return index.fault();
  if (!index->is_number_integer()) return fault("a dictionary index that is no integer");
  const auto at = index->get<int64_t>();
  if (at < 0 || at >= array.dictionary()->length()) return fault("a dictionary index out of range");
  return value_at(*array.dictionary(), at);
}

Result<json> value_at(const arrow::Array& array, int64_t i) {
  if (array.IsNull(i)) return json(nullptr);
  using arrow::Type;
  switch (array.type_id()) {
    case Type::NA:
      return json(nullptr);
    case Type::BOOL:
      return json(static_cast<const arrow::BooleanArray&>(array).Value(i));
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
      return number_at<arrow::FloatType>(array, i);
    case Type::DOUBLE:
      return number_at<arrow::DoubleType>(array, i);
    case Type::HALF_FLOAT:
      return json(
          arrow::util::Float16::FromBits(static_cast<const arrow::HalfFloatArray&>(array).Value(i))
              .ToFloat());
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
      return bytes_at<arrow::StringArray>(array, i, true);
    case Type::LARGE_STRING:
      return bytes_at<arrow::LargeStringArray>(array, i, true);
    case Type::BINARY:
      return bytes_at<arrow::BinaryArray>(array, i, false);
    case Type::LARGE_BINARY:
      return bytes_at<arrow::LargeBinaryArray>(array, i, false);
    case Type::FIXED_SIZE_BINARY: {
      const auto& bytes = static_cast<const arrow::FixedSizeBinaryArray&>(array);
      const auto* value = bytes.GetValue(i);
      return json(json::binary_t(std::vector<uint8_t>(value, value + bytes.byte_width())));
    }
    case Type::LIST:
      return list_at<arrow::ListArray>(array, i);
    case Type::LARGE_LIST:
      return list_at<arrow::LargeListArray>(array, i);
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
    default:
      return fault(fmt::format("columns of type {} are not read", array.type()->ToString()));
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

Result<json> arrow_row(const arrow::RecordBatch& batch, int64_t row) {
  auto object = json::object();
  for (int c = 0; c < batch.num_columns(); ++c) {
    const auto& name = batch.schema()->field(c)->name();
    auto value = value_at(*batch.column(c), row);
    if (!value) return fault(fmt::format("{}: {}", name, value.fault().what));
    if (!value->is_null()) object[name] = *std::move(value);
  }
  return object;
}

}  // namespace lmms::data
