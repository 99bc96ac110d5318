// <ferry/socket.h> on <ferry/socket.hpp>: one manager for the process, and no exception leaves.
#include <ferry/log.hpp>
#include <ferry/socket.h>
#include <ferry/socket.hpp>

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ferry::errc;
using ferry::error;
using ferry::result;
using ferry::socket_errno;
using ferry::socket_manager;

// What is said twice, once for each language.
static_assert(FERRY_ENET == int(socket_errno::enet) && FERRY_EPROTOCOL == int(socket_errno::eprotocol) &&
              FERRY_EMASK == int(socket_errno::emask) && FERRY_EOVERFLOW == int(socket_errno::eoverflow) &&
              FERRY_ETIMEOUT == int(socket_errno::etimeout) && FERRY_ECLOSED == int(socket_errno::eclosed) &&
              FERRY_EAGAIN == int(socket_errno::eagain) && FERRY_ECANCELED == int(socket_errno::ecanceled) &&
              FERRY_EBADF == int(socket_errno::ebadf) && FERRY_EMSGSIZE == int(socket_errno::emsgsize) &&
              FERRY_EINVAL == int(socket_errno::einval) && FERRY_EACCES == int(socket_errno::eacces));
static_assert(FERRY_IPC == int(ferry::socket_transport::ipc) && FERRY_WS_IPC == int(ferry::socket_transport::ws_ipc) &&
              FERRY_INPROC == int(ferry::socket_transport::inproc) && FERRY_WS == int(ferry::socket_transport::ws));
static_assert(FERRY_AF_LOCAL == int(ferry::address_family::local) &&
              FERRY_AF_INET6 == int(ferry::address_family::ipv6));
static_assert(FERRY_OPEN == int(ferry::socket_state::open) &&
              FERRY_RECONNECTING == int(ferry::socket_state::reconnecting));
static_assert(FERRY_MSG_PEEK == ferry::socket_flags::k_peek && FERRY_MSG_DONTWAIT == ferry::socket_flags::k_dont_wait &&
              FERRY_MSG_MORE == ferry::socket_flags::k_more && FERRY_MSG_TRUNC == ferry::socket_flags::k_truncate &&
              FERRY_MSG_TEXT == ferry::socket_flags::k_text);
static_assert(FERRY_POLLIN == ferry::socket_events::k_in && FERRY_POLLOUT == ferry::socket_events::k_out &&
              FERRY_POLLERR == ferry::socket_events::k_err && FERRY_POLLHUP == ferry::socket_events::k_hup &&
              FERRY_POLLNVAL == ferry::socket_events::k_nval);
static_assert(FERRY_SO_MAX_CONNECTIONS == int(ferry::socket_option::max_connections) &&
              FERRY_SO_KEEPALIVE_COUNT == int(ferry::socket_option::keep_alive_count) &&
              FERRY_SO_TLS_PIN_TEXT == int(ferry::socket_option::tls_pin) &&
              FERRY_SO_MAX_MESSAGE == int(ferry::socket_option::max_message) &&
              FERRY_SO_CLOSE_TIMEOUT == int(ferry::socket_option::close_timeout) &&
              FERRY_SO_TRANSPORT == int(ferry::socket_option::transport));
// The layout is the promise.
static_assert(FERRY_LOG_ERROR == int(ferry::log_level::error) && FERRY_LOG_TRACE == int(ferry::log_level::trace));
static_assert(sizeof(ferry_address) == 1284 && offsetof(ferry_address, port) == 256 &&
              offsetof(ferry_address, path) == 260);
static_assert(sizeof(ferry_message_info) == 16 && sizeof(ferry_pollfd) == 12 && sizeof(ferry_socket_info) == 12);
static_assert(sizeof(ferry_stats) == 17 * 8);

/// Of the calling thread's last call that failed.
struct last_failure {
  int name = 0;
  int system_errno = 0;
  char text[512] = "";
};
thread_local last_failure t_last;

