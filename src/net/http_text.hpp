#pragma once
/// Pieces of HTTP headers, for both roles. Source: RFC 7230, section 3.2.

#include <ferry/http.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace ferry::net {

[[nodiscard]] bool same_name(std::string_view a, std::string_view b) noexcept;
/// A name and a value that can be written as one line.
[[nodiscard]] bool is_field(std::string_view name, std::string_view value) noexcept;
/// The parts of a list, without blanks around them and without empty ones: "a, b" -> {a, b}.
[[nodiscard]] std::vector<std::string_view> list_of(std::string_view value);
/// Whether a list has this word, in whatever case.
[[nodiscard]] bool list_has(std::string_view value, std::string_view word);
/// The values of all fields of that name, as one list.
[[nodiscard]] std::string joined(const http_fields& fields, std::string_view name);
/// Bytes from a peer, fit for one line of a log: printable ASCII, the rest as '?'. @param most  bytes that are kept
[[nodiscard]] std::string one_line(std::string_view text, std::size_t most);
/// The value of Sec-WebSocket-Accept. Source: RFC 6455, section 4.2.2.
[[nodiscard]] std::string accept_value(std::string_view key);
[[nodiscard]] std::string base64_of(const void* data, std::size_t size);
/// Writes one header line.
void add_field(std::string& to, std::string_view name, std::string_view value);

}  // namespace ferry::net
