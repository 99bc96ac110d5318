#include "sidecar/service_stream.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "ring/sidecar_ring.hpp"

namespace ferry::sidecar {
namespace {

constexpr std::size_t k_least = 256;                      // bytes of one message in the smallest ring
constexpr auto k_retry = std::chrono::microseconds(200);  // when the ring was full: it has no bell for room
constexpr const char* k_gone = "the other end of this stream is gone";
constexpr std::size_t k_heads = 512;  // of one message, and its header in the ring, at most

// A larger one fits into a compatible ring only where that happens to stand. The receiver's is taken to be as large as
// ours: there such a message would wait, and be dropped in the end.
std::size_t most_bytes(const std::string& directory) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(directory + "/" + service_options().send_name, failed);
  constexpr auto k_around = ring::k_sidecar_control_bytes + k_heads;
  const auto half = failed ? 0 : static_cast<std::size_t>(size) / 2;
  return std::clamp(half, k_around + k_least, k_around + service_stream::k_most) - k_around;
}

}  // namespace

service_stream::service_stream(std::shared_ptr<service_hub> hub, std::uint32_t entity, std::uint64_t ours,
                               std::uint64_t theirs)
    : hub_(std::move(hub)),
      entity_(entity),
      own_entity_(hub_->entity()),
      ours_(ours),
      theirs_(theirs),
      most_(most_bytes(hub_->directory())),
      retry_(hub_->where().io()),
      probe_timer_(hub_->where().io()) {}

void service_stream::attach(stream_events& events, std::shared_ptr<void> owner) {
  events_ = &events;
  owner_ = std::move(owner);
}

stream_note service_stream::note(stream_step what, std::uint32_t count) const noexcept {
  return {what, entity_, ours_, theirs_, count};
}

// Half a window at a time.
void service_stream::give_credit() {
  if (taken_ - granted_ < k_window / 2 || reads_ != way::open) return;
  granted_ = taken_;
  const auto told = hub_->tell_surely(note(stream_step::credit, taken_));
  if (told) return;
  // Without it nothing would come any more. Not from inside a call of whoever reads.
  boost::asio::post(retry_.get_executor(), [weak = weak_from_this(), why = told.error()] {
    if (const auto self = weak.lock()) self->lost(why);
  });
}

// The sum says what has arrived, and brings back a credit that was lost. Where there is no room the next question is
// answered.
void service_stream::answer_probe() {
  if (reads_ == way::open && hub_->tell(note(stream_step::credit, taken_))) granted_ = taken_;
}

// What a message brings may be dropped by the sidecar, which tells nobody; the receiver sees a gap with the next one.
void service_stream::watch_arrival() {
  probe_.on_sent(std::chrono::steady_clock::now());
  arm_probe();
}

// A timer that is under way looks again when it has run out: there is no other one for each message.
void service_stream::arm_probe() {
  const auto next = probe_.next();
  if (is_armed_ || !next) return;
  is_armed_ = true;
  probe_timer_.expires_at(*next);
  probe_timer_.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    const auto self = weak.lock();
    if (!self || !self->hub_) return;
    self->is_armed_ = false;
    self->ask();
    self->arm_probe();
  });
}

void service_stream::ask() {
  if (writes_ == way::broken) return probe_.settle();
  const auto now = std::chrono::steady_clock::now();
  if (!probe_.on_timer(now)) return;
  (void)hub_->tell(note(writes_ == way::ended ? stream_step::end : stream_step::data, sent_));
  if (!probe_.next() && wants_write_ && credit_ == 0) probe_.on_sent(now);  // the credit may have been lost
}

result<std::size_t> service_stream::try_read(mutable_bytes into) noexcept {
  if (!hub_) return errc::closed;
  if (const auto size = std::min(into.size(), unread()); size != 0) {
    std::memcpy(into.data(), in_.data() + in_begin_, size);
    in_begin_ += size;
    if (in_begin_ == in_.size()) {
      in_.clear();
      in_begin_ = 0;
    }
    taken_ += static_cast<std::uint32_t>(size);
    give_credit();
    return size;
  }
  switch (reads_) {
    case way::open: return errc::would_block;
    case way::ended: return errc::end_of_stream;
    case way::broken: return broken_;
  }
  __builtin_unreachable();  // all values are there
}

// In as many messages as it takes.
result<std::size_t> service_stream::write_some(bytes from) {
  std::size_t done = 0;
  while (done < from.size() && credit_ != 0) {
    const auto size = std::min({from.size() - done, std::size_t{credit_}, most_});
    const auto sent = hub_->tell(note(stream_step::data, sent_), from.subspan(done, size));
    if (!sent && sent.error() == errc::message_too_large && most_ > k_least) {
      most_ /= 2;
      continue;
    }
    if (!sent && sent.error() == errc::full) break;
    if (!sent) return sent.error();
    ++sent_;
    credit_ -= static_cast<std::uint32_t>(size);
    done += size;
  }
  if (done != 0) watch_arrival();
  return done;
}

