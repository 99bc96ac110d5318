// `ferry bench gateway`: what it prints, and another gateway than its own.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "apps/ferry/program_under_test.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::app::test {
namespace {

// Each a little: every machine has core 0.
arguments brief(const arguments& more) {
  arguments call{"bench", "gateway", "--seconds", "0.3", "--pin", "0,0", "--json"};
  call.insert(call.end(), more.begin(), more.end());
  return call;
}
boost::json::value measured(const arguments& more) {
  const auto run = run_ferry(brief(more));
  EXPECT_EQ(run.status, 0) << run.err;
  boost::system::error_code wrong;
  auto read = boost::json::parse(run.out, wrong);
  EXPECT_FALSE(wrong) << run.out;
  return read;
}
double figure(const boost::json::value& of, const char* name) {
  const auto* const found = of.as_object().if_contains(name);
  EXPECT_NE(found, nullptr) << name << " is not in " << of;
  return found == nullptr ? -1 : found->to_number<double>();
}

class foreign_gateway_program {
 public:
  explicit foreign_gateway_program(const arguments& more = {}) {
    write_file(place.file("key"), "sekrit\n");
    arguments call{"gateway",     "--client-addr",          "127.0.0.1:0",    "--server-addr",
                   "127.0.0.1:0", "--server-auth-key-file", place.file("key")};
    call.insert(call.end(), more.begin(), more.end());
    it_.emplace(ferry_call(call));
    for (auto* const url : {&clients, &servers})
      while (const auto line = it_->read_error_line()) {
        const auto at = line->find("listening on ");
        if (at == line->npos) continue;
        *url = line->substr(at + 13);
        break;
      }
  }
  [[nodiscard]] arguments flags() const {
    return {"--client-url", clients,           "--server-url",  servers,
            "--key-file",   place.file("key"), "--gateway-pid", std::to_string(it_->pid())};
  }
  // Ends it. @return what it says of itself
  std::string stop() {
    it_->kill(SIGTERM);
    EXPECT_EQ(it_->finish(), 0);
    return it_->error_output();
  }
  ferry::test::temp_dir place;
  std::string clients, servers;

