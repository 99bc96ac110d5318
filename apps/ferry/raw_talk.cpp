#include "apps/ferry/raw_talk.hpp"

#include <ferry/url.hpp>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <utility>

namespace ferry::app {

raw_talk::~raw_talk() {
  if (stream_) stream_->close();
}

bool raw_talk::turn(const std::function<bool()>& done) {
  auto& io = where_.io();
  const auto work = boost::asio::make_work_guard(io);
  const auto end = std::chrono::steady_clock::now() + patience_;
  while (!done()) {
    if (io.stopped()) io.restart();
    if (io.run_one_until(end) == 0 && std::chrono::steady_clock::now() >= end) return done();
  }
  return true;
}

result<void> raw_talk::connect(const std::string& url, const options& with) {
  options all = with;
  const auto schemes = where_.schemes();
  const auto to = parse_url(url, all, schemes);
  if (!to) return to.error();
  const auto transport = where_.transport(to->scheme);
  if (!transport) return error(errc::unsupported, to->scheme + ": no stream carries it");
  std::optional<result<std::shared_ptr<stream>>> made;
  attempt_ = transport->connect(where_, *to, all, [&made](auto outcome) { made.emplace(std::move(outcome)); });
  const bool in_time = turn([&made] { return made.has_value(); });
  attempt_.reset();
  if (!in_time) return error(errc::timeout, "connecting to " + url + " takes too long");
  if (!*made) return made->error();
  if (stream_) stream_->close();
  stream_ = std::move(**made);
  received_.clear();
  ended_.reset();
  writable_ = true;
  stream_->attach(*this, nullptr);
  stream_->async_read(buffer_);
  return {};
}

result<void> raw_talk::write(bytes what, std::span<const std::size_t> cuts) {
  std::size_t at = 0;
  while (at < what.size() && !ended_) {
    while (!cuts.empty() && cuts.front() <= at) cuts = cuts.subspan(1);
    const std::size_t end = cuts.empty() ? what.size() : std::min(cuts.front(), what.size());
    const bytes piece = what.subspan(at, end - at);
    const auto n = stream_->try_write({&piece, 1});
    if (n) {
      at += *n;
      continue;
    }
    if (n.error() != errc::would_block) {
      // Why it ended is what reading says, if it says anything.
      static_cast<void>(turn([this] { return ended_.has_value(); }));
      if (!ended_) ended_ = n.error();
      return {};
    }
    writable_ = false;
    stream_->async_wait_writable();
    if (!turn([this] { return writable_ || ended_; })) return error(errc::timeout, "it takes nothing any more");
  }
  return {};
}

void raw_talk::end_sending() {
  if (!ended_) static_cast<void>(stream_->shutdown_write());
}

bool raw_talk::wait(const std::function<bool()>& done) {
  return turn([&] { return done() || ended_; });
}

void raw_talk::consume(std::size_t n) { received_.erase(received_.begin(), received_.begin() + std::ptrdiff_t(n)); }

void raw_talk::on_read(result<std::size_t> outcome) {
  if (!outcome) {
    ended_ = outcome.error();
    return;
  }
  received_.insert(received_.end(), buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(*outcome));
  if (received_.size() > k_most_kept) consume(received_.size() - k_most_kept);
  stream_->async_read(buffer_);
}

}  // namespace ferry::app
