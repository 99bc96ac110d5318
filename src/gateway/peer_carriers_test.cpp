// What a virtual connection promises, over each carrier between a peer and the gateway: values of the caller's own,
// packets and reads of other sizes, receive queues that are full.
#include <ferry/formatted.hpp>
#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/endian.hpp"
#include "testing/gateway_peers.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"

namespace ferry {
namespace {

using test::dial_outcome;

// A number and a name, as this program's own format has them.
struct entry {
  std::uint32_t number = 0;
  std::string name;
  bool operator==(const entry&) const = default;
};
message_format<entry> entries() {
  return {[](const entry& one, std::vector<std::byte>& into) -> result<void> {
            if (one.name.empty()) return error(errc::misuse, "a name is needed");
            into.resize(4);
            store_le<std::uint32_t>(into.data(), one.number);
            const auto name = as_bytes(one.name);
            into.insert(into.end(), name.begin(), name.end());
            return {};
          },
          [](bytes message) -> result<entry> {
            if (message.size() <= 4) return error(errc::protocol, "no entry");
            return entry{load_le<std::uint32_t>(message.data()), std::string(as_text(message.subspan(4)))};
          }};
}

std::string said(std::size_t size) {
  std::string made(size, 'x');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>(i * 7 + i / 251);
  return made;
}

class peer_carriers : public test::gateway_peers, public ::testing::WithParamInterface<const char*> {
 protected:
  void open(gateway::settings with = {}) {
    const std::string carrier = GetParam();
    for (auto* const side : {&with.clients, &with.servers}) {
      const std::string name = side == &with.clients ? "clients" : "servers";
      if (carrier == "ipc") side->url = "ipc://" + place.file(name);
      if (carrier == "shm") side->url = "shm://" + name;
      if (carrier == "shm") side->options = "runtime_dir=" + place.path().string();
      if (carrier == "ws") side->url = "ws://127.0.0.1:0/";
      if (carrier != "tls" && carrier != "wss") continue;
      side->url = carrier + "://127.0.0.1:0" + (carrier == "wss" ? "/" : "");
      authority.issue(place.file("gateway.pem"), {});
      side->options = "tls_certificate=" + place.file("gateway.pem");
    }
    open_gateway(with);
  }
  gateway_options way(gateway_options with = {}) const {
    with.link.runtime_dir = place.path().string();
    if (std::string(GetParam()).starts_with("tls") || std::string(GetParam()) == "wss")
      with.link.tls_ca = place.file("gateway.pem.ca");
    return with;
  }
  // Goes there and comes back unchanged.
  void echo(channel& here, channel& there, std::size_t size) {
    const auto what = said(size);
    ASSERT_TRUE(here.try_send(what)) << size;
    EXPECT_EQ(next(there), what) << size;
    ASSERT_TRUE(there.try_send(what)) << size;
    EXPECT_EQ(next(here), what) << size;
  }

