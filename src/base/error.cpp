#include <ferry/error.hpp>

#include <cerrno>

namespace ferry {
namespace {

// Boost's category has no virtual destructor on purpose: categories are never destroyed through a pointer.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class ferry_category final : public boost::system::error_category {
 public:
  constexpr ferry_category() noexcept : error_category(0xf3a1'7c52'90de'4b16u) {}
  const char* name() const noexcept override { return "ferry"; }
  std::string message(int code) const override { return to_string(static_cast<errc>(code)); }
  const char* message(int code, char*, std::size_t) const noexcept override {
    return to_string(static_cast<errc>(code));
  }
  boost::system::error_condition default_error_condition(int code) const noexcept override {
    return make_error_condition(condition_of(static_cast<errc>(code)));
  }
};

const char* condition_text(condition value) noexcept {
  switch (value) {
    case condition::retry_later: return "try again later";
    case condition::reconnect: return "connection over";
    case condition::protocol_violation: return "protocol violated by the peer";
    case condition::misuse: return "call not allowed";
    case condition::unsupported: return "not supported here";
  }
  return "unknown condition";
}

class ferry_conditions final : public boost::system::error_category {
 public:
  constexpr ferry_conditions() noexcept : error_category(0xf3a1'7c52'90de'4b17u) {}
  const char* name() const noexcept override { return "ferry.condition"; }
  std::string message(int value) const override { return condition_text(static_cast<condition>(value)); }
  const char* message(int value, char*, std::size_t) const noexcept override {
    return condition_text(static_cast<condition>(value));
  }
};

#pragma GCC diagnostic pop

constinit const ferry_category k_category;
constinit const ferry_conditions k_conditions;

errc nearest(int system_errno) noexcept {
  switch (system_errno) {
    case ECONNREFUSED: return errc::refused;
    case ENOENT: return errc::not_found;
    case EADDRINUSE: return errc::address_in_use;
    case ECONNRESET:
    case EPIPE: return errc::reset;
    case EMFILE:
    case ENFILE: return errc::busy;
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
    case EDQUOT: return errc::no_memory;
    case EACCES:
    case EPERM: return errc::permission;
    case ETIMEDOUT: return errc::timeout;
    case EINVAL:
    case ENAMETOOLONG:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return errc::bad_address;
    case EAGAIN: return errc::would_block;
    case ECANCELED: return errc::cancelled;
    default: return errc::network;
  }
}

/// What to do about it, where the system's text alone does not tell.
const char* advice_for(int system_errno) noexcept {
  switch (system_errno) {
    case EMFILE: return ": raise the limit of this process (ulimit -n, LimitNOFILE= in a systemd unit)";
    case ENFILE: return ": raise the limit of the whole system (sysctl fs.file-max)";
    default: return "";
  }
}

}  // namespace

const char* to_string(errc code) noexcept {
  switch (code) {
    case errc::would_block: return "nothing to receive, or no room, right now";
    case errc::closed: return "closed";
    case errc::end_of_stream: return "ended by the peer";
    case errc::truncated: return "ended by the peer inside a message";
    case errc::reset: return "connection broken";
    case errc::network: return "network error";
    case errc::refused: return "refused: nobody listens there";
    case errc::not_found: return "not found";
    case errc::address_in_use: return "address in use";
    case errc::bad_address: return "bad address";
    case errc::permission: return "not permitted by the operating system";
    case errc::auth: return "peer not allowed";
    case errc::busy: return "limit on connections or descriptors reached";
    case errc::full: return "queue full";
    case errc::no_memory: return "no memory";
    case errc::timeout: return "timed out";
    case errc::idle: return "idle for too long";
    case errc::message_too_large: return "message larger than the limit";
    case errc::varint_overflow: return "length prefix larger than 64 bits";
    case errc::protocol: return "protocol error";
    case errc::mask: return "WebSocket frame with the wrong masking";
    case errc::corrupt: return "corrupt data";
    case errc::poisoned: return "message dropped after failing too often";
    case errc::unknown_scheme: return "unknown URL scheme";
    case errc::unknown_option: return "unknown option";
    case errc::bad_option: return "bad value of an option";
    case errc::bad_url: return "bad URL";
    case errc::unsupported: return "not supported by this transport";
    case errc::misuse: return "call not allowed here or now";
    case errc::cancelled: return "cancelled";
  }
  return "unknown error";
}

condition condition_of(errc code) noexcept {
  switch (code) {
    case errc::would_block:
    case errc::full:
    case errc::busy:
    case errc::no_memory:
    case errc::timeout:
    case errc::address_in_use:
    case errc::cancelled: return condition::retry_later;
    case errc::closed:
    case errc::end_of_stream:
    case errc::reset:
    case errc::network:
    case errc::refused:
    case errc::not_found:
    case errc::auth:
    case errc::idle: return condition::reconnect;
    case errc::truncated:
    case errc::message_too_large:
    case errc::varint_overflow:
    case errc::protocol:
    case errc::mask:
    case errc::corrupt: return condition::protocol_violation;
    case errc::bad_address:
    case errc::permission:
    case errc::poisoned:
    case errc::unknown_scheme:
    case errc::unknown_option:
    case errc::bad_option:
    case errc::bad_url:
    case errc::misuse: return condition::misuse;
    case errc::unsupported: return condition::unsupported;
  }
  return condition::misuse;
}

const boost::system::error_category& error_category() noexcept { return k_category; }
const boost::system::error_category& condition_category() noexcept { return k_conditions; }

error error::from_errno(int system_errno, const std::string& what) {
  return {nearest(system_errno), what + ": " + std::generic_category().message(system_errno) + advice_for(system_errno),
          system_errno};
}

void throw_exception_from_error(const error& e, const boost::source_location&) {
  throw failure(e.reason(), e.system_errno(), e.text());
}

}  // namespace ferry
