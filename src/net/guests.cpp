#include "net/guests.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <deque>
#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/late_look.hpp"
#include "net/handler_place.hpp"
#include "net/timers.hpp"

namespace ferry::net {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

/// "192.0.2.7" of "192.0.2.7:4711 (through ...)".
std::string host_of(const std::string& who) {
  const auto address = who.substr(0, who.find(' '));
  return address.substr(0, address.rfind(':'));
}

class guest_acceptor final : public acceptor {
 public:
  guest_acceptor(context& where, std::unique_ptr<acceptor> from, std::string url, options::duration limit,
                 std::shared_ptr<guest_house> house)
      : state_(std::make_shared<state>(where.io(), std::move(from), std::move(url), limit, std::move(house))) {}
  ~guest_acceptor() override { state_->close(); }

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override { return state_->try_accept(); }
  void async_wait(std::function<void()> ready) override { state_->async_wait(std::move(ready)); }
  result<void> refuse_new() override { return errc::unsupported; }  // who is in its handshake would be lost
  void close() noexcept override { state_->close(); }
  [[nodiscard]] std::string local_url() const override { return state_->url; }

 private:
  struct visit {
    std::unique_ptr<guest> who;
    clock::time_point since;
    std::string host;
  };

  struct state final : timers::kept_entry, std::enable_shared_from_this<state> {
    state(asio::io_context& where, std::unique_ptr<acceptor> from_, std::string url_, options::duration limit_,
          std::shared_ptr<guest_house> house_)
        : kept_entry(where),
          io(where),
          from(std::move(from_)),
          url(std::move(url_)),
          limit(limit_),
          house(std::move(house_)) {}

    result<std::shared_ptr<stream>> try_accept() {
      if (closed) return errc::closed;
      while (finished.empty()) {
        auto arrived = from->try_accept();
        if (!arrived) return arrived.error();
        welcome(std::move(*arrived));
      }
      auto first = std::move(finished.front());
      finished.pop_front();
      return first;
    }

    void welcome(std::shared_ptr<stream> arrived) {
      auto made = house->welcome(std::move(arrived));
      if (!made) {
        finished.emplace_back(made.error());
        return;
      }
      if (guests.size() >= k_most_guests)
        end(oldest_of_most(), error(errc::busy, house->name() + " ended for a newer one: " +
                                                    std::to_string(k_most_guests) + " handshakes were under way"));
      std::string host = host_of((*made)->who());
      const auto at = guests.insert(guests.end(), visit{std::move(*made), clock::now(), std::move(host)});
      arm_timer();
      try {
        at->who->shake([weak = weak_from_this(), at](result<std::shared_ptr<stream>> outcome) {
          if (const auto self = weak.lock()) self->shaken(at, std::move(outcome));
        });
      } catch (...) {
        guests.erase(at);
        throw;
      }
    }

    /// Of the host that has the most guests, so that whoever fills the house is in nobody's way but its own.
    [[nodiscard]] std::list<visit>::iterator oldest_of_most() {
      std::unordered_map<std::string_view, std::size_t> counts;
      std::size_t most = 0;
      for (const auto& one : guests) most = std::max(most, ++counts[one.host]);
      return std::ranges::find_if(guests, [&](const visit& one) { return counts[one.host] == most; });
    }

    void shaken(std::list<visit>::iterator at, result<std::shared_ptr<stream>> outcome) {
      const visit done = std::move(*at);
      guests.erase(at);
      if (!outcome) return failed(*done.who, outcome.error());
      if (*outcome == nullptr) return;
      const auto in = *outcome;
      try {
        house->shaken(*in, clock::now() - done.since);
        finished.emplace_back(std::move(outcome));
      } catch (...) {
        in->close();  // it keeps itself until then
        throw;
      }
      tell();
    }

    void failed(const guest& who, const error& why) {
      house->failed(why);
      // Nothing of this kind may be taken for an error of the listener, or for its end.
      const bool plain = why == errc::network || why == errc::end_of_stream || why == errc::busy;
      const error known = plain ? error(errc::reset, why.text(), why.system_errno()) : why;
      finished.emplace_back(known.in(url + ": connection from " + who.who()));
      tell();
    }

    void end(std::list<visit>::iterator at, const error& why) {
      const visit gone = std::move(*at);
      guests.erase(at);
      gone.who->leave(why);
      failed(*gone.who, error(errc::timeout, why.text()));
    }

    void tell() {
      if (!ready || told) return;
      told = true;
      asio::post(io, telling.hold([self = shared_from_this()] {
        self->told = false;
        if (auto then = std::exchange(self->ready, nullptr)) then();
      }));
    }

    void async_wait(std::function<void()> then) {
      if (closed) return;
      ready = std::move(then);
      if (!finished.empty()) return tell();
      if (std::exchange(waits, true)) return;
      try {
        from->async_wait([weak = weak_from_this()] {
          const auto self = weak.lock();
          if (!self) return;
          self->waits = false;
          if (auto one = std::exchange(self->ready, nullptr)) one();
        });
      } catch (...) {
        waits = false;
        throw;
      }
    }

    void arm_timer() noexcept {
      if (limit.count() == 0 || guests.empty() || timed) return;
      wait_until(guests.front().since + limit);
    }

    void wait_until(clock::time_point when) noexcept {
      timed = true;
      due = when;
      set_timer(when);
    }

    // Whatever the end of one throws, the others have theirs.
    struct rest {
      state& of;
      ~rest() { of.arm_timer(); }
    };

    void on_time() override {
      const auto self = shared_from_this();
      const rest others{*this};
      timed = false;
      look();
    }

    void look() {
      const auto now = clock::now();
      if (const auto later = late.put_off(due, now)) return wait_until(*later);
      while (!guests.empty() && guests.front().since <= now - limit) end(guests.begin(), too_slow());
    }

    [[nodiscard]] error too_slow() const {
      options shown;
      shown.connect_timeout = limit;
      return {errc::timeout,
              house->name() + " not over within " + get_option(shown, "connect_timeout") + " (connect_timeout)"};
    }

    void close() noexcept {
      if (std::exchange(closed, true)) return;
      ready = nullptr;
      cancel_timer();
      guests.clear();
      for (const auto& one : finished)
        if (one) (*one)->close();
      finished.clear();
      from->close();
    }

    asio::io_context& io;
    std::unique_ptr<acceptor> from;
    std::string url;
    options::duration limit;
    std::shared_ptr<guest_house> house;
    std::list<visit> guests;  // the oldest first
    std::deque<result<std::shared_ptr<stream>>> finished;
    std::function<void()> ready;
    bool waits = false;  // for `from`
    bool told = false;   // `ready` is about to be called
    bool timed = false;  // the timer is set for the oldest guest, or for one that is gone
    bool closed = false;
    clock::time_point due{};  // where it is
    late_look late;
    handler_place telling;
  };

  std::shared_ptr<state> state_;
};

}  // namespace

std::unique_ptr<acceptor> accept_guests(context& where, std::unique_ptr<acceptor> from, std::string url,
                                        options::duration limit, std::shared_ptr<guest_house> house) {
  return std::make_unique<guest_acceptor>(where, std::move(from), std::move(url), limit, std::move(house));
}

}  // namespace ferry::net
