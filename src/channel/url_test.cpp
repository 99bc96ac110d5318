#include <ferry/url.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using ferry::endpoint;
using ferry::errc;
using ferry::options;

const std::vector<std::string> k_schemes{"inproc", "ipc", "tcp", "tls", "ws", "wss", "mine"};

/// The endpoint; if there is none, the test has failed and an empty one comes back.
endpoint parsed(std::string_view url) {
  options target;
  const auto result = ferry::parse_url(url, target, k_schemes);
  if (result) return *result;
  ADD_FAILURE() << result.error().text();
  return {};
}

/// "code: text" of the error, and nothing if there was none.
std::string refusal(std::string_view url, errc code = errc::bad_url) {
  options target;
  const auto result = ferry::parse_url(url, target, k_schemes);
  if (result) return "";
  EXPECT_EQ(result.error().reason(), code) << result.error().text();
  EXPECT_EQ(ferry::get_option(target, "max_message"), "10MiB") << "a refused URL has changed an option";
  return result.error().text();
}

/// What a URL means, in one line.
std::string meaning(std::string_view url) {
  const auto at = parsed(url);
  return at.scheme + " host=" + at.host + " port=" + std::to_string(at.port) + " path=" + at.path;
}

TEST(url, of_ipc_is_an_absolute_path_or_an_abstract_name) {
  EXPECT_EQ(meaning("ipc:///run/a.sock"), "ipc host= port=0 path=/run/a.sock");
  EXPECT_EQ(meaning("ipc://@name"), "ipc host= port=0 path=@name");
  EXPECT_EQ(meaning("ipc://@a/b@c:5"), "ipc host= port=0 path=@a/b@c:5");
  EXPECT_EQ(meaning("IPC:///Run/A"), "ipc host= port=0 path=/Run/A");
}

TEST(url, path_may_hold_any_byte_but_zero) {
  EXPECT_EQ(parsed("ipc:///tmp/my%20file%3F%23%25.sock").path, "/tmp/my file?#%.sock");
  EXPECT_EQ(parsed("ipc:///tmp/my file*|<>\\\"").path, "/tmp/my file*|<>\\\"");
  EXPECT_EQ(parsed("ipc:///tmp/\xc3\xbc").path, "/tmp/\xc3\xbc");
  EXPECT_EQ(parsed("ipc:///tmp/%FF%01\x02").path, "/tmp/\xff\x01\x02");
  EXPECT_EQ(parsed("ipc:///a+b").path, "/a+b");
}

TEST(url, of_inproc_is_a_name) {
  EXPECT_EQ(meaning("inproc://bus"), "inproc host= port=0 path=bus");
  EXPECT_EQ(meaning("inproc://a/b%20c:1"), "inproc host= port=0 path=a/b c:1");
}

TEST(url, of_tcp_has_a_name_or_an_address_and_a_port) {
  EXPECT_EQ(meaning("tcp://localhost:5000"), "tcp host=localhost port=5000 path=");
  EXPECT_EQ(meaning("tls://localhost:5000"), "tls host=localhost port=5000 path=");
  EXPECT_EQ(meaning("tcp://my_host.example.org.:1"), "tcp host=my_host.example.org. port=1 path=");
  EXPECT_EQ(meaning("tcp://127.0.0.1:65535/"), "tcp host=127.0.0.1 port=65535 path=");
  EXPECT_EQ(meaning("tcp://[::1]:80"), "tcp host=::1 port=80 path=");
  EXPECT_EQ(meaning("tcp://[::ffff:1.2.3.4]:80"), "tcp host=::ffff:1.2.3.4 port=80 path=");
  EXPECT_EQ(meaning("tcp://*:5000"), "tcp host=* port=5000 path=");
  EXPECT_EQ(meaning("tcp://:0"), "tcp host= port=0 path=");
  EXPECT_EQ(meaning("tcp://host:00080"), "tcp host=host port=80 path=");
}

