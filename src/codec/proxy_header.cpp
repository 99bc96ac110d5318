#include "codec/proxy_header.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/endian.hpp"

namespace ferry::codec {
namespace {

constexpr std::string_view k_v1{"PROXY "};
constexpr std::string_view k_v2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t k_shortest_v1 = 15;  // "PROXY UNKNOWN\r\n"
constexpr std::size_t k_v2_head = 16;      // signature, version and command, family, length
constexpr std::size_t k_unix_path = 108;

enum class command : std::uint8_t { local = 0, proxy = 1 };
enum class address_family : std::uint8_t { unspecified = 0, inet = 1, inet6 = 2, unix_socket = 3 };
enum class carried : std::uint8_t { unspecified = 0, stream = 1, datagram = 2 };
constexpr std::uint8_t k_crc32c_tlv = 0x03;
constexpr std::size_t k_tlv_head = 3;  // type, length
constexpr std::size_t k_crc_size = 4;

using crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

error broken(const std::string& why) { return {errc::protocol, "PROXY header: " + why}; }

// Addresses as text -------------------------------------------------------------------------------

struct binary_address {
  std::array<std::byte, 16> octets{};
  std::size_t size = 0;
};

int number_of(proxied_family family) noexcept { return family == proxied_family::inet ? AF_INET : AF_INET6; }
std::size_t size_of(proxied_family family) noexcept { return family == proxied_family::inet ? 4 : 16; }

std::optional<binary_address> to_binary(proxied_family family, const std::string& host) {
  binary_address made;
  made.size = size_of(family);
  if (host.find('\0') != std::string::npos || ::inet_pton(number_of(family), host.c_str(), made.octets.data()) != 1)
    return std::nullopt;
  return made;
}

std::string to_text(proxied_family family, const std::byte* octets) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(number_of(family), octets, text.data(), text.size()) == nullptr ? "" : text.data();
}

std::string path_of(bytes field) {
  std::string_view text = as_text(field);
  if (text.front() != '\0') return std::string(text.substr(0, text.find('\0')));
  text.remove_prefix(1);
  const auto end = text.find_last_not_of('\0');
  return end == std::string_view::npos ? "" : "@" + std::string(text.substr(0, end + 1));
}

// Version 1 ---------------------------------------------------------------------------------------

/// What stands before the next blank; the blank is skipped too.
std::string_view next_word(std::string_view& line) {
  const auto word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(word.size() + 1, line.size()));
  return word;
}

std::optional<std::uint16_t> read_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return text.size() > 1 && text.front() == '0' ? std::nullopt : std::optional(port);
}

}  // namespace

std::string proxy_header::text(const end& one) const {
  switch (family) {
    case proxied_family::none: return {};
    case proxied_family::inet: return one.host + ":" + std::to_string(one.port);
    case proxied_family::inet6: return "[" + one.host + "]:" + std::to_string(one.port);
    case proxied_family::unix_socket: return one.host;
  }
  return {};
}

// Reading -----------------------------------------------------------------------------------------

std::size_t proxy_header_decoder::wanted() const noexcept {
  const std::size_t size = seen_.size();
  switch (state_) {
    case state::signature: return k_v2.size() - size;
    case state::line:
      if (size < k_shortest_v1) return k_shortest_v1 - size;
      return seen_.back() == std::byte{'\r'} ? 1 : 2;
    case state::block: return (size < k_v2_head ? k_v2_head : size_) - size;
    case state::whole: return 0;
  }
  return 0;
}

result<proxy_header_decoder::progress> proxy_header_decoder::feed(bytes in) {
  progress done;
  while (state_ != state::whole && done.consumed < in.size()) {
    if (const auto taken = take(in[done.consumed]); !taken) return taken.error();
    ++done.consumed;
  }
  done.whole = state_ == state::whole;
  return done;
}

result<void> proxy_header_decoder::take(std::byte next) {
  seen_.push_back(next);
  const auto text = as_text(seen_);
  switch (state_) {
    case state::signature:
      if (text == k_v1) {
        state_ = state::line;
      } else if (text == k_v2) {
        state_ = state::block;
      } else if (!k_v1.starts_with(text) && !k_v2.starts_with(text)) {
        return broken("the connection does not begin with one");
      }
      return {};
    case state::line:
      if (text.ends_with("\r\n")) return read_line();
      if (text.back() == '\n' || text[text.size() - 2] == '\r') return broken("its line does not end with CR LF");
      if (text.size() == k_most_v1) return broken("its line is longer than 107 bytes");
      return {};
    case state::block:
      if (text.size() == k_v2_head) return read_block_head();
      return text.size() == size_ && text.size() > k_v2_head ? read_block() : result<void>();
    case state::whole: return {};
  }
  return {};
}

