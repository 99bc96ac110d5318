#include "socket/address.hpp"

#include <algorithm>
#include <charconv>

#include "channel/wording.hpp"

namespace ferry::sockets {
namespace {

error bad(std::string text) { return {errc::bad_address, std::move(text)}; }

address_family family_of(std::string_view host) {
  if (host.find(':') != std::string_view::npos) return address_family::ipv6;
  const bool number = !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
  return number ? address_family::ipv4 : address_family::unspecified;
}

/// Whether an address has a path besides host and port.
bool is_resource(socket_transport transport) {
  return transport == socket_transport::ws || transport == socket_transport::wss;
}

/// The host of an address, where its family says which of "all" or which literal.
result<std::string> host_of(const socket_address& address) {
  if (address.family == address_family::unspecified) return address.host;
  if (address.family == address_family::local) return bad("a local address on a transport that has hosts");
  if (address.host.empty() || address.host == "*")
    return std::string(address.family == address_family::ipv4 ? "0.0.0.0" : "::");
  if (family_of(address.host) != address.family)
    return bad("host '" + shown(address.host, 64) +
               "' is not an address of this family: with a name, leave the family "
               "unspecified");
  return address.host;
}

}  // namespace

const char* scheme_of(socket_transport transport) noexcept {
  switch (transport) {
    case socket_transport::ipc: return "ipc";
    case socket_transport::tcp: return "tcp";
    case socket_transport::tls: return "tls";
    case socket_transport::shm: return "shm";
    case socket_transport::inproc: return "inproc";
    case socket_transport::ws: return "ws";
    case socket_transport::wss: return "wss";
    case socket_transport::raw_ws: return "ws+raw";
    case socket_transport::raw_wss: return "wss+raw";
    case socket_transport::ws_ipc: return "ws+ipc";
  }
  return nullptr;
}

bool has_handshake(socket_transport transport) noexcept {
  using t = socket_transport;
  return transport == t::tls || transport == t::ws || transport == t::wss || transport == t::raw_wss ||
         transport == t::ws_ipc;
}

bool has_hosts(socket_transport transport) noexcept {
  using t = socket_transport;
  return transport == t::tcp || transport == t::tls || transport == t::ws || transport == t::wss ||
         transport == t::raw_ws || transport == t::raw_wss;
}

bool is_websocket(socket_transport transport) noexcept { return transport >= socket_transport::ws; }

result<endpoint> endpoint_of(socket_transport transport, const socket_address& address,
                             std::span<const std::string> known) {
  endpoint wanted;
  wanted.scheme = scheme_of(transport);
  if (std::find(known.begin(), known.end(), wanted.scheme) == known.end())
    return error(errc::unsupported, "this build has no transport '" + wanted.scheme + "'");
  wanted.path = address.path;
  std::string query;  // of a WebSocket's request
  if (is_resource(transport)) {
    const auto question = std::min(address.path.find('?'), address.path.size());
    wanted.path = address.path.substr(0, question);
    query = address.path.substr(question);
  }
  if (has_hosts(transport)) {
    auto host = host_of(address);
    if (!host) return host.error();
    wanted.host = std::move(*host);
    wanted.port = address.port;
    if (!is_resource(transport)) wanted.path.clear();
  } else if (address.family != address_family::local && address.family != address_family::unspecified) {
    return bad("an internet address on " + wanted.scheme + ", whose addresses are a path or a name");
  }
  // One reader judges every address: what it does not read back as the same is none.
  options none;
  auto read = parse_url(wanted.text() + query, none, known);
  if (!read) return bad(read.error().text());
  if (read->host != wanted.host || read->port != wanted.port || (read->path != wanted.path && !has_hosts(transport)))
    return bad("host '" + shown(wanted.host, 64) + "' and path '" + shown(wanted.path, 64) + "' are no address of " +
               wanted.scheme);
  return read;
}

socket_address address_of(socket_transport transport, std::string_view text) {
  socket_address made;
  if (!has_hosts(transport)) {
    made.family = address_family::local;
    made.path = text;
    return made;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return made;
  auto host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto port = text.substr(colon + 1);
  std::from_chars(port.data(), port.data() + port.size(), made.port);
  made.host = host;
  made.family = family_of(host);
  return made;
}

result<socket_address> address_of_url(socket_transport transport, std::string_view url,
                                      std::span<const std::string> known) {
  options none;
  auto read = parse_url(url, none, known);
  if (!read) return read.error();
  socket_address made{read->host, read->port, address_family::local, read->path};
  if (has_hosts(transport)) made.family = family_of(made.host);
  return made;
}

}  // namespace ferry::sockets
