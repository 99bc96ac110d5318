#include <ferry/socket.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "channel/fail.hpp"
#include "net/event_loop.hpp"
#include "os/socket.hpp"
#include "socket/address.hpp"
#include "socket/name_threads.hpp"
#include "socket/object.hpp"
#include "socket/option_names.hpp"
#include "socket/turn.hpp"

namespace ferry {
namespace {

using sockets::shared_turn;
using sockets::socket_object;
using object_ptr = std::shared_ptr<socket_object>;

// Changes in the child of every fork: what was made before belongs to the parent.
std::atomic<unsigned> g_generation{0};

unsigned this_generation() {
  static const int watching = ::pthread_atfork(nullptr, nullptr, [] { g_generation.fetch_add(1); });
  static_cast<void>(watching);
  return g_generation.load(std::memory_order_relaxed);
}

bool would_block(const error& why) { return why == errc::would_block; }

template <class T>
bool would_block(const result<T>& outcome) {
  return !outcome && would_block(outcome.error());
}

error no_such(socket_id id) { return {errc::misuse, "no socket has the number " + std::to_string(id), EBADF}; }

std::optional<shared_turn::clock::time_point> deadline_in(options::duration limit) {
  if (limit <= options::duration::zero()) return std::nullopt;
  const auto now = shared_turn::clock::now();
  const auto most = shared_turn::clock::time_point::max() - now;
  return limit < most ? std::optional(now + limit) : std::nullopt;
}

}  // namespace

class socket_manager::parts {
 public:
  explicit parts(const socket_manager_options& with)
      : most(with.max_sockets),
        log(with.log, with.level, "sockets"),
        where(io, context_with(with, names)),
        turn(
            io, [this] { return has_news(); }, [this] { tell(); }) {
    or_fail(net::make_ready(io));
    around.schemes = where.schemes();
    around.changed = [this](socket_id id, socket_state from, socket_state to) { note(id, from, to); };
    around.finished = [this](socket_object& one) {
      std::erase_if(lingering, [&](const object_ptr& kept) { return kept.get() == &one; });
    };
  }

  ~parts() {
    if (background.joinable()) {
      turn.take();
      stopping = true;
      turn.give();
      background.join();
    }
    turn.take();
    for (auto& [id, one] : table) one->close(sockets::close_as::hard);
    for (const auto& one : std::exchange(lingering, {})) one->close(sockets::close_as::hard);
    table.clear();
    names.stop();  // what was dropped there, and what it has posted, may know of the context
    turn.run_ready();
  }

  static context_options context_with(const socket_manager_options& with, sockets::name_threads& names) {
    context_options made;
    made.buffers = with.buffers;
    made.blocking_executor = names.get_executor();
    made.log = with.log;
    made.level = with.level;
    return made;
  }

  /// From construction to destruction, its thread alone touches the sockets.
  class turn_guard {
   public:
    explicit turn_guard(parts& of) : of_(of) { of_.turn.take(); }
    ~turn_guard() { of_.turn.give(); }
    turn_guard(const turn_guard&) = delete;
    turn_guard& operator=(const turn_guard&) = delete;

   private:
    parts& of_;
  };

  [[nodiscard]] bool forked() const noexcept { return generation != g_generation.load(std::memory_order_relaxed); }
  [[nodiscard]] static error of_the_parent() {
    return {errc::misuse, "this manager was made before fork(): it belongs to the parent", EBADF};
  }

  [[nodiscard]] object_ptr find(socket_id id) const {
    const auto found = table.find(id);
    return found == table.end() ? nullptr : found->second;
  }

  /// What is ready happens now, where nobody else would see to it soon.
  void progress() {
    if (!background.joinable()) turn.run_ready();
  }

  /// Does something with one socket.
  template <class Value, class F>
  result<Value> with_socket(socket_id id, F f) {
    if (forked()) return of_the_parent();
    const turn_guard held(*this);
    const auto one = find(id);
    return one ? result<Value>(f(*one)) : result<Value>(no_such(id));
  }

