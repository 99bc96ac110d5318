#include "apps/ferry/loopback.hpp"

#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <functional>
#include <optional>
#include <random>
#include <utility>

namespace ferry::app {
namespace {

struct sample {
  std::string payload;
  message_kind kind = message_kind::binary;
  std::uint16_t type = 0;
};

// Message `index` of one direction of the connection with this seed.
sample sample_of(std::uint64_t seed, bool of_server, std::uint64_t index, const transport_traits& traits) {
  std::mt19937_64 dice(seed * 0x9e3779b97f4a7c15u + index * 2 + (of_server ? 1 : 0));
  const auto kind_of_size = dice() % 100;
  const std::size_t size = kind_of_size < 8    ? 0
                           : kind_of_size < 80 ? dice() % 300
                           : kind_of_size < 98 ? dice() % 20'000
                                               : dice() % 300'000;
  sample made;
  made.payload.resize(size);
  for (char& c : made.payload) c = static_cast<char>('a' + dice() % 26);
  if (traits.carries_kind && dice() % 2 == 0) made.kind = message_kind::text;
  if (traits.carries_type) made.type = static_cast<std::uint16_t>(dice());
  return made;
}

// One end of a connection: sends its messages, and checks those of the other end.
class end {
 public:
  /// @param manners  who speaks and ends when
  enum class manners : std::uint8_t {
    at_once,         ///< speaks at once, and ends its direction then
    speaks_last,     ///< speaks when the other one has ended
    ends_with_both,  ///< ends when everything is here too: for transports on which one end is the end of both
  };
  end(std::uint64_t seed, bool server, std::uint64_t to_send, std::uint64_t to_come, manners how)
      : seed_(seed), server_(server), to_send_(to_send), to_come_(to_come), how_(how) {}

  void begin(channel over, std::function<void(std::uint64_t received)> on_received = {}) {
    over_ = std::move(over);
    on_received_ = std::move(on_received);
    over_.on_message([this](const message_view& m) { take(m); });
    over_.on_drain([this] { feed(); });
    over_.on_peer_end([this] {
      peer_ended = true;
      feed();
    });
    over_.on_down([this](const down_info&) { down = true; });
    // Ending a channel that has nothing to send and is not connected yet would be the end of it.
    over_.on_up([this](const peer_info&) {
      up_ = true;
      feed();
    });
  }
  [[nodiscard]] channel& over() noexcept { return over_; }

  std::uint64_t sent = 0, received = 0, bytes_received = 0;
  bool peer_ended = false, down = false;
  std::optional<error> wrong;

 private:
  void feed() {
    if (!up_ || (how_ == manners::speaks_last && !peer_ended)) return;
    while (sent < to_send_) {
      const auto one = sample_of(seed_, server_, sent, over_.traits());
      const auto queued = over_.try_send(as_bytes(one.payload), one.kind, one.type);
      if (queued) {
        ++sent;
        continue;
      }
      if (queued.error() != errc::full && queued.error() != errc::closed) wrong = queued.error();
      return;
    }
    if (how_ == manners::ends_with_both && received < to_come_ && !peer_ended) return;
    if (!std::exchange(told_end_, true)) over_.half_close();
  }

  void take(const message_view& m) {
    const auto wanted = sample_of(seed_, !server_, received, over_.traits());
    if (received >= to_come_ && !wrong) wrong = error(errc::corrupt, "more messages came than were sent");
    if ((m.text() != wanted.payload || m.kind != wanted.kind || m.type != wanted.type) && !wrong)
      wrong =
          error(errc::corrupt, "message " + std::to_string(received) + " of the " + (server_ ? "client" : "server") +
                                   " is not what was sent: " + std::to_string(m.payload.size()) + " bytes came for " +
                                   std::to_string(wanted.payload.size()));
    ++received;
    bytes_received += m.payload.size();
    if (on_received_) on_received_(received);
    if (received == to_come_) feed();
  }

  std::uint64_t seed_;
  bool server_;
  std::uint64_t to_send_, to_come_;
  manners how_;
  bool up_ = false, told_end_ = false;
  channel over_;
  std::function<void(std::uint64_t)> on_received_;
};

class harness {
 public:
  harness(context& where, const options& asking, std::chrono::nanoseconds patience)
      : where_(where), asking_(asking), patience_(patience) {
    asking_.reconnect = false;
  }

  result<void> listen(const std::string& url, const options& serving) {
    auto made = listener::open(where_, url, serving);
    if (!made) return made.error();
    listening_ = std::move(*made);
    const auto carrier = where_.transport(url.substr(0, url.find(':')));
    has_halves_ = !carrier || carrier->shape() != stream_shape::messages;
    listening_.on_channel([this](channel arrived) { arrived_ = std::move(arrived); });
    return {};
  }

