#include <ferry/compat/tcpshm.hpp>

#include <poll.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>

#include "compat/tcpshm_logins.hpp"
#include "compat/tcpshm_queue_link.hpp"
#include "compat/tcpshm_time.hpp"
#include "os/socket.hpp"
#include "os/tcpshm_files.hpp"

namespace ferry::compat::tcpshm {
namespace wire = codec::tcpshm;

namespace {
constexpr int k_most_restarts = 2;
}  // namespace

struct client::parts {
  ///     idle --begin--> finding --addresses--> dialing --connected: login--> asking --answer--> joining
  ///                                            asking --answer of another server--> leaving --> joining
  ///     joining --files are there--> up --over--> idle
  ///     any --fail--> idle
  /// With protocol::ferry
  ///     finding --addresses--> preparing --files are there--> dialing; joining --a new session begins--> preparing
  /// Preparing, leaving and joining are the work of whoever polls the shared memory, if anybody does.
  enum class phase : std::uint8_t { idle, finding, preparing, dialing, asking, leaving, joining, up };

  parts(client& of, settings with)
      : owner(of), how(std::move(with)), conn(link::make(how, std::string())), at(*conn.link_) {}

  using addresses = std::vector<os::socket_address>;
  [[nodiscard]] bool begin(bool use_shm, bytes data);
  /// Looks the host up, if anybody needs it.
  [[nodiscard]] result<addresses> find(const std::string& host, std::uint16_t port) const;
  [[nodiscard]] result<addresses> parse(std::span<const std::string> digits, std::uint16_t port) const;
  /// The second step.
  [[nodiscard]] bool connect_to(result<addresses> found);
  [[nodiscard]] bool wait(std::chrono::milliseconds within);
  void advance();
  void poll_tcp(std::int64_t now);
  void stop() noexcept;

  client& owner;
  const settings how;
  connection conn;
  link& at;
  phase now_in = phase::idle;

 private:
  void enter(phase next) noexcept { now_in = next; }
  [[nodiscard]] bool speaks_ferry() const noexcept { return how.with.speaks == protocol::ferry; }
  /// Of protocol::tcpshm.
  [[nodiscard]] queue_link& queue() noexcept { return static_cast<queue_link&>(at); }
  [[nodiscard]] result<void> check_data(bytes data) const;
  [[nodiscard]] bool is_expected(const std::string& server) const noexcept {
    return how.with.peer.empty() || how.with.peer == server;
  }
  [[nodiscard]] bool asks_for_hosts() const noexcept { return !speaks_ferry() || !request_.use_shm; }
  [[nodiscard]] result<addresses> path_in_memory(std::uint16_t port) const;
  [[nodiscard]] result<void> read_last_server();
  void prepare();
  void on_prepared();
  [[nodiscard]] result<void> dial();
  void on_connected();
  void on_answer_bytes();
  void on_answer();
  void on_ferry_answer();
  void begin_join(join_request request);
  void join();
  void finish();
  void check_end();
  [[nodiscard]] bool fail(const error& why);
  /// Joins at once; else the polling threads do.
  [[nodiscard]] bool alone() const noexcept { return blocking_ || !request_.use_shm; }