int fail(const error& why) {
  t_last.name = static_cast<int>(socket_errno_of(why));
  t_last.system_errno = why.system_errno();
  const auto text = why.text();
  const auto size = std::min(text.size(), sizeof t_last.text - 1);
  std::memcpy(t_last.text, text.data(), size);
  t_last.text[size] = '\0';
  return -1;
}
int null_pointer() { return fail(error(errc::misuse, "a null pointer", EFAULT)); }

/// Calls `f`, whose exceptions become errors: none may leave a function of C.
template <class F>
auto guarded(F f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (const ferry::failure& failed) {
    t_last = {static_cast<int>(socket_errno_of(error(failed.reason()))), failed.system_errno(), "failed"};
  } catch (const std::bad_alloc&) {
    t_last = {FERRY_EOVERFLOW, ENOMEM, "no memory"};
  } catch (...) {
    t_last = {FERRY_EINVAL, 0, "an unexpected exception"};
  }
  return -1;
}

/// Lines for a function of C.
class c_log final : public ferry::log_sink {
 public:
  c_log(ferry_log_line line, void* user) noexcept : line_(line), user_(user) {}
  void write(ferry::log_level level, std::string_view component, std::string_view text) noexcept override {
    try {
      line_(user_, static_cast<int>(level), std::string(component).c_str(), std::string(text).c_str());
    } catch (const std::bad_alloc&) {  // one line less
    }
  }

 private:
  ferry_log_line line_;
  void* user_;
};

/// The manager of this process, made by the first socket. A child of fork() gets one of its own; the parent's is let go
/// of without being touched.
class process_sockets {
 public:
  process_sockets() {
    ::pthread_atfork([] { instance().lock_.lock(); }, [] { instance().lock_.unlock(); },
                     [] {
                       instance().lock_.unlock();
                       static_cast<void>(instance().held_.release());
                     });
  }
  /// Never destroyed: other threads may be inside of a call when the process ends.
  static process_sockets& instance() {
    static auto* const made = new process_sockets();
    return *made;
  }
  socket_manager& get() {
    const std::lock_guard guard(lock_);
    if (!held_) held_ = std::make_unique<socket_manager>(with_);
    return *held_;
  }
  [[nodiscard]] bool configure(std::string_view name, std::uint64_t value) {
    if (name == "pool_bytes" && value != 0) return with_.buffers.max_bytes = value, true;
    if (name == "max_sockets" && value != 0) return with_.max_sockets = value, true;
    return false;
  }
  void log(ferry_log_line line, void* user, ferry::log_level level) {
    log_ = line == nullptr ? nullptr : std::make_unique<c_log>(line, user);
    with_.log = log_.get();
    with_.level = level;
  }
  [[nodiscard]] bool begun() {
    const std::lock_guard guard(lock_);
    return held_ != nullptr;
  }

 private:
  std::mutex lock_;
  std::unique_ptr<c_log> log_;  // null: nobody takes lines
  std::unique_ptr<socket_manager> held_;
  ferry::socket_manager_options with_;
};

socket_manager& all() { return process_sockets::instance().get(); }

/// The text in an array that must have a zero byte.
std::optional<std::string> text_of(const char* at, std::size_t room) {
  const auto* end = static_cast<const char*>(std::memchr(at, 0, room));
  if (end == nullptr) return std::nullopt;
  return std::string(at, end);
}

result<ferry::socket_address> read(const ferry_address& from) {
  const auto host = text_of(from.host, sizeof from.host);
  const auto path = text_of(from.path, sizeof from.path);
  if (!host || !path) return error(errc::bad_address, "an address without a zero byte at the end of its text");
  if (from.family > FERRY_AF_LOCAL)
    return error(errc::bad_address, "no address family has the number " + std::to_string(from.family));
  return ferry::socket_address{*host, from.port, static_cast<ferry::address_family>(from.family), *path};
}