result<std::size_t> service_stream::try_write(std::span<const bytes> from) noexcept {
  if (!hub_) return errc::closed;
  if (writes_ != way::open) return error(errc::reset, k_gone);
  std::size_t done = 0, wanted = 0;
  for (const auto part : from) {
    wanted += part.size();
    auto some = write_some(part);
    if (!some) return some;
    done += *some;
    if (*some < part.size()) break;
  }
  if (done == 0 && wanted != 0) return errc::would_block;
  return done;
}

void service_stream::async_read(mutable_bytes into) {
  into_ = into;
  wants_read_ = true;
  if (unread() == 0 && reads_ == way::open) return;
  boost::asio::post(retry_.get_executor(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->readable();
  });
}

void service_stream::readable() {
  if (events_ == nullptr || !wants_read_ || (unread() == 0 && reads_ == way::open)) return;
  wants_read_ = false;
  const auto kept = shared_from_this();
  const auto owner = owner_;
  events_->on_read(try_read(into_));
}

// Credit that comes tells it at once.
void service_stream::async_wait_writable() {
  wants_write_ = true;
  if (credit_ == 0 && writes_ == way::open) {
    if (!probe_.next()) watch_arrival();
    return;
  }
  retry_.expires_after(writes_ == way::open ? k_retry : std::chrono::microseconds::zero());
  retry_.async_wait([weak = weak_from_this()](const error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock()) self->writable();
  });
}

void service_stream::writable() {
  if (events_ == nullptr || !wants_write_) return;
  wants_write_ = false;
  const auto kept = shared_from_this();
  const auto owner = owner_;
  events_->on_writable();
}

result<void> service_stream::shutdown_write() {
  if (!hub_) return errc::closed;
  if (writes_ != way::open) return {};
  writes_ = way::ended;
  watch_arrival();
  return hub_->tell_surely(note(stream_step::end, sent_));
}

// As with a Unix socket: leaving input unread is a reset for the other side.
void service_stream::close() noexcept {
  const auto hub = std::exchange(hub_, nullptr);
  if (!hub) return;
  events_ = nullptr;
  retry_.cancel();
  probe_timer_.cancel();
  hub->remove(ours_);
  if (theirs_ != 0 && reads_ != way::broken)
    (void)hub->tell_surely(unread() == 0 ? note(stream_step::gone, sent_) : note(stream_step::broken));
  owner_.reset();
}

void service_stream::break_off(const error& why) {
  (void)hub_->tell_surely(note(stream_step::broken));
  lost(why);
}

void service_stream::lost(const error& why) {
  if (!hub_) return;
  const auto kept = shared_from_this();
  if (reads_ == way::open) {
    reads_ = way::broken;
    broken_ = why;
  }
  writes_ = way::broken;
  readable();
  writable();
}

bool service_stream::is_gap(const stream_note& note) {
  if (static_cast<std::int32_t>(note.count - received_) <= 0) return false;
  break_off(error(errc::reset, "a part of this stream was lost on its way"));
  return true;
}

void service_stream::heard_data(const stream_note& note, bytes body) {
  // A sidecar that was killed brings the message in its hand again when it comes again.
  if (is_gap(note) || note.count != received_) return;
  if (body.empty()) return answer_probe();
  if (body.size() > k_window - unread()) return break_off(error(errc::protocol, "more than the window has come"));
  ++received_;
  if (in_begin_ != 0) in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(in_begin_));
  in_begin_ = 0;
  in_.insert(in_.end(), body.begin(), body.end());
  readable();
}

void service_stream::heard(const stream_note& what, bytes body) {
  if (!hub_) return;
  const auto kept = shared_from_this();
  switch (what.what) {
    case stream_step::data: return heard_data(what, body);
    case stream_step::credit: {
      const std::uint32_t more = what.count - read_there_;
      if (more > k_window - credit_) return;  // it came again, or cannot be
      read_there_ = what.count;
      credit_ += more;
      if (credit_ == k_window && writes_ == way::open) probe_.settle();
      if (credit_ != 0) writable();
      return;
    }
    case stream_step::end:
      if (is_gap(what)) return;
      if (reads_ == way::open) reads_ = way::ended;
      return readable();
    case stream_step::gone:
      if (is_gap(what)) return;
      if (reads_ == way::open) reads_ = way::ended;
      if (writes_ == way::open) writes_ = way::broken;
      probe_.settle();
      readable();
      return writable();
    case stream_step::broken: return lost(error(errc::reset, k_gone));
    case stream_step::open:
    case stream_step::accept:
    case stream_step::refuse: return;
  }
}

peer_info service_stream::peer() const { return {.address = "entity " + std::to_string(entity_)}; }
std::string service_stream::local_address() const { return "entity " + std::to_string(own_entity_); }

}  // namespace ferry::sidecar
