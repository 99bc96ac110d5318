#pragma once
/// What there is to tell of a WebSocket's handshake, for as long as the connection lives.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

namespace ferry::net {

struct ws_terms {
  std::string subprotocol;
  bool compressed = false;
  std::string request;  ///< its head, at the accepting end
};

/// The same in one block, as small as it can be: every connection has it, and hardly anybody asks.
class kept_ws_terms {
 public:
  kept_ws_terms() noexcept = default;
  explicit kept_ws_terms(const ws_terms& terms) {
    const sizes size{static_cast<std::uint32_t>(terms.subprotocol.size()),
                     static_cast<std::uint32_t>(terms.request.size()), terms.compressed};
    block_ = std::make_unique<char[]>(k_header + size.subprotocol + size.request);
    std::memcpy(block_.get(), &size, k_header);
    std::memcpy(block_.get() + k_header, terms.subprotocol.data(), size.subprotocol);
    std::memcpy(block_.get() + k_header + size.subprotocol, terms.request.data(), size.request);
  }
  /// False: there was no handshake.
  explicit operator bool() const noexcept { return block_ != nullptr; }
  [[nodiscard]] ws_terms read() const {
    sizes size{};
    std::memcpy(&size, block_.get(), k_header);
    const char* const text = block_.get() + k_header;
    return {{text, size.subprotocol}, size.compressed, {text + size.subprotocol, size.request}};
  }

 private:
  struct sizes {  // of what a head has, which is far below 4 GiB
    std::uint32_t subprotocol;
    std::uint32_t request;
    bool compressed;
  };
  static constexpr std::size_t k_header = offsetof(sizes, compressed) + 1;

  std::unique_ptr<char[]> block_;
};

}  // namespace ferry::net