void write(const ferry::socket_address& from, ferry_address& to) {
  to = {};
  std::memcpy(to.host, from.host.data(), std::min(from.host.size(), sizeof to.host - 1));
  std::memcpy(to.path, from.path.data(), std::min(from.path.size(), sizeof to.path - 1));
  to.port = from.port;
  to.family = static_cast<std::uint16_t>(from.family);
}

int answer(const result<void>& outcome) { return outcome ? 0 : fail(outcome.error()); }

int answer(const result<ferry::socket_address>& found, ferry_address* to) {
  if (!found) return fail(found.error());
  write(*found, *to);
  return 0;
}

/// What a signed length can say.
constexpr std::size_t k_longest = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());

bool is_text(int option) {
  switch (option) {
    case FERRY_SO_TLS_CA_TEXT:
    case FERRY_SO_TLS_CERT_TEXT:
    case FERRY_SO_TLS_KEY_TEXT:
    case FERRY_SO_TLS_SERVER_NAME_TEXT:
    case FERRY_SO_TLS_ALPN_TEXT:
    case FERRY_SO_TLS_PIN_TEXT:
    case FERRY_SO_RECONNECT_FACTOR_TEXT:
    case FERRY_SO_RECONNECT_JITTER_TEXT: return true;
    default: return false;
  }
}

int no_level(int level) {
  return fail(error(errc::unknown_option, "no level has the number " + std::to_string(level)));
}

int bad_size(std::size_t size) {
  return fail(error(errc::bad_option, "a number has 4 or 8 bytes, not " + std::to_string(size), EINVAL));
}

}  // namespace