result<void> proxy_header_decoder::read_line() {
  std::string_view line = as_text(seen_);
  line.remove_prefix(k_v1.size());
  line.remove_suffix(2);
  state_ = state::whole;
  const auto protocol = next_word(line);
  if (protocol == "UNKNOWN") return {};  // whatever follows is to be ignored
  if (protocol != "TCP4" && protocol != "TCP6") return broken("its protocol is none of TCP4, TCP6, UNKNOWN");
  header_.family = protocol == "TCP4" ? proxied_family::inet : proxied_family::inet6;
  for (auto* const end : {&header_.source, &header_.destination}) {
    const auto address = to_binary(header_.family, std::string(next_word(line)));
    if (!address) return broken("not an address of " + std::string(protocol));
    end->host = to_text(header_.family, address->octets.data());
  }
  const auto from = read_port(next_word(line));
  const auto to = read_port(line);  // the last word, so that nothing follows it
  if (!from || !to) return broken("not two ports of 0 .. 65535");
  header_.source.port = *from;
  header_.destination.port = *to;
  return {};
}

result<void> proxy_header_decoder::read_block_head() {
  const auto version = std::to_integer<unsigned>(seen_[12]) >> 4;
  const auto what = std::to_integer<unsigned>(seen_[12]) & 15;
  if (version != 2) return broken("its version is " + std::to_string(version) + ", and 1 and 2 are known");
  if (what > static_cast<unsigned>(command::proxy)) return broken("its command is neither LOCAL nor PROXY");
  size_ = k_v2_head + load_be<std::uint16_t>(seen_.data() + 14);
  if (size_ > k_most_v2)
    return broken("it has " + std::to_string(size_) + " bytes, more than " + std::to_string(k_most_v2));
  return size_ == k_v2_head ? read_block() : result<void>();
}

namespace {

/// Passes over what an intermediary adds to the addresses; its checksum must be right if it is there.
/// @param from  where they begin in `block`, which is the whole header
result<void> check_tlvs(std::vector<std::byte>& block, std::size_t from) {
  std::optional<std::size_t> checksum_at;
  while (from != block.size()) {
    if (block.size() - from < k_tlv_head) return broken("it ends inside an extension");
    const auto type = std::to_integer<std::uint8_t>(block[from]);
    const std::size_t length = load_be<std::uint16_t>(block.data() + from + 1);
    from += k_tlv_head;
    if (block.size() - from < length) return broken("an extension goes beyond its end");
    if (type == k_crc32c_tlv) {
      if (checksum_at || length != k_crc_size) return broken("not one checksum of 4 bytes");
      checksum_at = from;
    }
    from += length;
  }
  if (!checksum_at) return {};
  std::byte* const at = block.data() + *checksum_at;
  const auto told = load_be<std::uint32_t>(at);
  store_be<std::uint32_t>(at, 0);
  crc32c sum;
  sum.process_bytes(block.data(), block.size());
  if (sum.checksum() != told) return error(errc::corrupt, "PROXY header: its checksum (CRC32c) is wrong");
  return {};
}

}  // namespace

result<void> proxy_header_decoder::read_block() {
  state_ = state::whole;
  const auto family = static_cast<address_family>(std::to_integer<std::uint8_t>(seen_[13]) >> 4);
  const auto transport = static_cast<carried>(std::to_integer<std::uint8_t>(seen_[13]) & 15);
  // What a LOCAL header says of addresses is to be ignored.
  if ((std::to_integer<unsigned>(seen_[12]) & 15) == static_cast<unsigned>(command::local)) return {};
  if (family > address_family::unix_socket) return broken("an unknown family of addresses");
  if (transport > carried::datagram) return broken("an unknown kind of transport");
  if (family == address_family::unspecified || transport == carried::unspecified) return {};
  if (transport != carried::stream) return broken("datagrams, and this is a stream");
  const std::size_t each = family == address_family::inet ? 4 : family == address_family::inet6 ? 16 : k_unix_path;
  const std::size_t ports = family == address_family::unix_socket ? 0 : 4;
  const std::size_t addresses = 2 * each + ports;
  if (size_ - k_v2_head < addresses) return broken("it ends inside its addresses");
  if (const auto checked = check_tlvs(seen_, k_v2_head + addresses); !checked) return checked;
  const std::byte* const at = seen_.data() + k_v2_head;
  if (family == address_family::unix_socket) {
    if (at[0] == std::byte{'@'} || at[each] == std::byte{'@'})
      return broken("a path that begins with @, as which abstract names are told");
    header_.family = proxied_family::unix_socket;
    header_.source.host = path_of({at, each});
    header_.destination.host = path_of({at + each, each});
    return {};
  }
  header_.family = family == address_family::inet ? proxied_family::inet : proxied_family::inet6;
  header_.source = {to_text(header_.family, at), load_be<std::uint16_t>(at + 2 * each)};
  header_.destination = {to_text(header_.family, at + each), load_be<std::uint16_t>(at + 2 * each + 2)};
  return {};
}

