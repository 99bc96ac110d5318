#include "codec/sidecar_control.hpp"

#include <string>

#include "base/endian.hpp"

namespace ferry::codec::sidecar {
namespace {

std::int32_t load_i32(const std::byte* from) noexcept {
  return static_cast<std::int32_t>(load_le<std::uint32_t>(from));
}

error wrong(std::int32_t id, const std::string& what) {
  return {errc::protocol, "a control message " + std::to_string(id) + " with " + what};
}

}  // namespace

result<control_message> control_decoder::next(bytes in) const noexcept {
  if (in.size() < k_control_header_bytes) return control_message{};
  const auto id = load_i32(in.data());
  const auto head = std::int64_t{load_i32(in.data() + 4)};
  const auto total = std::int64_t{load_i32(in.data() + 8)};
  const auto flag = load_i32(in.data() + 12);
  if (id < k_min_control_id || id > k_max_control_id)
    return error(errc::protocol,
                 "a control message with the number " + std::to_string(id) + ", it must be 101 .. 59999");
  if (flag != 0) return wrong(id, "the flag " + std::to_string(flag) + ", it must be 0");
  if (head < 0) return wrong(id, "a head of " + std::to_string(head) + " bytes");
  if (total < head + static_cast<std::int64_t>(k_control_header_bytes))
    return wrong(id, "a size of " + std::to_string(total) + " bytes, its header and head alone have " +
                         std::to_string(head + static_cast<std::int64_t>(k_control_header_bytes)));
  if (static_cast<std::uint64_t>(total) > max_message_)
    return error(errc::message_too_large, "a control message " + std::to_string(id) + " of " + std::to_string(total) +
                                              " bytes, the limit is " + std::to_string(max_message_));
  const auto size = static_cast<std::size_t>(total);
  if (in.size() < size) return control_message{0, size, id, {}};
  return control_message{size, size, id, in.subspan(k_control_header_bytes, static_cast<std::size_t>(head))};
}

void store_control_header(std::byte* to, std::int32_t id, std::size_t head_bytes) noexcept {
  store_le(to, static_cast<std::uint32_t>(id));
  store_le(to + 4, static_cast<std::uint32_t>(head_bytes));
  store_le(to + 8, static_cast<std::uint32_t>(head_bytes + k_control_header_bytes));
  store_le(to + 12, std::uint32_t{0});
}

}  // namespace ferry::codec::sidecar
