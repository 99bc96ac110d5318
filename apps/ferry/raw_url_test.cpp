#include "apps/ferry/raw_url.hpp"

#include <gtest/gtest.h>

namespace ferry::app {
namespace {

TEST(raw_url, leaves_streams_as_they_are) {
  for (const char* url : {"tcp://host:1?framing=u32", "ipc://@name", "tls://[::1]:5", "inproc://x"}) {
    const auto made = raw_url_of(url);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->url, url);
    EXPECT_FALSE(made->frames || made->upgrades);
  }
}

TEST(raw_url, finds_what_carries_a_websocket) {
  struct row {
    const char *url, *below, *path;
    bool upgrades;
  };
  for (const auto& [url, below, path, upgrades] :
       {row{"ws://host", "tcp://host:80", "/", true},
        row{"ws://host:8080/a/b?c=d", "tcp://host:8080", "/a/b?c=d", true},
        row{"wss://[::1]/x", "tls://[::1]:443", "/x", true}, row{"wss://[::1]:9?q", "tls://[::1]:9", "/?q", true},
        row{"ws+raw://host:5", "tcp://host:5", "/", false}, row{"wss+raw://host:5", "tls://host:5", "/", false},
        row{"ws+ipc:///run/a.sock?path=/chat", "ipc:///run/a.sock", "/chat", true}}) {
    const auto made = raw_url_of(url);
    ASSERT_TRUE(made) << url;
    EXPECT_EQ(made->url, below);
    EXPECT_EQ(made->path, path);
    EXPECT_TRUE(made->frames);
    EXPECT_EQ(made->upgrades, upgrades) << url;
  }
}

TEST(raw_url, refuses_what_has_no_stream) {
  EXPECT_EQ(raw_url_of("shm://news").error(), errc::unsupported);
  EXPECT_EQ(raw_url_of("news").error(), errc::bad_url);
}

}  // namespace
}  // namespace ferry::app
