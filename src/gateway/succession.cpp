#include "gateway/succession.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <cerrno>
#include <utility>

#include "net/watch.hpp"
#include "os/fd_passing.hpp"
#include "os/socket.hpp"
#include "os/unix_listener.hpp"

namespace ferry::gateway {
namespace {

constexpr char k_version = '1', k_pid_file = 'p', k_door = 't', k_all = '.', k_ready = 'r', k_done = 'd';
constexpr std::array<std::pair<char, std::string_view>, 3> k_whose{{{'c', "client"}, {'s', "server"}, {'o', ""}}};

constexpr auto k_pause = std::chrono::seconds(1);  // when no descriptor is left

// Of a listening socket: whose it is; as a capital letter if its file is given on with it.
char letter_of(const net::passed_socket& one) {
  const auto found =
      std::find_if(k_whose.begin(), k_whose.end(), [&](const auto& row) { return row.second == one.whose; });
  const char small = found == k_whose.end() ? 'o' : found->first;
  return one.owns_file ? static_cast<char>(std::toupper(static_cast<unsigned char>(small))) : small;
}

std::optional<net::passed_socket> socket_of(char letter, os::unique_fd fd) {
  const char small = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  for (const auto& [known, whose] : k_whose)
    if (known == small) return net::passed_socket{std::move(fd), std::string(whose), letter != small};
  return std::nullopt;
}

result<void> say(int to, char what, int passed = -1) {
  const auto byte = static_cast<std::byte>(what);
  return os::send_with_fd(to, {&byte, 1}, passed);
}

struct heard {
  char what = 0;
  os::unique_fd fd;
};
result<heard> hear(int from) {
  std::byte byte{};
  auto got = os::receive_with_fd(from, {&byte, 1});
  if (!got) return got.error();
  return heard{static_cast<char>(byte), std::move(got->fd)};
}

// The same, waiting for it. @return timeout
result<heard> hear_until(int from, time_point end) {
  for (;;) {
    auto got = hear(from);
    if (got || got.error() != errc::would_block) return got;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd one{from, POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&one, 1, static_cast<int>(left));
    if (ready == 0) return error(errc::timeout, "it has not given its sockets in time");
    if (ready < 0 && errno != EINTR) return error::from_errno(errno, "wait for what it gives");
  }
}

result<void> check_user(const peer_info& who) {
  if (who.process && who.process->uid == ::geteuid()) return {};
  return error(errc::auth, who.text() + " is not of this user, " + std::to_string(::geteuid()));
}

}  // namespace

result<std::optional<predecessor>> predecessor::meet(const std::string& path, duration within) {
  const auto end = std::chrono::steady_clock::now() + std::min(within, k_longest_wait);
  const auto at = os::unix_address(path);
  if (!at) return at.error();
  auto to = os::open_stream_socket(AF_UNIX, {});
  if (!to) return to.error();
  if (const auto connected = os::start_connect(to->get(), *at); !connected) {
    if (connected.error() == errc::refused || connected.error() == errc::not_found) return std::optional<predecessor>();
    return connected.error();
  }
  if (const auto good = check_user(os::identify_peer(to->get(), *at)); !good) return good.error().in(path);
  predecessor made;
  made.to_ = std::move(*to);
  bool greeted = false;
  for (;;) {
    auto got = hear_until(made.to_.get(), end);
    if (!got && (got.error() == errc::end_of_stream || got.error() == errc::reset)) {
      made.died = true;
      return std::optional<predecessor>(std::move(made));
    }
    if (!got) return got.error().in(path);
    if (!std::exchange(greeted, true)) {
      if (got->what != k_version)
        return error(errc::protocol, path + ": is no gateway, or one of a version whose place cannot be taken");
    } else if (got->what == k_all) {
      return std::optional<predecessor>(std::move(made));
    } else if (got->what == k_pid_file) {
      made.pid_file = std::move(got->fd);
    } else if (got->what == k_door) {
      made.door = std::move(got->fd);
    } else if (auto one = socket_of(got->what, std::move(got->fd)); one && one->fd) {
      made.sockets.push_back(std::move(*one));
    } else {
      return error(errc::protocol, path + ": gave something that is no listening socket");
    }
  }
}

void predecessor::tell_ready(context& where, std::function<void()> done) {
  struct answer {
    answer(boost::asio::io_context& io, os::unique_fd from_) : from(std::move(from_)), readable(io) {}
    os::unique_fd from;
    net::watch readable;
  };
  const auto to = std::make_shared<answer>(where.io(), std::move(to_));
  (void)say(to->from.get(), k_ready);  // if it has died, that is what is read next
  if (!to->readable.start(to->from.get())) return done();
  to->readable.async_readable([to, done = std::move(done)](const error_code& failed) {
    if (!failed) done();
  });
}

//   waiting --somebody connects--> giving --all is given--> asked --'r'--> over
//   giving, asked --it is gone, or too slow--> waiting
class succession::parts : public std::enable_shared_from_this<parts> {
 public:
  parts(context& where, settings with, os::unix_listener at, std::shared_ptr<net::listening_sockets> sockets,
        std::function<void(int)> over)
      : where_(where),
        with_(std::move(with)),
        at_(std::move(at)),
        sockets_(std::move(sockets)),
        over_(std::move(over)),
        arrivals_(where.io()),
        with_it_(where.io()),
        patience_(where.io()) {}

