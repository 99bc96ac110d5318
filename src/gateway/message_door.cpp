#include "gateway/message_door.hpp"

#include <ferry/listener.hpp>

#include <boost/asio/post.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "base/endian.hpp"
#include "codec/gateway_packet.hpp"
#include "gateway/inbox.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using codec::gateway::k_length_bytes;
using codec::gateway::k_min_length;

// Bytes that may have come and not been read, until the channel is read no more for a while.
constexpr std::size_t k_enough = 64 * 1024;

class packet_stream final : public stream, public std::enable_shared_from_this<packet_stream> {
 public:
  packet_stream(channel carrier, bool greets) : carrier_(std::move(carrier)), greeted_(!greets), greets_(greets) {}

  void begin() {
    const auto weak = weak_from_this();
    carrier_.on_message([weak](const message_view& what) {
      if (const auto self = weak.lock()) self->came(what);
    });
    carrier_.on_peer_end([weak] {
      if (const auto self = weak.lock()) self->fault(errc::end_of_stream);
    });
    carrier_.on_down([weak](const down_info& why) {
      if (const auto self = weak.lock()) self->fault(why.reason == errc::closed ? errc::end_of_stream : why.reason);
    });
    carrier_.on_drain([weak] {
      if (const auto self = weak.lock()) self->drained();
    });
  }

  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    if (inbox_.empty()) {
      if (fault_) return *fault_;
      return errc::would_block;
    }
    const auto size = inbox_.take(into);
    if (paused_ && inbox_.size() <= k_enough / 2) {
      paused_ = false;
      carrier_.resume();
    }
    return size;
  }
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    if (fault_ && *fault_ != errc::end_of_stream) return *fault_;
    std::size_t taken = 0;
    for (const bytes one : from) {
      if (std::exchange(greets_, false)) {
        if (const auto sent = carrier_.try_send(one); !sent) return sent.error();
        taken += one.size();
        continue;
      }
      for (bytes rest = one; !rest.empty();) {
        const auto length = load_le<std::uint32_t>(rest.data());
        const auto sent = carrier_.try_send(rest.subspan(k_length_bytes, length));
        if (!sent) return unsent(taken, sent.error());
        taken += k_length_bytes + length;
        rest = rest.subspan(k_length_bytes + length);
      }
    }
    return taken;
  }
  void async_read(mutable_bytes into) override {
    into_ = into;
    if (fault_ || !inbox_.empty()) tell_later();
  }
  void async_wait_writable() override {
    writable_wanted_ = true;
    if (fault_ || !full_) tell_later();
  }
  result<void> shutdown_write() override {
    carrier_.half_close();
    return {};
  }
  void close() noexcept override {
    const auto kept = std::exchange(owner_, nullptr);
    events_ = nullptr;
    if (std::exchange(closed_, true)) return;
    // What is queued goes first, as far as it goes: it may say why.
    carrier_.async_close([carrier = carrier_](error_code, const close_report&) {});
  }
  [[nodiscard]] peer_info peer() const override { return carrier_.peer(); }
  [[nodiscard]] std::string local_address() const override { return carrier_.local_address(); }

 private:
  void came(const message_view& what) {
    if (closed_ || fault_) return;
    if (what.kind == message_kind::text) return fault(error(errc::protocol, "a text message: packets are binary"));
    const auto payload = what.payload;
    if (std::exchange(greeted_, true)) {
      if (payload.size() < k_min_length)
        return fault(error(errc::protocol, "a message of " + std::to_string(payload.size()) +
                                               " bytes: a packet has 4 at least, its virtual connection"));
      std::byte length[k_length_bytes];
      store_le(length, static_cast<std::uint32_t>(payload.size()));
      inbox_.put(length);
    }
    inbox_.put(payload);
    if (inbox_.size() > k_enough && !std::exchange(paused_, true)) carrier_.pause();
    tell();
  }
  void fault(error why) {
    if (fault_) return;
    fault_ = std::move(why);
    tell();
  }
  result<std::size_t> unsent(std::size_t taken, const error& why) noexcept {
    if (why == errc::full) {
      full_ = true;
      if (taken == 0) return errc::would_block;
      return taken;
    }
    if (taken != 0) return taken;
    return why;
  }
  void drained() {
    full_ = false;
    tell();
  }
  void tell_later() {
    if (std::exchange(told_, true)) return;
    asio::post(carrier_.executor(), [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->told_ = false;
      self->tell();
    });
  }
  // From the event loop, never from inside of a call.
  void tell() {
    const auto kept = shared_from_this();
    if (events_ != nullptr && into_ && (fault_ || !inbox_.empty())) {
      const auto into = *std::exchange(into_, std::nullopt);
      events_->on_read(try_read(into));
    }
    if (events_ != nullptr && writable_wanted_ && (fault_ || !full_)) {
      writable_wanted_ = false;
      events_->on_writable();
    }
  }

  channel carrier_;
  inbox inbox_;
  std::optional<mutable_bytes> into_;
  std::optional<error> fault_;
  bool greeted_;  // the peer's part of the login has come, or there is none
  bool greets_;   // ours has not gone
  bool paused_ = false;
  bool full_ = false;
  bool writable_wanted_ = false;
  bool told_ = false;  // tell() is about to be called
  bool closed_ = false;
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

class message_acceptor final : public acceptor {
 public:
  message_acceptor(asio::io_context& io, listener from, bool greets)
      : state_(std::make_shared<state>(io)), from_(std::move(from)) {
    from_.on_channel([kept = state_, greets](channel arrived) {
      auto made = std::make_shared<packet_stream>(std::move(arrived), greets);
      made->begin();
      kept->add(std::shared_ptr<stream>(std::move(made)));
    });
    from_.on_error([kept = state_](const error& why) { kept->add(why); });
  }
  ~message_acceptor() override { close(); }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    if (state_->arrived.empty()) return errc::would_block;
    auto first = std::move(state_->arrived.front());
    state_->arrived.pop_front();
    return first;
  }
  void async_wait(std::function<void()> ready) override {
    state_->ready = std::move(ready);
    if (!state_->arrived.empty()) state_->tell_later();
  }
  void close() noexcept override {
    from_.close();
    state_->ready = nullptr;
    for (auto& one : std::exchange(state_->arrived, {}))
      if (one) (*one)->close();
  }
  [[nodiscard]] std::string local_url() const override { return from_.url(); }

 private:
  struct state : std::enable_shared_from_this<state> {
    explicit state(asio::io_context& io_) : io(io_) {}
    void add(result<std::shared_ptr<stream>> one) {
      arrived.push_back(std::move(one));
      if (ready) tell_later();
    }
    void tell_later() {
      if (std::exchange(told, true)) return;
      asio::post(io, [self = shared_from_this()] {
        self->told = false;
        if (auto then = std::exchange(self->ready, nullptr)) then();
      });
    }
    asio::io_context& io;
    std::deque<result<std::shared_ptr<stream>>> arrived;
    std::function<void()> ready;
    bool told = false;  // `ready` is about to be called
  };
  std::shared_ptr<state> state_;
  listener from_;
};

}  // namespace

result<std::unique_ptr<acceptor>> listen_for_messages(context& where, const endpoint& at, const options& with,
                                                      bool greets) {
  auto from = listener::open(where, at, with);
  if (!from) return from.error();
  return std::unique_ptr<acceptor>(std::make_unique<message_acceptor>(where.io(), std::move(*from), greets));
}

}  // namespace ferry::gateway
