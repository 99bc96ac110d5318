#include <ferry/compat/tcpshm.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>

#include "compat/tcpshm_logins.hpp"
#include "compat/tcpshm_time.hpp"
#include "os/socket.hpp"
#include "os/tcpshm_files.hpp"
#include "os/unix_listener.hpp"

namespace ferry::compat::tcpshm {
namespace wire = codec::tcpshm;

struct server::parts {
  parts(server& of, settings with);

  [[nodiscard]] bool start(const std::string& address, std::uint16_t at);
  void stop() noexcept;
  void poll_ctl(std::int64_t at);

  // Who has connected and said nothing, or part of a login.
  struct newcomer {
    os::unique_fd fd;
    std::string address;
    bool over_shm = false;  // at the shared-memory endpoint
    heard_bytes in;
    std::uint64_t since = 0;  // as passed_ was
  };
  struct place {
    bool shm = false;
    std::size_t group = 0;
    friend bool operator==(const place&, const place&) = default;
  };
  // A login that was accepted, and waits for the end of the connection before it.
  struct successor {
    newcomer from;
    visitor who;
    place where;
    answer_to_login answer;
  };
  // A client that has been here.
  struct member {
    member(const settings& how, std::string name) : conn(link::make(how, std::move(name))), at(*conn.link_) {}
    connection conn;
    link& at;
    bool placed = false;
    place where;
    // Of the login that is going on.
    place wanted;
    os::unique_fd fd;
    std::string address;
    join_request request;
    answer_to_login answer;
    // Of protocol::ferry: what the last login said of itself, and one that takes the place of the live connection.
    std::uint64_t session = 0, epoch = 0;
    std::unique_ptr<successor> next;
  };
  // Filled by the CTL thread, walked by the polling thread; a member's state says whether there is anything to do.
  struct group {
    explicit group(std::size_t most) : slots(new std::atomic<member*>[most]()) {}
    std::unique_ptr<std::atomic<member*>[]> slots;
    std::atomic<std::size_t> used{0};
    std::size_t live = 0;  // the CTL thread's
  };
  template <class F>
  void for_each(std::vector<std::unique_ptr<group>>& of, std::size_t which, F&& f) {
    if (which >= of.size()) return;
    const auto used = of[which]->used.load(std::memory_order_acquire);  // pairs with: settle
    for (std::size_t i = 0; i < used; ++i) {
      auto& slot = of[which]->slots[i];
      member* const m = slot.load(std::memory_order_acquire);
      if (m == nullptr) continue;
      if (m->at.where_in_life() != link::state::moving) {
        f(*m);
        continue;
      }
      // It is forgotten here, before the thread of the other place may have it.
      slot.store(nullptr, std::memory_order_release);
      m->at.leave();
    }
  }

  server& owner;
  const settings how;
  os::unique_fd listening;
  std::optional<os::unix_listener> listening_shm;  // of protocol::ferry
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<group>> tcp, shm;

 private:
  [[nodiscard]] result<void> listen(const std::string& address, std::uint16_t at);
  void accept_all(int fd, bool over_shm);
  void hear(newcomer& from);
  void log_in(newcomer& from, visitor who);
  void admit(newcomer& from, visitor who, place where, answer_to_login& answer);
  [[nodiscard]] bool displaces(const member& m, const visitor& who) const noexcept;
  [[nodiscard]] bool refuse(int fd, answer_to_login& answer, const std::string& text);
  [[nodiscard]] bool send_answer(int fd, const answer_to_login& answer, int shared = -1);
  void tend(member& m);
  void settle(member& m);
  void finish(member& m);
  void end(member& m) noexcept;
  [[nodiscard]] group& group_of(place where) noexcept { return *(where.shm ? shm : tcp)[where.group]; }

