#pragma once
/// What a call that throws has said.

#include <ferry/error.hpp>

#include <optional>
#include <utility>

namespace ferry::test {

/// @return none: it has thrown no ferry::failure
template <class Call>
[[nodiscard]] std::optional<failure> failure_of(Call&& call) {
  try {
    std::forward<Call>(call)();
  } catch (const failure& why) {
    return why;
  }
  return std::nullopt;
}

}  // namespace ferry::test
