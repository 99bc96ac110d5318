// Members whose streams a token resumes, and others who would like to have them.
#include <ferry/gateway.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "gateway/gateway.hpp"
#include "gateway/parameters.hpp"
#include "session/resume_token.hpp"
#include "testing/faulty_proxy.hpp"
#include "testing/gateway_by_hand.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/tls_by_hand.hpp"

namespace ferry {
namespace {

using codec::gateway::command;
using session::resume_answer;
using session::resume_opening;
using session::resume_token;
using test::port_of;
using test::run_until;

constexpr std::size_t k_ping_bytes = 9;

// A connection of somebody by hand.
class token_peer {
 public:
  token_peer(boost::asio::io_context& io, std::uint16_t port, const std::string& certificate) : io_(io), socket_(port) {
    if (certificate.empty()) return;
    SSL_use_certificate_file(socket_.ssl(), certificate.c_str(), SSL_FILETYPE_PEM);
    SSL_use_PrivateKey_file(socket_.ssl(), certificate.c_str(), SSL_FILETYPE_PEM);
  }

  // @return what the gateway answers; nothing: it has ended the connection instead
  std::optional<resume_answer> open(const resume_opening& what) {
    EXPECT_TRUE(run_until(
        io_, [&] { return socket_.shaken(); }, "the handshake of TLS"));
    std::size_t size = 0;
    const auto said = encode(what, size);
    EXPECT_TRUE(socket_.send(as_text(bytes(said).first(size))));
    const auto answer = next(resume_answer::k_bytes);
    if (answer.size() < resume_answer::k_bytes) return std::nullopt;
    return session::decode_resume_answer(as_bytes(answer), what.what == resume_opening::wish::fresh).value();
  }
  [[nodiscard]] bool is_well() {
    return socket_.send(test::wire(command::ping())) && next(k_ping_bytes) == test::wire(command::ping());
  }
  [[nodiscard]] bool is_ended() { return socket_.told_end() || socket_.reason() != 0; }
  test::raw_tls& socket() { return socket_; }

 private:
  // Fewer bytes: then it has ended.
  std::string next(std::size_t size) {
    EXPECT_TRUE(run_until(
        io_, [&] { return socket_.received().size() >= taken_ + size || is_ended(); }, "bytes"));
    const auto made = socket_.received().substr(taken_, size);
    taken_ += made.size();
    return made;
  }
  boost::asio::io_context& io_;
  test::raw_tls socket_;
  std::size_t taken_ = 0;
};

class gateway_tokens : public test::gateway_service {
 protected:
  gateway_tokens() {
    ours.issue(dir.file("gateway"), {});
    ours.issue(dir.file("holder"), {.subject = "a holder"});
    ours.issue(dir.file("thief"), {.subject = "a thief"});
  }
  // As an operator asks for it.
  void open_tokens(bool certificates) {
    gateway::configuration all;
    const std::string urls = "tls://127.0.0.1:0?tls_certificate=" + dir.file("gateway");
    all.service.clients.url = all.service.servers.url = urls;
    if (certificates) all.service.clients.options = "tls_ca=" + dir.file("gateway") + ".ca tls_verify=yes";
    ASSERT_TRUE(gateway::set_parameter(all, "client-resume", "true"));
    ASSERT_TRUE(gateway::set_parameter(all, "server-resume", "true"));
    open(all.service);
  }
  [[nodiscard]] token_peer peer(const char* certificate = nullptr) {
    return token_peer(io, port_of(it->client_url()), certificate == nullptr ? "" : dir.file(certificate));
  }
  // @return its token
  static resume_token begin(token_peer& who) {
    const auto answer = who.open({});
    EXPECT_TRUE(answer && answer->is == resume_answer::status::good);
    EXPECT_TRUE(who.is_well());
    return answer ? answer->token : resume_token{};
  }
  static resume_opening again(const resume_token& token, codec::snet::counts has) {
    return {0, resume_opening::wish::again, token, has};
  }
  void expect_refused(token_peer& who, const resume_opening& what, resume_answer::status why) {
    const auto answer = who.open(what);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->is, why);
    EXPECT_TRUE(run_until(
        io, [&] { return who.is_ended(); }, "the end of who was refused"));
  }

