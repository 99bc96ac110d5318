#pragma once
/// A message between services in either of its two forms: heads of protobuf in a compatible ring, a fixed layout in a
/// native one; and from one to the other. Source: docs/sidecar.md.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>
#include <ferry/service_message.hpp>
#include <ferry/sidecar.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "codec/native_message.hpp"
#include "sidecar/body_finder.hpp"
#include "sidecar/data_plane.hpp"
#include "sidecar/native_plane.hpp"
#include "sidecar/wire/heads.hpp"

namespace ferry::sidecar {

/// A message in parts, as plane_writer takes it.
struct formed_message {
  std::array<bytes, 4> all{};
  std::size_t count = 0;
  std::size_t head_bytes = 0;
  [[nodiscard]] std::span<const bytes> parts() const noexcept { return std::span(all).first(count); }
  [[nodiscard]] std::size_t total() const noexcept {
    std::size_t size = 0;
    for (const auto& part : parts()) size += part.size();
    return size;
  }
};

/// Writes a message into a native ring, where it shall lie: from its end, as the reader watches the line that its head
/// begins on, and takes it away while it is written. @param head  writes the head to where it is called with @return
/// false: the ring has no room for it in one record, and nothing was written
template <class Head>
[[nodiscard]] bool write_behind(native_writer& out, std::size_t head_bytes, bytes body, const Head& head) noexcept {
  std::byte* const room = out.reserve(head_bytes + body.size());
  if (room == nullptr) return false;
  if (!body.empty()) std::memcpy(room + head_bytes, body.data(), body.size());
  head(room);
  out.publish();
  return true;
}

/// Writes the heads of messages, in memory that it uses again and again.
class message_former {
 public:
  /// @return valid until the next call, as long as the body is | misuse: a text is not UTF-8, no destination, too many
  /// notes | message_too_large
  [[nodiscard]] result<formed_message> form(service_rings as, const service_route& route,
                                            const service_package& package, bytes body, std::uint64_t time_ms);

  /// The same for a native ring, written where it shall lie. @return false: the ring has no room for it in one record,
  /// and nothing was written; form() and write() may find more
  [[nodiscard]] result<bool> write_in_place(native_writer& out, const codec::sidecar::native_head& what, bytes body,
                                            std::uint64_t time_ms);

 private:
  wire::head_writer writer_;
  codec::sidecar::native_head_writer native_;
  std::vector<std::byte> route_;                // with its 12 bytes
  std::array<std::byte, 12> before_package_{};  // those of the package
};

/// Reads the heads of a message where its writer cannot change them any more; the body stays where it lies. In memory
/// that it uses again and again; what it returns is valid until the next take().
class message_reader {
 public:
  /// Copies what says where it goes. @param bodies  finds those that lie elsewhere; null: none may @return protocol |
  /// message_too_large: it is no message | what the finding of its body failed with
  [[nodiscard]] result<void> take(const ring_message& what, body_finder* bodies = nullptr);
  [[nodiscard]] result<service_route> route();
  /// Of the package head, which a compatible message has behind the route: copied when it is asked for first, and read
  /// once.
  [[nodiscard]] const result<service_package>& package();
  [[nodiscard]] bytes body() const noexcept { return body_; }

  /// take(), route() and package() in one. @return as they do
  [[nodiscard]] result<void> read(const ring_message& what, service_message& to, body_finder* bodies);

  /// The message as it is, but with the copy of what says where it goes.
  [[nodiscard]] formed_message as_it_is() const noexcept;

 private:
  service_rings kind_ = service_rings::compatible;
  wire::head_reader heads_;
  codec::sidecar::native_head_reader native_;
  std::vector<std::byte> head_;     // up to what the ring counts as payload
  std::vector<std::byte> package_;  // compatible: its copy
  std::optional<result<service_package>> package_said_;
  bytes rest_, package_there_, body_;
};

}  // namespace ferry::sidecar