extern "C" {

// Life --------------------------------------------------------------------------------------------

int ferry_socket(int family, int type, int transport) {
  return guarded([&]() -> int {
    if (type != FERRY_SOCK_MESSAGE && type != FERRY_SOCK_STREAM)
      return fail(error(errc::misuse, "no type has the number " + std::to_string(type), EINVAL));
    if (family < FERRY_AF_UNSPEC || family > FERRY_AF_LOCAL)
      return fail(error(errc::bad_address, "no address family has the number " + std::to_string(family)));
    if (transport < FERRY_IPC || transport > FERRY_WS_IPC)
      return fail(error(errc::unsupported, "no transport has the number " + std::to_string(transport)));
    const bool local =
        transport == FERRY_IPC || transport == FERRY_SHM || transport == FERRY_INPROC || transport == FERRY_WS_IPC;
    if (family != FERRY_AF_UNSPEC && local != (family == FERRY_AF_LOCAL))
      return fail(error(errc::bad_address, "this transport has no addresses of that family"));
    const auto made = all().socket(static_cast<ferry::socket_transport>(transport));
    if (!made) return fail(made.error());
    if (type == FERRY_SOCK_STREAM) static_cast<void>(all().setsockopt(*made, "receive_mode", "stream"));
    return *made;
  });
}

int ferry_bind(int sid, const ferry_address* address) {
  return guarded([&]() -> int {
    if (address == nullptr) return null_pointer();
    const auto at = read(*address);
    return at ? answer(all().bind(sid, *at)) : fail(at.error());
  });
}

int ferry_listen(int sid, int backlog) {
  return guarded([&] { return answer(all().listen(sid, static_cast<std::uint32_t>(std::max(backlog, 0)))); });
}

int ferry_accept(int sid, ferry_address* from) {
  return guarded([&]() -> int {
    ferry::socket_address who;
    const auto made = all().accept(sid, &who);
    if (!made) return fail(made.error());
    if (from != nullptr) write(who, *from);
    return *made;
  });
}

int ferry_connect(int sid, const ferry_address* address) {
  return guarded([&]() -> int {
    if (address == nullptr) return null_pointer();
    const auto to = read(*address);
    return to ? answer(all().connect(sid, *to)) : fail(to.error());
  });
}

int ferry_shutdown(int sid, int what) {
  return guarded([&]() -> int {
    switch (what) {
      case FERRY_SHUT_RD: return answer(all().shutdown(sid, ferry::shutdown_what::receiving));
      case FERRY_SHUT_WR: return answer(all().shutdown(sid, ferry::shutdown_what::sending));
      case FERRY_SHUT_RDWR: return answer(all().shutdown(sid, ferry::shutdown_what::both));
      default:
        return fail(error(errc::misuse, "shutdown: no direction has the number " + std::to_string(what), EINVAL));
    }
  });
}

int ferry_close(int sid) {
  return guarded([&] { return answer(all().close(sid)); });
}

// Data --------------------------------------------------------------------------------------------

int64_t ferry_send(int sid, const void* data, size_t size, uint32_t flags) {
  return guarded([&]() -> std::int64_t {
    if (data == nullptr && size != 0) return null_pointer();
    if (size > k_longest) return fail(error(errc::message_too_large, "send: more bytes than there can be"));
    const auto sent = all().send(sid, {static_cast<const std::byte*>(data), size}, flags);
    return sent ? static_cast<std::int64_t>(*sent) : fail(sent.error());
  });
}

int64_t ferry_recvmsg(int sid, void* buffer, size_t size, uint32_t flags, ferry_message_info* info) {
  return guarded([&]() -> std::int64_t {
    if (buffer == nullptr && size != 0) return null_pointer();
    const auto got = all().recv(sid, {static_cast<std::byte*>(buffer), std::min(size, k_longest)}, flags);
    if (!got) return fail(got.error());
    if (info != nullptr) {
      const unsigned text = got->kind == ferry::message_kind::text ? unsigned{FERRY_MSG_TEXT} : 0u;
      const unsigned whole = got->message_end ? unsigned{FERRY_MSG_EOR} : 0u;
      *info = {got->length, text | whole | (got->end ? unsigned{FERRY_MSG_END} : 0u), got->type};
    }
    return static_cast<std::int64_t>((flags & FERRY_MSG_TRUNC) != 0 ? got->length : got->size);
  });
}

int64_t ferry_recv(int sid, void* buffer, size_t size, uint32_t flags) {
  return ferry_recvmsg(sid, buffer, size, flags, nullptr);
}

int ferry_poll(ferry_pollfd* sockets, size_t count, int timeout_ms) {
  return guarded([&]() -> int {
    constexpr std::size_t most = 1u << 20;
    if (sockets == nullptr && count != 0) return null_pointer();
    if (count > most) return fail(error(errc::misuse, "poll: at most " + std::to_string(most) + " at a time", EINVAL));
    std::array<ferry::socket_poll, 64> few;  // so that the usual call allocates nothing
    std::vector<ferry::socket_poll> many(count > few.size() ? count : 0);
    const std::span entries(many.empty() ? few.data() : many.data(), count);
    for (std::size_t i = 0; i < count; ++i) entries[i] = {sockets[i].sid, sockets[i].events, 0};
    const auto ready = all().poll(entries, std::chrono::milliseconds(timeout_ms));
    if (!ready) return fail(ready.error());
    for (std::size_t i = 0; i < count; ++i) sockets[i].revents = entries[i].revents;
    return static_cast<int>(*ready);
  });
}

// Knowing -----------------------------------------------------------------------------------------

int ferry_getpeername(int sid, ferry_address* address) {
  return guarded([&] { return address == nullptr ? null_pointer() : answer(all().getpeername(sid), address); });
}

int ferry_getsockname(int sid, ferry_address* address) {
  return guarded([&] { return address == nullptr ? null_pointer() : answer(all().getsockname(sid), address); });
}

int ferry_state(int sid) {
  return guarded([&]() -> int {
    const auto found = all().state(sid);
    return found ? static_cast<int>(*found) : fail(found.error());
  });
}

const char* ferry_state_name(int state) {
  return state < 0 || state > FERRY_RECONNECTING ? "?" : to_string(static_cast<ferry::socket_state>(state));
}

int ferry_setsockopt(int sid, int level, int option, const void* value, size_t size) {
  return guarded([&]() -> int {
    if (level != FERRY_SOL_SOCKET) return no_level(level);
    if (value == nullptr) return null_pointer();
    const auto which = static_cast<ferry::socket_option>(option);
    if (is_text(option))
      return answer(all().setsockopt(sid, which, std::string_view(static_cast<const char*>(value), size)));
    std::int64_t number = 0;
    if (size == sizeof(std::int32_t)) {
      std::int32_t small = 0;
      std::memcpy(&small, value, sizeof small);
      number = small;
    } else if (size == sizeof number) {
      std::memcpy(&number, value, sizeof number);
    } else {
      return bad_size(size);
    }
    return answer(all().setsockopt(sid, which, number));
  });
}

int ferry_getsockopt(int sid, int level, int option, void* value, size_t* size) {
  return guarded([&]() -> int {
    if (level != FERRY_SOL_SOCKET) return no_level(level);
    if (value == nullptr || size == nullptr) return null_pointer();
    const auto which = static_cast<ferry::socket_option>(option);
    if (is_text(option)) {
      const auto text = all().getsockopt(sid, which);
      if (!text) return fail(text.error());
      if (text->size() >= *size)
        return fail(error(errc::misuse, "the text has " + std::to_string(text->size()) + " characters and a zero byte",
                          EMSGSIZE));
      std::memcpy(value, text->c_str(), text->size() + 1);
      *size = text->size();
      return 0;
    }
    if (*size != sizeof(std::int32_t) && *size != sizeof(std::int64_t)) return bad_size(*size);
    const auto number = all().getsockopt_number(sid, which);
    if (!number) return fail(number.error());
    const auto small =
        static_cast<std::int32_t>(std::min<std::int64_t>(*number, std::numeric_limits<std::int32_t>::max()));
    *size == sizeof small ? std::memcpy(value, &small, sizeof small) : std::memcpy(value, &*number, sizeof *number);
    return 0;
  });
}

int ferry_setopt(int sid, const char* name, const char* value) {
  return guarded([&] {
    return name == nullptr || value == nullptr ? null_pointer() : answer(all().setsockopt(sid, name, value));
  });
}

int ferry_getopt(int sid, const char* name, char* value, size_t size) {
  return guarded([&]() -> int {
    if (name == nullptr || (value == nullptr && size != 0)) return null_pointer();
    const auto text = all().getsockopt(sid, name);
    if (!text) return fail(text.error());
    if (size != 0) {
      const auto fits = std::min(text->size(), size - 1);
      std::memcpy(value, text->data(), fits);
      value[fits] = '\0';
    }
    return static_cast<int>(text->size());
  });
}

// All sockets --------------------------------------------------------------------------------------

int ferry_list(ferry_socket_info* sockets, size_t count) {
  return guarded([&]() -> int {
    if (sockets == nullptr && count != 0) return null_pointer();
    const auto found = all().list();
    for (std::size_t i = 0; i < std::min(count, found.size()); ++i)
      sockets[i] = {found[i].id, static_cast<int>(found[i].transport), static_cast<int>(found[i].state)};
    return static_cast<int>(found.size());
  });
}

int ferry_stat(int sid, ferry_stats* stats) {
  return guarded([&]() -> int {
    if (stats == nullptr) return null_pointer();
    ferry_stats made{};
    if (sid == 0) {
      const auto of = all().stats();
      made.messages_received = of.messages_received;
      made.bytes_sent = of.bytes_sent;
      made.bytes_received = of.bytes_received;
      made.connections = of.created;
      made.open = of.open;
      made.closed = of.closed;
      made.tls_handshakes = of.tls_handshakes;
      made.tls_resumed = of.tls_resumed;
      made.pool_bytes_lent = of.buffers.bytes_lent;
      made.pool_bytes_kept = of.buffers.bytes_kept;
      made.pool_refused = of.buffers.refused;
    } else {
      const auto of = all().stats(sid);
      if (!of) return fail(of.error());
      const auto& c = of->channel;
      made.messages_sent = c.messages_sent;
      made.messages_received = c.messages_received;
      made.bytes_sent = c.bytes_sent;
      made.bytes_received = c.bytes_received;
      made.connections = c.connections;
      made.failed_attempts = c.failed_attempts;
      made.maybe_lost = c.messages_maybe_lost;
      made.queued_bytes = c.send_queue_bytes;
      made.accepted = of->accepted;
      made.refused = of->refused;
    }
    *stats = made;
    return 0;
  });
}

int ferry_close_all(void) {
  return guarded([] { return static_cast<int>(all().close_all()); });
}

int ferry_run_in_background(void) {
  return guarded([] { return answer(all().run_in_background()); });
}

int ferry_configure(const char* name, uint64_t value) {
  return guarded([&]() -> int {
    if (name == nullptr) return null_pointer();
    auto& process = process_sockets::instance();
    if (process.begun()) return fail(error(errc::misuse, "configure: before the first socket", EINVAL));
    if (process.configure(name, value)) return 0;
    return fail(error(errc::unknown_option, "configure: pool_bytes and max_sockets, above 0"));
  });
}

int ferry_log(ferry_log_line line_or_null, void* user, int level) {
  return guarded([&]() -> int {
    if (level < FERRY_LOG_ERROR || level > FERRY_LOG_TRACE)
      return fail(error(errc::misuse, "log: no level has the number " + std::to_string(level), EINVAL));
    auto& process = process_sockets::instance();
    if (process.begun()) return fail(error(errc::misuse, "log: before the first socket", EINVAL));
    process.log(line_or_null, user, static_cast<ferry::log_level>(level));
    return 0;
  });
}

// Errors ------------------------------------------------------------------------------------------

int* ferry_errno_location(void) { return &t_last.name; }
int ferry_system_errno(void) { return t_last.system_errno; }
const char* ferry_error_text(void) { return t_last.text; }

const char* ferry_errname(int error) {
  return error < 0 || error > FERRY_ECANCELED ? "?" : to_string(static_cast<socket_errno>(error));
}

int ferry_close_code(int error) {
  return error < 0 || error > FERRY_ECANCELED ? 0 : ferry::close_code_of(static_cast<socket_errno>(error));
}

const char* ferry_strerror(int error) {
  switch (error) {
    case 0: return "no error";
    case FERRY_ENET: return "the network failed";
    case FERRY_EPROTOCOL: return "the peer broke the protocol";
    case FERRY_EMASK: return "a WebSocket frame with the wrong masking";
    case FERRY_EOVERFLOW: return "larger than the limit, or no buffers left";
    case FERRY_ETIMEOUT: return "a deadline passed";
    case FERRY_ECLOSED: return "ended in order";
    case FERRY_EAGAIN: return "would block";
    case FERRY_EINPROGRESS: return "connecting goes on";
    case FERRY_EALREADY: return "goes on already";
    case FERRY_EISCONN: return "connected already";
    case FERRY_ENOTCONN: return "not connected";
    case FERRY_EBADF: return "no such socket";
    case FERRY_EINVAL: return "not in this state, or not with this value";
    case FERRY_EFAULT: return "a null pointer";
    case FERRY_EMSGSIZE: return "the buffer is too small";
    case FERRY_EOPNOTSUPP: return "this transport cannot do that";
    case FERRY_EADDRINUSE: return "somebody listens there already";
    case FERRY_EADDRNOTAVAIL: return "the address cannot be used";
    case FERRY_EACCES: return "not allowed";
    case FERRY_EMFILE: return "a limit on sockets or connections is reached";
    case FERRY_ENOPROTOOPT: return "no such option";
    case FERRY_ECANCELED: return "given up by the caller";
    default: return "unknown error";
  }
}

}  // extern "C"
