#pragma once
/// Errors as values: a code of ferry's category, the original errno, and a text that names the value and the limit.

#include <ferry/errc.hpp>

#include <boost/assert/source_location.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <memory>
#include <string>
#include <type_traits>

template <>
struct boost::system::is_error_code_enum<ferry::errc> : std::true_type {};
template <>
struct boost::system::is_error_condition_enum<ferry::condition> : std::true_type {};

namespace ferry {

using error_code = boost::system::error_code;

[[nodiscard]] const boost::system::error_category& error_category() noexcept;
[[nodiscard]] const boost::system::error_category& condition_category() noexcept;
[[nodiscard]] inline error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}
// An exact match: without it the comparison is ambiguous, as codes of Boost and of std convert to each other.
[[nodiscard]] inline bool operator==(const error_code& code, errc value) noexcept {
  return code == make_error_code(value);
}
[[nodiscard]] inline boost::system::error_condition make_error_condition(condition value) noexcept {
  return {static_cast<int>(value), condition_category()};
}

/// One error. Cheap to copy (one reference count); an error without text allocates nothing.
class error {
 public:
  error() noexcept = default;                 ///< no error: what result::error() gives when there is a value
  error(errc code) noexcept : code_(code) {}  // NOLINT(google-explicit-constructor): a code is an error
  error(errc code, std::string text, int system_errno = 0)
      : code_(code), system_errno_(system_errno), text_(std::make_shared<const std::string>(std::move(text))) {}

  /// The error of a failed system call: its errno becomes the nearest code; `what` says what was tried on what
  /// ("connect to /run/a.sock"), and the text becomes "connect to /run/a.sock: Connection refused". Where descriptors
  /// ran out, it also says what to do.
  [[nodiscard]] static error from_errno(int system_errno, const std::string& what);

  [[nodiscard]] errc reason() const noexcept { return code_; }
  [[nodiscard]] error_code code() const noexcept { return make_error_code(code_); }
  /// The errno of the system call that failed, 0 if none did.
  [[nodiscard]] int system_errno() const noexcept { return system_errno_; }
  /// One line for people.
  [[nodiscard]] std::string text() const { return text_ ? *text_ : to_string(code_); }
  /// The same error, its text preceded by "prefix: ".
  [[nodiscard]] error in(const std::string& prefix) const { return {code_, prefix + ": " + text(), system_errno_}; }

  friend bool operator==(const error& a, errc b) noexcept { return a.code_ == b; }

 private:
  errc code_{};
  int system_errno_ = 0;
  std::shared_ptr<const std::string> text_;
};

/// What boost::system::result::value() throws when it holds an error: ferry::failure.
[[noreturn]] void throw_exception_from_error(const error& e, const boost::source_location& where);

/// A value or an error.
template <class T>
using result = boost::system::result<T, error>;

}  // namespace ferry
