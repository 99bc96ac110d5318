#include "channel/option_table.hpp"

#include <ferry/options.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace {

using namespace std::chrono_literals;
using ferry::options;
using ferry::set_option;

/// The text of the problem, or nothing.
std::string problem_of(const std::string& name, const std::string& value) {
  options target;
  const auto problem = set_option(target, name, value);
  return problem ? problem->text : "";
}

/// Every option as text.
std::map<std::string, std::string> all_of(const options& source) {
  std::map<std::string, std::string> values;
  for (const auto& option : ferry::option_table()) {
    values.emplace(option.name, ferry::get_option(source, option.name));
  }
  return values;
}

/// Two values besides the default, as people write them, and as they are written back.
struct sample {
  std::string value;
  std::string written;
};
const std::string k_pin(64, 'a');
const std::map<std::string, std::vector<sample>> k_samples{
    {"compat", {{"tcpshm", "tcpshm"}}},
    {"tcpshm_queue_bytes", {{"2000", "2000"}, {"64KiB", "64KiB"}}},
    {"tcpshm_name_size", {{"32", "32"}}},
    {"tcpshm_login_data_bytes", {{"8", "8"}}},
    {"tcpshm_answer_data_bytes", {{"1024", "1024"}}},
    {"tcpshm_data_alignment", {{"4", "4"}}},
    {"tcpshm_big_endian", {{"on", "on"}}},
    {"tcpshm_plain_type", {{"1", "1"}}},
    {"login_data", {{"trader 7", "trader 7"}}},
    {"max_message", {{"1", "1"}, {"1048576", "1MiB"}, {"1GiB", "1GiB"}}},
    {"framing", {{"U32", "u32"}, {"typed", "typed"}, {"varint", "varint"}, {"automatic", "automatic"}}},
    {"deliver_empty", {{"no", "off"}, {"true", "on"}}},
    {"send_queue_bytes", {{"1", "1"}, {"64GiB", "64GiB"}}},
    {"send_queue_low_bytes", {{"0", "0"}, {"2k", "2000"}}},
    {"send_queue_messages", {{"0", "0"}, {"10k", "10000"}}},
    {"receive_queue_bytes", {{"1.5MiB", "1536KiB"}, {"64GiB", "64GiB"}}},
    {"receive_queue_low_bytes", {{"0", "0"}, {"1000", "1000"}}},
    {"receive_queue_messages", {{"0", "0"}, {"1G", "1000000000"}}},
    {"senders", {{"many", "many"}, {"one", "one"}}},
    {"spin", {{"50us", "50us"}, {"1s", "1s"}, {"0", "0"}}},
    {"batch_bytes", {{"4096", "4KiB"}, {"64MiB", "64MiB"}}},
    {"ring_bytes", {{"4096", "4KiB"}, {"1GiB", "1GiB"}}},
    {"sender_rings", {{"1", "1"}, {"16", "16"}}},
    {"copy", {{"on", "on"}, {"off", "off"}}},
    {"huge_pages", {{"yes", "on"}, {"off", "off"}}},
    {"prefault", {{"on", "on"}, {"no", "off"}}},
    {"runtime_dir", {{"/run/a", "/run/a"}, {"", ""}}},
    {"session", {{"persistent", "persistent"}, {"None", "none"}}},
    {"durable", {{"disk", "disk"}, {"process", "process"}}},
    {"as", {{"alice", "alice"}, {"Desk-7.b_2", "Desk-7.b_2"}, {"", ""}}},
    {"peer", {{"bob", "bob"}, {"", ""}}},
    {"dir", {{"/var/lib/ferry", "/var/lib/ferry"}, {"", ""}}},
    {"max_sessions", {{"1", "1"}, {"1M", "1000000"}}},
    {"session_wait", {{"0", "0"}, {"90m", "90m"}}},
    {"heartbeat", {{"0", "0"}, {"250ms", "250ms"}}},
    {"tls_certificate", {{"/etc/a.pem,b.pem", "/etc/a.pem,b.pem"}, {"", ""}}},
    {"tls_key", {{"/etc/a.key", "/etc/a.key"}, {"", ""}}},
    {"tls_key_password_file", {{"/etc/a.password", "/etc/a.password"}, {"", ""}}},
    {"tls_ca", {{"/etc/ssl/certs", "/etc/ssl/certs"}, {"", ""}}},
    {"tls_verify", {{"Optional", "optional"}, {"yes", "yes"}, {"no", "no"}, {"automatic", "automatic"}}},
    {"tls_server_name", {{"example.org", "example.org"}, {"", ""}}},
    {"tls_alpn", {{"h2,http/1.1", "h2,http/1.1"}, {"", ""}}},
    {"tls_min", {{"1.3", "1.3"}, {"1.2", "1.2"}}},
    {"tls_ciphers", {{"TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"}, {"", ""}}},
    {"tls_pin", {{k_pin, k_pin}, {"key:" + k_pin + ",cert:" + k_pin, "key:" + k_pin + ",cert:" + k_pin}, {"", ""}}},
    {"tls_resume", {{"off", "off"}, {"yes", "on"}}},
    {"max_frame", {{"0", "0"}, {"125", "125"}, {"1GiB", "1GiB"}}},
    {"ws_fragment_above", {{"0", "0"}, {"64KiB", "64KiB"}}},
    {"ws_delivery", {{"Pieces", "pieces"}, {"whole", "whole"}}},
    {"ws_compression", {{"on", "on"}, {"no", "off"}}},
    {"ws_window_bits", {{"9", "9"}, {"15", "15"}}},
    {"ws_context_takeover", {{"off", "off"}, {"on", "on"}}},
    {"ws_mask", {{"on", "on"}, {"off", "off"}, {"automatic", "automatic"}}},
    {"ws_subprotocols", {{"chat, superchat", "chat, superchat"}, {"", ""}}},
    {"ws_origin", {{"https://example.com", "https://example.com"}, {"", ""}}},
    {"ws_origins",
     {{"https://example.com,http://localhost:8080", "https://example.com,http://localhost:8080"}, {"", ""}}},
    {"ws_headers", {{"A: b\nC: d", "A: b\nC: d"}, {"", ""}}},
    {"ws_max_head", {{"512", "512"}, {"1MiB", "1MiB"}}},
    {"ping_interval", {{"0", "0"}, {"20s", "20s"}}},
    {"ping_timeout", {{"0", "0"}, {"500ms", "500ms"}}},
    {"ping_misses", {{"1", "1"}, {"1000", "1000"}}},
    {"idle_policy", {{"ping", "ping"}, {"disconnect", "disconnect"}}},
    {"capture", {{"/tmp/a.pcap", "/tmp/a.pcap"}, {"", ""}}},
    {"capture_max", {{"1MiB", "1MiB"}}},
    {"connect_timeout", {{"0", "0"}, {"1.5s", "1500ms"}, {"24h", "24h"}}},
    {"write_timeout", {{"0", "0"}, {"90s", "90s"}}},
    {"read_idle_timeout", {{"120s", "2m"}, {"8760h", "8760h"}}},
    {"write_idle_timeout", {{"1ns", "1ns"}, {"100ms", "100ms"}}},
    {"idle_timeout", {{"30s", "30s"}, {"0s", "0"}}},
    {"close_timeout", {{"0", "0"}, {"2500us", "2500us"}}},
    {"reconnect", {{"on", "on"}, {"0", "off"}}},
    {"reconnect_base", {{"1ms", "1ms"}, {"24h", "24h"}}},
    {"reconnect_factor", {{"2", "2"}, {"150%", "1.5"}}},
    {"reconnect_jitter", {{"0", "0"}, {"35%", "0.35"}, {"1", "1"}}},
    {"reconnect_max", {{"10s", "10s"}, {"1ms", "1ms"}}},
    {"reconnect_attempts", {{"7", "7"}, {"0", "0"}}},
    {"max_send_attempts", {{"1", "1"}, {"0", "0"}}},
    {"max_connections", {{"1", "1"}, {"1M", "1000000"}}},
    {"backlog", {{"1", "1"}, {"65535", "65535"}}},
    {"reuse_port", {{"yes", "on"}, {"off", "off"}}},
    {"proxy_protocol", {{"accept", "accept"}, {"off", "off"}}},
    {"proxy_from", {{"10.0.0.0/8, ::1", "10.0.0.0/8, ::1"}, {"", ""}}},
    {"socket_mode", {{"660", "0660"}, {"0777", "0777"}, {"0", "0"}}},
    {"socket_owner", {{"alice", "alice"}, {"alice:staff", "alice:staff"}, {":1000", ":1000"}, {"", ""}}},
    {"allow_uids", {{"0,1000", "0,1000"}, {"", ""}}},
    {"socket_send_buffer", {{"0", "0"}, {"1GiB", "1GiB"}}},
    {"socket_receive_buffer", {{"0", "0"}, {"1MiB", "1MiB"}}},
    {"no_delay", {{"off", "off"}, {"on", "on"}}},
    {"keep_alive", {{"off", "off"}, {"on", "on"}}},
    {"keep_alive_idle", {{"1s", "1s"}, {"32767s", "32767s"}}},
    {"keep_alive_interval", {{"1s", "1s"}, {"1m", "1m"}}},
    {"keep_alive_count", {{"1", "1"}, {"127", "127"}}},
};

