#pragma once
/// A peer of a persistent session that is none of ours: it says and sends what it likes.

#include <optional>
#include <string>

#include "codec/session_frame.hpp"
#include "os/fd_passing.hpp"
#include "session/login.hpp"
#include "testing/raw_unix.hpp"

namespace ferry::test {

[[nodiscard]] inline session::login first_login(const std::string& own_name) {
  session::login one;
  one.session = 4711;
  one.epoch = 1;
  one.own_name = own_name;
  return one;
}
[[nodiscard]] inline std::string login_text(const session::login& of) {
  const auto text = session::encode(of);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

/// @param length  that the frame says it has
[[nodiscard]] inline std::string session_frame_text(codec::session_frame_kind what, std::uint64_t ack,
                                                    std::string_view payload = {}, std::size_t length = ~std::size_t{},
                                                    std::uint16_t type = 0) {
  std::array<std::byte, codec::session_framing::k_header> head{};
  codec::session_framing::encode_header(head.data(), what, ack, length == ~std::size_t{} ? payload.size() : length,
                                        type);
  return std::string(reinterpret_cast<const char*>(head.data()), head.size()).append(payload);
}

/// One connection to the Unix socket of an endpoint: of ipc, or of shm.
class raw_session_peer {
 public:
  explicit raw_session_peer(const std::string& path) : at_(raw_unix::connect(path)) {}

  [[nodiscard]] const raw_unix& socket() const noexcept { return at_; }
  void close() noexcept { at_.close(); }
  void say(std::string_view text) const { (void)at_.send(text); }
  void say(const session::login& login, int ring_fd) const {
    const auto text = session::encode(login);
    if (!os::send_with_fd(at_.fd(), text, ring_fd)) throw std::runtime_error("cannot say a login");
  }
  /// Takes what has come. @return whether the whole answer is here, or the end
  [[nodiscard]] bool heard() {
    if (came_.size() >= session::k_login_bytes) return true;
    if (at_.ended()) return true;
    came_ += at_.read_some();
    return came_.size() >= session::k_login_bytes;
  }
  [[nodiscard]] std::optional<session::login> answer() const {
    if (came_.size() < session::k_login_bytes) return {};
    const auto decoded = session::decode_login(as_bytes(came_).first(session::k_login_bytes), true);
    return decoded ? std::optional(*decoded) : std::nullopt;
  }
  /// Behind the answer, as far as it has come.
  [[nodiscard]] std::string frames() {
    came_ += at_.read_some();
    return came_.size() < session::k_login_bytes ? std::string() : came_.substr(session::k_login_bytes);
  }
  /// The other end has closed. What it said before is thrown away.
  [[nodiscard]] bool ended() {
    came_ += at_.read_some();
    return at_.ended();
  }

 private:
  raw_unix at_;
  std::string came_;
};

}  // namespace ferry::test
