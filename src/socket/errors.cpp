// The one table of what an error is called, by its errno and by its code.
#include <ferry/socket.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ferry {
namespace {

using n = socket_errno;

struct errno_row {
  int system_errno;
  n name;
};
// Where a system call failed with one of these, or a call is refused for one of these reasons, it says more than the
// code.
constexpr std::array k_by_errno{
    errno_row{ECONNRESET, n::enet},         errno_row{ETIMEDOUT, n::enet},          errno_row{EPIPE, n::enet},
    errno_row{ECONNABORTED, n::enet},       errno_row{ECONNREFUSED, n::enet},       errno_row{ENETUNREACH, n::enet},
    errno_row{EHOSTUNREACH, n::enet},       errno_row{EINPROGRESS, n::einprogress}, errno_row{EALREADY, n::ealready},
    errno_row{EISCONN, n::eisconn},         errno_row{ENOTCONN, n::enotconn},       errno_row{EBADF, n::ebadf},
    errno_row{EFAULT, n::efault},           errno_row{EMSGSIZE, n::emsgsize},       errno_row{EINVAL, n::einval},
    errno_row{ENOPROTOOPT, n::enoprotoopt},
};

struct code_row {
  errc code;
  n name;
};
constexpr std::array k_by_code{
    code_row{errc::would_block, n::eagain},
    code_row{errc::full, n::eagain},
    code_row{errc::closed, n::eclosed},
    code_row{errc::end_of_stream, n::eclosed},
    code_row{errc::truncated, n::enet},
    code_row{errc::reset, n::enet},
    code_row{errc::network, n::enet},
    code_row{errc::refused, n::enet},
    code_row{errc::not_found, n::enet},
    code_row{errc::address_in_use, n::eaddrinuse},
    code_row{errc::bad_address, n::eaddrnotavail},
    code_row{errc::permission, n::eacces},
    code_row{errc::auth, n::eacces},
    code_row{errc::busy, n::emfile},
    code_row{errc::no_memory, n::eoverflow},
    code_row{errc::message_too_large, n::eoverflow},
    code_row{errc::timeout, n::etimeout},
    code_row{errc::idle, n::etimeout},
    code_row{errc::varint_overflow, n::eprotocol},
    code_row{errc::protocol, n::eprotocol},
    code_row{errc::mask, n::emask},
    code_row{errc::corrupt, n::eprotocol},
    code_row{errc::poisoned, n::eoverflow},
    code_row{errc::unknown_scheme, n::eopnotsupp},
    code_row{errc::unknown_option, n::enoprotoopt},
    code_row{errc::bad_option, n::einval},
    code_row{errc::bad_url, n::eaddrnotavail},
    code_row{errc::unsupported, n::eopnotsupp},
    code_row{errc::misuse, n::einval},
    code_row{errc::cancelled, n::ecanceled},
};

struct name_row {
  n value;
  const char* name;
  std::uint16_t close_code;
};
constexpr std::array k_names{
    name_row{n::none, "0", 0},
    name_row{n::enet, "ENET", 1006},
    name_row{n::eprotocol, "EPROTOCOL", 1002},
    name_row{n::emask, "EMASK", 1002},
    name_row{n::eoverflow, "EOVERFLOW", 1009},
    name_row{n::etimeout, "ETIMEOUT", 1006},
    name_row{n::eclosed, "ECLOSED", 1000},
    name_row{n::eagain, "EAGAIN", 0},
    name_row{n::einprogress, "EINPROGRESS", 0},
    name_row{n::ealready, "EALREADY", 0},
    name_row{n::eisconn, "EISCONN", 0},
    name_row{n::enotconn, "ENOTCONN", 0},
    name_row{n::ebadf, "EBADF", 0},
    name_row{n::einval, "EINVAL", 0},
    name_row{n::efault, "EFAULT", 0},
    name_row{n::emsgsize, "EMSGSIZE", 0},
    name_row{n::eopnotsupp, "EOPNOTSUPP", 0},
    name_row{n::eaddrinuse, "EADDRINUSE", 0},
    name_row{n::eaddrnotavail, "EADDRNOTAVAIL", 0},
    name_row{n::eacces, "EACCES", 1008},
    name_row{n::emfile, "EMFILE", 0},
    name_row{n::enoprotoopt, "ENOPROTOOPT", 0},
    name_row{n::ecanceled, "ECANCELED", 0},
};

const name_row* find(n value) noexcept {
  const auto* found = std::find_if(k_names.begin(), k_names.end(), [&](const auto& row) { return row.value == value; });
  return found == k_names.end() ? nullptr : found;
}

}  // namespace

socket_errno socket_errno_of(const error& what) noexcept {
  if (what.reason() == errc{}) return n::none;
  for (const auto& row : k_by_errno)
    if (what.system_errno() == row.system_errno) return row.name;
  for (const auto& row : k_by_code)
    if (what == row.code) return row.name;
  return n::enet;
}

const char* to_string(socket_errno value) noexcept {
  const auto* row = find(value);
  return row != nullptr ? row->name : "?";
}

std::uint16_t close_code_of(socket_errno value) noexcept {
  const auto* row = find(value);
  return row != nullptr ? row->close_code : std::uint16_t{0};
}

}  // namespace ferry