 private:
  std::optional<ferry::test::child> it_;
};

TEST(bench_gateway_command, prints_one_object_with_every_figure_of_a_load_and_of_the_relay_beside_it) {
  const auto one = measured({"--clients", "2", "--virtual", "3", "--window", "4", "--size", "100"});
  for (const auto& [name, value] :
       {std::pair("clients", 2), {"virtual", 3}, {"window", 4}, {"size", 100}, {"threads", 1}})
    EXPECT_EQ(figure(one, name), value) << name;
  for (const char* name : {"echoes", "seconds", "echoes_per_second", "cpu_ns_per_echo", "p50_ns", "p99_ns",
                           "limit_cpu_ns_per_echo", "limit_echoes_per_second", "limit_p50_ns", "limit_p99_ns", "ratio"})
    EXPECT_GT(figure(one, name), 0) << name;
  EXPECT_GE(figure(one, "p99_ns"), figure(one, "p50_ns"));
  EXPECT_GE(figure(one, "limit_p99_ns"), figure(one, "limit_p50_ns"));
  EXPECT_EQ(one.at("name"), "gateway");
  EXPECT_EQ(one.at("work"), "echo");
  EXPECT_EQ(one.at("carrier"), "tcp");
  EXPECT_GT(figure(one.at("machine"), "cores"), 0);
}

TEST(bench_gateway_command, says_whether_the_target_of_the_99th_percentile_is_reached_where_there_is_one) {
  auto call = brief({"--no-relay"});
  std::erase(call, "--json");
  const auto with = run_ferry(call);
  EXPECT_NE(with.out.find("target of p99  reached"), with.out.npos) << with.out;
  EXPECT_NE(with.out.find("<= 62.5 us"), with.out.npos) << with.out;
  call.insert(call.end(), {"--rate", "100"});
  const auto slower = run_ferry(call);
  EXPECT_EQ(slower.out.find("<= "), slower.out.npos) << "less than the original carries: " << slower.out;
}

TEST(bench_gateway_command, prints_an_array_of_several_runs) {
  const auto all = measured({"--repeat", "2", "--no-relay"});
  ASSERT_TRUE(all.is_array());
  ASSERT_EQ(all.as_array().size(), 2u);
  EXPECT_FALSE(all.at(0).as_object().contains("ratio"));
}

TEST(bench_gateway_command, prints_what_dials_and_idle_clients_cost) {
  const auto dials = measured({"--dials"});
  EXPECT_EQ(dials.at("work"), "dials");
  for (const char* name : {"dials", "dials_per_second", "cpu_ns_per_dial"}) EXPECT_GT(figure(dials, name), 0) << name;
  const auto idle = measured({"--idle", "--clients", "90"});
  EXPECT_EQ(idle.at("work"), "idle");
  EXPECT_GE(figure(idle, "rss_bytes_per_client"), 0);
}

TEST(bench_gateway_command, measures_clients_by_every_carrier) {
  for (const char* carrier : {"ws", "snet", "token"}) {
    const auto one = measured({"--carrier", carrier, "--no-relay"});
    EXPECT_EQ(one.at("carrier"), carrier);
    EXPECT_GT(figure(one, "echoes"), 0) << carrier;
  }
  const auto wrong = run_ferry(brief({"--carrier", "pigeon"}));
  EXPECT_EQ(wrong.status, 2);
  EXPECT_NE(wrong.err.find("must be tcp, ws, snet or token"), std::string::npos) << wrong.err;
}

TEST(bench_gateway_command, measures_a_gateway_of_somebody_elses_which_goes_on) {
  foreign_gateway_program other;
  auto flags = other.flags();
  const auto known = measured(flags);
  EXPECT_GT(figure(known, "echoes"), 0);
  EXPECT_GT(figure(known, "cpu_ns_per_echo"), 0) << "its process is known";
  EXPECT_FALSE(known.as_object().contains("threads")) << "which nobody has told";
  flags.resize(flags.size() - 2);
  const auto unknown = measured(flags);
  EXPECT_GT(figure(unknown, "echoes"), 0);
  EXPECT_FALSE(unknown.as_object().contains("cpu_ns_per_echo"));
  const auto said = other.stop();
  EXPECT_NE(said.find("2 clients and 2 servers"), std::string::npos) << said;
}

TEST(bench_gateway_command, measures_a_gateway_of_somebody_elses_over_tls) {
  const ferry::test::temp_dir place;
  const ferry::test::tls_authority authority;
  authority.issue(place.file("gateway.pem"), {});
  foreign_gateway_program other(
      {"--client-resume", "--client-addr", "tls://127.0.0.1:0?tls_certificate=" + place.file("gateway.pem")});
  auto flags = other.flags();
  flags.insert(flags.end(), {"--carrier", "token", "--ca", place.file("gateway.pem.ca")});
  EXPECT_GT(figure(measured(flags), "echoes"), 0);
}

TEST(bench_gateway_command, says_what_is_missing_for_a_gateway_of_somebody_elses) {
  const auto half = run_ferry(brief({"--client-url", "tcp://127.0.0.1:1"}));
  EXPECT_EQ(half.status, 2);
  EXPECT_NE(half.err.find("--server-url"), std::string::npos) << half.err;
  foreign_gateway_program other;
  auto flags = other.flags();
  flags[5] = other.place.file("nowhere");
  const auto keyless = run_ferry(brief(flags));
  EXPECT_EQ(keyless.status, 1);
  EXPECT_NE(keyless.err.find("--key-file"), std::string::npos) << keyless.err;
  write_file(other.place.file("wrong"), "another\n");
  flags[5] = other.place.file("wrong");
  EXPECT_EQ(run_ferry(brief(flags)).status, 1);
  const auto idle = run_ferry(brief({"--idle", "--client-url", other.clients, "--server-url", other.servers}));
  EXPECT_EQ(idle.status, 2);
  EXPECT_NE(idle.err.find("only a gateway of our own"), std::string::npos) << idle.err;
}

}  // namespace
}  // namespace ferry::app::test