  /// Tries until it does not block any more, `limit` has passed (0: for ever) or the socket is closed.
  template <class Value, class Try, class Ready>
  result<Value> wait_for(const object_ptr& one, bool wait, options::duration limit, const char* what, Try attempt,
                         Ready ready) {
    result<Value> outcome = attempt();
    if (!would_block(outcome)) return outcome;
    progress();
    outcome = attempt();
    const auto until = deadline_in(limit);
    const shared_turn::condition condition = [&] { return one->abandoned() || ready(); };
    while (wait && would_block(outcome)) {
      const bool in_time = turn.wait(condition, until);
      if (one->abandoned()) return no_such(one->id());
      outcome = attempt();
      if (!in_time && would_block(outcome))
        return error(errc::timeout, std::string(what) + ": nothing within " +
                                        std::to_string(std::chrono::ceil<milliseconds>(limit).count()) + " ms");
    }
    return outcome;
  }

  /// Whether there is a number for one more.
  [[nodiscard]] result<void> has_room() const {
    if (table.size() >= most)
      return error(errc::busy, "there are " + std::to_string(most) + " sockets already (max_sockets)");
    if (next_id == std::numeric_limits<socket_id>::max()) return error(errc::busy, "all socket numbers were given out");
    return {};
  }

  result<socket_id> add(const object_ptr& one) {
    if (const auto room = has_room(); !room) return room.error();
    const auto id = next_id++;
    one->set_id(id);
    table.emplace(id, one);
    ++created;
    return id;
  }

  /// The addresses of a name, looked up elsewhere while others have the turn.
  result<std::vector<std::string>> look_up(const object_ptr& one, const std::string& name) {
    struct question {
      std::optional<result<std::vector<os::socket_address>>> found;
      std::atomic<bool> gone{false};  // nobody waits for it
    };
    const auto asked = std::make_shared<question>();
    boost::asio::post(names.get_executor(), [&to = io, asked, name] {
      if (asked->gone.load(std::memory_order_relaxed)) return;
      boost::asio::post(to, [asked, all = os::resolve(name, 0, true)] { asked->found.emplace(all); });
    });
    const auto until = deadline_in(one->connect_timeout());
    const auto& found = asked->found;
    static_cast<void>(turn.wait([&] { return one->abandoned() || found; }, until));
    asked->gone.store(true, std::memory_order_relaxed);  // orders nothing
    if (one->abandoned()) return no_such(one->id());
    if (!found) return error(errc::timeout, "listen: host '" + name + "' was not found within connect_timeout");
    if (!*found) return found->error();
    std::vector<std::string> hosts;
    for (const auto& each : **found) hosts.push_back(sockets::address_of(one->transport(), each.text()).host);
    return hosts;
  }

  void remove(const object_ptr& one, sockets::close_as how) {
    table.erase(one->id());
    ++closed;
    lingering.push_back(one);
    one->close(how);  // which may take it off that list again
  }

  // What changed, for who wants to know
  // ---------------------------------------------------------------------------------------------------------------
  struct change {
    socket_id id;
    socket_state from, to;
  };
  void note(socket_id id, socket_state from, socket_state to) {
    if (id == 0) return;
    const std::lock_guard lock(news_lock);
    if (handler) news.push_back({id, from, to});
  }
  [[nodiscard]] bool has_news() {
    const std::lock_guard lock(news_lock);
    return !news.empty() && !telling;
  }
  void tell() {
    std::unique_lock lock(news_lock);
    if (std::exchange(telling, true)) return;
    while (!news.empty()) {
      const change next = news.front();
      news.pop_front();
      const auto call = handler;
      lock.unlock();
      try {
        if (*call) (*call)(next.id, next.from, next.to);
      } catch (const std::exception& thrown) {
        handler_threw(next, thrown.what());
      } catch (...) {
        handler_threw(next, "something that is no std::exception");
      }
      lock.lock();
    }
    telling = false;
  }

