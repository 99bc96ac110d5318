#pragma once
/// What the two sides of a numbered echo over tcpshm write down, in a file that they map and that outlives them. The
/// layout is known to tests/interop/tcpshm_peer.py too.

#include <ferry/compat/tcpshm.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace ferry::test {

/// What somebody was about to do, and how far its connection had come before. Written whole, then chosen.
struct noted_step {
  std::uint64_t number = 0;
  std::uint64_t popped = 0;
  std::uint64_t pushed = 0;
};
class note {
 public:
  [[nodiscard]] noted_step read() const { return steps_[chosen_.load() % 2]; }
  [[nodiscard]] bool empty() const { return chosen_.load() == 0; }
  void write(std::uint64_t number, const compat::tcpshm::connection::progress& before) {
    const auto next = chosen_.load() + 1;
    steps_[next % 2] = {number, before.popped, before.pushed};
    chosen_.store(next, std::memory_order_release);
  }

 private:
  std::atomic<std::uint64_t> chosen_;
  noted_step steps_[2];
};
static_assert(sizeof(note) == 56);

struct tcpshm_log {
  std::atomic<std::uint64_t> port;      ///< of the server; 0: not there yet
  std::atomic<std::uint64_t> wrong;     ///< numbers or bodies that should not have come
  std::atomic<std::uint64_t> logins;    ///< of the client
  std::atomic<std::uint64_t> echoed;    ///< the number after the last echo that the client has
  std::atomic<std::uint64_t> served;    ///< the number after the last one that the server has answered
  std::atomic<std::uint64_t> spread;    ///< how much larger than the smallest body one may be, and one more
  std::atomic<std::uint64_t> through;   ///< the port that a client goes to instead; 0: that of the server
  std::atomic<std::uint64_t> patience;  ///< milliseconds that either waits for the other one; 0: half a minute
  note server;
  note client_sends;
  note client_receives;
  char complaint[256];                 ///< the first thing that was wrong
  std::atomic<std::uint64_t> held_up;  ///< logins come that a later one has overtaken
  std::atomic<std::uint64_t> stale;    ///< whose numbers the server found too old
};
inline constexpr std::size_t k_tcpshm_log_bytes = 4096;
static_assert(sizeof(tcpshm_log) <= k_tcpshm_log_bytes && offsetof(tcpshm_log, complaint) == 232);

/// The body of message `number`: the number, then bytes that follow from it.
[[nodiscard]] inline std::string tcpshm_body(std::uint64_t number, std::uint64_t spread) {
  std::string made(8 + number * 7 % spread, '\0');
  std::memcpy(made.data(), &number, 8);
  for (std::size_t i = 8; i < made.size(); ++i) made[i] = static_cast<char>(number * 31 + i);
  return made;
}
[[nodiscard]] inline std::uint16_t tcpshm_type(std::uint64_t number) {
  return static_cast<std::uint16_t>(1 + number % 1000);
}

}  // namespace ferry::test
