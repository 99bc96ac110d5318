#include "codec/sidecar_message.hpp"

#include <algorithm>
#include <string>

#include "base/endian.hpp"

namespace ferry::codec::sidecar {
namespace {

error too_large(const char* what, std::size_t size, std::size_t most) {
  return {errc::message_too_large,
          std::string("a ") + what + " of " + std::to_string(size) + " bytes, the limit is " + std::to_string(most)};
}

struct cut {
  bytes head;
  bytes rest;
};

/// A head and what follows it, of which the 12 bytes in front must tell exactly.
result<cut> behind_pre_head(bytes in, const char* which) {
  if (in.size() < k_pre_head_bytes)
    return error(errc::protocol, std::string("a message with ") + std::to_string(in.size()) + " bytes where its " +
                                     which + " should begin, the least is 12");
  const auto head = load_le<std::uint32_t>(in.data());
  const auto body = load_le<std::uint32_t>(in.data() + 4);
  const auto tail = load_le<std::uint32_t>(in.data() + 8);
  if (head == 0) return error(errc::protocol, std::string("a message with an empty ") + which);
  if (head > k_max_head) return too_large(which, head, k_max_head);
  const auto told = std::uint64_t{head} + body + tail;
  const auto there = in.size() - k_pre_head_bytes;
  if (tail != 0 || told != there)
    return error(errc::protocol, std::string("a message whose ") + which + " tells of " + std::to_string(head) + " + " +
                                     std::to_string(body) + " + " + std::to_string(tail) + " bytes, there are " +
                                     std::to_string(there));
  return cut{in.subspan(k_pre_head_bytes, head), in.subspan(k_pre_head_bytes + head)};
}

std::byte* store_part(std::byte* to, bytes head, std::size_t rest) noexcept {
  store_le(to, static_cast<std::uint32_t>(head.size()));
  store_le(to + 4, static_cast<std::uint32_t>(rest));
  store_le(to + 8, std::uint32_t{0});
  return std::copy(head.begin(), head.end(), to + k_pre_head_bytes);
}

}  // namespace

result<message_parts> split_message(bytes whole, std::size_t route_bytes) {
  const auto route = behind_pre_head(whole, "route head");
  if (!route) return route.error();
  if (route->head.size() + k_pre_head_bytes != route_bytes)
    return error(errc::protocol, "a message whose ring counts " + std::to_string(route_bytes) +
                                     " bytes up to its payload, its route head ends after " +
                                     std::to_string(route->head.size() + k_pre_head_bytes));
  const auto package = behind_pre_head(route->rest, "package head");
  if (!package) return package.error();
  return message_parts{route->head, package->head, package->rest};
}

result<void> check_message(const message_parts& parts) {
  if (parts.route_head.empty()) return error(errc::misuse, "a message without a route head");
  if (parts.package_head.empty()) return error(errc::misuse, "a message without a package head");
  if (parts.route_head.size() > k_max_head) return too_large("route head", parts.route_head.size(), k_max_head);
  if (parts.package_head.size() > k_max_head) return too_large("package head", parts.package_head.size(), k_max_head);
  const auto around = k_pre_head_bytes + parts.package_head.size();
  if (parts.body.size() > k_max_payload - around)
    return too_large("message body", parts.body.size(), k_max_payload - around);
  return {};
}

void store_message(std::byte* to, const message_parts& parts) noexcept {
  to = store_part(to, parts.route_head, k_pre_head_bytes + parts.package_head.size() + parts.body.size());
  to = store_part(to, parts.package_head, parts.body.size());
  std::copy(parts.body.begin(), parts.body.end(), to);
}

}  // namespace ferry::codec::sidecar
