#pragma once
/// A TCP proxy on loopback that does to connections what bad networks do.

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ferry::test {

/// What happens to one connection once it has carried so many bytes, of both directions together.
struct network_fault {
  enum class kind : std::uint8_t {
    none,
    cut,              ///< both ends see the end of the stream
    reset,            ///< both ends see a reset
    half_close_near,  ///< only who connected sees the end
    half_close_far,   ///< only who accepted sees the end
    black_hole,       ///< whatever comes is thrown away, and nobody is told
    replay            ///< cut; later the same bytes arrive once more, in another connection
  };
  static constexpr std::size_t k_kinds = 7;
  kind what = kind::none;
  std::size_t after = 0;               ///< bytes; inside of a message as well as not
  std::size_t piece = 16384;           ///< bytes that travel together
  std::chrono::microseconds delay{0};  ///< for each piece
};

/// On one thread, the io_context's. Destroy it after the event loop was turned once more.
class faulty_proxy {
 public:
  using tcp = boost::asio::ip::tcp;

  static constexpr std::size_t k_all = ~std::size_t{0};

  /// @param to  port of 127.0.0.1 @param plan  for each connection that comes
  faulty_proxy(boost::asio::io_context& io, std::uint16_t to, std::function<network_fault()> plan)
      : io_(io), at_(io, {boost::asio::ip::address_v4::loopback(), 0}), to_(to), plan_(std::move(plan)) {
    accept();
  }
  faulty_proxy(const faulty_proxy&) = delete;
  faulty_proxy& operator=(const faulty_proxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return at_.local_endpoint().port(); }
  /// Connections that come from now on go to another port.
  void lead_to(std::uint16_t port) noexcept { to_ = port; }
  [[nodiscard]] std::uint64_t faults(network_fault::kind of) const { return done_[static_cast<std::size_t>(of)]; }
  [[nodiscard]] std::uint64_t faults() const {
    std::uint64_t all = 0;
    for (std::size_t i = 1; i < done_.size(); ++i) all += done_[i];
    return all;
  }
  /// The network is gone for a moment: every connection that there is ends, whatever its plan says. @return how many
  std::size_t cut_all() {
    std::size_t cut = 0;
    for (const auto& one : std::exchange(relays_, {})) {
      const auto there = one.lock();
      if (!there || !there->near.is_open()) continue;
      there->end();
      ++cut;
    }
    return cut;
  }
  std::size_t least_replayed = 256;  ///< bytes; a connection that said less does not come again
  /// Bytes that arrive now although the connection that they belong to is over. @param heard  what is said to them, up
  /// to the end; called once @param first  bytes of them, and then an end: as one that was held up until another one
  /// had overtaken it; all: and no end
  [[nodiscard]] bool replay_one(std::function<void(std::string)> heard, std::size_t first = k_all) {
    if (recorded_.empty()) return false;
    auto said = std::make_shared<std::string>(std::move(recorded_.back()));
    recorded_.pop_back();
    if (first != k_all) said->resize(std::min(first, said->size()));
    auto again = std::make_shared<tcp::socket>(io_);
    again->async_connect(far_end(), [again, said, first, heard = std::move(heard)](const auto& failed) mutable {
      if (failed) return heard({});
      boost::asio::async_write(*again, boost::asio::buffer(*said), [again, said, first](const auto&, std::size_t) {
        boost::system::error_code ignored;
        if (first != k_all) again->shutdown(tcp::socket::shutdown_send, ignored);
      });
      auto answer = std::make_shared<std::string>();
      boost::asio::async_read(*again, boost::asio::dynamic_buffer(*answer),
                              [again, answer, heard = std::move(heard)](const auto&, std::size_t) { heard(*answer); });
    });
    return true;
  }

 private:
  static constexpr std::size_t k_most_recorded = 64u << 10;

  // One connection, as long as either end is there.
  struct relay : std::enable_shared_from_this<relay> {
    struct way {
      tcp::socket* from;
      tcp::socket* to;
      std::vector<char> piece;
      boost::asio::steady_timer later;
    };
    relay(faulty_proxy& of_, tcp::socket near_, network_fault fault_)
        : of(of_),
          near(std::move(near_)),
          far(of.io_),
          fault(fault_),
          out{&near, &far, std::vector<char>(fault.piece), boost::asio::steady_timer(of.io_)},
          back{&far, &near, std::vector<char>(fault.piece), boost::asio::steady_timer(of.io_)} {}

    void start() {
      far.async_connect(of.far_end(), [self = shared_from_this()](const auto& failed) {
        if (failed) return self->end();
        self->far.set_option(tcp::no_delay(true));
        self->near.set_option(tcp::no_delay(true));
        self->read(self->out);
        self->read(self->back);
      });
    }
    void read(way& on) {
      on.from->async_read_some(boost::asio::buffer(on.piece),
                               [self = shared_from_this(), &on](const auto& failed, std::size_t n) {
                                 if (failed) return self->hole ? void() : self->end();
                                 if (self->hole) return self->read(on);
                                 self->pass(on, n);
                               });
    }
    void pass(way& on, std::size_t n) {
      const bool happens = fault.what != network_fault::kind::none && passed + n >= fault.after;
      // The direction that is not closed goes on without a gap.
      const bool half =
          fault.what == network_fault::kind::half_close_near || fault.what == network_fault::kind::half_close_far;
      if (happens && !half) n = fault.after - std::min(fault.after, passed);
      passed += n;
      if (fault.what == network_fault::kind::replay && &on == &out && said.size() < k_most_recorded)
        said.append(on.piece.data(), n);
      boost::asio::async_write(*on.to, boost::asio::buffer(on.piece.data(), n),
                               [self = shared_from_this(), &on, happens](const auto& failed, std::size_t) {
                                 if (failed && !self->hole) return self->end();
                                 if (happens) return self->happen(on);
                                 if (self->fault.delay.count() == 0) return self->read(on);
                                 on.later.expires_after(self->fault.delay);
                                 on.later.async_wait([self, &on](const auto& cancelled) {
                                   if (!cancelled) self->read(on);
                                 });
                               });
    }
    void happen(way& on) {
      using kind = network_fault::kind;
      boost::system::error_code ignored;
      const kind what = std::exchange(fault.what, kind::none);
      if (what == kind::none) return;
      of.done_[static_cast<std::size_t>(what)] += 1;
      switch (what) {
        case kind::none:
        case kind::cut: return end();
        case kind::replay:
          // A login that was cut short says nothing when it arrives again.
          if (said.size() >= of.least_replayed) of.recorded_.push_back(std::move(said));
          return end();
        case kind::reset:
          near.set_option(boost::asio::socket_base::linger(true, 0), ignored);
          far.set_option(boost::asio::socket_base::linger(true, 0), ignored);
          return end();
        case kind::half_close_near: near.shutdown(tcp::socket::shutdown_send, ignored); return read(on);
        case kind::half_close_far: far.shutdown(tcp::socket::shutdown_send, ignored); return read(on);
        case kind::black_hole: hole = true; return read(on);
      }
    }
    void end() {
      boost::system::error_code ignored;
      near.close(ignored);
      far.close(ignored);
      out.later.cancel();
      back.later.cancel();
    }

    faulty_proxy& of;
    tcp::socket near;
    tcp::socket far;
    network_fault fault;
    way out, back;
    std::size_t passed = 0;
    std::string said;
    bool hole = false;
  };

  void accept() {
    at_.async_accept([this](const auto& failed, tcp::socket came) {
      if (failed) return;
      const auto made = std::make_shared<relay>(*this, std::move(came), plan_());
      std::erase_if(relays_, [](const auto& one) { return one.expired(); });
      relays_.push_back(made);
      made->start();
      accept();
    });
  }
  [[nodiscard]] tcp::endpoint far_end() const { return {boost::asio::ip::address_v4::loopback(), to_}; }

  boost::asio::io_context& io_;
  tcp::acceptor at_;
  std::uint16_t to_;
  std::function<network_fault()> plan_;
  std::array<std::uint64_t, network_fault::k_kinds> done_{};
  std::vector<std::string> recorded_;
  std::vector<std::weak_ptr<relay>> relays_;
};

}  // namespace ferry::test
