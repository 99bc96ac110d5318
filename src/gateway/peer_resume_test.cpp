// Clients and servers on streams that outlive their connections, which a bad network cuts.
#include <ferry/gateway.hpp>
#include <ferry/url.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <random>
#include <string>

#include "gateway/gateway.hpp"
#include "testing/faulty_proxy.hpp"
#include "testing/sanitizers.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using test::network_fault;
using test::run_until;
using namespace std::chrono_literals;
using fault = network_fault::kind;

constexpr const char* k_key = "sekrit";
constexpr std::size_t k_history = 64 * 1024;  // what is on the way fits, and it begins anew often
constexpr std::uint64_t k_many = test::k_checks_addresses || test::k_checks_threads ? 100 : 1000;

std::uint16_t port_of(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}
std::string body(std::uint64_t number, std::size_t size) {
  std::string made = std::to_string(number) + ' ';
  while (made.size() < size) made.push_back(static_cast<char>('a' + (number + made.size()) % 26));
  return made;
}

class resuming_peers : public ::testing::Test {
 protected:
  ~resuming_peers() override {
    asking = {};
    serving = {};
    it.reset();
    test::run_ready(io);
  }
  void open_gateway(gateway::settings with) {
    for (auto* side : {&with.clients, &with.servers})
      if (side->url == gateway::settings{}.clients.url) side->url = "tcp://127.0.0.1:0";
    with.server_key = k_key;
    auto made = gateway::service::open(where, with);
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
  }
  static gateway::resume_settings snet(codec::snet::form form = codec::snet::form::newer, bool encrypt = false) {
    gateway::resume_settings made;
    made.kind = gateway::resume_kind::snet;
    made.stream = {form, encrypt, k_history};
    return made;
  }
  static gateway_options resuming(gateway_resume kind, bool encrypt = false) {
    gateway_options with;
    with.resume.kind = kind;
    with.resume.encrypt = encrypt;
    with.resume.history_bytes = k_history;
    with.link.reconnect_base = with.link.reconnect_max = 1ms;
    return with;
  }
  /// A proxy whose connections break by chance, the first one not before somebody is up.
  test::faulty_proxy& bad_network(const std::string& to) {
    auto first = std::make_shared<bool>(true);
    return proxies.emplace_back(io, port_of(to), [this, first] {
      const bool whole = std::exchange(*first, false);
      return network_fault{
          chance() % 4 == 0 ? fault::reset : fault::cut, chance() % 4000 + (whole ? 1000 : 0), 16384, {}};
    });
  }
  /// One that breaks by chance with hundreds of KiB under way.
  test::faulty_proxy& bulky_network(const std::string& to) {
    return proxies.emplace_back(io, port_of(to), [this] {
      return network_fault{chance() % 4 == 0 ? fault::reset : fault::cut, 8000 + chance() % 300'000, 256 * 1024, {}};
    });
  }
  static gateway_options by_default(gateway_resume kind) {
    gateway_options with;
    with.resume.kind = kind;
    with.link.reconnect_base = with.link.reconnect_max = 1ms;
    return with;
  }
  void talk_in_bulk(const test::faulty_proxy& network, std::uint64_t cuts) {
    talk([&] { return network.faults() < cuts; }, 16, 40'000);
  }
  void connect(const std::string& client_url, const std::string& server_url, const gateway_options& client_with,
               const gateway_options& server_with) {
    serving = gateway_server::open(where, server_url, 7, k_key, server_with).value();
    serving.on_channel([this](channel one) {
      there = std::move(one);
      there.on_message([echo = there](const message_view& m) mutable { (void)echo.try_send(m.payload); });
    });
    ASSERT_TRUE(turn([&] { return serving.state() == channel_state::up; }, "the server"))
        << serving.last_error().text();
    asking = gateway_client::open(where, client_url, client_with).value();
    std::optional<error_code> how;
    asking.async_dial(7, [&](error_code failed, channel one) {
      how = failed;
      here = std::move(one);
    });
    ASSERT_TRUE(turn([&] { return how.has_value(); }, "the dial"));
    ASSERT_FALSE(*how) << how->message() << ' ' << asking.last_error().text();
    here.on_message([this](const message_view& m) { back.emplace_back(m.text()); });
  }
  /// Messages of any size go out and come back, a few at a time, as long as `more` says.
  template <class More>
  void talk(More more, std::size_t at_once = 8, std::size_t largest = 3000) {
    std::uint64_t sent = 0, checked = 0;
    std::deque<std::size_t> sizes;
    const auto step = [&] {
      for (; sizes.size() < at_once && more(); ++sent) {
        sizes.push_back(chance() % largest);
        EXPECT_TRUE(here.try_send(body(sent, sizes.back())));
      }
      for (; !back.empty(); back.pop_front(), ++checked) {
        if (sizes.empty()) return true;
        EXPECT_EQ(back.front(), body(checked, sizes.front()));
        sizes.pop_front();
      }
      return (sizes.empty() && !more()) || here.state() != channel_state::up || HasFailure();
    };
    ASSERT_TRUE(run_until(io, step, "everything back", std::chrono::seconds(110)));
    EXPECT_EQ(here.state(), channel_state::up) << here.last_error().text();
    EXPECT_EQ(checked, sent);
    EXPECT_EQ(asking.stats().connections, 1u);
    EXPECT_EQ(serving.stats().connections, 1u);
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }

  std::minstd_rand chance{4711};
  test::temp_dir dir;
  boost::asio::io_context io{1};
  context where{io};
  std::deque<test::faulty_proxy> proxies;
  std::optional<gateway::service> it;
  gateway_server serving;
  gateway_client asking;
  channel here, there;
  std::deque<std::string> back;
};

TEST_F(resuming_peers, client_survives_a_thousand_cuts_with_its_stream_intact) {
  gateway::settings with;
  with.clients.resume = snet(codec::snet::form::newer, true);
  open_gateway(with);
  auto& network = bad_network(it->client_url());
  connect("tcp://127.0.0.1:" + std::to_string(network.port()), it->server_url(), resuming(gateway_resume::snet, true),
          {});
  talk([&] { return network.faults() < k_many; });
  EXPECT_GE(it->stats().resumable.resumed, k_many / 2);  // others were cut before they were that far
  EXPECT_EQ(it->stats().resumable.made, 1u);
  EXPECT_GE(asking.stats().resumed, k_many / 2);
  EXPECT_LE(asking.stats().resumed, network.faults());
}

TEST_F(resuming_peers, either_end_survives_cuts_in_the_older_form_too) {
  gateway::settings with;
  with.clients.resume = with.servers.resume = snet(codec::snet::form::older);
  open_gateway(with);
  auto& clients = bad_network(it->client_url());
  auto& servers = bad_network(it->server_url());
  connect("tcp://127.0.0.1:" + std::to_string(clients.port()), "tcp://127.0.0.1:" + std::to_string(servers.port()),
          resuming(gateway_resume::snet_older), resuming(gateway_resume::snet_older));
  talk([&] { return clients.faults() < k_many / 10 || servers.faults() < k_many / 10; });
}

TEST_F(resuming_peers, client_goes_on_with_its_token_over_tls) {
  const test::tls_authority authority;
  authority.issue(dir.file("host"), {});
  gateway::settings with;
  with.clients.url = "tls://127.0.0.1:0?tls_certificate=" + dir.file("host");
  with.clients.resume = snet();
  with.clients.resume.kind = gateway::resume_kind::token;
  open_gateway(with);
  auto first = std::make_shared<bool>(true);
  // Far above what a handshake of TLS and one of its records take: what has not come as a whole record has not come.
  auto& network = proxies.emplace_back(io, port_of(it->client_url()), [this, first] {
    const bool whole = std::exchange(*first, false);
    return network_fault{fault::cut, chance() % 60'000 + (whole ? 6000 : 0), 16384, {}};
  });
  auto by_token = resuming(gateway_resume::token);
  by_token.link.tls_ca = dir.file("host") + ".ca";
  connect("tls://127.0.0.1:" + std::to_string(network.port()), it->server_url(), by_token, {});
  talk([&] { return network.faults() < k_many / 20; });
  EXPECT_GE(it->stats().resumable.resumed, 1u);
}

TEST_F(resuming_peers, bulk_both_ways_survives_a_thousand_cuts_with_what_is_set_by_default) {
  gateway::settings with;
  with.clients.resume.kind = gateway::resume_kind::snet;
  open_gateway(with);
  auto& network = bulky_network(it->client_url());
  connect("tcp://127.0.0.1:" + std::to_string(network.port()), it->server_url(), by_default(gateway_resume::snet), {});
  talk_in_bulk(network, k_many);
  EXPECT_GE(it->stats().resumable.resumed, k_many / 2);
  EXPECT_EQ(it->stats().resumable.made, 1u);
}

TEST_F(resuming_peers, bulk_both_ways_survives_cuts_of_both_ends_by_token_with_what_is_set_by_default) {
  const test::tls_authority authority;
  authority.issue(dir.file("host"), {});
  gateway::settings with;
  with.clients.url = "tls://127.0.0.1:0?tls_certificate=" + dir.file("host");
  with.servers.url = "tls://127.0.0.1:0?tls_certificate=" + dir.file("host");
  with.clients.resume.kind = with.servers.resume.kind = gateway::resume_kind::token;
  open_gateway(with);
  auto& clients = bulky_network(it->client_url());
  auto& servers = bulky_network(it->server_url());
  auto by_token = by_default(gateway_resume::token);
  by_token.link.tls_ca = dir.file("host") + ".ca";
  connect("tls://127.0.0.1:" + std::to_string(clients.port()), "tls://127.0.0.1:" + std::to_string(servers.port()),
          by_token, by_token);
  talk_in_bulk(clients, k_many / 10);
  EXPECT_GE(asking.stats().resumed, k_many / 20);
  EXPECT_GE(serving.stats().resumed, k_many / 20);
  EXPECT_EQ(it->stats().resumable.made, 2u);
}

TEST_F(resuming_peers, client_that_closes_in_order_is_gone_at_once) {
  const test::tls_authority authority;
  authority.issue(dir.file("host"), {});
  gateway::settings with;
  with.clients.url = "tls://127.0.0.1:0?tls_certificate=" + dir.file("host");
  with.clients.resume = snet();
  with.clients.resume.kind = gateway::resume_kind::token;
  with.clients.resume.wait = 1h;
  open_gateway(with);
  auto by_token = resuming(gateway_resume::token);
  by_token.link.tls_ca = dir.file("host") + ".ca";
  connect(it->client_url(), it->server_url(), by_token, {});
  int rounds = 0;
  talk([&] { return ++rounds < 20; });
  std::optional<error_code> closed;
  asking.async_close([&](error_code how) { closed = how; });
  ASSERT_TRUE(turn([&] { return closed && it->stats().clients == 0; }, "the end of both"));
  EXPECT_FALSE(*closed) << closed->message();
  ASSERT_TRUE(turn([&] { return there.state() == channel_state::closed; }, "the end at the service"));
  EXPECT_EQ(it->stats().resumable.refused, 0u) << "it does not come again";
  EXPECT_EQ(it->stats().breaches, 0u);
}

TEST_F(resuming_peers, ping_without_an_answer_starts_another_connection_at_once) {
  gateway::settings with;
  with.clients.resume = snet();
  open_gateway(with);
  auto first = std::make_shared<bool>(true);
  auto& network = proxies.emplace_back(io, port_of(it->client_url()), [first] {
    return network_fault{std::exchange(*first, false) ? fault::black_hole : fault::none, 1000, 16384, {}};
  });
  int told = 0;
  auto pinging = resuming(gateway_resume::snet);
  pinging.ping_interval = pinging.ping_timeout = 100ms;
  pinging.on_ping_timeout = [&] { ++told; };
  pinging.link.reconnect_base = pinging.link.reconnect_max = 1h;  // it is not this that it waits for
  connect("tcp://127.0.0.1:" + std::to_string(network.port()), it->server_url(), pinging, {});
  std::uint64_t rounds = 0;
  talk([&] { return network.faults() == 0 || ++rounds < 20; });
  EXPECT_GE(told, 1);
}

TEST_F(resuming_peers, stream_that_finds_no_other_connection_ends_with_all_that_was_on_it) {
  gateway::settings with;
  with.clients.resume = snet();
  open_gateway(with);
  auto hasty = resuming(gateway_resume::snet);
  hasty.resume.wait = 50ms;
  connect(it->client_url(), it->server_url(), hasty, {});
  it.reset();
  ASSERT_TRUE(turn([&] { return asking.state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(asking.last_error(), errc::timeout) << asking.last_error().text();
  EXPECT_EQ(here.state(), channel_state::closed);
}

TEST_F(resuming_peers, take_a_resumable_stream_that_the_caller_has_made) {
  gateway::settings with;
  with.clients.resume = snet();
  open_gateway(with);
  connect(it->client_url(), it->server_url(), resuming(gateway_resume::snet), {});
  auto& network = bad_network(it->client_url());
  options link = resuming(gateway_resume::snet).link;
  const auto at = parse_url("tcp://127.0.0.1:" + std::to_string(network.port()), link, where.schemes());
  ASSERT_TRUE(at);
  std::shared_ptr<stream> made;
  const auto transport = resumable_streams(where.transport("tcp"), resuming(gateway_resume::snet).resume);
  const auto attempt = transport->connect(where, *at, link, [&](auto came) { made = came.value(); });
  ASSERT_TRUE(turn([&] { return made != nullptr; }, "the stream"));
  here = {};
  back.clear();
  asking = gateway_client::on(where, made).value();
  made.reset();
  asking.async_dial(7, [&](error_code, channel one) { here = std::move(one); });
  ASSERT_TRUE(turn([&] { return static_cast<bool>(here); }, "the dial"));
  here.on_message([this](const message_view& m) { back.emplace_back(m.text()); });
  talk([&] { return network.faults() < k_many / 50; });
}

TEST_F(resuming_peers, what_cannot_be_resumed_is_told_at_once) {
  for (const auto& [url, kind] : {std::pair{"ws://127.0.0.1:1/", gateway_resume::snet},
                                  {"shm://nowhere", gateway_resume::token},
                                  {"tcp://127.0.0.1:1", gateway_resume::token}}) {
    const auto made = gateway_client::open(where, url, resuming(kind));
    ASSERT_FALSE(made) << url;
    EXPECT_EQ(made.error(), errc::bad_option) << url;
    EXPECT_NE(made.error().text().find("resume"), std::string::npos) << made.error().text();
  }
  auto empty = resuming(gateway_resume::snet);
  empty.resume.history_bytes = 0;
  EXPECT_FALSE(gateway_client::open(where, "tcp://127.0.0.1:1", empty));
}

}  // namespace
}  // namespace ferry