// How many members an aggregate has: the most values that it can be made from.
struct anything {
  template <class T>
  operator T() const;
};
template <class T, class... Values>
constexpr std::size_t members() {
  if constexpr (requires { T{Values{}..., anything{}}; }) {
    return members<T, Values..., anything>();
  } else {
    return sizeof...(Values);
  }
}

TEST(option_table, has_a_row_for_every_member_of_the_struct_but_functions) {
  constexpr std::size_t functions = 3;  // tls_key_password, tls_check_peer, ws_check
  EXPECT_EQ(ferry::option_table().size() + functions, members<options>());
}

TEST(option_table, has_a_name_a_range_a_place_and_a_sentence_in_every_row) {
  std::set<std::string_view> names;
  for (const auto& option : ferry::option_table()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name << " stands twice";
    EXPECT_EQ(option.name, ferry::canonical_option_name(option.name));
    EXPECT_FALSE(option.group.empty() || option.values.empty() || option.applies.empty()) << option.name;
    EXPECT_TRUE(option.help.ends_with('.')) << option.name;
  }
}

TEST(option_table, says_the_defaults_as_one_would_write_them) {
  std::map<std::string_view, std::string> defaults;
  for (const auto& option : ferry::option_table()) defaults[option.name] = option.default_text;
  EXPECT_EQ(defaults["max_message"], "10MiB");
  EXPECT_EQ(defaults["framing"], "automatic");
  EXPECT_EQ(defaults["connect_timeout"], "5s");
  EXPECT_EQ(defaults["reconnect"], "off");
  EXPECT_EQ(defaults["reconnect_factor"], "1.6");
  EXPECT_EQ(defaults["reconnect_jitter"], "0.2");
  EXPECT_EQ(defaults["max_connections"], "10000");
  EXPECT_EQ(defaults["socket_mode"], "0");
  EXPECT_EQ(defaults["allow_uids"], "");
}

