#pragma once
/// The fixture of the suite that every transport passes: one scheme, framing and way of sending at a time.

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/transports.hpp"
#include "testing/faulty_stream.hpp"
#include "testing/sanitizers.hpp"
#include "testing/tcpshm_pair.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

inline constexpr std::size_t k_slower = k_checks_addresses || k_checks_threads ? 10 : 1;

/// Makes what has to stand beside both ends, and is kept until they are gone. @param dir  for its files
using beside_maker = std::shared_ptr<void> (*)(context& where, const temp_dir& dir);

struct setting {
  const char* transport;  ///< inproc, ipc, abstract, tcp4, tcp6, localhost, tls4, ws4, wss4, wsraw4, wssraw4, wsipc,
                          ///< faulty, faulty_tls, faulty_ws, captured (tcp4), captured_faulty, shm, shm_small,
                          ///< shm_copy, sidecar, sidecar_compatible; session_ before one; tcpshm_ before tcp4 or shm
  framing_kind framing;
  senders_kind senders;
  beside_maker beside = nullptr;

  /// Whatever may be before its name.
  [[nodiscard]] bool is(std::string_view name) const noexcept { return carrier() == name; }
  [[nodiscard]] bool is_session() const noexcept { return std::string_view(transport).starts_with("session_"); }
  [[nodiscard]] bool is_tcpshm() const noexcept { return std::string_view(transport).starts_with("tcpshm_"); }
  [[nodiscard]] std::string_view carrier() const noexcept {
    return std::string_view(transport).substr(is_session() ? 8 : is_tcpshm() ? 7 : 0);
  }
};
inline std::string name_of(const setting& s) {
  static constexpr const char* k_framings[] = {"automatic", "varint", "u32", "typed"};
  return std::string(s.transport) + "_" + k_framings[static_cast<int>(s.framing)] +
         (s.senders == senders_kind::many ? "_many" : "_one");
}
inline void PrintTo(const setting& s, std::ostream* out) { *out << name_of(s); }

/// A promise that is another one somewhere.
struct other_promise {
  const char* test;
  const char* why;
};
[[nodiscard]] inline const char* find_reason(std::span<const other_promise> rows, std::string_view test) {
  for (const auto& one : rows)
    if (test == one.test) return one.why;
  return nullptr;
}

/// What is promised otherwise where a session outlives its connections, and tested by what is about sessions.
[[nodiscard]] inline const char* not_for_sessions(std::string_view test) {
  static constexpr const char* k_ring = "what waits lies in the ring's file, whose size is the limit";
  static constexpr const char* k_taken = "what is sent is taken when the peer has consumed it";
  static constexpr const char* k_outlives = "an accepted end outlives its connection";
  static constexpr other_promise k_rows[] = {
      {"respects_the_limit_of_the_send_queue_in_messages", k_ring},
      {"stops_reading_at_the_limit_of_the_receive_queue_in_messages", k_ring},
      {"tells_full_in_bounded_memory_when_nobody_asks_and_loses_nothing_when_somebody_does", k_ring},
      {"tells_that_there_is_room_again_once_after_it_was_full", k_ring},
      {"reads_on_once_the_receive_queue_is_below_its_low_mark", k_ring},
      {"lets_async_send_wait_for_room_and_keeps_the_order", k_ring},
      {"completes_a_flush_when_the_kernel_has_everything_and_not_before", k_taken},
      {"cancels_a_waiting_send_and_a_waiting_flush_without_sending_more", k_taken},
      {"delivers_nothing_between_pause_and_resume", k_taken},
      {"counts_open_channels_and_connections_in_the_totals", k_taken},
      {"cuts_a_peer_that_takes_nothing_for_the_write_timeout_and_says_what_was_left", k_taken},
      {"raises_its_readiness_descriptor_until_try_receive_has_found_nothing", k_outlives},
      {"cuts_its_end_when_the_last_handle_goes", k_outlives},
      {"ends_every_waiting_operation_with_the_reason_when_it_is_cut", k_outlives},
      {"gives_what_arrived_before_the_end_and_then_why_it_ended", k_outlives},
      {"cuts_a_channel_of_which_no_copy_was_kept", k_outlives},
      {"ends_the_connection_when_the_peer_sends_more_than_max_message", k_outlives},
      {"delivers_nothing_twice_and_loses_at_most_the_bound_when_the_listener_restarts", k_outlives},
  };
  return find_reason(k_rows, test);
}