  test::temp_dir place;
  test::tls_authority authority;
};

INSTANTIATE_TEST_SUITE_P(carriers, peer_carriers, ::testing::Values("tcp", "ipc", "tls", "ws", "wss", "shm"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(peer_carriers, take_values_in_a_format_of_the_callers_and_refuse_what_is_none) {
  open();
  auto serving = server(7, way());
  auto asking = client(way());
  auto [here_bytes, there_bytes] = connected(asking, serving, 7);
  formatted_channel<entry> here(here_bytes, entries()), there(there_bytes, entries());
  ASSERT_TRUE(here.try_send({7, "seven"}));
  EXPECT_EQ(here.try_send({8, ""}).error(), errc::misuse) << "the encoder's";
  ASSERT_TRUE(here_bytes.try_send("bad"));
  std::optional<error_code> sent;
  here.async_send({9, said(100'000)}, [&](error_code failed) { sent = failed; });
  std::vector<std::string> told;
  const auto tell = [&](error_code failed, const entry& one) {
    told.push_back(failed ? failed.message() : std::to_string(one.number) + one.name);
  };
  for (int i = 0; i < 3; ++i) there.async_receive(tell);
  ASSERT_TRUE(turn([&] { return told.size() == 3 && sent; }, "three of them"));
  EXPECT_FALSE(*sent);
  EXPECT_EQ(told[0], "7seven");
  EXPECT_EQ(told[1], make_error_code(errc::protocol).message());
  EXPECT_EQ(told[2], "9" + said(100'000)) << "the virtual connection goes on";
  std::vector<result<entry>> answers;
  here.on_value([&](result<entry> value) { answers.push_back(std::move(value)); });
  ASSERT_TRUE(there.try_send({1, "answer"}));
  ASSERT_TRUE(there_bytes.try_send(""));
  ASSERT_TRUE(turn([&] { return answers.size() == 2; }, "the answers"));
  EXPECT_EQ(answers[0].value(), (entry{1, "answer"}));
  EXPECT_EQ(answers[1].error(), errc::protocol);
  there.base().half_close();
  EXPECT_EQ(end_of(here.base()), errc::end_of_stream);
  EXPECT_EQ(here.try_send({2, "late"}).error(), errc::closed);
}

TEST_P(peer_carriers, carry_messages_up_to_the_largest_packet_whatever_that_is) {
  for (const std::uint32_t most : {64u, 4096u, 65'537u, 4u << 20}) {
    gateway::settings small;
    small.max_packet = most;
    open(small);
    gateway_options with = way();
    with.max_packet = most;
    auto serving = server(7, with);
    auto asking = client(with);
    auto [here, there] = connected(asking, serving, 7);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{most / 2}, std::size_t{most - 4}})
      echo(here, there, size);
    const auto too_large = here.try_send(said(most - 3));
    ASSERT_FALSE(too_large) << most;
    EXPECT_EQ(too_large.error(), errc::message_too_large);
    echo(here, there, 10);
    asking.close();
    serving.close();
    it.reset();
  }
}

TEST_P(peer_carriers, end_a_peer_to_which_more_comes_than_it_takes_and_nobody_else) {
  open();
  gateway_options little = way();
  little.max_packet = 1000;
  auto serving = server(7, way());
  auto asking = client(little);
  auto other = client(way());
  auto [here, there] = connected(asking, serving, 7);
  auto [other_here, other_there] = connected(other, serving, 7);
  echo(here, there, 996);
  ASSERT_TRUE(there.try_send(said(997)));
  EXPECT_EQ(end_of(there), errc::end_of_stream);
  ASSERT_TRUE(turn([&] { return asking.state() == channel_state::closed; }, "its end"));
  EXPECT_TRUE(asking.last_error().code() == condition::protocol_violation) << asking.last_error().text();
  echo(other_here, other_there, 100'000);
}

TEST_P(peer_carriers, read_as_little_or_as_much_at_once_as_they_are_told) {
  open();
  for (const std::size_t batch : {std::size_t{1}, std::size_t{4096}, std::size_t{8} << 20}) {
    gateway_options with = way();
    with.link.batch_bytes = batch;
    auto serving = server(7, with);
    auto asking = client(with);
    auto [here, there] = connected(asking, serving, 7);
    const std::size_t most = batch == 1 ? 3000 : 512 * 1024 - 4;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, most}) echo(here, there, size);
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(here.try_send(std::to_string(i)));
    for (int i = 0; i < 50; ++i) EXPECT_EQ(next(there), std::to_string(i));
    serving.close();
    ASSERT_TRUE(turn([&] { return it->stats().servers == 0; }, "the end of the server"));
  }
}

TEST_P(peer_carriers, take_their_buffers_from_the_pool_of_their_context) {
  open();
  const auto pool = std::make_shared<buffer_pool>();
  context own(io, pool);
  auto serving = server(7, way());
  auto asking = gateway_client::open(own, it->client_url(), way());
  ASSERT_TRUE(asking) << asking.error().text();
  auto [here, there] = connected(*asking, serving, 7);
  const auto before = pool->stats();
  ASSERT_TRUE(there.try_send(said(100'000)));
  ASSERT_TRUE(turn([&, &one = here] { return one.messages_waiting() == 1; }, "a message"));
  EXPECT_GT(pool->stats().bytes_lent, before.bytes_lent) << "the message lies there";
  EXPECT_EQ(next(here), said(100'000));
}

TEST_P(peer_carriers, hold_a_sender_up_at_a_receive_queue_that_is_full_and_lose_nothing) {
  open();
  gateway_options by_count = way(), by_bytes = way();
  by_count.link.receive_queue_messages = 3;
  by_bytes.link.receive_queue_bytes = 5000;
  // Bytes: what comes while there are fewer than that is taken.
  for (const auto& [little, most] : {std::pair(by_count, 3u), {by_bytes, 4u}}) {
    auto serving = server(7, little);
    auto asking = client(way());
    auto [here, there] = connected(asking, serving, 7);
    const auto piece = said(1500);
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(here.try_send(std::to_string(i) + piece));
    ASSERT_TRUE(turn([&] { return serving.stats().held_up != 0; }, "the limit"));
    EXPECT_EQ(there.messages_waiting(), most);
    for (int i = 0; i < 200; ++i) EXPECT_EQ(next(there), std::to_string(i) + piece);
    serving.close();
    ASSERT_TRUE(turn([&] { return it->stats().servers == 0; }, "the end of the server"));
  }
}

TEST_P(peer_carriers, close_the_virtual_connection_whose_receive_queue_is_full_and_no_other_where_that_is_asked_for) {
  open();
  gateway_options by_count = way(), by_bytes = way();
  by_count.link.receive_queue_messages = 3;
  by_bytes.link.receive_queue_bytes = 5000;
  for (auto little : {by_count, by_bytes}) {
    little.when_full = gateway_overflow::close;
    auto serving = server(7, little);
    auto asking = client(way());
    auto [here, there] = connected(asking, serving, 7);
    auto [other_here, other_there] = connected(asking, serving, 7);
    const auto piece = said(1500);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(here.try_send(std::to_string(i) + piece));
    ASSERT_TRUE(other_here.try_send("still here"));
    EXPECT_EQ(next(other_there), "still here");
    EXPECT_EQ(end_of(there), errc::full);
    EXPECT_EQ(end_of(here), errc::end_of_stream);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(next(there), std::to_string(i) + piece) << "what was queued is still there";
    echo(other_here, other_there, 100);
    serving.close();
    ASSERT_TRUE(turn([&] { return it->stats().servers == 0; }, "the end of the server"));
  }
}

}  // namespace
}  // namespace ferry
