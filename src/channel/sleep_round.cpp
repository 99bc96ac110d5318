#include "channel/sleep_round.hpp"

#include <boost/asio/post.hpp>

#include "os/barrier.hpp"

namespace ferry::detail {

constexpr std::size_t k_some = 64;

boost::asio::execution_context::id sleep_round::id;

sleep_round::sleep_round(boost::asio::execution_context& of)
    : boost::asio::execution_context::service(of), io_(static_cast<boost::asio::io_context&>(of)) {
  // Falling asleep allocates nothing, unless very many do.
  tired_.reserve(k_some);
  round_.reserve(k_some);
}

void sleep_round::shutdown() noexcept {
  tired_.clear();
  round_.clear();
}

void sleep_round::join(std::shared_ptr<sleeper> one) {
  tired_.push_back(std::move(one));
  if (tired_.size() == 1) boost::asio::post(io_, [this] { turn(); });
}

void sleep_round::turn() {
  round_.swap(tired_);
  bool barrier = false;
  for (const auto& one : round_) barrier |= one->announce_sleep();
  if (barrier) os::barrier_everywhere();
  for (const auto& one : round_) one->look_once_more();
  round_.clear();
}

}  // namespace ferry::detail
