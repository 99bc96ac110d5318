#pragma once
/// Clients and servers of a gateway that have a thread of their own and block, for as long as the test's patience
/// lasts.

#include <sys/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "session/snet_handshake.hpp"
#include "testing/gateway_by_hand.hpp"

namespace ferry::test {

/// Bytes to and from somebody on 127.0.0.1.
class blocking_line {
 public:
  explicit blocking_line(std::uint16_t port) : port_(port) { redial(); }
  virtual ~blocking_line() = default;
  blocking_line(const blocking_line&) = delete;
  blocking_line& operator=(const blocking_line&) = delete;

  /// @return false: the other end has closed the connection
  virtual bool send(std::string_view what) { return send_raw(what); }
  [[nodiscard]] virtual std::optional<std::string> read(std::size_t size) { return read_raw(size); }

 protected:
  void redial() {
    fd_ = os::unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{k_patience.count(), 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const auto at = raw_tcp::loopback(port_);
    (void)::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at);  // else nothing can be read
  }
  bool send_raw(std::string_view what) {
    while (!what.empty()) {
      const auto sent = ::send(fd_.get(), what.data(), what.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      what.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  [[nodiscard]] std::optional<std::string> read_raw(std::size_t size) {
    std::string made(size, '\0');
    for (std::size_t have = 0; have < size;) {
      const auto came = ::recv(fd_.get(), made.data() + have, size - have, 0);
      if (came <= 0) return std::nullopt;
      have += static_cast<std::size_t>(came);
    }
    return made;
  }

 private:
  const std::uint16_t port_;
  os::unique_fd fd_;
};

/// The same as a resumable stream of the kind snet, whose connection is cut again and again by this end.
class cut_line final : public blocking_line {
 public:
  /// @param chance  of how many bytes each connection carries, of both directions together
  cut_line(std::uint16_t port, const session::snet_options& with, std::function<std::size_t()> chance)
      : blocking_line(port), with_(with), chance_(std::move(chance)), left_(chance_()) {
    is_well_ = shake(session::snet_connecting(with_, 0x1234567));
  }

  bool send(std::string_view what) override {
    std::string on_wire(what);
    if (is_well_) core_->write(as_bytes(what), std::as_writable_bytes(std::span(on_wire)));
    const auto now = std::min(left_, on_wire.size());
    if (!is_well_ || !send_raw(std::string_view(on_wire).substr(0, now))) return false;
    return spend(now) || come_again();  // which sends the rest from the history
  }
  [[nodiscard]] std::optional<std::string> read(std::size_t size) override {
    std::string made;
    while (is_well_ && made.size() < size) {
      auto came = read_raw(std::min(left_, size - made.size()));
      if (!came) return std::nullopt;
      core_->receive(std::as_writable_bytes(std::span(*came)));
      made += *came;
      if (!spend(came->size()) && !come_again()) return std::nullopt;
    }
    return is_well_ ? std::optional(std::move(made)) : std::nullopt;
  }
  [[nodiscard]] int cuts() const { return cuts_; }

 private:
  // @return false: the connection has carried what it may
  bool spend(std::size_t size) {
    left_ -= size;
    return left_ != 0;
  }
  bool come_again() {
    ++cuts_;
    left_ = std::max<std::size_t>(chance_(), 1);
    redial();
    return is_well_ = shake(session::snet_connecting(with_, *core_));
  }
  bool shake(session::snet_connecting machine) {
    if (!send_raw(as_text(machine.begin().view()))) return false;
    const auto answer = read_raw(codec::snet::answer_bytes(with_.form));
    if (!answer) return false;
    const auto step = machine.on_bytes(as_bytes(*answer));
    if (!step || !send_raw(as_text(step->send.view()))) return false;
    if (auto made = machine.take()) core_ = std::move(made);
    return send_raw(as_text(machine.replay().first)) && send_raw(as_text(machine.replay().second));
  }

  const session::snet_options with_;
  const std::function<std::size_t()> chance_;
  std::size_t left_;
  std::unique_ptr<session::snet_stream> core_;
  bool is_well_ = false;
  int cuts_ = 0;
};

struct arrived {
  std::uint32_t connection = 0;
  std::string message;
  std::optional<command> said;
};

/// A client or a server.
class blocking_peer {
 public:
  explicit blocking_peer(std::uint16_t port) : blocking_peer(std::make_unique<blocking_line>(port)) {}
  explicit blocking_peer(std::unique_ptr<blocking_line> on) : line_(std::move(on)) {}

  /// @return false: the gateway has been closed. What follows may be a Connect at once
  bool login(std::uint32_t id) {
    codec::gateway::challenge asked{};
    const auto text = line_->read(asked.size());
    if (!text) return false;
    std::copy_n(as_bytes(*text).begin(), asked.size(), asked.begin());
    return send(as_text(codec::gateway::encode({codec::gateway::prove(asked, k_gateway_key), id})));
  }
  /// The next that comes is the answer to a ping.
  bool is_well() {
    say(command::ping());
    const auto came = next();
    return came && came->said == command::ping();
  }
  /// @return false: the gateway has closed the connection
  bool send(std::string_view what) { return line_->send(what); }
  bool say(const command& what) { return send(wire(what)); }
  /// Nothing: the connection has ended.
  [[nodiscard]] std::optional<arrived> next() {
    const auto head = line_->read(8);
    if (!head) return std::nullopt;
    const auto length = load_le<std::uint32_t>(as_bytes(*head).data());
    arrived made{load_le<std::uint32_t>(as_bytes(*head).data() + 4), {}, {}};
    auto rest = line_->read(length - 4);
    if (!rest) return std::nullopt;
    made.message = std::move(*rest);
    if (made.connection == 0)
      if (const auto said = codec::gateway::decode_command(as_bytes(made.message))) made.said = *said;
    return made;
  }

 private:
  std::unique_ptr<blocking_line> line_;
};

}  // namespace ferry::test
