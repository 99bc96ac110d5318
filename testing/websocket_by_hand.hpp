#pragma once
/// A WebSocket peer that a test plays itself, frame by frame, in either role; nothing of ferry's codec is used. Nothing
/// blocks: what has to be waited for is asked for again and again, while the test turns the other side.

#include <fcntl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/tcp_by_hand.hpp"
#include "testing/websocket_conversations.hpp"

namespace ferry::test {

enum class plays : std::uint8_t { client, server };

/// One frame as it goes over the wire. @param first  FIN, RSV and opcode
[[nodiscard]] inline std::string websocket_frame(int first, std::string_view payload, plays sender) {
  const int mask_bit = sender == plays::client ? 0x80 : 0;
  const auto big_endian = [](std::uint64_t value, int count) {
    std::string made;
    for (int i = count - 1; i >= 0; --i) made.push_back(static_cast<char>(value >> (8 * i)));
    return made;
  };
  std::string wire(1, static_cast<char>(first));
  const std::uint64_t size = payload.size();
  if (size < 126)
    wire += big_endian(static_cast<std::uint64_t>(mask_bit) | size, 1);
  else if (size < 65536)
    wire += big_endian(static_cast<std::uint64_t>(mask_bit | 126), 1) + big_endian(size, 2);
  else
    wire += big_endian(static_cast<std::uint64_t>(mask_bit | 127), 1) + big_endian(size, 8);
  if (sender == plays::server) return wire.append(payload);
  const std::string key = "\x13\x57\x9b\xdf";
  wire += key;
  for (std::size_t i = 0; i < payload.size(); ++i) wire.push_back(static_cast<char>(payload[i] ^ key[i % 4]));
  return wire;
}

/// The payload of a Close.
[[nodiscard]] inline std::string close_payload(int code, std::string_view reason = {}) {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code)}.append(reason);
}

