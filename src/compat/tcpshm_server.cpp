#include <ferry/compat/tcpshm.hpp>

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <map>

#include "compat/tcpshm_link.hpp"
#include "os/socket.hpp"

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
    std::vector<std::byte> in;
    std::int64_t since = 0;
  };
  struct place {
    bool shm = false;
    std::size_t group = 0;
    friend bool operator==(const place&, const place&) = default;
  };
  // A client that has been here.
  struct member {
    member(const settings& how, std::string name)
        : conn(std::make_unique<link>(how, std::move(name))), at(*conn.link_) {}
    connection conn;
    link& at;
    bool placed = false;
    place where;
    // Of the login that is going on.
    place wanted;
    os::unique_fd fd;
    std::string address;
    join_request request;
    wire::login_answer answer;
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
      // Who moves is forgotten here, before the thread of the other place may have it.
      if (m->at.where_in_life() == link::state::moving) slot.store(nullptr, std::memory_order_release);
      f(*m);
    }
  }

  server& owner;
  const settings how;
  os::unique_fd listening;
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<group>> tcp, shm;

 private:
  void accept_all();
  void hear(newcomer& from);
  void log_in(newcomer& from, const wire::login& login);
  void admit(newcomer& from, const wire::login& login, place where, wire::login_answer& answer);
  [[nodiscard]] bool refuse(int fd, wire::login_answer& answer, const std::string& text);
  [[nodiscard]] bool send_answer(int fd, const wire::login_answer& answer);
  void tend(member& m);
  void settle(member& m);
  void finish(member& m);
  void end(member& m) noexcept;
  [[nodiscard]] group& group_of(place where) noexcept { return *(where.shm ? shm : tcp)[where.group]; }

  std::int64_t now_ = 0;
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
  const auto failed = [this](const error& why) {
    listening.reset();
    owner.on_system_error(why.text(), why.system_errno());
    return false;
  };
  if (listening) return failed(error(errc::misuse, "this server is listening already", EISCONN));
  if (const auto made = require_directory(how.directory); !made) return failed(made.error());
  const auto found = os::resolve(address, at, true);
  if (!found) return failed(found.error());
  const auto& here = found->front();
  auto made = os::open_stream_socket(here.family(), {});
  if (!made) return failed(made.error());
  listening = std::move(*made);
  const int on = 1;
  ::setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listening.get(), here.get(), here.size) != 0 || ::listen(listening.get(), SOMAXCONN) != 0)
    return failed(error::from_errno(errno, "listen on " + here.text()));
  const auto bound = os::local_address(listening.get());
  if (!bound) return failed(bound.error());
  const std::string text = bound->text();
  port = static_cast<std::uint16_t>(std::stoul(text.substr(text.rfind(':') + 1)));
  return true;
}

void server::parts::stop() noexcept {
  listening.reset();
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
  now_ = at;
  // First, so that who has gone does not stand in the way of its own return.
  for (auto& [name, one] : members_) tend(*one);
  accept_all();
  for (auto& one : newcomers_) hear(one);
  std::erase_if(newcomers_, [](const newcomer& one) { return !one.fd; });
}

// Logins --------------------------------------------------------------------------------------------------------------

void server::parts::accept_all() {
  while (listening && newcomers_.size() < how.with.max_new_connections) {
    auto got = os::accept(listening.get());
    if (got) {
      ferry::options with;
      with.no_delay = how.with.no_delay;
      os::tune_connected(got->fd.get(), got->peer.family(), with);
      newcomers_.push_back({std::move(got->fd), got->peer.text(), {}, now_});
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
  const std::size_t whole = wire::login_bytes(how.format);
  const std::size_t had = from.in.size();
  from.in.resize(whole);
  const auto got = os::receive(from.fd.get(), std::span(from.in).subspan(had));
  from.in.resize(got ? had + *got : had);
  if (from.in.size() == whole) {
    if (const auto login = wire::decode_login(from.in, how.format)) log_in(from, *login);
    from.fd.reset();
  } else if ((!got && got.error() != errc::would_block) || now_ - from.since >= how.with.new_connection_timeout) {
    from.fd.reset();
  }
}

bool server::parts::send_answer(int fd, const wire::login_answer& answer) {
  const auto all = wire::encode(answer, how.format);
  const std::array<bytes, 1> whole{all};
  const auto sent = os::send(fd, whole);
  return sent && *sent == all.size();
}

bool server::parts::refuse(int fd, wire::login_answer& answer, const std::string& text) {
  answer.status = wire::login_status::refused;
  answer.error_text = text;
  return send_answer(fd, answer);
}

void server::parts::log_in(newcomer& from, const wire::login& login) {
  wire::login_answer answer;
  answer.server_name = how.local_name;
  if (!check_name(login.client_name, how.with)) {
    (void)refuse(from.fd.get(), answer, "Invalid client name");
    return;
  }
  login_answer told{how.local_name, std::vector<std::byte>(how.format.answer_data_bytes), {}};
  const int chosen = owner.on_new_connection({from.address, login.client_name, login.use_shm, login.user_data}, told);
  answer.user_data = std::move(told.user_data);
  const auto groups = login.use_shm ? shm.size() : tcp.size();
  if (chosen < 0) {
    (void)refuse(from.fd.get(), answer, told.error_text.empty() ? "Rejected" : told.error_text);
  } else if (static_cast<std::size_t>(chosen) >= groups) {
    (void)refuse(from.fd.get(), answer, "Invalid group");
  } else {
    admit(from, login, {login.use_shm, static_cast<std::size_t>(chosen)}, answer);
  }
}

void server::parts::admit(newcomer& from, const wire::login& login, place where, wire::login_answer& answer) {
  auto found = members_.find(login.client_name);
  if (found != members_.end() && found->second->at.where_in_life() != link::state::offline) {
    (void)refuse(from.fd.get(), answer, "Already loggned on");  // as the original spells it
    return;
  }
  const auto most = where.shm ? how.with.max_shm_conns_per_group : how.with.max_tcp_conns_per_group;
  if (group_of(where).live >= most || (found == members_.end() && members_.size() >= how.with.max_known)) {
    (void)refuse(from.fd.get(), answer, "Max client cnt exceeded");
    return;
  }
  if (found == members_.end())
    found = members_.emplace(login.client_name, std::make_unique<member>(how, login.client_name)).first;
  member& m = *found->second;
  m.wanted = where;
  m.fd = std::move(from.fd);
  m.address = from.address;
  m.answer = answer;
  m.request = {login.last_server_name != how.local_name, false, login.numbers};
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
  m.at.begin_join(m.wanted.shm, m.request);
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
    case link::state::joining: return;
    case link::state::moved: return settle(m);
    case link::state::joined: return finish(m);
    case link::state::live: break;
  }
  if (m.where.shm) m.at.tend(now_);
  if (const auto over = m.at.over()) {
    end(m);
    owner.on_client_disconnected(m.conn, over->reason, over->system_errno);
  }
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
      m.answer.numbers = found.local;
      m.answer.status = wire::login_status::mismatch;
      (void)send_answer(m.fd.get(), m.answer);
      end(m);
      return owner.on_seq_number_mismatch(m.conn, numbers);
    }
  }
  m.answer.numbers = found.local;
  if (!send_answer(m.fd.get(), m.answer)) return end(m);
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