TEST(url, takes_the_zone_of_an_ipv6_address_as_the_rfc_and_as_people_write_it) {
  EXPECT_EQ(parsed("tcp://[fe80::1%25eth0]:5").host, "fe80::1%eth0");
  EXPECT_EQ(parsed("tcp://[fe80::1%eth0]:5").host, "fe80::1%eth0");
  EXPECT_EQ(parsed("tcp://[fe80::1%eth0.100:1]:5").host, "fe80::1%eth0.100:1");
  EXPECT_EQ(parsed("tcp://[fe80::1%25a%2520b]:5").host, "fe80::1%a%20b");
  EXPECT_EQ(parsed("tcp://[fe80::1%2]:5").host, "fe80::1%2");
  EXPECT_EQ(parsed("tcp://[fe80::1%25]:5").host, "fe80::1%25") << "interface number 25, for the RFC wants more";
  EXPECT_EQ(parsed("tcp://[fe80::1%2525]:5").host, "fe80::1%25");
}

TEST(url, of_a_registered_scheme_gets_host_port_and_path) {
  EXPECT_EQ(meaning("mine://host"), "mine host=host port=0 path=");
  EXPECT_EQ(meaning("mine://host:7"), "mine host=host port=7 path=");
  EXPECT_EQ(meaning("mine://[::1]:7/a%20b/c"), "mine host=::1 port=7 path=/a b/c");
  EXPECT_EQ(meaning("mine:///dir/x"), "mine host= port=0 path=/dir/x");
  EXPECT_EQ(meaning("mine://"), "mine host= port=0 path=");
}