/// One end of a connection. It sends what it was given as the peer takes it, and keeps what it hears as lines, as in
/// `conversation`: messages put together, "head ..." for what came before the first frame.
class websocket_by_hand {
 public:
  /// As a client: connects to 127.0.0.1 and asks for `path`.
  websocket_by_hand(std::uint16_t port, const std::string& path, const std::string& more_headers = {})
      : plays_(plays::client), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in to = raw_tcp::loopback(port);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) raw_tcp::fail("connect");
    ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
    send("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         more_headers + "\r\n");
  }
  /// As a server, on a connection that was accepted and does not block: answers the request.
  explicit websocket_by_hand(os::unique_fd fd) : plays_(plays::server), fd_(std::move(fd)) {}

  void send(std::string_view raw) { out_.append(raw); }
  void send(int first, std::string_view payload) { send(websocket_frame(first, payload, plays_)); }
  void send(const std::vector<sent_frame>& frames) {
    for (const auto& one : frames) send(one.first, one.payload);
  }

  /// Moves what can be moved. @return whether the upgrade is over
  bool turn() {
    flush();
    char buffer[65536];
    while (!ended_) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n > 0) in_.append(buffer, static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) ended_ = true;
      if (n < 0 && errno == EAGAIN) break;
    }
    if (head_.empty()) take_head();
    while (!head_.empty() && take_frame()) {
    }
    in_.erase(0, std::exchange(taken_, 0));
    flush();
    return !head_.empty();
  }
  /// The request or the answer of the upgrade; empty before it was whole.
  [[nodiscard]] const std::string& head() const noexcept { return head_; }
  /// What came in place of an upgrade, so far.
  [[nodiscard]] const std::string& unread() const noexcept { return in_; }
  [[nodiscard]] const std::vector<std::string>& messages() const noexcept { return messages_; }
  /// How many frames of messages came.
  [[nodiscard]] std::size_t frames() const noexcept { return frames_; }
  [[nodiscard]] const std::vector<std::string>& controls() const noexcept { return controls_; }
  /// The code of the Close that came; 1005: it had none; 0: none came.
  [[nodiscard]] int close_code() const noexcept { return close_code_; }
  [[nodiscard]] const std::string& close_reason() const noexcept { return close_reason_; }
  /// The peer has ended the connection, in order or not.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] bool all_sent() const noexcept { return sent_ == out_.size(); }
  /// What in the peer's frames is against RFC 6455; empty: nothing.
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
  void end() { fd_.reset(); }
  void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  void flush() {
    if (plays_ == plays::server && head_.empty()) return;  // frames follow the answer
    while (sent_ < out_.size()) {
      const ssize_t n = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n <= 0) {
        if (errno != EAGAIN && errno != EINTR) sent_ = out_.size();  // nobody hears it any more
        return;
      }
      sent_ += static_cast<std::size_t>(n);
    }
    out_.clear();
    sent_ = 0;
  }

  void take_head() {
    const auto end = in_.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const bool upgraded = plays_ == plays::server || in_.starts_with("HTTP/1.1 101 ");
    if (!upgraded) return;
    head_ = in_.substr(0, end + 4);
    in_.erase(0, end + 4);
    if (plays_ == plays::client) return;
    const std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        accept_for(head_) + "\r\n\r\n";
    out_.insert(0, answer);
  }
  static std::string accept_for(const std::string& request) {
    const std::string name = "sec-websocket-key: ";
    const auto at = std::search(request.begin(), request.end(), name.begin(), name.end(),
                                [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    std::string key(at, request.end());
    key = key.substr(std::min(name.size(), key.size()), 24) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_Digest(key.data(), key.size(), digest, &size, EVP_sha1(), nullptr);
    unsigned char text[64];
    const int length = EVP_EncodeBlock(text, digest, static_cast<int>(size));
    return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
  }

  [[nodiscard]] std::uint64_t number_at(std::size_t at, std::size_t size) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(in_[taken_ + at + i]);
    return value;
  }
  bool take_frame() {
    const std::size_t left = in_.size() - taken_;
    if (left < 2 || close_code_ != 0) return false;
    const auto first = static_cast<unsigned>(number_at(0, 1));
    const bool masked = (number_at(1, 1) & 0x80) != 0;
    std::uint64_t size = number_at(1, 1) & 0x7f;
    const std::size_t extended = size == 126 ? 2 : size == 127 ? 8 : 0;
    const std::size_t head = 2 + extended + (masked ? 4 : 0);
    if (left < head) return false;
    if (extended != 0) size = number_at(2, extended);
    if (left - head < size) return false;
    std::string payload = in_.substr(taken_ + head, size);
    for (std::size_t i = 0; masked && i < payload.size(); ++i) payload[i] ^= in_[taken_ + head - 4 + i % 4];
    taken_ += head + size;
    if (masked == (plays_ == plays::client))
      complaint_ = masked ? "a server that masks" : "a client that does not mask";
    if ((first & 0x70) != 0) complaint_ = "reserved bits without an agreement";
    hear(first, payload);
    return true;
  }
  void hear(unsigned first, const std::string& payload) {
    switch (first & 0xf) {
      case 0:
      case 1:
      case 2:
        if ((first & 0xf) == 0 ? !open_ : open_.has_value()) complaint_ = "fragments out of order";
        if (!open_) open_ = (first & 0xf) == 1 ? "text " : "binary ";
        *open_ += payload;
        ++frames_;
        if ((first & 0x80) != 0) messages_.push_back(*std::exchange(open_, std::nullopt));
        break;
      case 8:
        close_code_ = payload.empty() ? 1005
                                      : static_cast<unsigned char>(payload[0]) << 8 |
                                            static_cast<unsigned char>(payload.size() > 1 ? payload[1] : 0);
        close_reason_ = payload.substr(std::min<std::size_t>(2, payload.size()));
        break;
      case 9: controls_.push_back("ping " + payload); break;
      case 10: controls_.push_back("pong " + payload); break;
      default: complaint_ = "an opcode that nobody knows";
    }
  }

  plays plays_;
  os::unique_fd fd_;
  std::string out_;
  std::size_t sent_ = 0;
  std::string in_;
  std::size_t taken_ = 0;  // of in_
  std::string head_;
  std::optional<std::string> open_;
  std::vector<std::string> messages_;
  std::size_t frames_ = 0;
  std::vector<std::string> controls_;
  int close_code_ = 0;
  std::string close_reason_;
  bool ended_ = false;
  std::string complaint_;
};

}  // namespace ferry::test