  std::int64_t now_ = 0;  // the user's
  user_time time_;
  std::uint64_t passed_ = 0;  // of it
  int accept_failure_ = 0;
  std::vector<newcomer> newcomers_;
  std::map<std::string, std::unique_ptr<member>, std::less<>> members_;
};

server::parts::parts(server& of, settings with) : owner(of), how(std::move(with)) {
  for (std::size_t i = 0; i < how.with.max_tcp_groups; ++i) tcp.push_back(std::make_unique<group>(how.with.max_known));
  for (std::size_t i = 0; i < how.with.max_shm_groups; ++i) shm.push_back(std::make_unique<group>(how.with.max_known));
}

// Life ----------------------------------------------------------------------------------------------------------------

bool server::parts::start(const std::string& address, std::uint16_t at) {
  result<void> done = error(errc::misuse, "this server is listening already", EISCONN);
  if (!listening) done = os::tcpshm::require_directory(how.directory);
  if (done) done = listen(address, at);
  if (done) return true;
  listening.reset();
  listening_shm.reset();
  owner.on_system_error(done.error().text(), done.error().system_errno());
  return false;
}

namespace {

// Where one socket takes both families, it does for all interfaces.
result<os::unique_fd> listen_at(const os::socket_address& here, bool everywhere) {
  auto made = os::open_stream_socket(here.family(), {});
  if (!made) return made.error();
  const int on = 1;
  const int v6_only = everywhere ? 0 : 1;
  ::setsockopt(made->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (here.family() == AF_INET6) ::setsockopt(made->get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  if (::bind(made->get(), here.get(), here.size) != 0 || ::listen(made->get(), SOMAXCONN) != 0)
    return error::from_errno(errno, "listen on " + here.text());
  return made;
}

// At the first address of the host that can be had.
result<os::unique_fd> listen_at_host(const std::string& host, std::uint16_t port) {
  auto found = os::resolve(host, port, true);
  if (!found) return found.error();
  const bool everywhere = host.empty() || host == "*";
  if (everywhere)
    std::stable_sort(found->begin(), found->end(),
                     [](const auto& a, const auto& b) { return a.family() == AF_INET6 && b.family() != AF_INET6; });
  error last = errc::bad_address;
  for (const auto& here : *found) {
    auto made = listen_at(here, everywhere);
    if (made) return made;
    last = made.error();
  }
  return last;
}

}  // namespace

result<void> server::parts::listen(const std::string& address, std::uint16_t at) {
  auto made = listen_at_host(address, at);
  if (!made) return made.error();
  listening = std::move(*made);
  how.wakes->add(listening.get());
  const auto bound = os::local_address(listening.get());
  if (!bound) return bound.error();
  const std::string text = bound->text();
  port = static_cast<std::uint16_t>(std::stoul(text.substr(text.rfind(':') + 1)));
  if (how.with.speaks == protocol::tcpshm || shm.empty()) return {};
  const auto path = shm_socket_path(how, port, true);
  if (!path) return path.error();
  auto beside = os::unix_listener::open(*path, {});
  if (!beside) return beside.error();
  listening_shm = std::move(*beside);
  return {};
}

void server::parts::stop() noexcept {
  listening.reset();
  listening_shm.reset();
  newcomers_.clear();
  for (auto* const kind : {&tcp, &shm}) {
    for (auto& one : *kind) {
      one->used.store(0, std::memory_order_release);
      one->live = 0;
    }
  }
  members_.clear();
}

void server::parts::poll_ctl(std::int64_t at) {
  how.wakes->drain();
  now_ = at;
  passed_ = time_.passed(at);
  // First, so that who has gone does not stand in the way of its own return.
  for (auto& [name, one] : members_) tend(*one);
  if (listening) accept_all(listening.get(), false);
  if (listening_shm) accept_all(listening_shm->get(), true);
  for (auto& one : newcomers_) hear(one);
  std::erase_if(newcomers_, [](const newcomer& one) { return !one.fd; });
}

// Logins --------------------------------------------------------------------------------------------------------------

void server::parts::accept_all(int fd, bool over_shm) {
  while (newcomers_.size() < how.with.max_new_connections) {
    auto got = os::accept(fd);
    if (got) {
      ferry::options with;
      with.no_delay = how.with.no_delay;
      os::tune_connected(got->fd.get(), got->peer.family(), with);
      how.wakes->add(got->fd.get());
      const auto who = os::identify_peer(got->fd.get(), got->peer);
      newcomers_.push_back({std::move(got->fd), who.text(), over_shm, {}, passed_});
      accept_failure_ = 0;
      continue;
    }
    // One that lasts is told once, not with each poll.
    const int failed = got.error() == errc::would_block ? 0 : got.error().system_errno();
    if (failed != 0 && failed != accept_failure_) owner.on_system_error(got.error().text(), failed);
    if (failed != 0) accept_failure_ = failed;
    return;
  }
}

void server::parts::hear(newcomer& from) {
  const auto heard = from.in.hear(from.fd.get(), login_bytes(how), from.over_shm);
  if (heard && *heard) {
    how.wakes->heard();  // what follows takes several polls
    if (auto who = decode_visitor(from.in, from.over_shm, how)) log_in(from, std::move(*who));
    from.fd.reset();
  } else if (!heard || has_passed(from.since, passed_, how.with.new_connection_timeout)) {
    from.fd.reset();
  }
}

bool server::parts::send_answer(int fd, const answer_to_login& answer, int shared) {
  return say_whole(fd, encode(answer, how), shared).has_value();
}

bool server::parts::refuse(int fd, answer_to_login& answer, const std::string& text) {
  refuse_with(answer, text);
  return send_answer(fd, answer);
}

void server::parts::log_in(newcomer& from, visitor who) {
  auto answer = answer_for(who, how);
  if (!check_name(who.name, how.with)) {
    (void)refuse(from.fd.get(), answer, "Invalid client name");
    return;
  }
  if (!how.with.peer.empty() && who.name != how.with.peer) {
    (void)refuse(from.fd.get(), answer, "expected '" + how.with.peer + "'");
    return;
  }
  const bool has_data = how.with.speaks == protocol::tcpshm;
  login_answer told{how.local_name, std::vector<std::byte>(has_data ? how.format.answer_data_bytes : 0), {}};
  const int chosen = owner.on_new_connection({from.address, who.name, who.use_shm, who.user_data}, told);
  answer.seed.user_data = std::move(told.user_data);
  const std::size_t said = answer.seed.user_data.size();
  const auto groups = who.use_shm ? shm.size() : tcp.size();
  if (chosen < 0) {
    (void)refuse(from.fd.get(), answer, told.error_text.empty() ? "Rejected" : told.error_text);
  } else if (static_cast<std::size_t>(chosen) >= groups) {
    (void)refuse(from.fd.get(), answer, "Invalid group");
  } else if (how.with.speaks == protocol::ferry && said > session::k_login_data_bytes) {
    (void)refuse(from.fd.get(), answer, "Invalid user data");
    owner.on_system_error("the answer to '" + who.name + "' has user data of " + std::to_string(said) +
                              " bytes; protocol::ferry has at most " + std::to_string(session::k_login_data_bytes),
                          EINVAL);
  } else {
    const place where{who.use_shm, static_cast<std::size_t>(chosen)};
    admit(from, std::move(who), where, answer);
  }
}

// Who has the session's files knows that the connection of before is dead, earlier than we do: where a network was cut,
// we would wait for the timeout. Anybody else of the same name is refused.
bool server::parts::displaces(const member& m, const visitor& who) const noexcept {
  if (how.with.speaks != protocol::ferry || m.at.where_in_life() != link::state::live) return false;
  const auto& said = who.request.said;
  const auto newest = m.next ? m.next->who.request.said.epoch : m.epoch;
  return said.session == m.session && said.epoch > newest;
}

void server::parts::admit(newcomer& from, visitor who, place where, answer_to_login& answer) {
  auto found = members_.find(who.name);
  if (found != members_.end() && found->second->at.where_in_life() != link::state::offline) {
    if (displaces(*found->second, who)) {
      found->second->next.reset(new successor{std::move(from), std::move(who), where, answer});
      found->second->at.displace();
      return;
    }
    (void)refuse(from.fd.get(), answer, "Already loggned on");  // as the original spells it
    return;
  }
  const auto most = where.shm ? how.with.max_shm_conns_per_group : how.with.max_tcp_conns_per_group;
  if (group_of(where).live >= most || (found == members_.end() && members_.size() >= how.with.max_known)) {
    (void)refuse(from.fd.get(), answer, "Max client cnt exceeded");
    return;
  }
  if (found == members_.end()) found = members_.emplace(who.name, std::make_unique<member>(how, who.name)).first;
  member& m = *found->second;
  m.wanted = where;
  m.fd = std::move(from.fd);
  m.address = from.address;
  m.answer = answer;
  m.session = who.request.said.session;
  m.epoch = who.request.said.epoch;
  m.request = std::move(who.request);
  group_of(where).live += 1;
  // Its thread may be using what the other place needs.
  if (m.placed && m.where != where) {
    m.at.begin_move();
  } else {
    settle(m);
  }
}

// Members -------------------------------------------------------------------------------------------------------------

// Its polling thread is the one of the place that it wants, from now on.
void server::parts::settle(member& m) {
  m.at.begin_join(m.wanted.shm, std::move(m.request));
  if (m.placed && m.where == m.wanted) return;
  group& in = group_of(m.wanted);
  const auto used = in.used.load(std::memory_order_relaxed);
  std::size_t i = 0;
  while (i < used && in.slots[i].load(std::memory_order_relaxed) != nullptr) ++i;
  in.slots[i].store(&m, std::memory_order_release);  // pairs with: for_each
  if (i == used) in.used.store(used + 1, std::memory_order_release);
  m.where = m.wanted;
  m.placed = true;
}

void server::parts::tend(member& m) {
  switch (m.at.where_in_life()) {
    case link::state::offline:
    case link::state::moving:
    case link::state::preparing:
    case link::state::prepared:
    case link::state::joining: return;
    case link::state::moved: return settle(m);
    case link::state::joined: return finish(m);
    case link::state::live: break;
  }
  if (m.where.shm) m.at.tend(now_);
  const auto over = m.at.over();
  if (m.next && !over && has_passed(m.next->from.since, passed_, how.with.new_connection_timeout)) m.next.reset();
  if (!over) return;
  end(m);
  owner.on_client_disconnected(m.conn, over->reason, over->system_errno);
  if (const auto next = std::move(m.next)) admit(next->from, std::move(next->who), next->where, next->answer);
}

void server::parts::finish(member& m) {
  const join_outcome& found = m.at.outcome();
  switch (found.how) {
    case join_outcome::kind::good: break;
    case join_outcome::kind::file_error: {
      const error why = found.why;
      (void)refuse(m.fd.get(), m.answer, "File error");
      end(m);
      return owner.on_client_file_error(m.conn, why.text(), why.system_errno());
    }
    case join_outcome::kind::mismatch: {
      const auto numbers = found.numbers;
      m.answer.seed.numbers = found.local;
      m.answer.seed.status = wire::login_status::mismatch;
      m.answer.own = found.login;
      (void)send_answer(m.fd.get(), m.answer);
      end(m);
      return owner.on_seq_number_mismatch(m.conn, numbers);
    }
    case join_outcome::kind::again:
    case join_outcome::kind::refused: {
      m.answer.own = found.login;
      (void)send_answer(m.fd.get(), m.answer);
      return end(m);
    }
  }
  m.answer.seed.numbers = found.local;
  m.answer.own = found.login;
  if (!send_answer(m.fd.get(), m.answer, m.at.shared_fd())) return end(m);
  owner.on_client_logon(m.address, m.conn);
  m.at.go_live(std::move(m.fd), now_);
}

void server::parts::end(member& m) noexcept {
  m.fd.reset();
  m.at.end();
  group_of(m.where).live -= 1;
}

server::server(std::string directory, std::string name, const options& with)
    : parts_(std::make_unique<parts>(*this, check(std::move(directory), std::move(name), with).value())) {}
server::~server() = default;

bool server::start(const std::string& address, std::uint16_t port) { return parts_->start(address, port); }
std::uint16_t server::port() const noexcept { return parts_->port; }
void server::stop() { parts_->stop(); }
void server::stop_listening() noexcept {
  parts_->listening.reset();
  parts_->listening_shm.reset();
}
int server::descriptor() noexcept { return parts_->how.wakes->descriptor(); }
bool server::take_heard() noexcept { return parts_->how.wakes->take_heard(); }
void server::poll_ctl(std::int64_t now) { parts_->poll_ctl(now); }

void server::poll_tcp(std::int64_t now, std::size_t group) {
  parts_->for_each(parts_->tcp, group, [&](parts::member& one) {
    one.at.poll_tcp(now, [&](const message& m) { on_client_msg(one.conn, m); });
  });
}

void server::poll_shm(std::size_t group) {
  parts_->for_each(parts_->shm, group,
                   [&](parts::member& one) { one.at.poll_shm([&](const message& m) { on_client_msg(one.conn, m); }); });
}

}  // namespace ferry::compat::tcpshm
