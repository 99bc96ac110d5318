#include "sidecar/control_link.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "sidecar/wire/control_messages.hpp"

namespace ferry::sidecar {

control_link::control_link(control_link_owner& owner, boost::asio::io_context& io, std::shared_ptr<stream> carrier)
    : owner_(&owner), carrier_(std::move(carrier)), patience_(io) {}

void control_link::start() {
  carrier_->attach(*this, shared_from_this());
  carrier_->async_read(room_);
}

void control_link::close() noexcept {
  owner_ = nullptr;
  patience_.cancel();
  carrier_->close();
}

void control_link::end() noexcept {
  if (!out_.empty()) {
    const bytes rest[] = {out_};
    (void)carrier_->try_write(rest);
  }
  close();
}

void control_link::fail(const error& why) {
  if (owner_ == nullptr) return;
  const auto kept = shared_from_this();
  auto* const owner = owner_;
  close();
  owner->over(*this, why);
}

void control_link::fail_later(const error& why) {
  boost::asio::post(patience_.get_executor(), [weak = weak_from_this(), why] {
    if (const auto self = weak.lock()) self->fail(why);
  });
}

// While a message is here in part, or one of ours is not gone.
void control_link::limit() {
  const bool wanted = !in_.empty() || !out_.empty();
  if (std::exchange(is_limited_, wanted) == wanted) return;
  patience_.cancel();
  if (!wanted) return;
  patience_.expires_after(k_patience);
  patience_.async_wait([weak = weak_from_this()](const boost::system::error_code& failed) {
    if (failed) return;
    if (const auto self = weak.lock(); self && self->is_limited_)
      self->fail(error(errc::timeout, "a control message was not whole, or not taken, within 3 s"));
  });
}

void control_link::on_read(result<std::size_t> outcome) {
  if (owner_ == nullptr) return;
  if (!outcome) return fail(outcome.error());
  in_.insert(in_.end(), room_.begin(), room_.begin() + static_cast<std::ptrdiff_t>(*outcome));
  const auto kept = shared_from_this();
  if (const auto good = take(); !good) return fail(good.error());
  if (owner_ == nullptr) return;
  write();
  limit();
  carrier_->async_read(room_);
}

result<void> control_link::take() {
  std::size_t used = 0;
  while (owner_ != nullptr) {
    const auto next = decoder_.next(bytes(in_).subspan(used));
    if (!next) return next.error();
    if (next->consumed == 0) break;
    const auto what = wire::decode(*next);
    if (!what) return what.error();
    is_limited_ = false;  // what follows has its own time
    if (const auto good = owner_->heard(*this, *what); !good) return good;
    used += next->consumed;
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(used));
  return {};
}

void control_link::tell(const codec::sidecar::notice& what) {
  if (owner_ == nullptr) return;
  const auto before = out_.size();
  if (const auto done = wire::append(out_, what); !done) return fail_later(done.error());
  if (out_.size() > k_most_waiting)
    return fail_later(error(errc::full, "it does not read: " + std::to_string(before) +
                                            " bytes wait for it, the limit is " + std::to_string(k_most_waiting)));
  write();
  limit();
}

void control_link::write() {
  while (!waits_ && !out_.empty()) {
    const bytes rest[] = {out_};
    const auto taken = carrier_->try_write(rest);
    if (!taken && taken.error() == errc::would_block) {
      waits_ = true;
      return carrier_->async_wait_writable();
    }
    if (!taken) return fail_later(taken.error());
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(*taken));
  }
}

void control_link::on_writable() {
  if (owner_ == nullptr) return;
  waits_ = false;
  write();
  limit();
}

}  // namespace ferry::sidecar
