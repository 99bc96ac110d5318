#pragma once
/// Peers that know nothing of messages, for what one half of a channel costs by itself.

#include <ferry/context.hpp>
#include <ferry/options.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace ferry::app {

/// Messages in the buffer that a raw writer repeats; their numbers are 0 .. this - 1. About 1 MiB, at least one.
[[nodiscard]] std::uint64_t raw_messages(std::size_t size);

/// Listens for one connection and then, until it ends, only reads or only writes bytes. Stops the io_context when it
/// has ended. Thread safety: the context's thread only.
class raw_peer {
 public:
  enum class task : std::uint8_t { discard, repeat };

  /// @param size of the messages that `repeat` writes, framed as the options say
  /// @return bad_url | unknown_scheme | unknown_option | bad_option | as stream_transport::listen
  [[nodiscard]] static result<std::unique_ptr<raw_peer>> open(context& where, const std::string& url,
                                                              const options& with, task what, std::size_t size);
  virtual ~raw_peer() = default;

  [[nodiscard]] virtual std::string url() const = 0;
  /// Bytes read or written so far.
  [[nodiscard]] virtual std::uint64_t moved() const = 0;
};

}  // namespace ferry::app