TEST(option_table, says_the_ranges_for_people) {
  std::map<std::string_view, std::string_view> values;
  for (const auto& option : ferry::option_table()) values[option.name] = option.values;
  EXPECT_EQ(values["max_message"], "1 .. 1GiB");
  EXPECT_EQ(values["framing"], "automatic, varint, u32, typed");
  EXPECT_EQ(values["spin"], "1ns .. 1s, 0: off");
  EXPECT_EQ(values["socket_mode"], "01 .. 0777, 0: as the umask says");
  EXPECT_EQ(values["reconnect_jitter"], "0 .. 1");
  EXPECT_EQ(values["reconnect"], "on, off");
  EXPECT_EQ(values["socket_owner"], "user, user:group or :group");
}

TEST(options, have_defaults_that_are_in_their_ranges_and_fit_together) {
  EXPECT_FALSE(ferry::check_options(options{}));
  for (const auto& option : ferry::option_table()) {
    EXPECT_EQ(problem_of(std::string(option.name), option.default_text), "");
  }
}

TEST(set_option, sets_every_option_and_only_that_one_and_get_option_writes_what_reads_back) {
  for (const auto& option : ferry::option_table()) {
    const auto samples = k_samples.find(std::string(option.name));
    ASSERT_NE(samples, k_samples.end()) << option.name << " has no sample";
    for (const auto& [value, written] : samples->second) {
      options target;
      ASSERT_FALSE(set_option(target, option.name, value)) << problem_of(std::string(option.name), value);
      auto expected = all_of(options{});
      expected[std::string(option.name)] = written;
      EXPECT_EQ(all_of(target), expected) << option.name << "=" << value;

      options again;
      ASSERT_FALSE(set_option(again, option.name, ferry::get_option(target, option.name)));
      EXPECT_EQ(all_of(again), all_of(target));
    }
  }
}

