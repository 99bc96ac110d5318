#include "apps/ferry/message_writer.hpp"

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/utf8.hpp"

namespace ferry::app {

bool is_utf8(bytes data) noexcept {
  std::string_view left(reinterpret_cast<const char*>(data.data()), data.size());
  while (!left.empty()) {
    const std::size_t size = utf8_character(left);
    if (size == 0) return false;
    left.remove_prefix(size);
  }
  return true;
}

std::string base64(bytes data) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const auto at = [&](std::size_t k) { return k < data.size() ? std::to_integer<std::uint32_t>(data[k]) : 0; };
    const std::uint32_t three = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    const std::size_t used = std::min<std::size_t>(3, data.size() - i);
    for (std::size_t k = 0; k < 4; ++k) out += k <= used ? digits[three >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string json_of(const message_view& m, std::uint64_t number, const std::string& peer,
                    const std::string& login_data) {
  boost::json::object all;
  all["n"] = number;
  all["kind"] = m.kind == message_kind::text ? "text" : "binary";
  all["type"] = m.type;
  all["size"] = m.payload.size();
  if (is_utf8(m.payload)) {
    all["text"] = boost::json::string_view(m.text().data(), m.text().size());
  } else {
    all["data"] = base64(m.payload);
  }
  all["peer"] = peer;
  if (!login_data.empty()) all["login_data"] = login_data;
  return boost::json::serialize(all);
}

void write_message(output& to, message_format format, const message_view& m, std::uint64_t number,
                   const std::string& peer, const std::string& login_data) {
  switch (format) {
    case message_format::lines: to.write(m.payload); return to.put('\n');
    case message_format::raw: return to.write(m.payload);
    case message_format::json: return to.write(json_of(m, number, peer, login_data) + "\n");
    case message_format::none: return;
  }
}

}  // namespace ferry::app
