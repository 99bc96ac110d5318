#include "sidecar/message_forms.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/endian.hpp"
#include "codec/native_plain.hpp"
#include "codec/sidecar_message.hpp"

namespace ferry::sidecar {
namespace {

constexpr std::size_t k_pre_head = codec::sidecar::k_pre_head_bytes;
constexpr std::size_t k_most_body = codec::sidecar::k_max_payload;

void store_pre_head(std::byte* to, std::size_t head, std::size_t rest) noexcept {
  store_le(to, static_cast<std::uint32_t>(head));
  store_le(to + 4, static_cast<std::uint32_t>(rest));
  store_le(to + 8, std::uint32_t{0});
}

// A route head behind its 12 bytes.
void assign_route(std::vector<std::byte>& to, bytes head, std::size_t rest) {
  to.resize(k_pre_head + head.size());
  store_pre_head(to.data(), head.size(), rest);
  std::copy(head.begin(), head.end(), to.begin() + k_pre_head);
}

bool is_too_large(bytes body) noexcept { return body.size() > k_most_body; }
error too_large(bytes body) {
  return {errc::message_too_large,
          "a message body of " + std::to_string(body.size()) + " bytes, the limit is " + std::to_string(k_most_body)};
}

}  // namespace

result<bool> message_former::write_in_place(native_writer& out, const codec::sidecar::native_head& what, bytes body,
                                            std::uint64_t time_ms) {
  const auto head_bytes = native_.measure(what);
  if (!head_bytes) return head_bytes.error();
  if (is_too_large(body)) return too_large(body);
  return write_behind(out, *head_bytes, body, [&](std::byte* to) { native_.put(to, what, time_ms); });
}

result<formed_message> message_former::form(service_rings as, const service_route& route,
                                            const service_package& package, bytes body, std::uint64_t time_ms) {
  if (as == service_rings::native) {
    const auto head = native_.write(route, package, time_ms);
    if (!head) return head.error();
    if (is_too_large(body)) return too_large(body);
    return formed_message{{*head, body, {}, {}}, 2, head->size()};
  }
  const auto route_head = writer_.route(route);
  if (!route_head) return route_head.error();
  const auto package_head = writer_.package(package);
  if (!package_head) return package_head.error();
  const codec::sidecar::message_parts parts{*route_head, *package_head, body};
  if (const auto good = check_message(parts); !good) return good.error();
  assign_route(route_, *route_head, k_pre_head + package_head->size() + body.size());
  store_pre_head(before_package_.data(), package_head->size(), body.size());
  return formed_message{{route_, before_package_, *package_head, body}, 4, route_.size()};
}

result<void> message_reader::take(const ring_message& what, body_finder* bodies) {
  kind_ = what.kind;
  package_said_.reset();
  if (kind_ == service_rings::native) {
    if (what.head_bytes == 0)
      return error(errc::protocol,
                   "a native message of " + std::to_string(what.whole.size()) + " bytes whose head cannot be");
    const auto* const body = what.whole.data() + what.head_bytes;
    head_.assign(what.whole.data(), body);
    rest_ = body_ = {body, what.whole.size() - what.head_bytes};
    if (bodies == nullptr || !codec::sidecar::says_elsewhere(head_)) [[likely]]
      return {};
    const auto found = bodies->find(rest_);
    if (!found) return found.error();
    codec::sidecar::say_here(head_.data());
    rest_ = body_ = *found;
    return {};
  }
  heads_.clear();
  package_there_ = {};
  const auto parts = codec::sidecar::split_message(what.whole, what.head_bytes);
  if (!parts) return parts.error();
  // Its sizes are those that were judged, whatever stands there now.
  assign_route(head_, parts->route_head, what.whole.size() - parts->route_bytes());
  rest_ = what.whole.subspan(head_.size());
  package_there_ = parts->package_head;
  body_ = parts->body;
  return {};
}

result<service_route> message_reader::route() {
  return kind_ == service_rings::native ? native_.route(head_) : heads_.route(bytes(head_).subspan(k_pre_head));
}

const result<service_package>& message_reader::package() {
  if (package_said_) return *package_said_;
  if (kind_ == service_rings::native) return package_said_.emplace(native_.package(head_));
  package_.assign(package_there_.begin(), package_there_.end());
  return package_said_.emplace(heads_.package(package_));
}

result<void> message_reader::read(const ring_message& what, service_message& to, body_finder* bodies) {
  if (what.kind == service_rings::native && what.head_bytes != 0)
    if (codec::sidecar::plain_head plain; plain.read(what.whole, what.head_bytes)) {
      native_.read(plain, to.route, to.package);
      to.body = what.whole.subspan(what.head_bytes);
      return {};
    }
  if (auto good = take(what, bodies); !good) return good;
  to.body = body_;
  if (kind_ == service_rings::native) return native_.read(head_, to.route, to.package);
  const auto said = route();
  if (!said) return said.error();
  to.route = *said;
  if (!package()) return package().error();
  to.package = *package();
  return {};
}

formed_message message_reader::as_it_is() const noexcept { return {{head_, rest_, {}, {}}, 2, head_.size()}; }

}  // namespace ferry::sidecar