/// What is promised otherwise with compat=tcpshm, and tested by tcpshm_channel_test. Source: docs/compat-tcpshm.md.
[[nodiscard]] inline const char* not_for_tcpshm(std::string_view test) {
  static constexpr const char* k_files = "before the very first login there is nothing to queue messages in";
  static constexpr const char* k_queue = "the queue file or the ring is the queue of both ends, and its size the limit";
  static constexpr const char* k_taken = "what is sent is taken when the peer has consumed it";
  static constexpr const char* k_outlives = "an accepted end outlives its connection: an end looks like a death";
  static constexpr const char* k_halves = "the wire has no end of one direction, and tells of no end in order";
  static constexpr const char* k_size = "a message has at most 65527 bytes";
  static constexpr other_promise k_rows[] = {
      {"sends_what_was_queued_before_it_was_connected", k_files},
      {"keeps_its_queue_until_somebody_listens", k_files},
      {"respects_the_limit_of_the_send_queue_in_messages", k_queue},
      {"stops_reading_at_the_limit_of_the_receive_queue_in_messages", k_queue},
      {"tells_full_in_bounded_memory_when_nobody_asks_and_loses_nothing_when_somebody_does", k_queue},
      {"tells_that_there_is_room_again_once_after_it_was_full", k_queue},
      {"reads_on_once_the_receive_queue_is_below_its_low_mark", k_queue},
      {"lets_async_send_wait_for_room_and_keeps_the_order", k_queue},
      {"cancels_a_waiting_send_and_a_waiting_flush_without_sending_more", k_queue},
      {"ends_every_waiting_operation_with_the_reason_when_it_is_cut", k_queue},
      {"takes_a_message_larger_than_the_send_queue_when_nothing_else_waits", k_queue},
      {"completes_a_flush_when_the_kernel_has_everything_and_not_before", k_taken},
      {"delivers_nothing_between_pause_and_resume", k_taken},
      {"cuts_a_peer_that_takes_nothing_for_the_write_timeout_and_says_what_was_left", k_taken},
      {"drains_and_reports_a_clean_close_when_the_peer_has_read_everything", k_outlives},
      {"raises_its_readiness_descriptor_until_try_receive_has_found_nothing", k_outlives},
      {"gives_what_arrived_before_the_end_and_then_why_it_ended", k_outlives},
      {"cuts_its_end_when_the_last_handle_goes", k_outlives},
      {"ends_the_connection_when_the_peer_sends_more_than_max_message", k_outlives},
      {"delivers_nothing_twice_and_loses_at_most_the_bound_when_the_listener_restarts", k_outlives},
      {"half_closes_and_still_hears_the_answer", k_halves},
      {"can_answer_the_last_message_of_a_peer_that_has_ended_its_direction", k_halves},
      {"goes_on_after_a_peer_that_ended_in_order", k_halves},
      {"lets_the_handler_see_the_first_message_when_it_is_set_inside_on_channel", k_halves},
      {"delivers_every_size_around_the_boundaries", k_size},
      {"delivers_each_size_alone_too", k_size},
      {"delivers_max_message_and_refuses_one_byte_more_with_both_numbers", k_size},
      {"keeps_kind_and_type_exactly_where_its_traits_say_so", "types are carried, but one; kinds are not"},
  };
  return find_reason(k_rows, test);
}

/// `size` bytes that differ from those of another seed.
inline std::string pattern(std::uint64_t seed, std::size_t size) {
  std::string made(size, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (char& c : made) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    c = static_cast<char>(state >> 57);  // ASCII: it may travel as text
  }
  return made;
}

/// What one end of a connection went through; handlers refer to it, so it must outlive the channel.
struct life {
  std::vector<std::string> messages;
  int ups = 0;
  std::vector<down_info> downs;
  bool paired = true;  ///< every up was followed by one down before the next

  void watch(channel& one) {
    one.on_up([this](const peer_info&) { paired = paired && ups++ == static_cast<int>(downs.size()); });
    one.on_down([this](const down_info& info) {
      downs.push_back(info);
      paired = paired && static_cast<int>(downs.size()) == ups;
    });
  }
  void receive(channel& one) {
    one.on_message([this](const message_view& m) { messages.emplace_back(m.text()); });
  }
};

struct ends {
  channel client, server;
};

class any_transport {
 public:
  any_transport(const setting& with) : with_(with) {
    faults->most_per_read = 700;
    faults->most_per_write = 1500;
    const auto faulty = std::make_shared<faulty_transport>(faults);
    where.register_transport("faulty", faulty);
    where.register_transport("faultytls", net::make_tls_transport(faulty));
    where.register_transport("faultyws", net::make_ws_transport(faulty, net::ws_start::raw));
    if (with_.beside != nullptr) beside_ = with_.beside(where, dir);
    if (is_tls()) tls_authority().issue(dir.file("host.pem"), {.names = "DNS:meeting,IP:127.0.0.1"});
  }

