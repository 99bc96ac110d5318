#include "gateway/gateway.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "gateway/doors.hpp"
#include "gateway/member.hpp"
#include "os/random.hpp"

namespace ferry::gateway {
namespace {

namespace asio = boost::asio;
using session::gateway_role;

constexpr std::size_t k_large_buffer = 256 * 1024;

// Those of whom something must come in time, whoever has been silent longest first.
struct watched {
  duration limit{};
  std::list<member*> all;
};

session::virtual_connection_limits limits_of(const settings& with) {
  return {with.client_max_conn, with.max_connections, with.max_members};
}

std::vector<server_key> keys_of(const settings& with) {
  return with.server_keys.empty() ? std::vector<server_key>{{with.server_key, {}}} : with.server_keys;
}

// What members were made with. @return the names of what has changed
std::vector<std::string> keep_what_cannot_change(settings& next, const settings& now) {
  std::vector<std::string> left;
  const auto keep = [&left](auto& of_next, const auto& of_now, std::string name, bool same) {
    if (!same) left.push_back(std::move(name));
    of_next = of_now;
  };
  for (const auto side : {&settings::clients, &settings::servers}) {
    const std::string of = side == &settings::clients ? "client-" : "server-";
    auto& one = next.*side;
    const auto& old = now.*side;
    keep(one.url, old.url, of + "addr", one.url == old.url);
    keep(one.options, old.options, of + "options", one.options == old.options);
    keep(one.buffer_size, old.buffer_size, of + "buffer-size", one.buffer_size == old.buffer_size);
    keep(one.resume, old.resume, of + "snet-...", one.resume == old.resume);
  }
  keep(next.max_packet, now.max_packet, "max-packet", next.max_packet == now.max_packet);
  keep(next.reuse_port, now.reuse_port, "reuse-port", next.reuse_port == now.reuse_port);
  keep(next.unpredictable_numbers, now.unpredictable_numbers, "unpredictable-numbers",
       next.unpredictable_numbers == now.unpredictable_numbers);
  return left;
}

session::gateway_numbering numbering(bool unpredictable) {
  session::gateway_numbering made;
  if (unpredictable)
    for (auto& part : made.secret) part = static_cast<std::uint32_t>(os::random_u64()) | 1;
  return made;
}

}  // namespace

class service::parts final : public member_owner,
                             private door_owner,
                             public session::gateway_commands,
                             public std::enable_shared_from_this<parts> {
 public:
  parts(context& where, const settings& with)
      : where_(where),
        settings_(with),
        keys_(keys_of(with)),
        client_book_(with.clients.per_address),
        server_book_(with.servers.per_address),
        table_(limits_of(with), numbering(with.unpredictable_numbers)),
        large_(
            new std::byte[std::max(k_large_buffer, 2 * std::max(with.clients.buffer_size, with.servers.buffer_size))]),
        large_size_(std::max(k_large_buffer, 2 * std::max(with.clients.buffer_size, with.servers.buffer_size))),
        proving_{with.login_timeout, {}},
        clients_{with.clients.idle_timeout, {}},
        servers_{with.servers.idle_timeout, {}},
        doors_(where, *this),
        watch_(where.io()) {
    listed_ = where_.metrics().add({"ferry_gateway_forward_nanoseconds",
                                    {},
                                    "Time from the first packet of a turn until all that came in it was sent."},
                                   std::shared_ptr<const histogram>(forward_latency_));
  }

  [[nodiscard]] result<void> listen() {
    if (const auto done = doors_.open(gateway_role::client, settings_.clients, settings_); !done) return done;
    return doors_.open(gateway_role::server, settings_.servers, settings_);
  }

  void close() noexcept {
    closed_ = true;
    doors_.close();
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
    doors_.close();
    table_.stop_dials();
    stop_at_ = std::chrono::steady_clock::now() + std::min(within, k_longest_wait);
    look_whether_stopped(std::chrono::steady_clock::now());
    watch_until(*stop_at_);
  }

  [[nodiscard]] std::vector<std::string> urls(gateway_role role) const { return doors_.urls(role); }
  [[nodiscard]] counts stats() const {
    counts made = counts_;
    made.clients = clients_.all.size();
    made.servers = servers_.all.size();
    made.arriving = proving_.all.size();
    made.connections = table_.size();
    made.dials = table_.counts();
    made.resumable = doors_.resumed();
    return made;
  }

  [[nodiscard]] std::vector<member_view> members(std::size_t most) const {
    std::vector<member_view> made;
    const auto now = std::chrono::steady_clock::now();
    for (const auto* in : {&servers_, &clients_})
      for (const member* const one : in->all) {
        if (made.size() == most) return made;
        made.push_back({one->role(), one->id(), one->address(), one->connections(), one->waiting_packets(),
                        one->waiting_bytes(), now - one->last_heard, one->is_between_connections()});
      }
    return made;
  }
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> waiting() const {
    std::pair<std::uint64_t, std::uint64_t> sum;
    for (const auto& [who, kept] : members_) {
      sum.first += who->waiting_packets();
      sum.second += who->waiting_bytes();
    }
    return sum;
  }
  [[nodiscard]] bool is_stopping() const noexcept { return stop_at_.has_value(); }

  std::vector<std::string> change(const settings& with) {
    auto next = with;
    auto left = keep_what_cannot_change(next, settings_);
    settings_ = std::move(next);
    keys_ = keys_of(settings_);
    client_book_.set_limits(settings_.clients.per_address);
    server_book_.set_limits(settings_.servers.per_address);
    table_.set_limits(limits_of(settings_));
    proving_.limit = settings_.login_timeout;
    clients_.limit = settings_.clients.idle_timeout;
    servers_.limit = settings_.servers.idle_timeout;
    watch_until(std::chrono::steady_clock::now());
    return left;
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

  [[nodiscard]] result<login_outcome> check(bytes login, const codec::gateway::challenge& asked) override {
    return check_login(login, asked, keys_, settings_.login);
  }

  result<member*> sort(member& from, const codec::gateway::packet& what) override {
    talking_ = &from;
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
    if (why == errc::auth) {
      ++counts_.wrong_proofs;
      server_book_.failed(who.counted_as, std::chrono::steady_clock::now());
    }
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
    std::string address;
    // Only a client that dials makes the gateway tell a server Connect.
    if (settings_.connect_address && what.type == codec::gateway::command_type::connect &&
        who.role() == gateway_role::server)
      address = talking_->address().substr(0, member::k_most_more);
    if (!who.send(what, as_bytes(address))) too_slow(who);
  }

 private:
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

  void came(gateway_role role, std::shared_ptr<stream> who) override { welcome(role, std::move(who)); }
  void not_come(const std::string& url, const error& why) override {
    log(log_level::warn, [&] { return why.text().starts_with(url) ? why.text() : url + ": " + why.text(); });
  }

  void welcome(gateway_role role, std::shared_ptr<stream> carrier) {
    const bool client = role == gateway_role::client;
    if (members_.size() >= settings_.max_members || (!client && proving_.all.size() >= settings_.max_arriving)) {
      ++counts_.turned_away;
      return carrier->close();
    }
    auto from = address_of(carrier->peer().address);
    if (const auto may = book(role).came(from, std::chrono::steady_clock::now()); !may) {
      ++counts_.turned_away;
      log(log_level::debug, [&] { return "turned away: " + may.error().text(); });
      return carrier->close();
    }
    auto made = std::make_shared<member>(*this, std::move(carrier), client ? settings_.clients : settings_.servers);
    made->counted_as = std::move(from);
    auto& in = client ? clients_ : proving_;
    if (client && !table_.add_client(*made)) {
      ++counts_.turned_away;
      client_book_.gone(made->counted_as);
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
    turn_began_ = std::chrono::steady_clock::now();
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
    if (counts_.forwarded != forwarded_before_) {
      forwarded_before_ = counts_.forwarded;
      forward_latency_->record(static_cast<std::uint64_t>((std::chrono::steady_clock::now() - turn_began_).count()));
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
    (who.home == &clients_.all ? client_book_ : server_book_).gone(who.counted_as);
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
      std::vector<member*> between;
      for (member* const one : in->all) {
        if (one->last_heard + limit > now) {
          watch_until(one->last_heard + limit);
          break;
        }
        if (one->is_doomed()) continue;
        if (one->is_between_connections()) {  // its stream has a time of its own for that
          between.push_back(one);
          continue;
        }
        ++counts_.idle;
        doom(*one, in == &proving_ ? error(errc::timeout, "it did not log in in time")
                                   : error(errc::idle, "nothing came for the idle time"));
      }
      for (member* const one : between) heard(*one);
      if (!between.empty()) watch_until(now + limit);
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

  [[nodiscard]] address_book& book(gateway_role of) noexcept {
    return of == gateway_role::client ? client_book_ : server_book_;
  }

  context& where_;
  settings settings_;
  std::vector<server_key> keys_;
  address_book client_book_, server_book_;
  member* talking_ = nullptr;  // whose packet the table is shown
  session::virtual_connections table_;
  std::unique_ptr<std::byte[]> large_;
  std::size_t large_size_;
  watched proving_, clients_, servers_;
  std::unordered_map<member*, std::shared_ptr<member>> members_;
  std::vector<member*> to_flush_, flushing_, doomed_;
  bool later_ = false;
  time_point turn_began_{};  // when the first of a turn was noted
  std::uint64_t forwarded_before_ = 0;
  std::shared_ptr<histogram> forward_latency_ = std::make_shared<histogram>();
  metric_registration listed_;
  bool closed_ = false;
  counts counts_;
  doors doors_;
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

std::vector<std::string> service::urls(gateway_role of) const { return parts_->urls(of); }
counts service::stats() const { return parts_->stats(); }
std::vector<member_view> service::members(std::size_t most) const { return parts_->members(most); }
std::pair<std::uint64_t, std::uint64_t> service::waiting() const { return parts_->waiting(); }
bool service::is_stopping() const noexcept { return parts_->is_stopping(); }
std::vector<std::string> service::change(const settings& with) { return parts_->change(with); }
void service::stop(duration within, std::function<void()> done) { parts_->stop(within, std::move(done)); }

}  // namespace ferry::gateway
