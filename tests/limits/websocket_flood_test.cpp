// What peers may cost that send as fast as they can what nobody needs, in counts that no machine's speed changes:
// reads, messages and handlers in a turn, allocations, answers. Others have their turns between.
#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/bare_wait.hpp"
#include "net/transports.hpp"
#include "testing/watchdog.hpp"
#include "testing/websocket_by_hand.hpp"
#include "tests/limits/counting_new.hpp"

namespace ferry::test {
namespace {

/// What a peer sends: the beginning once, then the rest again and again, faster than anybody can read.
struct flood {
  const char* name;
  std::string begin, rest;
  int ends_with = 0;  // the code of the Close that it is answered with in the end; 0: it goes on
};
std::string frame(int first, std::string_view payload) { return websocket_frame(first, payload, plays::client); }
std::vector<flood> of_messages() {
  return {{"messages_of_one_byte", "", frame(0x81, "x")},
          {"empty_messages", "", frame(0x82, "")},
          {"large_messages", "", frame(0x81, std::string(300'000, 'a'))}};
}
std::vector<flood> against_the_rules() {
  return {{"a_message_in_fragments_of_one_byte", frame(0x02, "x"), frame(0x00, "x"), 1009},
          {"a_message_in_empty_fragments", frame(0x02, "x"), frame(0x00, ""), 1008},
          {"pings", "", frame(0x89, std::string(125, 'p')), 1008},
          {"empty_pings", "", frame(0x89, ""), 1008},
          {"pongs_that_nobody_asked_for", "", frame(0x8a, "x"), 1008},
          {"pings_inside_of_a_message", frame(0x01, "x"), frame(0x89, "x") + frame(0x00, "x"), 1008},
          {"frames_that_are_too_large", "", frame(0x82, std::string(2u << 20, 'a')), 1009},
          {"nothing_that_is_a_frame", "", "\xff", 1002},
          {"text_that_is_none", "", frame(0x81, "\xff"), 1007}};
}

/// What both ends of a test see.
struct flooded {
  flood with;
  std::uint64_t reads = 0, bytes_read = 0;
  std::string answers;
  bool ended = false, closed = false;
};

/// Always has more to read, and takes everything.
class endless_stream final : public stream, public net::bare_wait {
 public:
  endless_stream(boost::asio::io_context& io, flooded& told) : io_(io), told_(told), left_(told.with.begin) {
    while (rest_.size() < 64u << 10) rest_ += told.with.rest;
  }
  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    std::size_t got = 0;
    while (got < into.size()) {
      if (left_.empty()) left_ = rest_;
      const auto n = std::min(left_.size(), into.size() - got);
      std::copy_n(as_bytes(left_).begin(), n, into.begin() + static_cast<std::ptrdiff_t>(got));
      left_.remove_prefix(n);
      got += n;
    }
    told_.reads += 1;
    told_.bytes_read += got;
    return got;
  }
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    std::size_t taken = 0;
    for (const bytes part : from) {
      told_.answers.append(as_text(part));
      taken += part.size();
    }
    return taken;
  }
  void async_read(mutable_bytes into) override {
    boost::asio::post(io_, [this, into, keep = owner_] {
      if (events_ != nullptr) events_->on_read(try_read(into));
    });
  }
  [[nodiscard]] bool async_wait_readable(net::bare_reader& whom) override {
    boost::asio::post(io_, [this, &whom, keep = owner_] {
      if (events_ != nullptr) whom.on_readable();
    });
    return true;
  }
  void async_wait_writable() override { ADD_FAILURE() << "there is room"; }
  result<void> shutdown_write() override {
    told_.ended = true;
    return {};
  }
  void close() noexcept override {
    events_ = nullptr;
    owner_.reset();
    told_.closed = true;
  }
  [[nodiscard]] peer_info peer() const override { return {}; }

 private:
  boost::asio::io_context& io_;
  flooded& told_;
  std::string rest_;
  std::string_view left_;
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

/// Where one peer arrives.
class endless_acceptor final : public acceptor {
 public:
  endless_acceptor(boost::asio::io_context& io, flooded& told) : io_(io), told_(told) {}
  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    if (std::exchange(came_, true)) return errc::would_block;
    return std::shared_ptr<stream>(std::make_shared<endless_stream>(io_, told_));
  }
  void async_wait(std::function<void()> ready) override {
    if (!came_) boost::asio::post(io_, std::move(ready));
  }
  void close() noexcept override {}
  [[nodiscard]] std::string local_url() const override { return "tcp://127.0.0.1:1"; }

 private:
  boost::asio::io_context& io_;
  flooded& told_;
  bool came_ = false;
};
class endless_transport final : public stream_transport {
 public:
  explicit endless_transport(flooded& told) : told_(told) {}
  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint&, const options&) override {
    return std::unique_ptr<acceptor>(std::make_unique<endless_acceptor>(where.io(), told_));
  }
  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context&, const endpoint&, const options&,
                                                         connect_handler) override {
    return nullptr;
  }

 private:
  flooded& told_;
};

class websocket_floods : public ::testing::TestWithParam<flood> {
 protected:
  static constexpr std::size_t k_batch = 64u << 10;

