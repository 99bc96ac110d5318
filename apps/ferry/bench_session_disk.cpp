// Transactions on the disk against fdatasync() alone, in the same directory.
#include <ferry/channel.hpp>
#include <ferry/session.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "apps/ferry/bench_ring.hpp"
#include "bench/child.hpp"
#include "bench/statistics.hpp"
#include "channel/fail.hpp"
#include "os/unique_fd.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_size = 64;
constexpr int k_commits = 20;  // one after the other, in a round
constexpr std::int64_t k_round_ns = 50'000'000;
constexpr int k_waiting = 256;
constexpr std::size_t k_ring = 16u << 20;  // nobody takes anything out of it

using message = std::array<std::byte, k_size>;

/// A session that nobody answers: what it sends stays in its ring. Files of its own.
class lonely_session {
 public:
  lonely_session(const ring_plan& plan, int number) : channels_(io_, {.blocking_executor = disk_.get_executor()}) {
    options with = plan.with;
    with.session = session_kind::persistent;
    with.durable = durable_kind::disk;
    with.as = "alone";
    with.dir += "/disk-" + std::to_string(number);
    with.ring_bytes = k_ring;
    with.reconnect = true;
    link_ = or_fail(channel::open(channels_, "ipc://" + with.dir + "/nobody", with));
    session_.emplace(or_fail(persistent_session::of(link_)));
  }

  /// One transaction; `durable` is called when it is on the disk. @return false: the ring is full
  template <class Done>
  bool commit(Done durable) {
    auto step = or_fail(session_->begin());
    if (!step.send(message{})) return false;
    or_fail(step.commit());
    session_->async_durable([durable](error_code failed) {
      if (failed) throw failure(errc::network, 0, "a transaction did not reach the disk");
      durable();
    });
    return true;
  }
  [[nodiscard]] boost::asio::io_context& io() noexcept { return io_; }

 private:
  boost::asio::io_context io_{1};
  boost::asio::thread_pool disk_{1};
  context channels_;
  channel link_;
  std::optional<persistent_session> session_;
};

/// The least that makes something durable: a few bytes in a file that is long enough, and one system call.
class bare_disk {
 public:
  explicit bare_disk(const std::string& folder) {
    std::filesystem::create_directories(folder);
    fd_.reset(::open((folder + "/bare").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd_ || ::posix_fallocate(fd_.get(), 0, k_bytes) != 0 || ::fsync(fd_.get()) != 0)
      throw failure(errc::network, errno, "cannot make a file in " + folder);
  }
  void sync_one() {
    const message what{};
    if (::pwrite(fd_.get(), what.data(), what.size(), at_) < 0 || ::fdatasync(fd_.get()) != 0)
      throw failure(errc::network, errno, "cannot write to the disk");
    at_ = (at_ + static_cast<off_t>(k_size)) % k_bytes;
  }

 private:
  static constexpr off_t k_bytes = 1 << 20;
  os::unique_fd fd_;
  off_t at_ = 0;
};

double one_commit(lonely_session& session) {
  bool done = false;
  const auto began = bench::now_ns();
  or_fail(session.commit([&done] { done = true; }) ? result<void>() : result<void>(errc::full));
  while (!done) session.io().run_one();
  return static_cast<double>(bench::now_ns() - began);
}

double one_sync(bare_disk& disk) {
  const auto began = bench::now_ns();
  disk.sync_one();
  return static_cast<double>(bench::now_ns() - began);
}

double commits_per_second(lonely_session& session) {
  std::uint64_t durable = 0;
  int waiting = 0;
  bool full = false;
  const auto began = bench::now_ns();
  while (bench::now_ns() - began < k_round_ns && !full) {
    for (; waiting < k_waiting && !full; ++waiting) {
      full = !session.commit([&] {
        durable += 1;
        waiting -= 1;
      });
      if (full) break;
    }
    session.io().run_one();
  }
  const auto counted = durable;
  const auto elapsed = static_cast<double>(bench::now_ns() - began);
  while (waiting != 0) session.io().run_one();
  return 1e9 * static_cast<double>(counted) / elapsed;
}

double syncs_per_second(bare_disk& disk) {
  std::uint64_t done = 0;
  const auto began = bench::now_ns();
  for (; bench::now_ns() - began < k_round_ns; ++done) disk.sync_one();
  return 1e9 * static_cast<double>(done) / static_cast<double>(bench::now_ns() - began);
}

template <class Round>
result<bench::ring_comparison> compared(const ring_plan& plan, const Round& round) {
  static int number = 0;
  try {
    bench::ring_comparison found;
    bare_disk disk(plan.with.dir);
    for (int i = 0; i < plan.rounds; ++i) {
      lonely_session session(plan, ++number);
      round(session, disk, found);
    }
    return found;
  } catch (const failure& why) {
    return error(why.reason(), why.what(), why.system_errno());
  }
}

}  // namespace

result<bench::ring_comparison> measure_durable_commit(const ring_plan& plan) {
  return compared(plan, [](lonely_session& session, bare_disk& disk, bench::ring_comparison& found) {
    std::vector<double> commits, syncs;
    for (int i = 0; i < k_commits; ++i) {
      commits.push_back(one_commit(session));
      syncs.push_back(one_sync(disk));
    }
    found.ring.push_back(bench::median(commits));
    found.other.push_back(bench::median(syncs));
  });
}

result<bench::ring_comparison> measure_durable_commits(const ring_plan& plan) {
  return compared(plan, [](lonely_session& session, bare_disk& disk, bench::ring_comparison& found) {
    found.ring.push_back(commits_per_second(session));
    found.other.push_back(syncs_per_second(disk));
  });
}

}  // namespace ferry::app
