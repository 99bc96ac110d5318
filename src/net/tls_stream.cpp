#include "net/tls_stream.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstring>

#include "net/tls_error.hpp"
#include "net/tls_peer.hpp"

namespace ferry::net {
namespace asio = boost::asio;

constexpr std::size_t k_sealed = 16u << 10;  // bytes of a record, so that some of them fill a buffer of the pool
constexpr std::size_t k_record = k_sealed - SSL3_RT_MAX_ENCRYPTED_OVERHEAD - SSL3_RT_HEADER_LENGTH;  // of its payload
constexpr std::size_t k_room = 4 * k_sealed;     // for a payload that is put together, and for records
constexpr std::size_t k_small = 4096;            // the same on the stack, for little
constexpr std::size_t k_most_held = 256u << 10;  // a peer that makes us answer and reads nothing
constexpr auto k_linger = std::chrono::seconds(5);

// How OpenSSL reads and writes: through the stream, without blocking. --------------------------------

struct tls_stream::below_bio {
  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* taken) {
    auto& self = *static_cast<tls_stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *taken = 0;
    if (const auto done = self.write_record({reinterpret_cast<const std::byte*>(from), size}); !done) return 0;
    *taken = size;
    return 1;
  }
  static int read(BIO* bio, char* into, std::size_t size, std::size_t* got) {
    auto& self = *static_cast<tls_stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *got = 0;
    const auto n = self.read_below({reinterpret_cast<std::byte*>(into), size});
    if (n) {
      *got = *n;
      return 1;
    }
    if (n.error() == errc::would_block) BIO_set_retry_read(bio);
    return 0;
  }
  static long control(BIO* bio, int what, long, void*) {
    const auto& self = *static_cast<const tls_stream*>(BIO_get_data(bio));
    if (what == BIO_CTRL_EOF) return self.below_ended_ && *self.below_ended_ == errc::end_of_stream ? 1 : 0;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* make_method() {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ferry stream");
    if (made == nullptr) return nullptr;
    BIO_meth_set_write_ex(made, &write);
    BIO_meth_set_read_ex(made, &read);
    BIO_meth_set_ctrl(made, &control);
    return made;
  }
  static BIO* make(tls_stream& of) {
    static BIO_METHOD* const method = make_method();
    BIO* const made = method != nullptr ? BIO_new(method) : nullptr;
    if (made == nullptr) throw std::bad_alloc();
    BIO_set_data(made, &of);
    BIO_set_init(made, 1);
    return made;
  }
};

// Requests for new keys (KeyUpdate), for a handshake, tickets: OpenSSL reads and answers them inside of a read, one
// after the other for as long as there are some. A refused handshake shows by the alert that says so only. The few
// messages of the handshake count too.
struct tls_stream::question {
  static void count(int written, int, int type, const void*, std::size_t, SSL*, void* of) {
    auto& self = *static_cast<tls_stream*>(of);
    if (type != (written != 0 ? SSL3_RT_ALERT : SSL3_RT_HANDSHAKE)) return;
    if (!self.questions_.take(std::chrono::steady_clock::now(), k_questions, k_question_interval)) self.flooded_ = true;
  }
};

tls_stream::tls_stream(asio::io_context& io, std::shared_ptr<buffer_pool> pool, std::shared_ptr<stream> below,
                       std::unique_ptr<tls_link> link)
    : io_(io),
      poll_(asio::use_service<socket_poll>(io)),
      pool_(std::move(pool)),
      below_(std::move(below)),
      link_(std::move(link)),
      peer_(below_->peer()),
      linger_(io) {
  BIO* const bio = below_bio::make(*this);
  SSL_set_bio(link_->ssl.get(), bio, bio);
  SSL_set_msg_callback(link_->ssl.get(), &question::count);
  SSL_set_msg_callback_arg(link_->ssl.get(), this);
}

tls_stream::~tls_stream() { end(); }

// Handshake ---------------------------------------------------------------------------------------

void tls_stream::async_handshake(handshake_handler done) {
  shaken_ = std::move(done);
  below_->attach(*this, shared_from_this());
  asio::post(io_, [self = shared_from_this()] {
    if (self->state_ == state::shaking) self->shake();
  });
}

void tls_stream::shake() {
  ERR_clear_error();
  const int outcome = SSL_do_handshake(link_->ssl.get());
  if (outcome == 1) {
    link_->established = true;
    if (SSL_session_reused(link_->ssl.get()) == 0) return handshake_over({});
    return handshake_over(judge_resumed(*link_));
  }
  const int why = SSL_get_error(link_->ssl.get(), outcome);
  if (why == SSL_ERROR_WANT_READ) return wait_for_records();
  handshake_over(fault_of(why));
}

void tls_stream::handshake_over(result<void> outcome) {
  if (outcome) {
    state_ = state::open;
    peer_.tls = std::make_shared<const tls_info>(describe_handshake(*link_));
  } else {
    read_fault_ = write_fault_ = outcome.error();
  }
  if (auto done = std::exchange(shaken_, nullptr)) done(std::move(outcome));
}

// Reading -----------------------------------------------------------------------------------------

void tls_stream::attach(stream_events& events, std::shared_ptr<void> owner) {
  events_ = &events;
  owner_ = std::move(owner);
}

result<std::size_t> tls_stream::read_below(mutable_bytes into) noexcept {
  if (flooded_ && !below_ended_)
    below_ended_ = described(errc::protocol, [] {
      return "the peer floods TLS with requests for new keys or handshakes: at most " + std::to_string(k_questions) +
             " at once, then one in 10 ms";
    });
  if (flooded_) return *below_ended_;
  if (stage_begin_ != stage_end_) {
    const std::size_t n = std::min(into.size(), stage_end_ - stage_begin_);
    std::memcpy(into.data(), stage_.data() + stage_begin_, n);
    stage_begin_ += n;
    return n;
  }
  if (below_ended_) return *below_ended_;
  if (below_is_dry_ || waits_below_) return errc::would_block;
  auto n = below_->try_read(into);
  if (!n && n.error() != errc::would_block) below_ended_ = n.error();
  return n;
}

result<std::size_t> tls_stream::try_read(mutable_bytes into) noexcept { return decrypt(into); }

// As many records as there are and find room.
result<std::size_t> tls_stream::decrypt(mutable_bytes into) noexcept {
  std::size_t got = 0;
  while (got < into.size() && !read_fault_) {
    ERR_clear_error();
    std::size_t n = 0;
    if (SSL_read_ex(link_->ssl.get(), into.data() + got, into.size() - got, &n) == 1) {
      got += n;
      continue;
    }
    const int why = SSL_get_error(link_->ssl.get(), 0);
    if (why == SSL_ERROR_WANT_READ) break;
    read_fault_ = fault_of(why);
  }
  if (got != 0) return got;
  if (read_fault_) return *read_fault_;
  return errc::would_block;
}

error tls_stream::fault_of(int ssl_error) noexcept {
  if (ssl_error == SSL_ERROR_ZERO_RETURN) return errc::end_of_stream;
  if (ssl_error == SSL_ERROR_SSL) return take_tls_error(*link_);
  if (write_fault_) return *write_fault_;
  if (below_ended_ && *below_ended_ != errc::end_of_stream) return *below_ended_;
  return error(errc::protocol);
}

void tls_stream::async_read(mutable_bytes into) {
  // Whatever OpenSSL holds already will not wake us.
  if (stage_begin_ != stage_end_ || SSL_has_pending(link_->ssl.get()) == 1 || read_fault_ || below_ended_) {
    auto n = decrypt(into);
    if (n || n.error() != errc::would_block) {
      asio::post(io_, [self = shared_from_this(), n = std::move(n)] { self->tell_read(n); });
      return;
    }
  }
  into_ = into;
  wait_for_records();
}

void tls_stream::wait_for_records() {
  if (std::exchange(waits_below_, true)) return;
  if (state_ == state::open) SSL_free_buffers(link_->ssl.get());  // 81 KiB that nobody knows when to need again
  below_->async_read(stage_);
}

void tls_stream::on_read(result<std::size_t> outcome) {
  waits_below_ = false;
  if (outcome) {
    stage_begin_ = 0;
    stage_end_ = *outcome;
    below_is_dry_ = *outcome < k_stage;
  } else {
    below_ended_ = outcome.error();
  }
  const auto keep = shared_from_this();
  if (state_ == state::shaking) {
    shake();
  } else if (state_ == state::open && into_) {
    auto n = decrypt(*into_);
    below_is_dry_ = false;
    if (!n && n.error() == errc::would_block) return wait_for_records();
    into_.reset();
    if (write_fault_ && room_wanted_) wait_for_room();
    tell_read(std::move(n));
  }
  below_is_dry_ = false;
}

void tls_stream::tell_read(result<std::size_t> outcome) {
  if (events_ == nullptr) return;
  const auto keep = owner_;
  events_->on_read(std::move(outcome));
}

std::size_t tls_stream::unread() const noexcept {
  if (state_ != state::open) return 0;
  return static_cast<std::size_t>(SSL_pending(link_->ssl.get())) + (stage_end_ - stage_begin_) + below_->unread();
}

// Writing -----------------------------------------------------------------------------------------

result<void> tls_stream::write_record(bytes record) noexcept {
  if (record.size() > batch_.size() - batch_used_)
    if (auto out = write_batch(); !out) return out;
  if (record.size() > batch_.size()) return write_below(record);
  std::memcpy(batch_.data() + batch_used_, record.data(), record.size());
  batch_used_ += record.size();
  return {};
}

result<void> tls_stream::write_batch() noexcept {
  if (batch_used_ == 0) return {};
  return write_below(batch_.first(std::exchange(batch_used_, std::size_t{0})));
}

// Takes whole records: what the stream below does not take now is held, and nothing more is made meanwhile but what
// TLS itself has to say.
result<void> tls_stream::write_below(bytes records) noexcept {
  if (write_fault_) return *write_fault_;
  try {
    std::size_t taken = 0;
    if (held_.empty()) {
      const auto n = below_->try_write(std::span(&records, 1));
      if (!n && n.error() != errc::would_block) write_fault_ = n.error();
      if (n) taken = *n;
    }
    if (write_fault_ || taken == records.size()) return write_fault_ ? result<void>(*write_fault_) : result<void>();
    if (held_.size() + records.size() > k_most_held)
      write_fault_ = error(errc::protocol, "the peer makes TLS answer again and again, and reads none of it");
    else
      held_.insert(held_.end(), records.begin() + static_cast<std::ptrdiff_t>(taken), records.end());
    if (write_fault_) return *write_fault_;
    wait_for_room();
  } catch (const std::bad_alloc&) {
    write_fault_ = errc::no_memory;
    return errc::no_memory;
  }
  return {};
}

/// @return would_block while something is still held
result<void> tls_stream::write_held() noexcept {
  while (held_begin_ != held_.size()) {
    const bytes rest = bytes(held_).subspan(held_begin_);
    const auto n = below_->try_write(std::span(&rest, 1));
    if (n) {
      held_begin_ += *n;
      continue;
    }
    if (n.error() != errc::would_block) write_fault_ = n.error();
    return n.error();
  }
  held_.clear();
  held_begin_ = 0;
  return {};
}

namespace {

/// The next record's bytes: where they lie if they lie together, else copied into `together`.
bytes next_record(std::span<const bytes> from, std::size_t skip, mutable_bytes together) noexcept {
  std::size_t size = 0;
  for (const bytes part : from) {
    if (skip >= part.size()) {
      skip -= part.size();
      continue;
    }
    const bytes rest = part.subspan(std::exchange(skip, 0));
    if (size == 0 && (rest.size() >= together.size() || &part == &from.back()))
      return rest.first(std::min(rest.size(), k_record));
    const std::size_t n = std::min(rest.size(), together.size() - size);
    std::memcpy(together.data() + size, rest.data(), n);
    size += n;
    if (size == together.size()) break;
  }
  return bytes(together).first(size);
}

}  // namespace

result<std::size_t> tls_stream::try_write(std::span<const bytes> from) noexcept {
  if (write_fault_) return write_fault(SSL_ERROR_SYSCALL);
  if (!held_.empty())
    if (const auto out = write_held(); !out)
      return out.error() == errc::would_block ? out.error() : write_fault(SSL_ERROR_SYSCALL);
  std::size_t taken = std::exchange(owed_, 0);
  std::size_t size = 0;
  for (const bytes part : from) size += part.size();
  std::array<std::byte, k_small> small;  // NOLINT: filled as far as it is used
  pooled_buffer large;                   // without one the records go out one by one
  if (size > k_small / 4) large = poll_.buffers().acquire(*pool_, std::min(2 * size + k_small, k_room));
  const mutable_bytes room =
      large ? mutable_bytes(large.data(), std::min(large.capacity(), k_room)) : mutable_bytes(small);
  const mutable_bytes together = room.first(std::min(room.size() / 4, k_record));
  batch_ = room.subspan(together.size());
  std::size_t out = taken;  // bytes of records that are out or held
  std::size_t n = 0;        // bytes of the last record
  int failed = SSL_ERROR_NONE;
  const auto write_out = [&] {
    if (write_batch())
      out = taken;
    else if (failed == SSL_ERROR_NONE)
      failed = SSL_ERROR_SYSCALL;
  };
  while (held_.empty() && failed == SSL_ERROR_NONE) {
    const bytes record = next_record(from, taken, together);
    if (record.empty()) break;
    ERR_clear_error();
    if (SSL_write_ex(link_->ssl.get(), record.data(), record.size(), &n) == 1)
      taken += n;
    else
      failed = SSL_get_error(link_->ssl.get(), 0);
    if (batch_.size() - batch_used_ < k_sealed) write_out();
  }
  write_out();
  batch_ = {};
  if (large) poll_.buffers().give(*pool_, std::move(large));
  if (failed != SSL_ERROR_NONE) {
    const error why = write_fault(failed);
    return out != 0 ? result<std::size_t>(out) : result<std::size_t>(why);
  }
  if (held_.empty()) return taken;
  owed_ = n > 1 ? 1 : 0;  // so that the caller comes back, and knows that it is not all out
  return taken - owed_;
}

// A peer that refuses us says why before it goes, and the write notices first that it went. If a read waits, what it
// finds is told first: there is no room until then.
error tls_stream::write_fault(int ssl_error) noexcept {
  if (!write_fault_) write_fault_ = fault_of(ssl_error);
  if (waits_below_) return errc::would_block;
  if (read_fault_ && *read_fault_ != errc::end_of_stream) return *read_fault_;
  std::byte one{};
  std::size_t n = 0;
  ERR_clear_error();
  if (!read_fault_ && SSL_peek_ex(link_->ssl.get(), &one, 1, &n) != 1 &&
      SSL_get_error(link_->ssl.get(), 0) == SSL_ERROR_SSL) {
    error said = take_tls_error(*link_);
    if (said != errc::truncated) write_fault_ = read_fault_ = std::move(said);
  }
  return *write_fault_;
}

void tls_stream::async_wait_writable() {
  room_wanted_ = true;
  wait_for_room();
}

void tls_stream::wait_for_room() {
  if (std::exchange(waits_for_room_, true)) return;
  below_->async_wait_writable();
}

void tls_stream::on_writable() {
  waits_for_room_ = false;
  const auto keep = shared_from_this();
  if (const auto out = write_held(); !out && out.error() == errc::would_block) return wait_for_room();
  if (state_ == state::lingering) return end();
  if ((write_fault_ && waits_below_) || !std::exchange(room_wanted_, false) || events_ == nullptr) return;
  const auto keep_owner = owner_;
  events_->on_writable();
}

// Ending ------------------------------------------------------------------------------------------

result<void> tls_stream::shutdown_write() {
  ERR_clear_error();
  const int outcome = SSL_shutdown(link_->ssl.get());
  if (outcome >= 0) return {};
  return fault_of(SSL_get_error(link_->ssl.get(), outcome));
}

void tls_stream::close() noexcept {
  events_ = nullptr;
  owner_.reset();
  into_.reset();
  shaken_ = nullptr;
  if (state_ == state::closed || state_ == state::lingering) return;
  const bool ended = state_ == state::open && (SSL_get_shutdown(link_->ssl.get()) & SSL_SENT_SHUTDOWN) != 0;
  if (!ended || held_.empty() || write_fault_) return end();
  // The peer is to see our end, for which the stream below has no room yet.
  state_ = state::lingering;
  try {
    linger_.expires_after(k_linger);
    linger_.async_wait([self = shared_from_this()](const boost::system::error_code& failed) {
      if (!failed) self->end();
    });
  } catch (const std::exception&) {
    end();
  }
}

void tls_stream::end() noexcept {
  if (std::exchange(state_, state::closed) == state::closed) return;
  linger_.cancel();
  // OpenSSL gives up the session of a connection that it thinks has failed.
  const bool healthy = !read_fault_ || *read_fault_ == errc::end_of_stream;
  if (link_->established && healthy) SSL_set_shutdown(link_->ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  below_->close();
  place_.reset();
}

}  // namespace ferry::net