  test::temp_dir dir;
  const test::tls_authority ours;
};
constexpr codec::snet::counts k_one_ping{k_ping_bytes, k_ping_bytes};

TEST_F(gateway_tokens, are_told_over_nothing_older_than_tls_1_3) {
  open_tokens(false);
  auto holder = peer();
  (void)begin(holder);
  for (const auto port : {port_of(it->client_url()), port_of(it->server_url())}) {
    test::raw_tls old(port);
    SSL_set_max_proto_version(old.ssl(), TLS1_2_VERSION);
    ASSERT_TRUE(run_until(
        io, [&] { return old.shaken(); }, "the refusal"));
    EXPECT_NE(old.reason(), 0) << "TLS 1.2 was taken";
  }
  EXPECT_TRUE(holder.is_well());
  EXPECT_EQ(it->stats().resumable.made, 1u);
}

TEST_F(gateway_tokens, are_worth_nothing_with_another_certificate_than_they_were_told_to) {
  open_tokens(true);
  auto holder = peer("holder"), other = peer("thief");
  const auto token = begin(holder);
  (void)begin(other);  // who is welcome, with a stream of its own
  auto thief = peer("thief");
  expect_refused(thief, again(token, k_one_ping), resume_answer::status::unknown);
  auto ender = peer("thief");
  expect_refused(ender, {0, resume_opening::wish::over, token, {}}, resume_answer::status::unknown);
  EXPECT_TRUE(holder.is_well() && other.is_well()) << "they have noticed nothing";
  EXPECT_EQ(it->stats().resumable.broken, 0u);
  EXPECT_EQ(it->stats().resumable.refused, 2u);
  auto self = peer("holder");
  const auto answer = self.open(again(token, {2 * k_ping_bytes, 2 * k_ping_bytes}));
  EXPECT_TRUE(answer && answer->is == resume_answer::status::good);
  EXPECT_TRUE(self.is_well());
  EXPECT_TRUE(run_until(
      io, [&] { return holder.is_ended(); }, "the end of the connection before"));
}

TEST_F(gateway_tokens, that_are_not_quite_right_open_nothing) {
  open_tokens(false);
  auto holder = peer();
  const auto token = begin(holder);
  for (std::size_t bit = 0; bit < 128; bit += 9) {
    auto wrong = token;
    if (bit < 64)
      wrong.id ^= std::uint64_t{1} << bit;
    else
      wrong.key[bit / 8 - 8] ^= static_cast<std::byte>(1u << bit % 8);
    auto thief = peer();
    expect_refused(thief, again(wrong, k_one_ping), resume_answer::status::unknown);
  }
  EXPECT_TRUE(holder.is_well());
  EXPECT_EQ(it->stats().resumable.broken, 0u);
}

TEST_F(gateway_tokens, with_counts_that_cannot_be_end_their_own_stream_and_no_other) {
  open_tokens(false);
  auto other = peer();
  (void)begin(other);
  for (const auto& forged :
       {codec::snet::counts{0, 9}, {9, 10}, {9, UINT64_MAX}, {8, 0}, {UINT64_MAX, UINT64_MAX}, {0, 0}}) {
    auto holder = peer();
    const auto token = begin(holder);
    auto forger = peer();
    expect_refused(forger, again(token, forged), resume_answer::status::impossible);
    EXPECT_TRUE(run_until(
        io, [&] { return holder.is_ended() && it->stats().clients == 1; }, "the end of the stream"));
    auto late = peer();
    expect_refused(late, again(token, k_one_ping), resume_answer::status::unknown);
    EXPECT_TRUE(other.is_well());
  }
}

TEST_F(gateway_tokens, resume_a_server_under_its_virtual_connections) {
  open_tokens(false);
  test::faulty_proxy network(io, port_of(it->server_url()), [] { return test::network_fault{}; });
  gateway_options with;
  with.resume.kind = gateway_resume::token;
  with.link.tls_ca = dir.file("gateway") + ".ca";
  with.link.reconnect_base = with.link.reconnect_max = std::chrono::milliseconds(1);
  auto serving =
      gateway_server::open(where, "tls://127.0.0.1:" + std::to_string(network.port()), 7, test::k_gateway_key, with)
          .value();
  serving.on_channel([](channel one) {
    one.on_message([one](const message_view& m) mutable { EXPECT_TRUE(one.try_send(m.payload)); });
  });
  ASSERT_TRUE(run_until(
      io, [&] { return serving.state() == channel_state::up; }, "the server"));
  auto asking = gateway_client::open(where, it->client_url(), with).value();
  channel here;
  asking.async_dial(7, [&](error_code failed, channel made) {
    EXPECT_FALSE(failed) << failed.message();
    here = std::move(made);
  });
  ASSERT_TRUE(run_until(
      io, [&] { return static_cast<bool>(here); }, "the dial"));
  std::string back;
  here.on_message([&](const message_view& m) { back += m.text(); });
  std::string sent;
  for (std::uint64_t cut = 1; cut <= 10; ++cut) {
    sent += "message " + std::to_string(cut);
    EXPECT_TRUE(here.try_send(as_bytes("message " + std::to_string(cut))));
    test::run_ready(io);
    EXPECT_EQ(network.cut_all(), 1u);
    ASSERT_TRUE(run_until(
        io, [&] { return back == sent && serving.stats().resumed == cut; }, "the answer"));
  }
  EXPECT_EQ(it->stats().resumable.made, 2u);
  EXPECT_EQ(it->stats().resumable.resumed, 10u);
  EXPECT_EQ(serving.stats().connections, 1u);
  here.cut();
  serving = {};
  asking = {};
  it.reset();
  test::run_ready(io);
}

}  // namespace
}  // namespace ferry
