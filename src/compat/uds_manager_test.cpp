// What a service manager decides for a reader: the path, the socket; and how accepting fails.
#include <ferry/compat/uds.hpp>
#include <ferry/context.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "testing/raw_unix.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::raw_unix;
using test::run_until;
using test::varint_frame;

// Fails as often as told, as accept4() does when no descriptor is left.
class failing_acceptor final : public acceptor {
 public:
  failing_acceptor(boost::asio::io_context& io, std::uint64_t failures, std::uint64_t& tries)
      : io_(io), failures_(failures), tries_(tries) {}
  result<std::shared_ptr<stream>> try_accept() override {
    if (tries_ == failures_) return errc::would_block;
    ++tries_;
    return error::from_errno(EMFILE, "accept");
  }
  void async_wait(std::function<void()> ready) override {
    if (tries_ == 0) boost::asio::post(io_, std::move(ready));
  }
  void close() noexcept override {}
  std::string local_url() const override { return "ipc://@fails"; }

 private:
  boost::asio::io_context& io_;
  std::uint64_t failures_;
  std::uint64_t& tries_;
};

class recording_manager final : public service_manager {
 public:
  std::string socket_path(const std::string& path) const override { return prefix + path; }
  result<std::unique_ptr<acceptor>> take_listener(context&, const options&) override {
    if (refusal.code()) return refusal;
    return std::exchange(given, nullptr);
  }
  void ready() override { told.emplace_back("ready"); }
  void stopping() override { told.emplace_back("stopping"); }

  std::string prefix;
  error refusal;
  std::unique_ptr<acceptor> given;
  std::vector<std::string> told;
};

class managed_uds_reader : public ::testing::Test {
 protected:
  static uds_reader::handler ignoring() {
    return [](bytes) -> result<void> { return {}; };
  }
  test::temp_dir files;
  boost::asio::io_context io;
  context loop{io};
  std::shared_ptr<recording_manager> manager = std::make_shared<recording_manager>();
  std::uint64_t tries = 0;
  std::vector<error> complaints;
  uds_reader_options with() {
    uds_reader_options made;
    made.manager = manager;
    made.on_error = [this](const error& what, std::string_view at) {
      EXPECT_EQ(at, "accept");
      complaints.push_back(what);
    };
    return made;
  }
};

TEST_F(managed_uds_reader, listens_where_its_manager_says_and_tells_it_of_both_ends) {
  std::filesystem::create_directory(files.file("run"));
  manager->prefix = files.file("run/");
  uds_reader reader(loop, ignoring(), "a.sock", with());
  EXPECT_EQ(reader.path(), files.file("run/a.sock"));
  EXPECT_TRUE(manager->told.empty());
  ASSERT_TRUE(reader.start());
  EXPECT_EQ(manager->told, std::vector<std::string>{"ready"});
  (void)raw_unix::connect(files.file("run/a.sock"));
  (void)reader.stop();
  (void)reader.stop();
  EXPECT_EQ(manager->told, (std::vector<std::string>{"ready", "stopping"}));
}

TEST_F(managed_uds_reader, does_not_start_and_is_not_ready_when_its_manager_gives_no_usable_socket) {
  manager->refusal = error(errc::misuse, "descriptor 3 is a pipe");
  uds_reader reader(loop, ignoring(), files.file("a.sock"), with());
  EXPECT_EQ(reader.start().error(), errc::misuse);
  EXPECT_TRUE(manager->told.empty());
}

TEST_F(managed_uds_reader, pauses_after_a_failed_accept_counts_it_and_goes_on) {
  manager->given = std::make_unique<failing_acceptor>(io, 2, tries);
  auto options = with();
  options.max_accept_errors = 2;
  uds_reader reader(loop, ignoring(), files.file("a.sock"), options);
  ASSERT_TRUE(reader.start());
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(run_until(
      io, [&] { return tries == 2; }, "the second attempt"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 100ms);
  EXPECT_EQ(reader.metrics().accept_errors, 2u);
  EXPECT_EQ(reader.metrics().errors, 0u);
  EXPECT_EQ(complaints.size(), 2u);
}

TEST_F(managed_uds_reader, ends_accepting_after_one_failure_more_than_allowed_in_a_row) {
  manager->given = std::make_unique<failing_acceptor>(io, 1000, tries);
  auto options = with();
  options.max_accept_errors = 2;
  uds_reader reader(loop, ignoring(), files.file("a.sock"), options);
  ASSERT_TRUE(reader.start());
  ASSERT_TRUE(run_until(
      io, [&] { return complaints.size() == 4; }, "the last complaint"));
  EXPECT_EQ(tries, 3u);
  EXPECT_EQ(reader.metrics().accept_errors, 3u);
  EXPECT_NE(complaints[3].text().find("max_accept_errors is 2"), std::string::npos) << complaints[3].text();
  EXPECT_EQ(complaints[3].system_errno(), EMFILE);
  EXPECT_EQ(reader.stop(60s).reason, errc::closed);
}

}  // namespace
}  // namespace ferry