  /// Options with this framing and way of sending.
  [[nodiscard]] options settings() const {
    options o;
    o.framing = with_.framing;
    o.senders = with_.senders;
    o.reconnect_base = o.reconnect_max = std::chrono::milliseconds(1);
    o.runtime_dir = dir.path();
    o.copy = with_.is("shm_copy");
    if (with_.is("shm_small")) o.ring_bytes = 4096;
    if (with_.is("captured") || with_.is("captured_faulty")) o.capture = dir.file("wire.pcap");
    if (is_tls()) {
      o.tls_certificate = dir.file("host.pem");
      o.tls_ca = dir.file("host.pem.ca");
      o.tls_verify = tls_verify_kind::yes;
    }
    if (with_.is_session()) {
      o.session = session_kind::persistent;
      o.as = "somebody";
      o.dir = dir.path();
      o.ring_bytes = 8u << 20;
    }
    if (with_.is_tcpshm()) {
      o.session = session_kind::persistent;
      o.compat = compat_kind::tcpshm;
      o.as = tcpshm_somebody_;
      o.dir = dir.path();
      o.tcpshm_queue_bytes = 8u << 20;
    }
    return o;
  }
  [[nodiscard]] std::string listen_url() const {
    if (with_.is_tcpshm()) return (with_.is("shm") ? "shm" : "tcp") + std::string("://127.0.0.1:0");
    if (with_.is("inproc")) return "inproc://meeting";
    if (with_.is("ipc")) return "ipc://" + dir.file("socket");
    if (with_.is("abstract")) return "ipc://@" + dir.file("socket");
    if (is_ring()) return "shm://meeting";
    if (is_sidecar()) return "sidecar://" + dir.file("201");
    if (with_.is("tcp4") || with_.is("captured")) return "tcp://127.0.0.1:0";
    if (with_.is("tls4")) return "tls://127.0.0.1:0";
    if (with_.is("faulty_tls")) return "faultytls://meeting";
    if (with_.is("faulty_ws")) return "faultyws://meeting";
    if (with_.is("ws4")) return "ws://127.0.0.1:0/meeting";
    if (with_.is("wss4")) return "wss://127.0.0.1:0/meeting";
    if (with_.is("wsraw4")) return "ws+raw://127.0.0.1:0";
    if (with_.is("wssraw4")) return "wss+raw://127.0.0.1:0";
    if (with_.is("wsipc")) return "ws+ipc://" + dir.file("socket") + "?path=/meeting";
    if (with_.is("tcp6")) return "tcp://[::1]:0";
    if (with_.is("localhost")) return "tcp://localhost:0";
    return "faulty://meeting";
  }
  [[nodiscard]] bool is_ring() const {
    return !with_.is_tcpshm() && (with_.is("shm") || with_.is("shm_small") || with_.is("shm_copy"));
  }
  /// Entity 101 connects, entity 201 listens.
  [[nodiscard]] bool is_sidecar() const { return with_.is("sidecar") || with_.is("sidecar_compatible"); }
  /// While connected, a ring is the send queue: a full one is full, and what was taken is in it. Tests that want more
  /// than 4 KiB to be taken at once say so with this.
  [[nodiscard]] bool takes_little() const { return with_.is("shm_small"); }
  /// As large as a message of this transport may be, if it may not have `size` bytes.
  [[nodiscard]] std::size_t at_most(std::size_t size) const {
    return with_.is_tcpshm() ? std::min<std::size_t>(size, 65'527) : size;
  }
  [[nodiscard]] bool is_tls() const {
    return with_.is("tls4") || with_.is("faulty_tls") || with_.is("wss4") || with_.is("wssraw4");
  }
  [[nodiscard]] bool is_ws() const { return with_.carrier().find("ws") != std::string_view::npos; }
  [[nodiscard]] bool is_tcp() const {
    return with_.is("tcp4") || with_.is("captured") || with_.is("tcp6") || with_.is("localhost");
  }
  /// Where `at` can be connected to; by name if this is what is tested.
  [[nodiscard]] std::string connect_url(const listener& at) const {
    const std::string url = at.url();
    if (is_sidecar()) return "sidecar://" + dir.file("101") + "?to=201";
    return with_.is("localhost") ? "tcp://localhost" + url.substr(url.rfind(':')) : url;
  }

  [[nodiscard]] listener listen(options with) {
    if (with_.is_session()) with.as = "listener";
    if (with_.is_tcpshm()) with.as = tcpshm_listener_;
    auto made = listener::open(where, listen_url(), with);
    if (!made) ADD_FAILURE() << made.error().text();
    return made ? *made : listener{};
  }
  [[nodiscard]] channel open(const std::string& url, options with) {
    if (with_.is_session()) with.as = "client-" + std::to_string(++clients_);
    if (with_.is_tcpshm()) {
      with.as = unique_name("c");
      for (const auto& other : {tcpshm_listener_, tcpshm_somebody_}) rings_.emplace_back(with.as, other);
    }
    auto made = channel::open(where, url, with);
    if (!made) ADD_FAILURE() << made.error().text();
    return made ? *made : channel{};
  }
  /// Both ends of one connection; the listener stays in `listening`.
  [[nodiscard]] ends connect(const options& client_with, const options& server_with) {
    if (!listening) listening = listen(server_with);
    ends made;
    listening.async_accept([&](error_code, channel arrived) { made.server = std::move(arrived); });
    made.client = open(connect_url(listening), client_with);
    EXPECT_TRUE(turn([&] { return made.server && made.client.state() == channel_state::up; }, "both ends"));
    return made;
  }
  [[nodiscard]] ends connect() { return connect(settings(), settings()); }

  /// Where messages can be queued only once there was a login: waits for it.
  [[nodiscard]] ::testing::AssertionResult wait_until_it_takes_messages(const channel& one) {
    if (!with_.is_tcpshm()) return ::testing::AssertionSuccess();
    return turn([&] { return one.state() == channel_state::up; }, "the first login");
  }

  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited, std::chrono::seconds(60));
  }

  boost::asio::io_context io;
  std::shared_ptr<fault_plan> faults = std::make_shared<fault_plan>();
  temp_dir dir;
  context where{io};

 private:
  std::shared_ptr<void> beside_;

 public:
  listener listening;

 protected:
  setting with_;

 private:
  int clients_ = 0;
  // Shared memory has no directories: its names are this test's alone, and are removed.
  const std::string tcpshm_listener_ = unique_name("l");
  const std::string tcpshm_somebody_ = unique_name("s");  // who opens with settings()
  const clean_rings rings_of_somebody_{tcpshm_somebody_, tcpshm_listener_};
  std::deque<clean_rings> rings_;
};