  result<void> connection(std::uint64_t seed) {
    std::mt19937_64 dice(seed);
    const auto many = [&dice] { return dice() % 8 == 0 ? dice() % 2000 : dice() % 60; };
    const std::uint64_t there = many(), back = many();
    const bool cuts = dice() % 5 == 0 && there != 0;
    const auto waits = dice() % 4;  // 0: the client, 1: the server, else nobody
    const bool half_open = waits < 2 && !cuts && has_halves_;
    const auto usual = has_halves_ ? end::manners::at_once : end::manners::ends_with_both;
    const auto last = end::manners::speaks_last;
    end client(seed, false, there, back, half_open && waits == 0 ? last : usual);
    end server(seed, true, back, there, cuts || (half_open && waits == 1) ? last : usual);
    arrived_ = {};
    auto opened = channel::open(where_, listening_.url(), asking_);
    if (!opened) return opened.error();
    client.begin(*opened);
    if (const auto came = turn([&] { return bool(arrived_); }, client, server, "the connection"); !came) return came;
    const std::uint64_t cut_at = cuts ? 1 + dice() % there : 0;
    server.begin(std::move(arrived_), [&server, cut_at](std::uint64_t received) {
      if (received == cut_at) server.over().cut();
    });
    auto outcome = cuts ? cut(client, server) : orderly(client, server, there, back);
    figures.connections += 1;
    figures.cut += cuts ? 1 : 0;
    figures.half_open += half_open ? 1 : 0;
    figures.messages += client.received + server.received;
    figures.bytes += client.bytes_received + server.bytes_received;
    return outcome;
  }

  loopback_figures figures;

 private:
  using condition = std::function<bool()>;

  result<void> turn(const condition& done, const end& client, const end& server, const char* awaited) {
    auto& io = where_.io();
    const auto work = boost::asio::make_work_guard(io);
    const auto until = std::chrono::steady_clock::now() + patience_;
    while (!done()) {
      if (client.wrong) return client.wrong->in("at the client");
      if (server.wrong) return server.wrong->in("at the server");
      if (io.stopped()) io.restart();
      if (io.run_one_until(until) == 0 && std::chrono::steady_clock::now() >= until)
        return error(errc::timeout, std::string("gave up waiting for ") + awaited);
    }
    if (client.wrong) return client.wrong->in("at the client");
    if (server.wrong) return server.wrong->in("at the server");
    return {};
  }

  result<void> close(end& client, end& server, close_report& report) {
    bool done = false;
    client.over().async_close([&](error_code, const close_report& made) {
      report = made;
      done = true;
    });
    return turn([&done] { return done; }, client, server, "the client's close");
  }

  result<void> orderly(end& client, end& server, std::uint64_t there, std::uint64_t back) {
    auto all = turn([&] { return server.received == there && client.received == back && server.down && client.down; },
                    client, server, "all messages, and both ends");
    if (!all) return all;
    close_report report;
    if (const auto ended = close(client, server, report); !ended || report.clean()) return ended;
    // Who ends first tells the other nothing about what it has read before.
    if (report.reason == errc::end_of_stream && report.messages_unsent == 0) return {};
    return error(errc::corrupt, "nothing was lost, and the client reports " + std::to_string(report.messages_unsent) +
                                    " unsent and at most " + std::to_string(report.messages_maybe_lost) +
                                    " lost messages: " + report.reason.text());
  }

  result<void> cut(end& client, end& server) {
    if (const auto down = turn([&] { return client.down; }, client, server, "the client to notice"); !down) return down;
    close_report report;
    if (const auto ended = close(client, server, report); !ended) return ended;
    const auto missing = client.sent - server.received;
    if (missing <= report.messages_unsent + report.messages_maybe_lost) return {};
    return error(errc::corrupt, std::to_string(missing) + " messages are missing, and the client reports " +
                                    std::to_string(report.messages_unsent) + " unsent and at most " +
                                    std::to_string(report.messages_maybe_lost) + " lost");
  }

  context& where_;
  options asking_;
  std::chrono::nanoseconds patience_;
  listener listening_;
  channel arrived_;
  bool has_halves_ = true;  // one direction may end while the other goes on
};

}  // namespace

result<loopback_figures> run_loopback(context& where, const std::string& url, const options& serving,
                                      const options& asking, std::uint64_t seed, std::uint64_t connections,
                                      std::chrono::nanoseconds patience) {
  harness both(where, asking, patience);
  if (const auto listening = both.listen(url, serving); !listening) return listening.error();
  for (std::uint64_t i = 0; i < connections; ++i)
    if (const auto outcome = both.connection(seed + i); !outcome)
      return outcome.error().in("seed " + std::to_string(seed + i));
  return both.figures;
}

}  // namespace ferry::app
