#include "codec/tcpshm_messages.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/endian.hpp"

namespace ferry::codec::tcpshm {
namespace {

template <class T>
T load(const std::byte* from, std::endian order) noexcept {
  return order == std::endian::little ? load_le<T>(from) : load_be<T>(from);
}
template <class T>
void store(std::byte* to, T value, std::endian order) noexcept {
  return order == std::endian::little ? store_le(to, value) : store_be(to, value);
}

// Both bodies are C structs: two numbers, the data, one byte, and texts; their size is a multiple of their alignment.
constexpr std::size_t k_data_at = k_header_bytes + 8;

std::size_t struct_size(std::size_t data, std::size_t texts, const wire_format& format) noexcept {
  const std::size_t alignment = std::max<std::size_t>(4, format.data_alignment);
  const std::size_t body = 8 + data + 1 + texts;
  return k_header_bytes + (body + alignment - 1) / alignment * alignment;
}
std::size_t login_size(const wire_format& format) noexcept {
  return struct_size(format.login_data_bytes, 2 * format.name_bytes, format);
}
std::size_t answer_size(const wire_format& format) noexcept {
  return struct_size(format.answer_data_bytes, format.name_bytes + k_error_text_bytes, format);
}

std::vector<std::byte> begin(std::size_t size, std::uint16_t type, const range& numbers, const wire_format& format) {
  std::vector<std::byte> made(padded(size));
  store_header(made.data(), {static_cast<std::uint16_t>(size), type, numbers.ack}, format.order);
  store(made.data() + k_header_bytes, numbers.start, format.order);
  store(made.data() + k_header_bytes + 4, numbers.end, format.order);
  return made;
}

void put(std::byte* to, bytes data, std::size_t room) noexcept {
  if (!data.empty()) std::memcpy(to, data.data(), std::min(data.size(), room));
}
void put_text(std::byte* to, std::string_view text, std::size_t room) noexcept { put(to, as_bytes(text), room - 1); }

result<range> open(bytes in, std::size_t size, std::uint16_t type, const wire_format& format) {
  if (in.size() != padded(size)) return error(errc::protocol, "a login of " + std::to_string(in.size()) + " bytes");
  const header h = load_header(in.data(), format.order);
  if (h.size != size || h.type != type)
    return error(errc::protocol, "a message of size " + std::to_string(h.size) + " and type " + std::to_string(h.type) +
                                     " came, where size " + std::to_string(size) + " and type " + std::to_string(type) +
                                     " must be: do name and user data sizes agree?");
  return range{h.ack, load<std::uint32_t>(in.data() + k_header_bytes, format.order),
               load<std::uint32_t>(in.data() + k_header_bytes + 4, format.order)};
}

std::optional<std::string> text_at(bytes in, std::size_t at, std::size_t room) {
  const std::string_view field = as_text(in.subspan(at, room));
  const auto end = field.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(field.substr(0, end));
}

error name_does_not_end(const wire_format& format) {
  return {errc::protocol, "a name does not end within " + std::to_string(format.name_bytes) + " bytes"};
}

}  // namespace

header load_header(const std::byte* from, std::endian order) noexcept {
  return {load<std::uint16_t>(from, order), load<std::uint16_t>(from + 2, order), load<std::uint32_t>(from + 4, order)};
}

void store_header(std::byte* to, const header& h, std::endian order) noexcept {
  store(to, h.size, order);
  store(to + 2, h.type, order);
  store(to + 4, h.ack, order);
}

std::size_t login_bytes(const wire_format& format) noexcept { return padded(login_size(format)); }
std::size_t answer_bytes(const wire_format& format) noexcept { return padded(answer_size(format)); }

std::vector<std::byte> encode(const login& what, const wire_format& format) {
  auto made = begin(login_size(format), k_login, what.numbers, format);
  std::byte* at = made.data() + k_data_at;
  put(at, what.user_data, format.login_data_bytes);
  at += format.login_data_bytes;
  *at++ = static_cast<std::byte>(what.use_shm);
  put_text(at, what.client_name, format.name_bytes);
  put_text(at + format.name_bytes, what.last_server_name, format.name_bytes);
  return made;
}

std::vector<std::byte> encode(const login_answer& what, const wire_format& format) {
  auto made = begin(answer_size(format), k_login_answer, what.numbers, format);
  std::byte* at = made.data() + k_data_at;
  put(at, what.user_data, format.answer_data_bytes);
  at += format.answer_data_bytes;
  *at++ = static_cast<std::byte>(what.status);
  put_text(at, what.server_name, format.name_bytes);
  put_text(at + format.name_bytes, what.error_text, k_error_text_bytes);
  return made;
}

result<login> decode_login(bytes in, const wire_format& format) {
  const auto numbers = open(in, login_size(format), k_login, format);
  if (!numbers) return numbers.error();
  const auto data = in.subspan(k_data_at, format.login_data_bytes);
  const std::size_t at = k_data_at + format.login_data_bytes;
  if (in[at] > std::byte{1})
    return error(errc::protocol, "use_shm is " + std::to_string(std::to_integer<int>(in[at])) + ", not 0 or 1");
  const auto client = text_at(in, at + 1, format.name_bytes);
  const auto server = text_at(in, at + 1 + format.name_bytes, format.name_bytes);
  if (!client || !server) return name_does_not_end(format);
  return login{*numbers, {data.begin(), data.end()}, in[at] == std::byte{1}, *client, *server};
}

result<login_answer> decode_answer(bytes in, const wire_format& format) {
  const auto numbers = open(in, answer_size(format), k_login_answer, format);
  if (!numbers) return numbers.error();
  const auto data = in.subspan(k_data_at, format.answer_data_bytes);
  const std::size_t at = k_data_at + format.answer_data_bytes;
  if (in[at] > std::byte{2})
    return error(errc::protocol, "a login status of " + std::to_string(std::to_integer<int>(in[at])));
  const auto server = text_at(in, at + 1, format.name_bytes);
  if (!server) return name_does_not_end(format);
  const auto status = static_cast<login_status>(in[at]);
  // Of a good answer the text is whatever lay in the original server's memory.
  auto text = status == login_status::refused ? text_at(in, at + 1 + format.name_bytes, k_error_text_bytes) : "";
  if (!text) text = std::string(as_text(in.subspan(at + 1 + format.name_bytes, k_error_text_bytes)));
  return login_answer{*numbers, {data.begin(), data.end()}, status, *server, *text};
}

}  // namespace ferry::codec::tcpshm
