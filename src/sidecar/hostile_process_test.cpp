// Another process of the services' user does what it likes with the files, locks, bells and the socket of one entity,
// on purpose and at random, while a service of that entity comes and goes. The sidecar and that service live through
// it, and the services of other entities exchange their messages as if nothing was.
#include <ferry/sidecar.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>
#include <random>
#include <string>

#include "os/unique_fd.hpp"
#include "sidecar/sidecar.hpp"
#include "testing/forked.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t k_shared = 1500;  // bytes of a body for several

// The process that does harm. Nothing in it allocates after the fork but what std::string needs for short paths.
class vandal {
 public:
  vandal(std::string directory, unsigned seed) : directory_(std::move(directory)), chance_(seed) {
    void* const shared =
        ::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    steps_ = new (shared) std::atomic<std::uint64_t>(0);
    child_.emplace([this] {
      ::signal(SIGPIPE, SIG_IGN);
      for (;;) {
        harm();
        steps_->fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  ~vandal() {
    child_.reset();
    ::munmap(steps_, sizeof *steps_);
  }
  vandal(const vandal&) = delete;
  vandal& operator=(const vandal&) = delete;
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_->load(std::memory_order_relaxed); }

 private:
  std::uint32_t any(std::uint32_t below) { return static_cast<std::uint32_t>(chance_() % below); }
  std::string one_of(std::initializer_list<const char*> names) {
    return directory_ + "/" + *(names.begin() + any(static_cast<std::uint32_t>(names.size())));
  }
  std::string ring() {
    return one_of({"send.shm", "recv.shm", "send.shm1", "recv.shm1", "send.shm.ring", "recv.shm.ring", "send.shm1.ring",
                   "recv.shm1.ring", "bodies.shm"});
  }
  std::string anything() {
    return one_of({"send.shm", "recv.shm", "send.shm.ring", "recv.shm.ring", "send.shm.bell", "recv.shm.bell",
                   "client.lock0", "client.lock1", "sidecar.sock.lock", "send.shm.new", "recv.shm.ring.new", "entity",
                   "bodies.shm", "bodies.shm.new"});
  }

  // Sizes, positions, the first words of records; or anywhere.
  void scribble() {
    const os::unique_fd at(::open(ring().c_str(), O_RDWR | O_CLOEXEC));
    if (!at) return;
    static constexpr std::uint32_t k_places[] = {0,    4,    8,    12,   1024, 1044, 1046,
                                                 1050, 4096, 4352, 4360, 4416, 8192, 8200};
    for (int i = 0; i < 20; ++i) {
      const auto where = any(2) != 0 ? k_places[any(std::size(k_places))] : any(80'000);
      std::array<std::uint64_t, 4> what{chance_(), chance_(), chance_(), chance_()};
      if (any(3) == 0) what[0] = any(70'000);
      if (any(6) == 0) what[0] = ~std::uint64_t{0} << any(64);
      (void)!::pwrite(at.get(), what.data(), 1 + any(sizeof what), where);
    }
  }
  void cut_off() {
    const auto path = any(4) == 0 ? anything() : ring();
    (void)!::truncate(path.c_str(), any(3) * 4096);
  }
  void replace() {
    const auto path = any(2) == 0 ? anything() : ring();
    switch (any(6)) {
      case 0:
        ::unlink(path.c_str());
        (void)::mkfifo(path.c_str(), 0600);
        break;
      case 1:
        ::unlink(path.c_str());
        (void)!::symlink("/dev/zero", path.c_str());
        break;
      case 2: (void)::rename(path.c_str(), ring().c_str()); break;
      case 3: {
        ::unlink(path.c_str());
        const os::unique_fd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        (void)!::ftruncate(made.get(), 65'536 + 1024);
        break;
      }
      default: ::unlink(path.c_str());
    }
  }
  void lock() {
    held_ = os::unique_fd(::open(one_of({"client.lock0", "client.lock1", "sidecar.sock.lock"}).c_str(),
                                 O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600));
    if (!held_) return;
    (void)::flock(held_.get(), LOCK_EX | LOCK_NB);
    const std::string text = any(2) != 0 ? std::string(100, '9') : "7 99999999999";
    (void)!::write(held_.get(), text.data(), text.size());
  }
  void ring_a_bell() {
    const os::unique_fd at(::open(one_of({"send.shm.bell", "recv.shm.bell"}).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    const std::array<std::byte, 4096> much{};
    if (at) (void)!::write(at.get(), much.data(), any(much.size()));
  }
  // Headers that could be, with what cannot be behind them; or anything; sometimes more than is ever taken.
  void talk() {
    const os::unique_fd to(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    const auto path = directory_ + "/sidecar.sock";
    std::memcpy(at.sun_path, path.c_str(), path.size() + 1);
    if (::connect(to.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return;
    static constexpr std::int32_t k_ids[] = {201, 203, 204, 205, 209, 211, 213, 214, 215, 801, 805, 101, 59'999, 0};
    for (int i = any(8) == 0 ? 2000 : 3; i > 0; --i) {
      const auto size = static_cast<std::int32_t>(any(60));
      const std::array<std::int32_t, 4> header{k_ids[any(std::size(k_ids))], size,
                                               any(10) == 0 ? static_cast<std::int32_t>(chance_()) : 16 + size, 0};
      std::array<std::byte, 80> whole;
      std::memcpy(whole.data(), header.data(), 16);
      for (std::size_t k = 16; k < whole.size(); ++k)
        whole[k] = static_cast<std::byte>(any(4) == 0 ? any(256) : any(12));
      if (::send(to.get(), whole.data(), 16 + static_cast<std::size_t>(size), MSG_NOSIGNAL) < 0) return;
    }
  }

  void harm() {
    switch (any(16)) {
      case 0: return cut_off();
      case 1: return replace();
      case 2: return lock();
      case 3: return held_.reset();
      case 4: return ring_a_bell();
      case 5: return talk();
      default: return scribble();
    }
  }

  std::string directory_;
  std::mt19937_64 chance_;
  os::unique_fd held_;
  std::optional<test::forked> child_;
  std::atomic<std::uint64_t>* steps_ = nullptr;
};

class hostile_process : public ::testing::TestWithParam<service_rings> {
 protected:
  hostile_process() {
    // 102 and 103 have the file of bodies in common with the victim, who is 101.
    with.entities = {test::small_entity(dir, 101, 2), test::small_entity(dir, 102), test::small_entity(dir, 103),
                     test::small_entity(dir, 201), test::small_entity(dir, 301)};
    with.shared_bytes = 64u << 10;
    with.message_age = {};
    with.hold = 1h;
  }
  void open() {
    beside.reset();
    auto made = sidecar::daemon::open(beside_where, with);
    ASSERT_TRUE(made) << made.error().text();
    beside.emplace(std::move(*made));
  }
  [[nodiscard]] service start(std::uint32_t entity, service_rings rings, std::uint32_t pipes = 1) {
    service_options options;
    options.number = entity / 100;
    options.entity = entity;
    options.directory = dir.file(std::to_string(entity));
    options.pipes = pipes;
    options.rings = rings;
    options.retry_interval = 20ms;
    options.heartbeat_timeout = 1h;
    options.message_validity = {};
    options.ring_wait = 100ms;
    auto made = service::make(where, options).value();
    (void)made.start();
    return made;
  }
  void turn() {
    io.restart();
    beside_io.restart();
    io.poll();
    beside_io.poll();
  }

  const test::temp_dir dir;
  boost::asio::io_context io{1}, beside_io{1};
  context where{io}, beside_where{beside_io};
  sidecar::settings with;
  std::optional<sidecar::daemon> beside;
};

TEST_P(hostile_process, harms_nobody_but_its_own_entity) {
  open();
  auto one = start(201, GetParam()), two = start(301, GetParam());
  std::uint64_t asked = 0, answered = 0;
  two.on_message([&](const service_message& got) {
    if (got.route.from != 201) return;
    EXPECT_TRUE(two.reply(got, {}, got.body));
  });
  one.on_message([&](const service_message& got) {
    if (got.route.from != 301) return;
    EXPECT_EQ(as_text(got.body), std::to_string(answered));
    answered += 1;
  });
  const std::array<std::int32_t, 2> both{102, 103};
  std::array<service, 2> beside_victim{start(102, GetParam()), start(103, GetParam())};
  std::array<std::uint64_t, 2> cried{};
  for (std::size_t i = 0; i < 2; ++i)
    beside_victim[i].on_message([&cried, i](const service_message& got) { cried[i] += got.body.size() == k_shared; });
  const vandal other(with.entities[0].directory, 7);
  auto kind = service_rings::compatible;
  std::optional<service> victim;
  std::uint64_t victims = 0, looked_at = 0, restarts = 0;
  const auto end = std::chrono::steady_clock::now() + test::k_patience;
  while (other.steps() < 1000 || answered < 100 || victims < 10 || std::min(cried[0], cried[1]) < 10) {
    ASSERT_LT(std::chrono::steady_clock::now(), end)
        << other.steps() << " steps, " << answered << " of " << asked << " answers, " << victims << " services, "
        << cried[0] << " and " << cried[1] << " for several";
    turn();
    if (asked == answered && one.send({.to = to_entity{301}}, {}, as_bytes(std::to_string(asked)))) asked += 1;
    if (victim) (void)victim->send({.to = to_entity{101}}, {}, as_bytes("to itself"));
    if (asked % 16 == 0) (void)one.send({.to = to_entities{both}}, {}, as_bytes(std::string(k_shared, 's')));
    if (other.steps() - looked_at < 100) continue;
    looked_at = other.steps();
    victim.reset();
    kind = kind == service_rings::native ? service_rings::compatible : service_rings::native;
    victim.emplace(start(101, kind, 2));
    victim->on_message([](const service_message&) {});
    if (++victims % 4 != 0) continue;
    if (++restarts % 2 != 0)
      (void)beside->change(with);
    else
      open();
    ASSERT_TRUE(beside) << "the others are reason enough to begin";
  }
  EXPECT_EQ(one.stats().ring_faults + two.stats().ring_faults, 0u);
}

INSTANTIATE_TEST_SUITE_P(with, hostile_process, ::testing::Values(service_rings::compatible, service_rings::native),
                         [](const auto& of) {
                           return std::string(of.param == service_rings::native ? "native" : "compatible");
                         });

}  // namespace
}  // namespace ferry