  [[nodiscard]] result<void> start() {
    if (auto watched = arrivals_.start(at_.get()); !watched) return watched;
    wait();
    return {};
  }
  void close() noexcept {
    state_ = state::over;
    arrivals_.stop();
    part();
    at_.close();
  }

 private:
  enum class state : std::uint8_t { waiting, giving, asked, over };

  void wait() {
    state_ = state::waiting;
    arrivals_.async_readable([weak = weak_from_this()](const error_code& failed) {
      const auto self = weak.lock();
      if (failed || !self || self->state_ != state::waiting) return;
      if (const auto begun = self->meet(); !begun) self->go_on(begun.error());
    });
  }

  result<void> meet() {
    auto came = os::accept(at_.get());
    if (!came && came.error() == errc::would_block) {
      wait();
      return {};
    }
    if (!came) return came.error();
    const auto who = os::identify_peer(came->fd.get(), came->peer);
    if (auto good = check_user(who); !good) return good;
    auto all = sockets_->copies();
    if (!all) return all.error();
    successor_ = std::move(came->fd);
    pid_ = who.process->pid;
    if (auto watched = with_it_.start(successor_.get()); !watched) return watched;
    to_give_ = std::move(*all);
    given_ = 0;
    state_ = state::giving;
    patience_.expires_after(std::min(with_.patience, k_longest_wait));
    patience_.async_wait([weak = weak_from_this()](const error_code& failed) {
      if (const auto self = weak.lock(); self && !failed) self->go_on(error(errc::timeout, "it was not ready in time"));
    });
    give();
    return {};
  }

  // What is given: the version, the sockets, the pid file, the door, the end.
  result<void> give_one(std::size_t index) {
    const int to = successor_.get();
    if (index == 0) return say(to, k_version);
    if (--index < to_give_.size()) return say(to, letter_of(to_give_[index]), to_give_[index].fd.get());
    index -= to_give_.size();
    if (index == 0 && with_.pid_file < 0) return {};
    if (index == 0) return say(to, k_pid_file, with_.pid_file);
    return index == 1 ? say(to, k_door, at_.get()) : say(to, k_all);
  }
  void give() {
    for (const auto all = to_give_.size() + 4; given_ < all; ++given_) {
      const auto sent = give_one(given_);
      if (sent) continue;
      if (sent.error() != errc::would_block) return go_on(sent.error());
      return with_it_.async_writable([weak = weak_from_this()](const error_code& failed) {
        if (const auto self = weak.lock(); self && !failed && self->state_ == state::giving) self->give();
      });
    }
    to_give_.clear();
    state_ = state::asked;
    listen();
  }

  void listen() {
    with_it_.async_readable([weak = weak_from_this()](const error_code& failed) {
      const auto self = weak.lock();
      if (failed || !self || self->state_ != state::asked) return;
      auto got = hear(self->successor_.get());
      if (!got && got.error() == errc::would_block) return self->listen();
      if (got && got->what == k_ready) {
        got = hear(self->successor_.get());
        if (!got && got.error() == errc::would_block) return self->hand_over();  // and it lives
      }
      self->go_on(got ? error(errc::protocol, "it said something else than that it is ready") : got.error());
    });
  }

  void hand_over() {
    const auto kept = shared_from_this();
    const auto to = std::move(successor_);
    const int pid = pid_;
    sockets_->keep_files();
    at_.keep_file();
    close();
    std::exchange(over_, nullptr)(pid);
    (void)say(to.get(), k_done);  // if it is gone by now, nobody is left to be told
  }

  void go_on(const error& why) {
    where_.log(log_level::warn, "gateway", [&] {
      return "nobody takes over" + (pid_ == 0 ? "" : ", process " + std::to_string(pid_) + " does not") + ": " +
             why.text();
    });
    part();
    state_ = state::waiting;
    if (why != errc::busy) return wait();
    patience_.expires_after(k_pause);
    patience_.async_wait([weak = weak_from_this()](const error_code& failed) {
      if (const auto self = weak.lock(); self && !failed) self->wait();
    });
  }
  void part() noexcept {
    patience_.cancel();
    with_it_.stop();
    successor_.reset();
    to_give_.clear();
    pid_ = 0;
  }

  context& where_;
  const settings with_;
  os::unix_listener at_;
  const std::shared_ptr<net::listening_sockets> sockets_;
  std::function<void(int)> over_;
  net::watch arrivals_;
  os::unique_fd successor_;
  net::watch with_it_;
  boost::asio::steady_timer patience_;
  std::vector<net::passed_socket> to_give_;
  std::size_t given_ = 0;
  int pid_ = 0;  // of the successor
  state state_ = state::waiting;
};

result<succession> succession::open(context& where, settings with, std::shared_ptr<net::listening_sockets> sockets,
                                    std::function<void(int pid)> over) {
  std::optional<os::unix_listener> at;
  if (with.door) {
    at.emplace(os::unix_listener::adopt(std::move(with.door), true));
  } else {
    options alone;
    alone.socket_mode = 0600;
    auto opened = os::unix_listener::open(with.path, alone);
    if (!opened) return opened.error();
    at.emplace(std::move(*opened));
  }
  auto made = std::make_shared<parts>(where, std::move(with), std::move(*at), std::move(sockets), std::move(over));
  if (const auto started = made->start(); !started) return started.error();
  return succession(std::move(made));
}

succession::~succession() {
  if (parts_) parts_->close();
}

}  // namespace ferry::gateway