  // It is nothing to whoever's call made progress, and the next state is told all the same.
  void handler_threw(const change& at, const char* what) noexcept {
    throws.add_shared();
    log.write(log_level::error, [&] {
      return "socket " + std::to_string(at.id) + ": the handler of on_state threw at " + to_string(at.to) + ": " + what;
    });
  }

  const unsigned generation = this_generation();
  const std::size_t most;
  const logger log;
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  sockets::name_threads names;
  context where;
  sockets::surroundings around{where, {}, {}, {}};
  shared_turn turn;
  std::unordered_map<socket_id, object_ptr> table;
  std::vector<object_ptr> lingering;
  socket_id next_id = 1;
  std::uint64_t created = 0;
  std::uint64_t closed = 0;
  bool stopping = false;
  std::thread background;

  std::mutex news_lock;  // guards what follows
  std::shared_ptr<const state_handler> handler;
  std::deque<change> news;
  bool telling = false;

  counter throws;  // of the handler; any thread
};

socket_manager::socket_manager(const socket_manager_options& with) : parts_(std::make_unique<parts>(with)) {}

socket_manager::~socket_manager() {
  // In the child of a fork, closing would take the parent's sockets out of the event loop that both share.
  if (parts_->forked()) static_cast<void>(parts_.release());
}

result<void> socket_manager::run_in_background() {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  if (parts_->background.joinable()) return error(errc::misuse, "run_in_background: it does already", EALREADY);
  try {
    parts_->background = std::thread([all = parts_.get()] {
      ::pthread_setname_np(::pthread_self(), "ferry-sockets");
      const parts::turn_guard mine(*all);
      while (!all->stopping) {
        try {
          static_cast<void>(all->turn.wait([all] { return all->stopping; }, std::nullopt));
        } catch (...) {
          // No memory for one of the sockets: the others go on.
        }
      }
    });
  } catch (const std::system_error& failed) {
    return error::from_errno(failed.code().value(), "start a thread");
  }
  return {};
}

void socket_manager::on_state(state_handler handler) {
  const std::lock_guard lock(parts_->news_lock);
  parts_->handler = std::make_shared<const state_handler>(std::move(handler));
}

// Life --------------------------------------------------------------------------------------------

result<socket_id> socket_manager::socket(socket_transport transport) {
  if (parts_->forked()) return parts::of_the_parent();
  if (transport < socket_transport::ipc || transport > socket_transport::ws_ipc)
    return error(errc::unsupported, "no transport has the number " + std::to_string(static_cast<int>(transport)));
  const parts::turn_guard held(*parts_);
  return parts_->add(std::make_shared<socket_object>(parts_->around, transport));
}

result<void> socket_manager::bind(socket_id id, const socket_address& at) {
  return parts_->with_socket<void>(id, [&](socket_object& one) { return one.bind(at); });
}

result<void> socket_manager::listen(socket_id id, std::uint32_t backlog) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  const auto one = parts_->find(id);
  if (!one) return no_such(id);
  const auto name = one->name_to_look_up();
  if (name.empty()) return one->listen(backlog, {});
  const auto hosts = parts_->look_up(one, name);
  return hosts ? one->listen(backlog, *hosts) : hosts.error();
}

result<socket_id> socket_manager::accept(socket_id id, socket_address* from) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  const auto one = parts_->find(id);
  if (!one) return no_such(id);
  if (one->state() != socket_state::listening)
    return error(errc::misuse, std::string("accept: not listening, in state ") + to_string(one->state()), EINVAL);
  // As accept(2) without a descriptor: at once, and the connection waits for the next call. Others may have taken the
  // last number while this one waited.
  if (const auto room = parts_->has_room(); !room) return room.error().in("accept");
  const auto attempt = [&]() -> result<object_ptr> {
    if (const auto room = parts_->has_room(); !room && one->has_arrival()) return room.error().in("accept");
    auto next = one->take_arrival();
    return next ? result<object_ptr>(std::move(next)) : result<object_ptr>(errc::would_block);
  };
  const auto arrived = parts_->wait_for<object_ptr>(one, !one->own().nonblocking, one->own().receive_timeout, "accept",
                                                    attempt, [&] { return one->has_arrival(); });
  if (!arrived) return arrived.error();
  auto made = parts_->add(*arrived);
  if (!made) return made;
  (*arrived)->opened();
  if (from != nullptr) {
    const auto peer = (*arrived)->peer();
    *from = peer ? *peer : socket_address{};
  }
  return made;
}

