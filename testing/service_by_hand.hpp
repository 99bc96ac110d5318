#pragma once
/// A sidecar in a test, and its services by hand: files, locks and sockets one step at a time, so that each can be left
/// out or done wrongly.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/sidecar_control.hpp"
#include "codec/sidecar_message.hpp"
#include "codec/sidecar_notices.hpp"
#include "os/mapping.hpp"
#include "ring/sidecar_ring.hpp"
#include "sidecar/settings.hpp"
#include "sidecar/wire/control_messages.hpp"
#include "sidecar/wire/heads.hpp"
#include "testing/raw_unix.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

[[nodiscard]] inline std::uint64_t milliseconds_since_1970() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

/// A message as a service sees it, copied.
struct seen_message {
  std::uint32_t from = 0;
  std::int32_t return_code = 0;
  std::string id, body;
};

class service_by_hand {
 public:
  service_by_hand(boost::asio::io_context& io, sidecar::entity_settings of, std::uint32_t pipe = 0)
      : io_(io), of_(std::move(of)), pipe_(pipe) {
    said_.service = std::to_string(of_.service);
    said_.entity = std::to_string(of_.entity);
    said_.pipe = static_cast<std::int32_t>(pipe);
    said_.unique_id = 1;
  }
  ~service_by_hand() { unlock(); }
  service_by_hand(const service_by_hand&) = delete;
  service_by_hand& operator=(const service_by_hand&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return of_.directory + "/" + name; }
  [[nodiscard]] std::string ring_path(const std::string& name) const {
    return path(name) + (pipe_ == 0 ? "" : std::to_string(pipe_));
  }

  void lock() {
    lock_ = ::open(path(of_.lock_name + std::to_string(pipe_)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(lock_, 0);
    ASSERT_EQ(::flock(lock_, LOCK_EX | LOCK_NB), 0);
  }
  void unlock() noexcept {
    if (lock_ >= 0) ::close(std::exchange(lock_, -1));
  }
  void map() {
    const auto map_one = [&](const std::string& name, os::mapping& at) {
      const auto file = os::open_file(ring_path(name), true);
      ASSERT_TRUE(file) << file.error().text();
      auto mapped = os::mapping::of(file->get(), *os::file_size(file->get(), name), true);
      ASSERT_TRUE(mapped);
      at = std::move(*mapped);
    };
    map_one(of_.receive_name, receive_);
    map_one(of_.send_name, send_);
    in = *ring::sidecar_ring_consumer::attach(*ring::sidecar_ring_memory::open(receive_.span()));
    out = *ring::sidecar_ring_producer::attach(*ring::sidecar_ring_memory::open(send_.span()));
  }
  /// With the pipe and the rings that it has.
  codec::sidecar::registration_answer enter_again() {
    connect();
    tell(said_);
    return hear<codec::sidecar::registration_answer>().value_or(codec::sidecar::registration_answer{-99});
  }
  void connect() { control = raw_unix::connect(path(of_.socket_name)); }
  [[nodiscard]] codec::sidecar::registration& said() noexcept { return said_; }

  void tell(const codec::sidecar::notice& what) const {
    std::vector<std::byte> wire;
    ASSERT_TRUE(sidecar::wire::append(wire, what));
    ASSERT_EQ(control.send(as_text(wire)), 0);
  }
  /// The next notice of that kind; others are passed over.
  template <class T>
  [[nodiscard]] std::optional<T> hear() {
    std::optional<T> got;
    EXPECT_TRUE(run_until(
        io_, [&] { return take(got); }, "a notice of the sidecar"));
    return got;
  }
  [[nodiscard]] bool has_ended() {
    const auto more = control.read_some();
    heard_.insert(heard_.end(), as_bytes(more).begin(), as_bytes(more).end());
    return control.ended();
  }

  /// All steps. @return the sidecar's answer
  codec::sidecar::registration_answer enter() {
    lock();
    map();
    return enter_again();
  }
  [[nodiscard]] codec::sidecar::heartbeat beat(codec::sidecar::service_health state = {}) const {
    return {state, said_.pipe, said_.unique_id, said_.set_version};
  }
  [[nodiscard]] codec::sidecar::unregistration farewell() const { return {said_.entity, said_.pipe, said_.unique_id}; }

  /// @return false: no room
  bool send(const service_destination& to, std::string_view body, std::uint64_t set_version = 0) {
    service_route route;
    route.from = of_.entity;
    route.message_id = "test";
    route.to = to;
    route.to_set_version = set_version;
    return send(route, body);
  }
  bool send(const service_route& route, std::string_view body) {
    service_package package;
    package.message_id = "test";
    package.server_sequence = ++sequence_;
    return send(route, package, body, milliseconds_since_1970());
  }
  /// @param time_ms  when it says that it was sent
  bool send(const service_route& route, const service_package& package, std::string_view body, std::uint64_t time_ms) {
    sidecar::wire::head_writer writer;
    const auto route_head = *writer.route(route);
    const codec::sidecar::message_parts parts{route_head, *writer.package(package), as_bytes(body)};
    auto* room = out.reserve(parts.total_bytes());
    if (room == nullptr) return false;
    store_message(room, parts);
    out.publish(parts.total_bytes(), parts.route_bytes(), time_ms);
    return true;
  }
  /// What lies in its ring now.
  [[nodiscard]] std::optional<seen_message> take() {
    const auto front = in.front(milliseconds_since_1970());
    EXPECT_TRUE(front) << front.error().text();
    if (!front || !*front) return std::nullopt;
    const auto parts = codec::sidecar::split_message(front->body, front->head_bytes);
    EXPECT_TRUE(parts) << parts.error().text();
    seen_message made;
    sidecar::wire::head_reader heads;
    const auto route = heads.route(parts->route_head);
    const auto package = heads.package(parts->package_head);
    EXPECT_TRUE(route && package);
    made.from = route->from;
    made.id = package->message_id;
    made.return_code = package->return_code;
    made.body = as_text(parts->body);
    in.pop();
    return made;
  }
  [[nodiscard]] seen_message receive() {
    std::optional<seen_message> got;
    EXPECT_TRUE(run_until(
        io_, [&] { return got || (got = take()); }, "a message for entity " + std::to_string(of_.entity)));
    return got.value_or(seen_message{});
  }
  [[nodiscard]] std::span<std::byte> sent_memory() const noexcept { return send_.span(); }
  [[nodiscard]] std::span<std::byte> received_memory() const noexcept { return receive_.span(); }

  raw_unix control;
  ring::sidecar_ring_consumer in;
  ring::sidecar_ring_producer out;

 private:
  template <class T>
  bool take(std::optional<T>& got) {
    const auto more = control.read_some();
    heard_.insert(heard_.end(), as_bytes(more).begin(), as_bytes(more).end());
    for (;;) {
      const auto next = codec::sidecar::control_decoder().next(heard_);
      if (!next || next->consumed == 0) return false;
      const auto what = sidecar::wire::decode(*next);
      EXPECT_TRUE(what);
      heard_.erase(heard_.begin(), heard_.begin() + static_cast<std::ptrdiff_t>(next->consumed));
      if (!what || !std::holds_alternative<T>(*what)) continue;
      got = std::get<T>(*what);
      return true;
    }
  }

  boost::asio::io_context& io_;
  sidecar::entity_settings of_;
  std::uint32_t pipe_;
  codec::sidecar::registration said_;
  int lock_ = -1;
  os::mapping receive_, send_;
  std::vector<std::byte> heard_;
  std::uint32_t sequence_ = 0;
};

}  // namespace ferry::test