// Writing -----------------------------------------------------------------------------------------

namespace {

error bad_host(const std::string& host) {
  return {errc::bad_address, "PROXY header: '" + host + "' is not an address of its family"};
}

void append(std::vector<std::byte>& to, bytes what) { to.insert(to.end(), what.begin(), what.end()); }

template <class T>
void append_be(std::vector<std::byte>& to, T value) {
  std::array<std::byte, sizeof(T)> wire{};
  store_be<T>(wire.data(), value);
  append(to, wire);
}

result<void> append_path(std::vector<std::byte>& to, const std::string& host) {
  if (host.size() > k_unix_path) return error(errc::bad_address, "PROXY header: a path of more than 108 bytes");
  std::array<std::byte, k_unix_path> field{};
  const bool abstract = host.starts_with('@');
  std::memcpy(field.data(), host.data(), host.size());
  if (abstract) field[0] = std::byte{0};
  append(to, field);
  return {};
}

result<void> append_addresses(std::vector<std::byte>& to, const proxy_header& header) {
  for (const auto* const end : {&header.source, &header.destination}) {
    if (header.family == proxied_family::unix_socket) {
      if (const auto written = append_path(to, end->host); !written) return written;
      continue;
    }
    const auto address = to_binary(header.family, end->host);
    if (!address) return bad_host(end->host);
    append(to, bytes(address->octets).first(address->size));
  }
  if (header.family == proxied_family::unix_socket) return {};
  append_be(to, header.source.port);
  append_be(to, header.destination.port);
  return {};
}

address_family wire_family(proxied_family family) noexcept {
  switch (family) {
    case proxied_family::none: return address_family::unspecified;
    case proxied_family::inet: return address_family::inet;
    case proxied_family::inet6: return address_family::inet6;
    case proxied_family::unix_socket: return address_family::unix_socket;
  }
  return address_family::unspecified;
}

}  // namespace

result<std::vector<std::byte>> encode_proxy_v1(const proxy_header& header) {
  std::string line = "PROXY UNKNOWN\r\n";
  if (header.family == proxied_family::inet || header.family == proxied_family::inet6) {
    line = header.family == proxied_family::inet ? "PROXY TCP4" : "PROXY TCP6";
    for (const auto* const end : {&header.source, &header.destination}) {
      const auto address = to_binary(header.family, end->host);
      if (!address) return bad_host(end->host);
      line += " " + to_text(header.family, address->octets.data());
    }
    line += " " + std::to_string(header.source.port) + " " + std::to_string(header.destination.port) + "\r\n";
  }
  const bytes view = as_bytes(line);
  return std::vector<std::byte>(view.begin(), view.end());
}

result<std::vector<std::byte>> encode_proxy_v2(const proxy_header& header) {
  const bool local = header.family == proxied_family::none;
  std::vector<std::byte> wire;
  append(wire, as_bytes(k_v2));
  wire.push_back(std::byte{0x20} | static_cast<std::byte>(local ? command::local : command::proxy));
  wire.push_back(static_cast<std::byte>(static_cast<unsigned>(wire_family(header.family)) << 4 | (local ? 0u : 1u)));
  append_be<std::uint16_t>(wire, 0);  // the length, once it is known
  if (!local)
    if (const auto written = append_addresses(wire, header); !written) return written.error();
  wire.push_back(std::byte{k_crc32c_tlv});
  append_be<std::uint16_t>(wire, k_crc_size);
  append_be<std::uint32_t>(wire, 0);
  store_be<std::uint16_t>(wire.data() + 14, static_cast<std::uint16_t>(wire.size() - k_v2_head));
  crc32c sum;
  sum.process_bytes(wire.data(), wire.size());
  store_be<std::uint32_t>(wire.data() + wire.size() - k_crc_size, sum.checksum());
  return wire;
}

}  // namespace ferry::codec