class transport : public ::testing::TestWithParam<setting>, public any_transport {
 protected:
  transport() : any_transport(GetParam()) {}
  /// connect(); the ends are `client` and `server`.
  void join(const options& client_with, const options& server_with) {
    auto both = connect(client_with, server_with);
    client = std::move(both.client);
    server = std::move(both.server);
  }
  void join() { join(settings(), settings()); }
  void SetUp() override {
    std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    test.resize(std::min(test.size(), test.find('/')));
    const char* const why = with_.is_session()  ? not_for_sessions(test)
                            : with_.is_tcpshm() ? not_for_tcpshm(test)
                                                : nullptr;
    if (why != nullptr) GTEST_SKIP() << why;
    if (with_.is("tcp6") && !listener::open(where, "tcp://[::1]:0")) GTEST_SKIP() << "no IPv6 on this machine";
  }

  channel client, server;
};

/// Sends payload(0) .. payload(count - 1) as fast as the queue takes them. Refers to itself: keep it where it is.
class feeder {
 public:
  feeder(channel& to, std::size_t count, std::function<std::string(std::size_t)> payload)
      : to_(to), count_(count), payload_(std::move(payload)) {
    to_.on_drain([this] { feed(); });
    feed();
  }
  [[nodiscard]] std::size_t sent() const noexcept { return sent_; }
  [[nodiscard]] bool done() const noexcept { return sent_ == count_; }
  [[nodiscard]] std::size_t times_full() const noexcept { return full_; }

 private:
  void feed() {
    for (; sent_ < count_; ++sent_) {
      const auto outcome = to_.try_send(as_bytes(payload_(sent_)));
      if (outcome) continue;
      ++full_;
      if (outcome.error() != errc::full) ADD_FAILURE() << outcome.error().text();
      return;
    }
  }
  channel& to_;
  std::size_t count_;
  std::function<std::string(std::size_t)> payload_;
  std::size_t sent_ = 0;
  std::size_t full_ = 0;
};

}  // namespace ferry::test
