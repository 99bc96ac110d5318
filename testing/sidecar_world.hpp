#pragma once
/// A sidecar in a test, with services by hand.

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <string_view>

#include "sidecar/sidecar.hpp"
#include "testing/service_by_hand.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

/// Entities 101, 102 and 201 with two pipes each, unless a test says otherwise before open().
class sidecar_world : public ::testing::Test {
 protected:
  sidecar_world() {
    for (const std::uint32_t entity : {101u, 102u, 201u}) with.entities.push_back(small_entity(dir, entity, 2));
    with.hold = std::chrono::seconds(60);
    with.message_age = {};
    with.heartbeat_timeout = std::chrono::hours(1);  // of which these services send none
  }
  void open() {
    auto made = sidecar::daemon::open(where, with);
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
  }
  [[nodiscard]] service_by_hand service(std::size_t index, std::uint32_t pipe = 0) {
    return service_by_hand(io, with.entities[index], pipe);
  }
  [[nodiscard]] sidecar::pipe_view view(std::size_t index, std::uint32_t pipe = 0) const {
    return it->pipes()[2 * index + pipe];
  }
  [[nodiscard]] std::uint64_t undeliverable(session::unroutable why) const {
    return it->stats().data.undeliverable[static_cast<std::size_t>(why)];
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult comes(Done done, std::string_view what) {
    return run_until(io, done, what);
  }

  const temp_dir dir;
  boost::asio::io_context io{1};
  context where{io};
  sidecar::settings with;
  std::optional<sidecar::daemon> it;
};

}  // namespace ferry::test
