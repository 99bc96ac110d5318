#include "gateway/gateway.hpp"

#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "gateway/member.hpp"
#include "os/random.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using session::gateway_role;

constexpr int k_accepts_per_turn = 64;                    // then those who are there have their turn
constexpr auto k_pause = std::chrono::milliseconds(100);  // when no descriptor is left
constexpr std::size_t k_large_buffer = 256 * 1024;

// Those of whom something must come in time, whoever has been silent longest first.
struct watched {
  duration limit{};
  std::list<member*> all;
};

session::gateway_numbering numbering(bool unpredictable) {
  session::gateway_numbering made;
  if (unpredictable)
    for (auto& part : made.secret) part = static_cast<std::uint32_t>(os::random_u64()) | 1;
  return made;
}

}  // namespace

class service::parts final : public member_owner,
                             public session::gateway_commands,
                             public std::enable_shared_from_this<parts> {
 public:
  parts(context& where, const settings& with)
      : where_(where),
        settings_(with),
        table_({with.client_max_conn, with.max_connections, with.max_members}, numbering(with.unpredictable_numbers)),
        large_(
            new std::byte[std::max(k_large_buffer, 2 * std::max(with.clients.buffer_size, with.servers.buffer_size))]),
        large_size_(std::max(k_large_buffer, 2 * std::max(with.clients.buffer_size, with.servers.buffer_size))),
        proving_{with.login_timeout, {}},
        clients_{with.clients.idle_timeout, {}},
        servers_{with.servers.idle_timeout, {}},
        watch_(where.io()) {}

  [[nodiscard]] result<void> listen() {
    for (auto* one : {&client_door_, &server_door_}) {
      const bool for_clients = one == &client_door_;
      const auto& url = for_clients ? settings_.clients.url : settings_.servers.url;
      options with;
      const auto at = parse_url(url, with, where_.schemes());
      if (!at) return at.error();
      const auto transport = where_.transport(at->scheme);
      if (!transport || transport->shape() == stream_shape::messages)
        return error(errc::unsupported, url + ": a gateway listens where streams of bytes come: tcp, tls, ipc");
      with.reuse_port = with.reuse_port || settings_.reuse_port;
      auto made = transport->listen(where_, *at, with);
      if (!made) return made.error();
      one->at = std::move(*made);
      one->url = one->at->local_url();
      one->role = for_clients ? gateway_role::client : gateway_role::server;
      one->pause.emplace(where_.io());
      wait(*one);
    }
    return {};
  }

  void close() noexcept {
    closed_ = true;
    for (auto* one : {&client_door_, &server_door_}) {
      if (one->at) std::exchange(one->at, nullptr)->close();
      if (one->pause) one->pause->cancel();
    }
    watch_.cancel();
    for (auto& [who, kept] : members_) {
      kept->doom();
      kept->close();
    }
    members_.clear();
    finished_ = nullptr;
  }

  void stop(duration within, std::function<void()> done) {
    finished_ = std::move(done);
    for (auto* one : {&client_door_, &server_door_})
      if (one->at) std::exchange(one->at, nullptr)->close();
    table_.stop_dials();
    stop_at_ = std::chrono::steady_clock::now() + std::min(within, k_longest_wait);
    look_whether_stopped(std::chrono::steady_clock::now());
    watch_until(*stop_at_);
  }

  [[nodiscard]] const std::string& url(gateway_role role) const noexcept {
    return role == gateway_role::client ? client_door_.url : server_door_.url;
  }
  [[nodiscard]] counts stats() const {
    counts made = counts_;
    made.clients = clients_.all.size();
    made.servers = servers_.all.size();
    made.arriving = proving_.all.size();
    made.connections = table_.size();
    made.dials = table_.counts();
    return made;
  }

  // member_owner

  bool arrived(member& who, std::uint32_t id) override {
    if (const auto added = table_.add_server(who, id); !added) {
      ++counts_.turned_away;
      doom(who, added.error());
      return false;
    }
    ++counts_.servers_accepted;
    servers_.all.splice(servers_.all.end(), proving_.all, who.place);
    who.home = &servers_.all;
    note_watch(servers_, who);
    log(log_level::info, [&] { return "server " + std::to_string(id) + " is there"; });
    return true;
  }

  void heard(member& who) override {
    who.last_heard = std::chrono::steady_clock::now();
    who.home->splice(who.home->end(), *who.home, who.place);
  }

  result<member*> sort(member& from, const codec::gateway::packet& what) override {
    const auto to = table_.on_packet(from, what, *this);
    if (!to) return to.error();
    return static_cast<member*>(*to);
  }

  bool forward(member& from, member& to, bytes packets, std::size_t count) override {
    if (!to.send(packets, count)) {
      if (settings_.when_full == overflow::pause && from.role() == gateway_role::client) {
        ++counts_.held_back;
        from.waits_for = &to;
        to.held_back.push_back(&from);
        return false;
      }
      too_slow(to);
      return true;
    }
    counts_.forwarded += count;
    counts_.forwarded_bytes += packets.size();
    return true;
  }

  void doom(member& who, error why) override {
    if (who.is_doomed()) return;
    if (why == errc::auth) ++counts_.wrong_proofs;
    if (why.code() == condition::protocol_violation) ++counts_.breaches;
    log(why == errc::end_of_stream || why == errc::reset ? log_level::debug : log_level::warn,
        [&] { return who.text() + " is closed: " + why.text(); });
    who.doom();
    doomed_.push_back(&who);
    run_later();
  }

  void flush_later(member& who) override {
    if (who.flush_noted) return;
    who.flush_noted = true;
    to_flush_.push_back(&who);
    run_later();
  }

  [[nodiscard]] const settings& with() const noexcept override { return settings_; }
  [[nodiscard]] buffer_pool& buffers() noexcept override { return where_.buffers(); }
  [[nodiscard]] mutable_bytes large_buffer() noexcept override { return {large_.get(), large_size_}; }

  // gateway_commands

  void tell(session::gateway_member& to, const codec::gateway::command& what) override {
    auto& who = static_cast<member&>(to);
    if (!who.send(what)) too_slow(who);
  }

 private:
  struct door {
    std::unique_ptr<acceptor> at;
    std::string url;
    gateway_role role = gateway_role::client;
    std::optional<asio::steady_timer> pause;
  };

  template <class Text>
  void log(log_level level, const Text& text) {
    where_.log(level, "gateway", text);
  }

  void too_slow(member& who) {
    if (who.is_doomed()) return;
    ++counts_.slow;
    doom(who, error(errc::full, "it does not read, and its send queue is full"));
  }

  // Those who arrive.

  void wait(door& which) {
    which.at->async_wait([weak = weak_from_this(), &which] {
      if (const auto self = weak.lock()) self->accept_some(which);
    });
  }

  void accept_some(door& which) {
    for (int i = 0; i < k_accepts_per_turn && which.at; ++i) {
      auto came = which.at->try_accept();
      if (came) {
        welcome(which.role, std::move(*came));
        continue;
      }
      if (came.error() == errc::would_block) break;
      log(log_level::warn, [&] { return which.url + ": " + came.error().text(); });
      if (came.error() != errc::busy) continue;
      which.pause->expires_after(k_pause);
      which.pause->async_wait([weak = weak_from_this(), &which](const error_code& failed) {
        if (failed) return;
        if (const auto self = weak.lock(); self && which.at) self->accept_some(which);
      });
      return;
    }
    if (which.at) wait(which);
  }

  void welcome(gateway_role role, std::shared_ptr<stream> carrier) {
    const bool client = role == gateway_role::client;
    if (members_.size() >= settings_.max_members || (!client && proving_.all.size() >= settings_.max_arriving)) {
      ++counts_.turned_away;
      return carrier->close();
    }
    auto made = std::make_shared<member>(*this, std::move(carrier), client ? settings_.clients : settings_.servers);
    auto& in = client ? clients_ : proving_;
    if (client && !table_.add_client(*made)) {
      ++counts_.turned_away;
      return made->close();
    }
    made->place = in.all.insert(in.all.end(), made.get());
    made->home = &in.all;
    members_.emplace(made.get(), made);
    note_watch(in, *made);
    if (client) {
      ++counts_.clients_accepted;
      return made->start_client();
    }
    codec::gateway::challenge asked{};
    const auto bits = os::random_u64();
    std::memcpy(asked.data(), &bits, sizeof bits);
    made->start_server(asked);
  }

  // What waits for the end of a turn of the event loop, so that what came for one member goes in one write.

  void run_later() {
    if (later_) return;
    later_ = true;
    asio::post(where_.io(), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->run_now();
    });
  }

  void run_now() {
    later_ = false;
    if (closed_) return;
    while (!to_flush_.empty() || !doomed_.empty()) {
      const auto ended = std::exchange(doomed_, {});
      for (member* const one : ended) end(*one);
      flushing_.swap(to_flush_);
      for (member* const one : flushing_) {
        if (one == nullptr) continue;
        one->flush_noted = false;
        one->flush();
      }
      flushing_.clear();
    }
    later_ = false;
    if (stop_at_) look_whether_stopped(std::chrono::steady_clock::now());
  }

  void end(member& who) {
    const auto found = members_.find(&who);
    if (found == members_.end()) return;
    const auto kept = std::move(found->second);  // until all that follows is done
    members_.erase(found);
    who.home->erase(who.place);
    table_.remove(who, *this);
    std::replace(to_flush_.begin(), to_flush_.end(), &who, static_cast<member*>(nullptr));
    if (who.waits_for != nullptr) std::erase(who.waits_for->held_back, &who);
    const auto waiting = std::exchange(who.held_back, {});
    who.close();
    for (member* const one : waiting) one->go_on();
  }

  // Time.

  void note_watch(watched& in, member& who) {
    who.last_heard = std::chrono::steady_clock::now();
    if (in.limit > duration::zero()) watch_until(who.last_heard + std::min(in.limit, k_longest_wait));
  }

  void watch_until(time_point when) {
    if (watch_end_ && *watch_end_ <= when) return;
    watch_end_ = when;
    watch_.expires_at(when);
    watch_.async_wait([weak = weak_from_this()](const error_code& failed) {
      if (failed) return;
      if (const auto self = weak.lock()) self->look_at_time();
    });
  }

  void look_at_time() {
    watch_end_.reset();
    const auto now = std::chrono::steady_clock::now();
    for (auto* in : {&proving_, &clients_, &servers_}) {
      if (in->limit <= duration::zero()) continue;
      const auto limit = std::min(in->limit, k_longest_wait);
      for (member* const one : in->all) {
        if (one->last_heard + limit > now) {
          watch_until(one->last_heard + limit);
          break;
        }
        if (one->is_doomed()) continue;
        ++counts_.idle;
        doom(*one, in == &proving_ ? error(errc::timeout, "it did not log in in time")
                                   : error(errc::idle, "nothing came for the idle time"));
      }
    }
    if (!stop_at_) return;
    look_whether_stopped(now);
    if (finished_) watch_until(*stop_at_);
  }

  void look_whether_stopped(time_point now) {
    if (!finished_ || (table_.size() != 0 && now < *stop_at_)) return;
    table_.close_all(*this);
    for (auto& [who, kept] : members_)
      if (!kept->is_doomed()) kept->end();
    asio::post(where_.io(), [self = shared_from_this(), done = std::exchange(finished_, nullptr)] {
      self->close();
      done();
    });
  }

  context& where_;
  settings settings_;
  session::virtual_connections table_;
  std::unique_ptr<std::byte[]> large_;
  std::size_t large_size_;
  watched proving_, clients_, servers_;
  std::unordered_map<member*, std::shared_ptr<member>> members_;
  std::vector<member*> to_flush_, flushing_, doomed_;
  bool later_ = false;
  bool closed_ = false;
  counts counts_;
  door client_door_, server_door_;
  asio::steady_timer watch_;
  std::optional<time_point> watch_end_;
  std::optional<time_point> stop_at_;
  std::function<void()> finished_;
};

service::service(std::shared_ptr<parts> made) : parts_(std::move(made)) {}
service::service(service&&) noexcept = default;
service& service::operator=(service&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}
service::~service() {
  if (parts_) parts_->close();
}

result<service> service::open(context& where, const settings& with) {
  auto made = std::make_shared<parts>(where, with);
  if (const auto listening = made->listen(); !listening) {
    made->close();
    return listening.error();
  }
  return service(std::move(made));
}

std::string service::client_url() const { return parts_->url(gateway_role::client); }
std::string service::server_url() const { return parts_->url(gateway_role::server); }
counts service::stats() const { return parts_->stats(); }
void service::stop(duration within, std::function<void()> done) { parts_->stop(within, std::move(done)); }

}  // namespace ferry::gateway
