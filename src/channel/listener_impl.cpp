#include "channel/listener_impl.hpp"

#include <boost/asio/post.hpp>

#include "channel/link_channel.hpp"
#include "channel/printed_url.hpp"

namespace ferry {
namespace detail {
namespace {

constexpr int k_accepts_per_turn = 64;                    // then the channels have their turn
constexpr auto k_pause = std::chrono::milliseconds(100);  // when no descriptor is left

// Somebody who connected and then did not say what it should: no reason to let others wait.
bool is_of_this_one_alone(const error& why) {
  return why.code() == condition::protocol_violation || why == errc::unsupported || why == errc::timeout ||
         why == errc::reset || why == errc::corrupt || why == errc::not_found;
}

}  // namespace

struct listener_impl::open_count {
  std::size_t channels = 0;
};

listener_impl::listener_impl(context& where, std::unique_ptr<arrivals> from, std::shared_ptr<const options> with)
    : kept_entry(where.io()),
      where_(where),
      residents_(where.residents()),
      arrivals_(std::move(from)),
      options_(std::move(with)),
      url_(printed_url(arrivals_->local_url(), *options_)),
      open_(std::make_shared<open_count>()) {
  residents_->add(this);
}

listener_impl::~listener_impl() { residents_->remove(this); }

void listener_impl::abandon() noexcept {
  if (arrivals_) std::exchange(arrivals_, nullptr)->close();
  cancel_timer();
  // What these hold may let go of this listener.
  const auto channels = std::exchange(channel_handler_, {});
  const auto errors = std::exchange(error_handler_, {});
  const auto accepting = accepts_.take_all();
}

void listener_impl::on_channel(std::function<void(channel)> handler) {
  channel_handler_ = std::move(handler);
  wait_for_arrivals();
}

void listener_impl::start_accept(accept_completion done) {
  if (!arrivals_) return done(errc::closed, channel{});
  accepts_.add(shared_from_this(), &listener_impl::accepts_, where_.io(), std::move(done), {},
               [](accept_completion& one) { one(errc::cancelled, channel{}); });
  wait_for_arrivals();
}

void listener_impl::close() {
  if (!arrivals_) return;
  std::exchange(arrivals_, nullptr)->close();
  cancel_timer();
  for (auto& one : accepts_.take_all()) one.done(errc::closed, channel{});
  boost::asio::post(where_.io(), [self = shared_from_this()] {
    self->channel_handler_ = nullptr;
    self->error_handler_ = nullptr;
  });
}

void listener_impl::drain() {
  if (arrivals_ && channel_handler_ && arrivals_->refuse_new()) {
    while (arrivals_) {
      auto arrived = arrivals_->try_accept();
      if (arrived) {
        welcome(std::move(*arrived));
      } else if (arrived.error() != errc::auth) {
        break;
      }
    }
  }
  close();
}

// Without memory for that, a while later; to wait a while takes none.
void listener_impl::wait_for_arrivals() noexcept {
  if (waiting_ || !wanted()) return;
  waiting_ = true;
  try {
    arrivals_->async_wait([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->waiting_ = false;
        self->accept_some();
      }
    });
  } catch (const std::exception&) {
    wait_a_while();
  }
}

// Whatever accepting throws, the next ones are waited for.
struct listener_impl::rest {
  listener_impl& of;
  ~rest() { of.wait_for_arrivals(); }
};

void listener_impl::accept_some() {
  const rest others{*this};
  for (int i = 0; i < k_accepts_per_turn && wanted(); ++i) {
    auto arrived = arrivals_->try_accept();
    if (arrived) {
      welcome(std::move(*arrived));
      continue;
    }
    if (arrived.error() == errc::would_block) break;
    if (arrived.error() == errc::auth) {
      stats_.refused += 1;
      where_.totals().connections_refused.add(1);
      report(arrived.error());
      continue;
    }
    if (!is_of_this_one_alone(arrived.error())) return pause(arrived.error());
    stats_.errors += 1;
    where_.totals().accept_errors.add(1);
    report(arrived.error());
  }
}

// No descriptors or memory: those who have a connection keep it, the others wait in the kernel.
void listener_impl::pause(const error& why) {
  wait_a_while();
  stats_.errors += 1;
  where_.totals().accept_errors.add(1);
  report(why.in(url_.text() + ": accepting pauses for 100 ms"));
}

void listener_impl::wait_a_while() noexcept {
  waiting_ = true;
  set_timer(std::chrono::steady_clock::now() + k_pause);
}

void listener_impl::on_time() {
  const auto self = shared_from_this();
  waiting_ = false;
  accept_some();
}

void listener_impl::report(const error& why) {
  where_.log(log_level::warn, "listener", [&] { return why.text(); });
  if (error_handler_) error_handler_(where_.io(), why);
}

void listener_impl::welcome(std::unique_ptr<arrival> arrived) {
  if (open_->channels >= options_->max_connections) {
    stats_.refused += 1;
    where_.totals().connections_refused.add(1);
    const auto who = arrived->peer().text();
    arrived->refuse();
    return report(error(errc::busy, url_.text() + ": connection from " + who +
                                        " refused: " + std::to_string(open_->channels) +
                                        " are open, max_connections is " + std::to_string(options_->max_connections)));
  }
  stats_.accepted += 1;
  where_.totals().connections_accepted.add(1);
  open_->channels += 1;
  std::shared_ptr<void> slot(nullptr, [open = open_](void*) { open->channels -= 1; });
  channel handle = hold(arrived->make(where_, url_, options_));
  if (channel_handler_) {
    channel_handler_(where_.io(), handle);
  } else {
    accepts_.pop()({}, handle);
  }
  arrived->start(std::move(slot));
}

listener_stats listener_impl::stats() const {
  listener_stats all = stats_;
  all.open = open_->channels;
  return all;
}

}  // namespace detail

void listener::on_channel(std::function<void(channel)> handler) { impl_->on_channel(std::move(handler)); }
void listener::on_error(std::function<void(const error&)> handler) { impl_->on_error(std::move(handler)); }
void listener::close() { impl_->close(); }
void listener::drain() { impl_->drain(); }
std::string listener::url() const { return impl_->url(); }
listener_stats listener::stats() const { return impl_->stats(); }
boost::asio::io_context::executor_type listener::executor() const { return impl_->where().io().get_executor(); }
void listener::start_accept(detail::listener_impl& impl, detail::accept_completion done) {
  impl.start_accept(std::move(done));
}

}  // namespace ferry