TEST(url, query_sets_options) {
  options target;
  const auto at =
      ferry::parse_url("tcp://h:1?max-message=1MiB&idle_timeout=1%2E5s&&socket_owner=a+b&", target, k_schemes);
  ASSERT_TRUE(at) << at.error().text();
  EXPECT_EQ(target.max_message, 1u << 20);
  EXPECT_EQ(target.idle_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(target.socket_owner, "a+b");
  const decltype(at->query) query{{"max-message", "1MiB"}, {"idle_timeout", "1.5s"}, {"socket_owner", "a+b"}};
  EXPECT_EQ(at->query, query);
}

TEST(url, keeps_options_that_the_query_does_not_name) {
  options target;
  target.backlog = 7;
  ASSERT_TRUE(ferry::parse_url("tcp://h:1?spin=1us", target, k_schemes));
  EXPECT_EQ(target.backlog, 7u);
}

TEST(url, query_of_a_websocket_belongs_to_the_request) {
  for (const std::string scheme : {"ws", "wss"}) {
    options target;
    const auto at =
        ferry::parse_url(scheme + "://h:1/chat?max_message=1&max_message=2&room=a%20b&x", target, k_schemes);
    ASSERT_TRUE(at) << at.error().text();
    EXPECT_EQ(target.max_message, options{}.max_message);
    const decltype(at->query) query{{"max_message", "1"}, {"max_message", "2"}, {"room", "a b"}, {"x", ""}};
    EXPECT_EQ(at->query, query);
    EXPECT_EQ(at->text(), scheme + "://h:1/chat?max_message=1&max_message=2&room=a%20b&x=");
  }
}

TEST(url, of_a_websocket_has_the_port_of_http_and_the_root_unless_it_names_others) {
  options target;
  const std::vector<std::string> schemes{"ws", "wss", "ws+raw"};
  const auto plain = ferry::parse_url("ws://h", target, schemes);
  ASSERT_TRUE(plain) << plain.error().text();
  EXPECT_EQ(plain->port, 80);
  EXPECT_EQ(plain->path, "/");
  EXPECT_EQ(plain->text(), "ws://h/");
  EXPECT_EQ(ferry::parse_url("wss://h?a=b", target, schemes)->text(), "wss://h/?a=b");
  EXPECT_EQ(ferry::parse_url("wss://h:0/x", target, schemes)->text(), "wss://h:0/x") << "any port, for listening";
  EXPECT_FALSE(ferry::parse_url("ws+raw://h", target, schemes));
}

TEST(url, of_a_websocket_over_a_unix_socket_names_its_resource_in_the_query) {
  options target;
  const std::vector<std::string> schemes{"ws+ipc"};
  const auto at = ferry::parse_url("ws+ipc:///run/a?path=/chat?b&max_message=5", target, schemes);
  ASSERT_TRUE(at) << at.error().text();
  EXPECT_EQ(at->path, "/run/a");
  EXPECT_EQ(target.max_message, 5u);
  EXPECT_EQ(at->text(), "ws+ipc:///run/a?path=/chat%3Fb");
}

TEST(url, of_a_service_names_its_directory_and_whom_it_is_for) {
  options target;
  const std::vector<std::string> schemes{"sidecar"};
  const auto at = ferry::parse_url("sidecar:///run/ferry/101?to=201&max_message=5", target, schemes);
  ASSERT_TRUE(at) << at.error().text();
  EXPECT_EQ(at->path, "/run/ferry/101");
  EXPECT_EQ(target.max_message, 5u);
  EXPECT_EQ(at->text(), "sidecar:///run/ferry/101?to=201");
  for (const char* wrong : {"sidecar://run/ferry/101", "sidecar://@101", "sidecar://"}) {
    const auto refused = ferry::parse_url(wrong, target, schemes);
    ASSERT_FALSE(refused) << wrong;
    EXPECT_NE(refused.error().text().find("is not absolute"), std::string::npos) << refused.error().text();
    EXPECT_EQ(refused.error().text().find("abstract"), std::string::npos) << refused.error().text();
  }
}

TEST(url, prints_without_its_options_and_parses_again_to_the_same) {
  const std::vector<std::pair<std::string, std::string>> printed{
      {"ipc:///run/a.sock?spin=1us", "ipc:///run/a.sock"},
      {"ipc://@name", "ipc://@name"},
      {"ipc:///a b%3f%23%25%01ff", "ipc:///a%20b%3F%23%25%01ff"},
      {"inproc://a/b c", "inproc://a/b%20c"},
      {"TCP://Host:080", "tcp://Host:80"},
      {"tcp://*:0?backlog=1", "tcp://*:0"},
      {"tcp://:0", "tcp://:0"},
      {"tcp://[::1]:5", "tcp://[::1]:5"},
      {"tcp://[fe80::1%eth0]:5", "tcp://[fe80::1%25eth0]:5"},
      {"tcp://[fe80::1%25]:5", "tcp://[fe80::1%2525]:5"},
      {"mine://h:0/x", "mine://h/x"},
      {"mine://[::1]:9", "mine://[::1]:9"},
      {"mine:///x%2Fy", "mine:///x/y"},
  };
  for (const auto& [url, text] : printed) {
    EXPECT_EQ(parsed(url).text(), text);
    EXPECT_EQ(meaning(text), meaning(url));
  }
}

TEST(url, with_an_unknown_scheme_names_the_near_one_and_lists_the_known_ones) {
  EXPECT_EQ(refusal("tpc://h:1", errc::unknown_scheme),
            "unknown scheme 'tpc', did you mean 'tcp'? Known schemes: inproc, ipc, tcp, tls, ws, wss, mine");
  EXPECT_EQ(refusal("http://h:1", errc::unknown_scheme),
            "unknown scheme 'http'. Known schemes: inproc, ipc, tcp, tls, ws, wss, mine");
}

TEST(url, with_an_unknown_or_bad_option_says_what_the_table_says) {
  const auto unknown = refusal("tcp://h:1?max_mesage=1MiB", errc::unknown_option);
  EXPECT_EQ(unknown.substr(0, 79), "unknown option 'max_mesage', did you mean 'max_message'? Known options: max_mes");
  EXPECT_EQ(refusal("tcp://h:1?spin=1us&max_message=0", errc::bad_option), "max_message=0: must be 1 .. 1GiB");
  EXPECT_EQ(refusal("tcp://h:1?reconnect", errc::bad_option), "reconnect=: must be one of on, off");
}

TEST(url, with_an_option_twice_is_refused) {
  EXPECT_EQ(refusal("tcp://h:1?max_message=1&max-message=2", errc::bad_option),
            "max_message=2: is given twice, write it once");
}

TEST(url, that_is_bad_says_what_to_write_instead) {
  const std::vector<std::pair<std::string, std::string>> refused{
      {"", "bad URL '': not of the form SCHEME://WHERE: write tcp://HOST:PORT, ipc:///PATH, ipc://@NAME or shm://NAME"},
      {"localhost:5000",
       "bad URL 'localhost:5000': not of the form SCHEME://WHERE: write tcp://HOST:PORT, ipc:///PATH, ipc://@NAME or "
       "shm://NAME"},
      {"://x",
       "bad URL '://x': not of the form SCHEME://WHERE: write tcp://HOST:PORT, ipc:///PATH, ipc://@NAME or shm://NAME"},
      {"ipc:/run/a", "bad URL 'ipc:/run/a': not of the form SCHEME://WHERE: write ipc:///PATH or ipc://@NAME"},
      {"TCP:h:1", "bad URL 'TCP:h:1': not of the form SCHEME://WHERE: write tcp://HOST:PORT"},
      {"ipc://run/a.sock",
       "bad URL 'ipc://run/a.sock': the path is not absolute: write three slashes and the absolute path, "
       "ipc:///run/a.sock, or ipc://@NAME for an abstract socket"},
      {"ipc://",
       "bad URL 'ipc://': the path is not absolute: write three slashes and the absolute path, ipc:///PATH, or "
       "ipc://@NAME for an abstract socket"},
      {"ipc:///", "bad URL 'ipc:///': no path: write ipc:///PATH"},
      {"ipc://@", "bad URL 'ipc://@': no name: write ipc://@NAME"},
      {"ipc:///a%00b", "bad URL 'ipc:///a%00b': '/a%00b' contains a zero byte: leave it out"},
      {"ipc:///50%", "bad URL 'ipc:///50%': a '%' in '/50%' has no two hexadecimal digits: write %25 for '%' itself"},
      {"ipc:///a%zz",
       "bad URL 'ipc:///a%zz': a '%' in '/a%zz' has no two hexadecimal digits: write %25 for '%' itself"},
      {"ipc:///a#b", "bad URL 'ipc:///a#b': '#' and what follows it mean nothing here: write %23 for '#' itself"},
      {"inproc://", "bad URL 'inproc://': no name: write inproc://NAME"},
      {"tcp://", "bad URL 'tcp://': no port: write tcp://HOST:PORT"},
      {"tcp://localhost", "bad URL 'tcp://localhost': no port: write tcp://localhost:PORT"},
      {"tcp://localhost:", "bad URL 'tcp://localhost:': no port: write tcp://localhost:PORT"},
      {"tcp://[::1]", "bad URL 'tcp://[::1]': no port: write tcp://[::1]:PORT"},
      {"tcp://h:65536", "bad URL 'tcp://h:65536': port '65536': must be 0 .. 65535"},
      {"tcp://h:4294967297", "bad URL 'tcp://h:4294967297': port '4294967297': must be 0 .. 65535"},
      {"tcp://h:99999999999999999999",
       "bad URL 'tcp://h:99999999999999999999': port '99999999999999999999': must be 0 .. 65535"},
      {"tcp://h:http", "bad URL 'tcp://h:http': port 'http': must be 0 .. 65535"},
      {"tcp://h:-1", "bad URL 'tcp://h:-1': port '-1': must be 0 .. 65535"},
      {"tcp://h:8%30", "bad URL 'tcp://h:8%30': port '8%30': must be 0 .. 65535"},
      {"tcp://::1:5000",
       "bad URL 'tcp://::1:5000': '::1:5000' has several colons: write an IPv6 address in brackets, [::1]:PORT"},
      {"tcp://[::1", "bad URL 'tcp://[::1': '[::1' is not an address in brackets: write [::1]:PORT"},
      {"tcp://[::1]5", "bad URL 'tcp://[::1]5': '[::1]5' is not an address in brackets: write [::1]:PORT"},
      {"tcp://[::g]:5", "bad URL 'tcp://[::g]:5': '::g' is not an IPv6 address: write one as in [::1]:PORT"},
      {"tcp://[1.2.3.4]:5",
       "bad URL 'tcp://[1.2.3.4]:5': '1.2.3.4' is not an IPv6 address: write one as in [::1]:PORT"},
      {"tcp://[v1.x]:5", "bad URL 'tcp://[v1.x]:5': 'v1.x' is not an IPv6 address: write one as in [::1]:PORT"},
      {"tcp://[]:5", "bad URL 'tcp://[]:5': '' is not an IPv6 address: write one as in [::1]:PORT"},
      {"tcp://[fe80::1%]:5",
       "bad URL 'tcp://[fe80::1%]:5': '' is not a network interface: write one as in [fe80::1%eth0]:PORT"},
      {"tcp://[fe80::1%e h]:5",
       "bad URL 'tcp://[fe80::1%e h]:5': 'e h' is not a network interface: write one as in [fe80::1%eth0]:PORT"},
      {"tcp://user@h:1", "bad URL 'tcp://user@h:1': 'user@h:1' has a user name: write HOST:PORT alone"},
      {"tcp://h:1/x", "bad URL 'tcp://h:1/x': '/x' is a path, and tcp has none: write tcp://h:1"},
      {"tcp://a b:1", "bad URL 'tcp://a b:1': host 'a b': a host name has letters, digits, '-', '.' and '_' alone"},
      {"tcp://a*:1", "bad URL 'tcp://a*:1': host 'a*': a host name has letters, digits, '-', '.' and '_' alone"},
      {"tcp://1.2.3.400:1",
       "bad URL 'tcp://1.2.3.400:1': host '1.2.3.400' is not an IPv4 address: write four numbers 0 .. 255, or a name"},
      {"tcp://127.1:1",
       "bad URL 'tcp://127.1:1': host '127.1' is not an IPv4 address: write four numbers 0 .. 255, or a name"},
      {"tcp://a\nb:1",
       "bad URL 'tcp://a\\x0ab:1': host 'a\\x0ab': a host name has letters, digits, '-', '.' and '_' alone"},
      {"mine://h:x/", "bad URL 'mine://h:x/': port 'x': must be 0 .. 65535"},
      {"mine://h:/", "bad URL 'mine://h:/': port '': must be 0 .. 65535"},
      {"tcp://h:1?a=%",
       "bad URL 'tcp://h:1?a=%': a '%' in '%' has no two hexadecimal digits: write %25 for '%' itself"},
  };
  for (const auto& [url, text] : refused) EXPECT_EQ(refusal(url), text);
}

TEST(url, with_a_zero_byte_or_without_an_end_is_refused) {
  EXPECT_EQ(refusal(std::string_view("ipc:///a\0b", 10)),
            "bad URL 'ipc:///a\\x00b': '/a\\x00b' contains a zero byte: leave it out");
  EXPECT_EQ(refusal("ipc:///" + std::string(65530, 'a')), "a URL of 65537 bytes: must be at most 65536");
  EXPECT_EQ(parsed("ipc:///" + std::string(65529, 'a')).path.size(), 65530u);
  const auto text = refusal("tcp://" + std::string(254, 'a') + ":1");
  EXPECT_TRUE(text.ends_with("...' has 254 characters: a name has at most 253")) << text;
}

}  // namespace