  void begin() {
    where.register_transport("ws+raw",
                             net::make_ws_transport(std::make_shared<endless_transport>(peer), net::ws_start::raw));
    options with;
    with.max_message = 1u << 20;
    with.batch_bytes = k_batch;
    with.close_timeout = std::chrono::milliseconds(50);
    with.deliver_empty = true;
    open = listener::open(where, "ws+raw://127.0.0.1:1", with).value();
    open.on_channel([this](channel arrived) {
      flooder = arrived;
      arrived.on_message([this](const message_view&) { ++messages; });
      arrived.on_down([this](const down_info& info) { down = info.reason; });
    });
    others = listener::open(where, "tcp://127.0.0.1:0").value();
    others.on_channel([this](const channel& arrived) {
      server = arrived;
      server.on_message([this](const message_view& m) { (void)server.try_send(m.payload); });
    });
    client = channel::open(where, others.url()).value();
    client.on_message([this](const message_view& m) {
      ++echoes;
      (void)client.try_send(m.payload);
    });
    ASSERT_TRUE(client.try_send("still here"));
  }
  /// One handler of the event loop, and what the flood had in it.
  void step() {
    const auto reads_before = peer.reads;
    const auto messages_before = messages;
    io.run_one();
    most_reads = std::max(most_reads, peer.reads - reads_before);
    most_messages = std::max(most_messages, messages - messages_before);
    ++handlers;
  }
  void expect_turns_for_others(std::uint64_t count) {
    const auto reads_before = peer.reads;
    const auto goal = echoes + count;
    while (echoes < goal) {
      step();
      ASSERT_LT(peer.reads - reads_before, count * 200) << "reads of the flood, and " << echoes << " echoes";
    }
  }

  flooded peer{GetParam()};
  boost::asio::io_context io;
  context where{io};
  listener open, others;
  channel flooder, server, client;
  error down;
  std::uint64_t messages = 0, echoes = 0, handlers = 0, most_reads = 0, most_messages = 0;
};

TEST_P(websocket_floods, have_a_bounded_part_of_each_turn_and_leave_the_others_theirs) {
  begin();
  expect_turns_for_others(20);
  if (HasFatalFailure()) return;
  EXPECT_LE(most_reads, 16u);
  EXPECT_LE(most_messages, 8192 + k_batch / frame(0x82, "").size());
  EXPECT_TRUE(!peer.ended || peer.with.ends_with != 0);
}

class websocket_floods_of_messages : public websocket_floods {};
class websocket_floods_against_the_rules : public websocket_floods {};

TEST_P(websocket_floods_of_messages, cost_reads_and_handlers_by_the_batch_and_no_memory) {
  begin();
  expect_turns_for_others(10);  // until every buffer that is needed has been made once
  if (HasFatalFailure()) return;
  const auto reads = peer.reads;
  const auto bytes = peer.bytes_read;
  const auto allocations = count_allocations().allocations;
  handlers = 0;
  expect_turns_for_others(20);
  EXPECT_LE((peer.reads - reads) * (k_batch / 4), peer.bytes_read - bytes) << "bytes in a read";
  EXPECT_LE(handlers, peer.reads - reads + 20 * 10) << "no more turns than reads, and those of the others";
  EXPECT_LE(count_allocations().allocations - allocations, 10u);
  EXPECT_EQ(peer.answers, "");
}

TEST_P(websocket_floods_against_the_rules, are_answered_within_limits_and_end_with_a_close_and_cost_nothing_any_more) {
  begin();
  const auto heap = count_allocations().live_bytes;
  std::size_t most_heap = heap;
  ASSERT_TRUE(run_until(
      io,
      [&] {
        most_heap = std::max(most_heap, count_allocations().live_bytes);
        return peer.closed;
      },
      "the end"));
  EXPECT_LT(most_heap - heap, 8u << 20);
  EXPECT_NE(down.reason(), errc{});
  // At most 1000 control frames, and one in 10 ms, are answered, each by no more than itself.
  EXPECT_LT(peer.answers.size(), 1200u * 130);
  const std::string code{static_cast<char>(GetParam().ends_with >> 8), static_cast<char>(GetParam().ends_with & 0xff)};
  EXPECT_NE(peer.answers.find(code, peer.answers.size() - std::min<std::size_t>(peer.answers.size(), 130)),
            std::string::npos)
      << "the Close says why";
  const auto reads = peer.reads;
  expect_turns_for_others(20);
  EXPECT_EQ(peer.reads, reads);
}

const auto k_name = [](const auto& one) { return std::string(one.param.name); };
INSTANTIATE_TEST_SUITE_P(of_messages, websocket_floods, ::testing::ValuesIn(of_messages()), k_name);
INSTANTIATE_TEST_SUITE_P(against_the_rules, websocket_floods, ::testing::ValuesIn(against_the_rules()), k_name);
INSTANTIATE_TEST_SUITE_P(of, websocket_floods_of_messages, ::testing::ValuesIn(of_messages()), k_name);
INSTANTIATE_TEST_SUITE_P(of, websocket_floods_against_the_rules, ::testing::ValuesIn(against_the_rules()), k_name);

}  // namespace
}  // namespace ferry::test