TEST(set_option, reaches_the_members_of_the_struct) {
  options target;
  const std::vector<std::pair<std::string, std::string>> values{
      {"max_message", "64KiB"},   {"framing", "u32"},          {"senders", "many"},   {"idle_timeout", "1.5s"},
      {"reconnect_jitter", "5%"}, {"reconnect_attempts", "9"}, {"no_delay", "off"},   {"socket_mode", "0640"},
      {"socket_owner", "a:b"},    {"allow_uids", "1,2"},       {"deliver_empty", "0"}};
  for (const auto& [name, value] : values) EXPECT_FALSE(set_option(target, name, value)) << name;
  EXPECT_EQ(target.max_message, 65536u);
  EXPECT_EQ(target.framing, ferry::framing_kind::u32);
  EXPECT_EQ(target.senders, ferry::senders_kind::many);
  EXPECT_EQ(target.idle_timeout, 1500ms);
  EXPECT_EQ(target.reconnect_jitter, 0.05);
  EXPECT_EQ(target.reconnect_attempts, 9u);
  EXPECT_FALSE(target.no_delay);
  EXPECT_EQ(target.socket_mode, 0640u);
  EXPECT_EQ(target.socket_owner, "a:b");
  EXPECT_EQ(target.allow_uids, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_FALSE(target.deliver_empty);
}

TEST(set_option, takes_dashes_underscores_and_capitals_alike) {
  for (const auto* name : {"max_message", "max-message", "MAX_MESSAGE", "Max-Message"}) {
    options target;
    EXPECT_FALSE(set_option(target, name, "7")) << name;
    EXPECT_EQ(target.max_message, 7u) << name;
    EXPECT_EQ(ferry::get_option(target, name), "7") << name;
  }
}

TEST(set_option, names_the_unknown_option_suggests_the_near_one_and_lists_all) {
  std::string known;
  for (const auto name : ferry::option_names()) known += (known.empty() ? "" : ", ") + std::string(name);
  options target;
  const auto near = set_option(target, "max_mesage", "1");
  ASSERT_TRUE(near);
  EXPECT_TRUE(near->unknown);
  EXPECT_EQ(near->text, "unknown option 'max_mesage', did you mean 'max_message'? Known options: " + known);
  EXPECT_EQ(problem_of("MAX-MESAGE", "1"),
            "unknown option 'MAX-MESAGE', did you mean 'max_message'? Known options: " + known);
  EXPECT_EQ(problem_of("colour", "1"), "unknown option 'colour'. Known options: " + known);
  EXPECT_EQ(problem_of("", "1"), "unknown option ''. Known options: " + known);
  EXPECT_EQ(problem_of("a\nb", "1"), "unknown option 'a\\x0ab'. Known options: " + known);
  EXPECT_EQ(known.substr(0, 20), "max_message, framing");
  EXPECT_EQ(ferry::get_option(target, "max_mesage"), "");
}

TEST(set_option, says_the_value_the_limit_and_the_form_of_whatever_it_refuses) {
  const std::string size_form = "not a size in whole bytes (65536, 64KiB, 1MiB, 2k); must be 1 .. 1GiB";
  const std::vector<std::tuple<std::string, std::string, std::string>> refused{
      {"max_message", "0", "max_message=0: must be 1 .. 1GiB"},
      {"max-message", "1073741825", "max_message=1073741825: must be 1 .. 1GiB"},
      {"max_message", "99999999999999999999", "max_message=99999999999999999999: must be 1 .. 1GiB"},
      {"max_message", "17179869184GiB", "max_message=17179869184GiB: must be 1 .. 1GiB"},
      {"max_message", "", "max_message=: " + size_form},
      {"max_message", "-1", "max_message=-1: " + size_form},
      {"max_message", "10 MiB", "max_message=10 MiB: " + size_form},
      {"max_message", "1.0001KiB", "max_message=1.0001KiB: " + size_form},
      {"max_message", "a\tb", "max_message=a\\x09b: " + size_form},
      {"max_message", std::string(1000, 'x'), "max_message=" + std::string(64, 'x') + "...: " + size_form},
      {"idle_timeout", "30", "idle_timeout=30: needs a unit (ns, us, ms, s, m, h); must be 1ns .. 8760h, 0: off"},
      {"idle_timeout", "30x", "idle_timeout=30x: not a duration (500us, 10ms, 1.5s, 1m); must be 1ns .. 8760h, 0: off"},
      {"idle_timeout", "", "idle_timeout=: not a duration (500us, 10ms, 1.5s, 1m); must be 1ns .. 8760h, 0: off"},
      {"connect_timeout", "25h", "connect_timeout=25h: must be 1ns .. 24h, 0: no limit but the system's"},
      {"connect_timeout", "9999999999h",
       "connect_timeout=9999999999h: must be 1ns .. 24h, 0: no limit but the system's"},
      {"reconnect_base", "0", "reconnect_base=0: must be 1ms .. 24h"},
      {"keep_alive_idle", "999ms", "keep_alive_idle=999ms: must be 1s .. 32767s"},
      {"backlog", "70000", "backlog=70000: must be 1 .. 65535"},
      {"backlog", "4294967297", "backlog=4294967297: must be 1 .. 65535"},
      {"backlog", "many", "backlog=many: not a whole number; must be 1 .. 65535"},
      {"reconnect_jitter", "1.1", "reconnect_jitter=1.1: must be 0 .. 1"},
      {"reconnect_jitter", "101%", "reconnect_jitter=101%: must be 0 .. 1"},
      {"reconnect_jitter", "nan", "reconnect_jitter=nan: not a number (0.2 or 20%); must be 0 .. 1"},
      {"reconnect_factor", "0.5", "reconnect_factor=0.5: must be 1 .. 100"},
      {"reconnect", "maybe", "reconnect=maybe: must be one of on, off"},
      {"reconnect", "onn", "reconnect=onn: must be one of on, off, did you mean 'on'?"},
      {"framing", "varnt", "framing=varnt: must be one of automatic, varint, u32, typed, did you mean 'varint'?"},
      {"senders", "two", "senders=two: must be one of one, many"},
      {"socket_mode", "0680",
       "socket_mode=0680: not permissions in octal (0660); must be 01 .. 0777, 0: as the umask says"},
      {"socket_mode", "1777", "socket_mode=1777: must be 01 .. 0777, 0: as the umask says"},
      {"socket_owner", "a:b:c", "socket_owner=a:b:c: must be user, user:group or :group"},
      {"tls_pin", "abc", "tls_pin=abc: must be cert:SHA256 or key:SHA256 in hexadecimal digits, separated by commas"},
      {"tls_alpn", "a,,b", "tls_alpn=a,,b: must be names of 1 .. 255 bytes, separated by commas"},
      {"tls_min", "1.1", "tls_min=1.1: must be one of 1.2, 1.3, did you mean '1.2'?"},
      {"socket_owner", ":", "socket_owner=:: must be user, user:group or :group"},
      {"socket_owner", "a b", "socket_owner=a b: must be user, user:group or :group"},
      {"session", "persist", "session=persist: must be one of none, persistent, did you mean 'persistent'?"},
      {"as", ".alice", "as=.alice: must be 1 .. 63 letters, digits, '.', '-', '_', not beginning with '.'"},
      {"peer", "a/b", "peer=a/b: must be 1 .. 63 letters, digits, '.', '-', '_', not beginning with '.'"},
      {"dir", "sessions", "dir=sessions: must be an absolute path"},
      {"allow_uids", "1000,root",
       "allow_uids=1000,root: must be at most 1024 user numbers 0 .. 4294967294, separated by commas"},
      {"allow_uids", "4294967295",
       "allow_uids=4294967295: must be at most 1024 user numbers 0 .. 4294967294, separated by commas"},
  };
  for (const auto& [name, value, text] : refused) {
    options target;
    const auto problem = set_option(target, name, value);
    ASSERT_TRUE(problem) << name << "=" << value;
    EXPECT_EQ(problem->text, text);
    EXPECT_FALSE(problem->unknown);
    EXPECT_EQ(all_of(target), all_of(options{})) << "a refused value has changed something";
  }
}

TEST(environment, sets_the_options_that_it_names_and_leaves_other_entries_alone) {
  options target;
  const char* const entries[] = {"PATH=/bin",
                                 "FERRY_MAX_MESSAGE=1MiB",
                                 "FERRY_NO_DELAY=off",
                                 "FERRY_COLOUR=blue",
                                 "FERRY_SPIN",
                                 "ferry_backlog=1",
                                 "FERRY_backlog=1",
                                 "FERRY_SOCKET_OWNER=",
                                 "=FERRY_SPIN",
                                 "MY_FERRY_BACKLOG=1",
                                 nullptr};
  ASSERT_FALSE(ferry::set_options_from_environment(target, entries));
  auto expected = all_of(options{});
  expected["max_message"] = "1MiB";
  expected["no_delay"] = "off";
  EXPECT_EQ(all_of(target), expected);
}

TEST(environment, names_the_variable_of_a_bad_value_and_changes_nothing) {
  options target;
  const char* const entries[] = {"FERRY_NO_DELAY=off", "FERRY_MAX_MESSAGE=0"};
  const auto problem = ferry::set_options_from_environment(target, entries);
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->text, "environment variable FERRY_MAX_MESSAGE: max_message=0: must be 1 .. 1GiB");
  EXPECT_TRUE(target.no_delay);
}

