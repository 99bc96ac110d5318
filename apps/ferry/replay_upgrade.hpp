#pragma once
/// The server's side of a captured WebSocket upgrade, for a client that is another one than the captured.

#include <cstdint>
#include <string>
#include <vector>

#include "codec/pcap_reader.hpp"

namespace ferry::app {

/// What is another one each time in a client's request takes the captured request's form, so that the rest can be
/// compared; and the captured answer is given the Sec-WebSocket-Accept that belongs to the key that the client sent,
/// and of the subprotocols that it offered the first one as long as the captured answer's, which is blank.
class replay_upgrade {
 public:
  static constexpr std::size_t k_most_head = 64u << 10;  ///< a longer request is compared as it is

  /// @param flow  needed by this call only
  explicit replay_upgrade(const codec::captured_flow& flow);

  /// The client's next bytes. @return as they are to be compared: nothing before its request is whole
  [[nodiscard]] std::vector<std::byte> read(bytes live);
  /// Whether the server's bytes from `offset` on, `size` of them, can be sent: the key they depend on is known, or they
  /// depend on none.
  [[nodiscard]] bool is_ready(std::uint64_t offset, std::size_t size) const noexcept;
  /// Those bytes, as this client must get them. Only if they are ready.
  void answer(std::uint64_t offset, mutable_bytes data) const noexcept;

 private:
  /// Of a value in what the server sends.
  struct place {
    std::uint64_t begin = 0;
    std::size_t size = 0;  // 0: the capture has none
    std::string live;      // what belongs there, of that size; empty: not known
  };
  std::string recorded_;  // the captured request's head
  std::string live_;      // what has come of this one's
  bool reads_ = true;     // it is not whole
  place accept_, protocol_;
};

}  // namespace ferry::app
