#include <ferry/context.hpp>

#include <algorithm>
#include <boost/container/flat_map.hpp>
#include <functional>
#include <utility>

#include "channel/session_book.hpp"
#include "net/capture_stream.hpp"
#include "net/residents.hpp"
#include "net/transports.hpp"

namespace ferry {

struct context::shared_parts {
  boost::container::flat_map<std::string, std::shared_ptr<stream_transport>, std::less<>> transports;
  std::shared_ptr<net::capture_files> captures = std::make_shared<net::capture_files>();
  std::shared_ptr<detail::session_book> sessions = std::make_shared<detail::session_book>();
};

context::context(boost::asio::io_context& io, const context_options& with)
    : context(io, std::make_shared<buffer_pool>(with.buffers), with) {}

context::context(boost::asio::io_context& io, std::shared_ptr<buffer_pool> buffers, const context_options& with)
    : io_(io),
      shared_(std::make_shared<shared_parts>()),
      buffers_(std::move(buffers)),
      log_(with.log),
      level_(with.level),
      blocking_executor_(with.blocking_executor),
      residents_(std::make_shared<detail::residents>()) {
  list_totals();
  register_transport("inproc", net::make_inproc_transport());
  register_transport("ipc", net::make_unix_transport());
  register_transport("tcp", net::make_tcp_transport());
  const auto tls = net::make_tls_transport();
  register_transport("tls", tls);
  const auto websocket = [this](const char* scheme, std::shared_ptr<stream_transport> below, net::ws_start start) {
    const auto first = start == net::ws_start::raw ? net::captured_protocol::any : net::captured_protocol::http;
    auto seen = net::make_captured(std::move(below), shared_->captures, first);
    register_transport(scheme, net::make_ws_transport(std::move(seen), start));
  };
  websocket("ws", net::make_tcp_transport(), net::ws_start::upgrade);
  websocket("wss", tls, net::ws_start::upgrade);
  websocket("ws+ipc", net::make_unix_transport(), net::ws_start::upgrade);
  websocket("ws+raw", net::make_tcp_transport(), net::ws_start::raw);
  websocket("wss+raw", tls, net::ws_start::raw);
}

context::context(boost::asio::io_context& io, const context& other)
    : io_(io),
      shared_(other.shared_),
      buffers_(other.buffers_),
      log_(other.log_),
      level_(other.level_),
      blocking_executor_(other.blocking_executor_),
      residents_(std::make_shared<detail::residents>()) {
  list_totals();
}

context::~context() { residents_->abandon_all(); }

void context::list_totals() {
  const auto list = [this](const char* name, const auto& instrument, const char* help) {
    using kind = std::remove_reference_t<decltype(instrument)>;
    listed_.push_back(registry_.add({name, {}, help}, std::shared_ptr<kind>(totals_, &instrument)));
  };
  const context_totals& t = *totals_;
  list("ferry_channels_open", t.channels_open, "Channels that are not closed.");
  list("ferry_connections_accepted_total", t.connections_accepted, "Connections that listeners took.");
  list("ferry_connections_refused_total", t.connections_refused, "Connections above max_connections or not allowed.");
  list("ferry_connections_made_total", t.connections_made, "Connections made to others.");
  list("ferry_connect_failures_total", t.connect_failures, "Attempts to connect that failed.");
  list("ferry_accept_errors_total", t.accept_errors, "Attempts to accept that failed.");
  list("ferry_messages_received_total", t.messages_received, "Messages received.");
  list("ferry_bytes_sent_total", t.bytes_sent, "Bytes sent, framing included.");
  list("ferry_bytes_received_total", t.bytes_received, "Bytes received, framing included.");
  list("ferry_writes_total", t.writes, "System calls that wrote.");
  list("ferry_reads_total", t.reads, "System calls that read.");
  list("ferry_protocol_errors_total", t.protocol_errors, "Connections ended because the peer broke the protocol.");
  list("ferry_messages_maybe_lost_total", t.messages_maybe_lost, "Upper bound of messages lost with connections.");
  list("ferry_tls_handshakes_total", t.tls_handshakes, "TLS handshakes that succeeded.");
  list("ferry_tls_resumed_total", t.tls_resumed, "TLS handshakes that went on with an earlier session.");
  list("ferry_tls_handshake_failures_total", t.tls_handshake_failures, "TLS handshakes that failed.");
  list("ferry_tls_handshake_nanoseconds", t.tls_handshake_nanoseconds, "How long TLS handshakes took that succeeded.");
  list("ferry_tls_reloads_total", t.tls_reloads, "Times that changed certificate files were read again.");
  list("ferry_tls_reload_failures_total", t.tls_reload_failures, "Changed certificate files that could not be used.");
  list("ferry_ws_handshakes_total", t.ws_handshakes, "WebSocket handshakes that succeeded.");
  list("ferry_ws_handshake_failures_total", t.ws_handshake_failures, "WebSocket handshakes that failed.");
  list("ferry_capture_bytes_total", t.capture_bytes, "Bytes written to capture files.");
  list("ferry_captures_cut_short_total", t.captures_cut_short, "Captures that ended at capture_max or a write error.");
  list("ferry_messages_poisoned_total", t.messages_poisoned, "Messages dropped after max_send_attempts.");
}

void context::register_transport(std::string scheme, std::shared_ptr<stream_transport> transport) {
  // What carries messages is captured below them, by whoever makes it.
  if (transport && transport->shape() != stream_shape::messages)
    transport = net::make_captured(std::move(transport), shared_->captures);
  shared_->transports.insert_or_assign(std::move(scheme), std::move(transport));
}

const std::shared_ptr<net::capture_files>& context::captures() const noexcept { return shared_->captures; }

const std::shared_ptr<detail::session_book>& context::sessions() const noexcept { return shared_->sessions; }

std::shared_ptr<stream_transport> context::transport(std::string_view scheme) const {
  const auto found = shared_->transports.find(scheme);
  return found == shared_->transports.end() ? nullptr : found->second;
}

bool context::is_local(std::string_view scheme) const {
  const auto found = transport(scheme);
  return found && found->shape() == stream_shape::local;
}

std::vector<std::string> context::schemes() const {
  std::vector<std::string> names;
  for (const auto& [scheme, transport] : shared_->transports) names.push_back(scheme);
  names.insert(std::upper_bound(names.begin(), names.end(), "shm"), "shm");  // built in: no stream carries it
  return names;
}

}  // namespace ferry