TEST(check_options, finds_low_marks_above_high_marks) {
  options all;
  all.send_queue_bytes = 4096;
  EXPECT_FALSE(ferry::check_options(all));
  all.send_queue_low_bytes = 1 << 20;
  EXPECT_EQ(ferry::check_options(all)->text, "send_queue_low_bytes=1MiB: must be at most send_queue_bytes=4KiB");
  all.send_queue_low_bytes = 4096;
  EXPECT_FALSE(ferry::check_options(all));
  all.receive_queue_low_bytes = all.receive_queue_bytes + 1;
  EXPECT_EQ(ferry::check_options(all)->text,
            "receive_queue_low_bytes=4194305: must be at most receive_queue_bytes=4MiB");
}

TEST(check_options, wants_a_name_for_a_persistent_session) {
  options all;
  all.session = ferry::session_kind::persistent;
  EXPECT_EQ(ferry::check_options(all)->text,
            "session=persistent: needs the name of this end, as=NAME, under which it comes back");
  all.as = "alice";
  EXPECT_FALSE(ferry::check_options(all));
}

TEST(check_options, wants_a_session_for_what_only_a_session_keeps) {
  const auto problem_of = [](auto set) {
    options all;
    set(all);
    const auto problem = ferry::check_options(all);
    all.session = ferry::session_kind::persistent;
    all.as = "alice";
    EXPECT_FALSE(ferry::check_options(all));
    return problem ? problem->text : "";
  };
  const std::string advice = ": only a persistent session has that; set session=persistent too";
  EXPECT_EQ(problem_of([](options& all) { all.as = "bob"; }), "as=bob" + advice);
  EXPECT_EQ(problem_of([](options& all) { all.peer = "bob"; }), "peer=bob" + advice);
  EXPECT_EQ(problem_of([](options& all) { all.durable = ferry::durable_kind::disk; }), "durable=disk" + advice);
}

