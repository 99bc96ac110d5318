#pragma once
/// The fixture of tests that speak to a listener: a context that the test's own thread turns, and what came to it.

#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <string>
#include <utility>
#include <vector>

#include "testing/kept_log.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

class listening_world : public ::testing::Test {
 protected:
  /// Listens; each channel that arrives is given to welcome(), and why somebody was refused is kept.
  void listen_at(const std::string& url, const options& with = {}) {
    auto made = listener::open(where, url, with);
    ASSERT_TRUE(made) << made.error().text();
    listening = *made;
    listening.on_error([this](const error& why) { refusals.push_back(why); });
    listening.on_channel([this](channel arrived) { welcome(std::move(arrived)); });
  }
  virtual void welcome(channel arrived) { arrivals.push_back(std::move(arrived)); }
  /// Of the listener, on TCP.
  [[nodiscard]] std::uint16_t port() const {
    const std::string url = listening.url();
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }

  temp_dir dir;
  boost::asio::io_context io;
  kept_log log;
  context where{io, {.log = &log}};
  listener listening;
  std::vector<channel> arrivals;
  std::vector<error> refusals;
};

}  // namespace ferry::test