  bool blocking_ = false;
  os::unique_fd fd_;
  addresses peers_;
  std::size_t tried_ = 0;
  os::socket_address peer_;
  wire::login request_;
  heard_bytes in_;
  wire::login_answer answer_;
  std::string server_name_;
  int restarts_ = 0;                  // of the session, in this attempt
  std::int64_t logged_in_at_ = 0;     // as its owner said
  std::optional<user_time> waiting_;  // since the first poll of this attempt
};

// Login ---------------------------------------------------------------------------------------------------------------

bool client::parts::begin(bool use_shm, bytes data) {
  check_end();
  if (now_in != phase::idle) {
    owner.on_system_error("this client is connected already", EISCONN);
    return false;
  }
  if (use_shm != at.uses_shm() && !speaks_ferry()) at.release();
  request_ = {{}, {data.begin(), data.end()}, use_shm, how.local_name, {}};
  blocking_ = false;
  waiting_.reset();
  in_.clear();
  auto ready = check_data(data);
  if (ready) ready = os::tcpshm::require_directory(how.directory);
  if (ready && !speaks_ferry()) ready = read_last_server();
  if (!ready) return fail(ready.error());
  enter(phase::finding);
  return true;
}

bool client::parts::connect_to(result<addresses> found) {
  if (now_in != phase::finding) {
    owner.on_system_error("no begin_connect() waits for addresses", EINVAL);
    return false;
  }
  if (!found) return fail(found.error());
  peers_ = std::move(*found);
  tried_ = 0;
  if (speaks_ferry()) {
    restarts_ = 0;
    prepare();
    return now_in != phase::idle;
  }
  if (const auto dialed = dial(); !dialed) return fail(dialed.error());
  return true;
}

result<void> client::parts::check_data(bytes data) const {
  const std::size_t most = speaks_ferry() ? session::k_login_data_bytes : how.format.login_data_bytes;
  if (data.size() <= most) return {};
  return error(errc::misuse,
               "login user data of " + std::to_string(data.size()) + " bytes; " +
                   (speaks_ferry() ? "protocol::ferry has at most " : "login_data_bytes is ") + std::to_string(most),
               EINVAL);
}

auto client::parts::find(const std::string& host, std::uint16_t port) const -> result<addresses> {
  return asks_for_hosts() ? os::resolve(host, port, false) : path_in_memory(port);
}

auto client::parts::parse(std::span<const std::string> digits, std::uint16_t port) const -> result<addresses> {
  if (!asks_for_hosts()) return path_in_memory(port);
  addresses all;
  for (const std::string& one : digits) {
    if (!os::is_literal(one)) return error(errc::misuse, "'" + one + "' is not an address in digits", EINVAL);
    const auto found = os::resolve(one, port, false);
    if (!found) return found.error();
    all.insert(all.end(), found->begin(), found->end());
  }
  if (all.empty()) return error(errc::misuse, "no address to connect to", EINVAL);
  return all;
}

auto client::parts::path_in_memory(std::uint16_t port) const -> result<addresses> {
  const auto path = shm_socket_path(how, port, false);
  if (!path) return path.error();
  auto address = os::unix_address(*path);
  if (!address) return address.error();
  return addresses{*address};
}

result<void> client::parts::read_last_server() {
  const auto last = os::tcpshm::load_last_server(how.directory, how.local_name, how.with.name_size);
  if (!last) return last.error();
  if (last->empty()) return {};
  if (const auto good = check_name(*last, how.with); !good) return good.error().in("the last server's name");
  request_.last_server_name = *last;
  if (request_.use_shm) return {};
  if (at.remote_name() != *last) queue().rename(*last);
  const auto numbers = queue().open_for_login();
  if (!numbers) return numbers.error();
  request_.numbers = *numbers;
  return {};
}

void client::parts::prepare() {
  at.begin_prepare(request_.use_shm);
  enter(phase::preparing);
  if (!alone()) return;
  at.prepare();
  on_prepared();
}

void client::parts::on_prepared() {
  if (const auto& found = at.outcome(); found.how != join_outcome::kind::good) {
    (void)fail(found.why);
    return;
  }
  tried_ = 0;
  in_.clear();
  if (const auto dialed = dial(); !dialed) (void)fail(dialed.error());
}

// The addresses of a host one after the other; the error is the last one's.
result<void> client::parts::dial() {
  ferry::options with;
  with.no_delay = how.with.no_delay;
  for (error why;;) {
    if (tried_ == peers_.size()) return why;
    peer_ = peers_[tried_++];
    auto made = os::open_stream_socket(peer_.family(), with);
    if (!made) {
      why = made.error();
      continue;
    }
    fd_ = std::move(*made);
    os::tune_connected(fd_.get(), peer_.family(), with);
    const auto started = os::start_connect(fd_.get(), peer_);
    if (started) break;
    why = started.error();
  }
  how.wakes->add(fd_.get());
  enter(phase::dialing);
  return {};
}

void client::parts::advance() {
  switch (now_in) {
    case phase::idle:
    case phase::finding:
    case phase::up: return;
    case phase::preparing:
      if (at.where_in_life() == link::state::prepared) on_prepared();
      return;
    case phase::dialing: {
      pollfd ready{fd_.get(), POLLOUT, 0};
      if (::poll(&ready, 1, 0) == 1) on_connected();
      return;
    }
    case phase::asking: return on_answer_bytes();
    case phase::leaving:
      if (at.where_in_life() == link::state::moved) join();
      return;
    case phase::joining:
      if (at.where_in_life() == link::state::joined) finish();
      return;
  }
}

void client::parts::on_connected() {
  if (const auto connected = os::connect_result(fd_.get(), peer_); !connected) {
    if (tried_ == peers_.size() || !dial()) (void)fail(connected.error());
    return;
  }
  std::vector<std::byte> login;
  if (speaks_ferry()) {
    login = encode(at.outcome().login, request_.user_data);
  } else {
    login = wire::encode(request_, how.format);
  }
  if (const auto said = say_whole(fd_.get(), login, at.shared_fd()); !said) {
    (void)fail(said.error());
    return;
  }
  enter(phase::asking);
}

void client::parts::on_answer_bytes() {
  const auto heard = in_.hear(fd_.get(), answer_bytes(how), at.shared_fd() >= 0);
  if (!heard) {
    (void)fail(heard.error().in("waiting for the answer to the login"));
    return;
  }
  if (*heard) speaks_ferry() ? on_ferry_answer() : on_answer();
}

void client::parts::on_ferry_answer() {
  auto said = session::decode_login(in_.all(), true);
  if (!said) {
    (void)fail(said.error());
    return;
  }
  server_name_ = said->own_name;
  const bytes data = as_bytes(said->data);
  answer_.user_data.assign(data.begin(), data.end());
  join_request request;
  request.as_client = true;
  request.said = std::move(*said);
  request.ring = in_.take_fd();
  begin_join(std::move(request));
}

void client::parts::on_answer() {
  auto decoded = wire::decode_answer(in_.all(), how.format);
  if (!decoded) {
    (void)fail(decoded.error());
    return;
  }
  answer_ = std::move(*decoded);
  server_name_ = answer_.server_name;
  const login_answer told{answer_.server_name, answer_.user_data, answer_.error_text};
  const auto& mine = request_.numbers;
  const auto& theirs = answer_.numbers;
  if (answer_.status != wire::login_status::accepted) {
    stop();
    if (answer_.status == wire::login_status::refused) return owner.on_login_reject(told);
    if (!at.uses_shm()) queue().note_mismatch(mine, theirs);
    return owner.on_seq_number_mismatch({mine.ack, mine.start, mine.end, theirs.ack, theirs.start, theirs.end});
  }
  if (const auto good = check_name(answer_.server_name, how.with); !good) {
    (void)fail(good.error().in("the server's name"));
    return;
  }
  // Joining would forget the server of before, and discard what waits for it.
  if (!is_expected(answer_.server_name)) {
    stop();
    return owner.on_login_reject(
        {answer_.server_name, {}, "expected '" + how.with.peer + "', found '" + answer_.server_name + "'"});
  }
  if (!alone() && at.remote_name() != answer_.server_name) {
    at.begin_move();
    enter(phase::leaving);
    return;
  }
  join();
}

void client::parts::join() {
  if (at.remote_name() != answer_.server_name) queue().rename(answer_.server_name);
  join_request request;
  request.as_client = true;
  request.begins = request_.last_server_name != answer_.server_name;
  request.remote = answer_.numbers;
  begin_join(std::move(request));
}

void client::parts::begin_join(join_request request) {
  at.begin_join(request_.use_shm, std::move(request));
  enter(phase::joining);
  if (!alone()) return;
  at.join();
  finish();
}

void client::parts::finish() {
  const join_outcome& found = at.outcome();
  switch (found.how) {
    case join_outcome::kind::good: break;
    case join_outcome::kind::file_error: {
      (void)fail(found.why);
      return;
    }
    case join_outcome::kind::mismatch: {
      const auto numbers = found.numbers;
      (void)fail({});
      return owner.on_seq_number_mismatch(numbers);
    }
    case join_outcome::kind::again:
      fd_.reset();
      if (++restarts_ <= k_most_restarts) return prepare();
      (void)fail(found.why);
      return;
    case join_outcome::kind::refused: {
      const error why = found.why;
      const std::string text = found.login.text.empty() ? why.text() : found.login.text;
      const bool answered = why == errc::auth;
      (void)fail(answered ? error() : why);
      if (answered) owner.on_login_reject({server_name_, {}, text});
      return;
    }
  }
  // After the files are what the new session needs: whoever is killed before begins it once more.
  if (!speaks_ferry() && request_.last_server_name != answer_.server_name) {
    if (const auto saved =
            os::tcpshm::save_last_server(how.directory, how.local_name, answer_.server_name, how.with.name_size);
        !saved) {
      (void)fail(saved.error());
      return;
    }
  }
  logged_in_at_ = owner.on_login_success({server_name_, answer_.user_data, {}});
  if (now_in != phase::joining) return;  // it has disconnected again
  at.go_live(std::move(fd_), logged_in_at_);
  enter(phase::up);
}

// The connection is gone, the files stay. An error without a code is told by the caller.
bool client::parts::fail(const error& why) {
  fd_.reset();
  if (now_in != phase::idle) at.end();
  enter(phase::idle);
  if (why.reason() != errc{}) owner.on_system_error(why.text(), why.system_errno());
  return false;
}

// Blocks, by the kernel's clock and not by one of ours.
bool client::parts::wait(std::chrono::milliseconds within) {
  blocking_ = true;
  const os::unique_fd alarm(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const auto left = std::max(within, std::chrono::milliseconds(1));
  itimerspec at_end{};
  at_end.it_value = {left.count() / 1000, left.count() % 1000 * 1'000'000};
  if (!alarm || ::timerfd_settime(alarm.get(), 0, &at_end, nullptr) != 0)
    return fail(error::from_errno(errno, "make a timer"));
  if (now_in == phase::preparing) {
    at.prepare();
    on_prepared();
  }
  while (now_in == phase::dialing || now_in == phase::asking) {
    const short awaited = now_in == phase::dialing ? POLLOUT : POLLIN;
    std::array<pollfd, 2> ready{pollfd{fd_.get(), awaited, 0}, pollfd{alarm.get(), POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR)
      return fail(error::from_errno(errno, "wait for " + peer_.text()));
    if (ready[0].revents != 0) {
      advance();
    } else if (ready[1].revents != 0) {
      return fail(error(errc::timeout,
                        "no login at " + peer_.text() + " within " + std::to_string(left.count()) + " ms", ETIMEDOUT));
    }
  }
  return now_in == phase::up;
}

// Life ----------------------------------------------------------------------------------------------------------------

void client::parts::poll_tcp(std::int64_t now) {
  how.wakes->drain();
  if (now_in != phase::idle && now_in != phase::up) {
    if (!waiting_) waiting_ = user_time(now);
    advance();
    const bool waits_for_others = now_in == phase::finding || now_in == phase::dialing || now_in == phase::asking;
    if (waits_for_others && has_passed(0, waiting_->passed(now), how.with.connection_timeout))
      (void)fail(error(errc::timeout,
                       (now_in == phase::finding ? "no addresses" : "no login at " + peer_.text()) +
                           " within the connection timeout",
                       ETIMEDOUT));
    if (now_in != phase::up) return;
    now = logged_in_at_;  // which may be newer
  }
  if (at.uses_shm()) {
    if (now_in == phase::up) at.tend(now);
  } else {
    at.poll_tcp(now, [this](const message& m) { owner.on_server_msg(m); });
  }
  check_end();
}

void client::parts::check_end() {
  if (now_in != phase::up) return;
  const auto over = at.over();
  if (!over) return;
  at.end();
  enter(phase::idle);
  owner.on_disconnected(over->reason, over->system_errno);
}

void client::parts::stop() noexcept {
  fd_.reset();
  if (now_in != phase::idle) at.end();
  enter(phase::idle);
}

client::client(std::string directory, std::string name, const options& with)
    : parts_(std::make_unique<parts>(*this, check(std::move(directory), std::move(name), with).value())) {}
client::~client() = default;

bool client::connect(bool use_shm, const std::string& host, std::uint16_t port, bytes login_user_data,
                     std::chrono::milliseconds within) {
  return start_connect(use_shm, host, port, login_user_data) && parts_->wait(within);
}

bool client::start_connect(bool use_shm, const std::string& host, std::uint16_t port, bytes login_user_data) {
  return parts_->begin(use_shm, login_user_data) && parts_->connect_to(parts_->find(host, port));
}

bool client::begin_connect(bool use_shm, bytes login_user_data) { return parts_->begin(use_shm, login_user_data); }

bool client::connect_to(std::span<const std::string> addresses, std::uint16_t port) {
  return parts_->connect_to(parts_->parse(addresses, port));
}

bool client::connecting() const noexcept {
  return parts_->now_in != parts::phase::idle && parts_->now_in != parts::phase::up;
}
connection& client::get_connection() noexcept { return parts_->conn; }
void client::poll_tcp(std::int64_t now) { parts_->poll_tcp(now); }
void client::poll_shm() {
  if (parts_->at.where_in_life() == link::state::moving) return parts_->at.leave();
  parts_->at.poll_shm([this](const message& m) { on_server_msg(m); });
}
void client::disconnect() noexcept { parts_->stop(); }
int client::descriptor() noexcept { return parts_->how.wakes->descriptor(); }
bool client::take_heard() noexcept { return parts_->how.wakes->take_heard(); }
void client::stop() {
  parts_->stop();
  parts_->at.release();
}

}  // namespace ferry::compat::tcpshm