TEST(check_options, finds_members_that_were_set_to_what_set_option_refuses) {
  const auto problem_after = [](auto change) {
    options all;
    change(all);
    const auto problem = ferry::check_options(all);
    return problem ? problem->text : "";
  };
  EXPECT_EQ(problem_after([](options& all) { all.max_message = 0; }), "max_message=0: must be 1 .. 1GiB");
  EXPECT_EQ(problem_after([](options& all) { all.idle_timeout = -1s; }),
            "idle_timeout=-1000000000ns: must be 1ns .. 8760h, 0: off");
  EXPECT_EQ(problem_after([](options& all) { all.reconnect_jitter = std::numeric_limits<double>::quiet_NaN(); }),
            "reconnect_jitter=nan: must be 0 .. 1");
  EXPECT_EQ(problem_after([](options& all) { all.framing = ferry::framing_kind{9}; }),
            "framing=9: must be one of automatic, varint, u32, typed");
  EXPECT_EQ(problem_after([](options& all) { all.allow_uids = {0xffffffff}; }),
            "allow_uids=4294967295: must be at most 1024 user numbers 0 .. 4294967294, separated by commas");
  EXPECT_EQ(problem_after([](options& all) { all.socket_owner = "a:b:c"; }),
            "socket_owner=a:b:c: must be user, user:group or :group");
}

}  // namespace
