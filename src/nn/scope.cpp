// RecordFunction has a member less where libtorch was compiled: it defines NDEBUG.
#ifndef NDEBUG
#define NDEBUG
#endif
#include "nn/scope.h"

#include <ATen/record_function.h>
#include <c10/util/Exception.h>

#include <utility>

#include "nn/param.h"

namespace lmms::nn {
namespace {

thread_local const Scope* innermost_scope = nullptr;

}  // namespace

namespace detail {

ProfiledRange::ProfiledRange(const std::string& name) {
  if (!at::hasCallbacks()) return;
  range_ = std::make_unique<at::RecordFunction>(at::RecordScope::USER_SCOPE);
  if (range_->isActive()) range_->before(name);
}
ProfiledRange::~ProfiledRange() = default;

}  // namespace detail

Scope::Scope(std::string unit, const UnitRun& how)
    : unit_(std::move(unit)), how_(how), range_(unit_), outer_(innermost_scope) {
  innermost_scope = this;
}

Scope::~Scope() {
  innermost_scope = outer_;
}

const Scope* Scope::innermost() {
  return innermost_scope;
}

bool is_open(std::string_view unit) {
  for (const Scope* s = innermost_scope; s != nullptr; s = s->outer_) {
    if (s->unit_ == unit) return true;
  }
  return false;
}

std::string open_units() {
  std::string names;
  for (const Scope* s = innermost_scope; s != nullptr; s = s->outer_)
    names += (names.empty() ? "" : ", ") + s->unit_;
  return names.empty() ? "none" : names;
}

const at::Tensor& Param::value() const {
  TORCH_INTERNAL_ASSERT(is_open(unit), "weight ", name, " is read outside its unit ", unit,
                        "; open on this thread: ", open_units(),
                        ". A forward reads weights inside nn::run or nn::scope of their unit");
  return leaf_;
}

kernels::Weight Param::handle() const {
  const at::Tensor& leaf = value();
  return {leaf, trainable ? leaf.grad() : at::Tensor()};
}

}  // namespace lmms::nn