result<void> socket_manager::connect(socket_id id, const socket_address& to) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  const auto one = parts_->find(id);
  if (!one) return no_such(id);
  if (auto started = one->connect(to); !started) return started;
  const auto attempt = [&]() -> result<void> {
    const auto outcome = one->connect_outcome();
    return outcome ? *outcome : result<void>(errc::would_block);
  };
  auto outcome = parts_->wait_for<void>(one, !one->own().nonblocking, one->own().send_timeout, "connect", attempt,
                                        [&] { return one->connect_outcome().has_value(); });
  if (would_block(outcome)) return error(errc::would_block, "connect: goes on", EINPROGRESS);
  if (!outcome) static_cast<void>(one->get("error"));  // which was told now
  return outcome;
}

result<void> socket_manager::shutdown(socket_id id, shutdown_what what) {
  return parts_->with_socket<void>(id, [&](socket_object& one) {
    auto done = one.shutdown(what);
    parts_->progress();
    return done;
  });
}

result<void> socket_manager::close(socket_id id) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  const auto one = parts_->find(id);
  if (!one) return no_such(id);
  parts_->remove(one, one->own().closing);
  parts_->progress();
  if (one->own().nonblocking && !one->over()) return {};
  static_cast<void>(parts_->turn.wait([&] { return one->over(); }, std::nullopt));
  return one->close_outcome();
}

std::size_t socket_manager::close_all() {
  if (parts_->forked()) return 0;
  const parts::turn_guard held(*parts_);
  std::vector<object_ptr> all;
  for (const auto& [id, one] : parts_->table) all.push_back(one);
  for (const auto& one : all) parts_->remove(one, one->own().closing);
  parts_->progress();
  return all.size();
}

// Data --------------------------------------------------------------------------------------------

result<std::size_t> socket_manager::send(socket_id id, bytes payload, unsigned flags) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  const auto one = parts_->find(id);
  if (!one) return no_such(id);
  const bool wait = !one->own().nonblocking && (flags & socket_flags::k_dont_wait) == 0;
  const bool stream = one->own().receiving == sockets::receive_as::stream;
  std::size_t taken = 0;
  do {
    const auto rest = payload.subspan(taken);
    auto sent = parts_->wait_for<std::size_t>(
        one, wait, one->own().send_timeout, "send", [&] { return one->send(rest, flags); },
        [&] { return one->can_send(); });
    if (!sent && taken == 0) return sent;
    if (!sent) break;
    taken += *sent;
    parts_->progress();  // what is queued goes out now
  } while (stream && wait && taken < payload.size());
  return taken;
}

result<socket_received> socket_manager::recv(socket_id id, mutable_bytes into, unsigned flags) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  const auto one = parts_->find(id);
  if (!one) return no_such(id);
  const bool wait = !one->own().nonblocking && (flags & socket_flags::k_dont_wait) == 0;
  return parts_->wait_for<socket_received>(
      one, wait, one->own().receive_timeout, "recv", [&] { return one->receive(into, flags); },
      [&] { return one->can_receive(); });
}

result<std::size_t> socket_manager::poll(std::span<socket_poll> wanted, milliseconds limit) {
  if (parts_->forked()) return parts::of_the_parent();
  const parts::turn_guard held(*parts_);
  constexpr unsigned unasked = socket_events::k_err | socket_events::k_hup;
  const auto look = [&] {
    std::size_t ready = 0;
    for (auto& entry : wanted) {
      const auto one = parts_->find(entry.socket);
      entry.revents = one ? one->events() & (entry.events | unasked) : socket_events::k_nval;
      ready += entry.revents != 0 ? 1 : 0;
    }
    return ready;
  };
  if (look() == 0) {
    parts_->progress();
    if (limit != milliseconds::zero()) {
      const auto until = limit < milliseconds::zero() ? std::nullopt : deadline_in(limit);
      static_cast<void>(parts_->turn.wait([&] { return look() != 0; }, until));
    }
  }
  return look();
}

// Knowing -----------------------------------------------------------------------------------------

result<socket_address> socket_manager::getpeername(socket_id id) {
  return parts_->with_socket<socket_address>(id, [](socket_object& one) { return one.peer(); });
}

result<socket_address> socket_manager::getsockname(socket_id id) {
  return parts_->with_socket<socket_address>(id, [](socket_object& one) { return one.here(); });
}

result<socket_state> socket_manager::state(socket_id id) {
  return parts_->with_socket<socket_state>(id, [&](socket_object& one) {
    parts_->progress();
    return one.state();
  });
}

result<socket_stats> socket_manager::stats(socket_id id) {
  return parts_->with_socket<socket_stats>(id, [](socket_object& one) { return one.stats(); });
}

socket_manager_stats socket_manager::stats() {
  socket_manager_stats all;
  if (parts_->forked()) return all;
  const parts::turn_guard held(*parts_);
  const auto& totals = parts_->where.totals();
  all.created = parts_->created;
  all.closed = parts_->closed;
  all.open = parts_->table.size();
  all.lingering = parts_->lingering.size();
  all.bytes_sent = totals.bytes_sent.value();
  all.bytes_received = totals.bytes_received.value();
  all.messages_received = totals.messages_received.value();
  all.tls_handshakes = totals.tls_handshakes.value();
  all.tls_resumed = totals.tls_resumed.value();
  all.state_handler_throws = parts_->throws.value();
  all.buffers = parts_->where.buffers().stats();
  return all;
}

std::vector<socket_info> socket_manager::list() {
  std::vector<socket_info> all;
  if (parts_->forked()) return all;
  const parts::turn_guard held(*parts_);
  for (const auto& [id, one] : parts_->table) all.push_back({id, one->transport(), one->state()});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

// Options -----------------------------------------------------------------------------------------

result<void> socket_manager::setsockopt(socket_id id, std::string_view name, std::string_view value) {
  return parts_->with_socket<void>(id, [&](socket_object& one) { return one.set(name, value); });
}

result<std::string> socket_manager::getsockopt(socket_id id, std::string_view name) {
  return parts_->with_socket<std::string>(id, [&](socket_object& one) { return one.get(name); });
}

namespace {

result<const sockets::option_row*> row_of(socket_option option) {
  if (const auto* row = sockets::find_option(option)) return row;
  return error(errc::unknown_option, "no option has the number " + std::to_string(static_cast<int>(option)));
}

}  // namespace

result<void> socket_manager::setsockopt(socket_id id, socket_option option, std::int64_t value) {
  const auto row = row_of(option);
  if (!row) return row.error();
  const auto text = sockets::number_as_text(**row, value);
  return text ? setsockopt(id, (*row)->name, *text) : result<void>(text.error());
}

result<std::int64_t> socket_manager::getsockopt_number(socket_id id, socket_option option) {
  const auto row = row_of(option);
  if (!row) return row.error();
  const auto text = getsockopt(id, (*row)->name);
  return text ? sockets::text_as_number(**row, *text) : result<std::int64_t>(text.error());
}

result<void> socket_manager::setsockopt(socket_id id, socket_option option, std::string_view value) {
  const auto row = row_of(option);
  return row ? setsockopt(id, (*row)->name, value) : result<void>(row.error());
}

result<std::string> socket_manager::getsockopt(socket_id id, socket_option option) {
  const auto row = row_of(option);
  return row ? getsockopt(id, (*row)->name) : result<std::string>(row.error());
}

}  // namespace ferry
